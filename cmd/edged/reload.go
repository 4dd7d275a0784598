package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"reflect"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/pflag"

	"edged/configs"
	"edged/fleet/protocol"
	"edged/query"
)

// hangups goes over to the next setup, if there is one, and then to what is in the file for
// every SIGHUP, until ctx ends.
func hangups(ctx context.Context, d *daemon, flags *pflag.FlagSet) error {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	defer signal.Stop(signals)
	ended := func(err error) {
		if err != nil && ctx.Err() == nil {
			d.refused.Add(1)
			d.log.Error("the configuration was not taken; the one before stays in use", "err", err)
		}
	}
	if d.next != nil {
		ended(d.take(ctx, d.next))
	}
	for {
		select {
		case <-signals:
			ended(d.reload(ctx, flags))
		case <-ctx.Done():
			return nil
		}
	}
}

// reload takes over what is in the configuration file now.
func (d *daemon) reload(ctx context.Context, flags *pflag.FlagSet) error {
	now := d.active.Load()
	if now.version.Number > 0 {
		return fmt.Errorf("what runs is version %d of the fleet's operators: let them send another one, or start with fleet.name empty", now.version.Number)
	}
	next, err := loadSetup(now.file, flags)
	if err != nil {
		return err
	}
	if changed := changedSettings(now.settings, next.settings); len(changed) > 0 {
		d.log.Warn("settings take effect at the next start only", "settings", strings.Join(changed, " "))
	}
	next.settings = now.settings
	return d.take(ctx, next)
}

// take takes the pipelines, tables and outputs of a setup over. Input flows on; pipelines
// that did not change do not notice. On an error everything is as it was.
func (d *daemon) take(ctx context.Context, next *setup) error {
	d.taking.Lock()
	defer d.taking.Unlock()
	now := d.active.Load()
	if now.roles.listens != nil {
		return failed(exitConfig, errors.New("a version of the fleet's operators is on trial: send the signal again when that has ended"))
	}
	steps, err := planReload(now.setup, next, protocol.StateKeep)
	if err != nil {
		return failed(exitConfig, err)
	}
	next.names = now.names
	pause, err := d.swap(ctx, roles{speaks: next}, false)
	if err != nil {
		return err
	}
	d.taken.Add(1)
	for _, s := range steps {
		if s.what != stepKeep {
			d.log.Info("pipeline "+string(s.what), "name", s.name)
		}
	}
	d.log.Info("configuration taken", "config", next.file, "pipelines", len(next.plans), "paused", pause)
	return nil
}

// reloadStep is what a reload means for one pipeline.
type reloadStep struct {
	name string
	what stepKind
}

type stepKind string

const (
	stepKeep   stepKind = "unchanged"
	stepChange stepKind = "changed" // it keeps its state
	stepReset  stepKind = "reset"   // it begins anew
	stepAdd    stepKind = "added"
	stepRemove stepKind = "removed"
)

// planReload says what a reload means for each pipeline. State is what shall become of the
// states of those that changed, see protocol.Apply; one that cannot be kept is a reason to
// refuse all of it if it is to be.
func planReload(now, next *setup, state string) (steps []reloadStep, err error) {
	var faults []error
	for _, p := range next.plans {
		step := reloadStep{p.Name(), stepAdd}
		if old := now.plan(p.Name()); old != nil {
			switch step.what = stepChange; {
			case old.Same(p):
				step.what = stepKeep
			case state == protocol.StateReset || state == protocol.StateMigrate && old.Fingerprint() != p.Fingerprint():
				step.what = stepReset
			case old.Fingerprint() != p.Fingerprint():
				faults = append(faults, fmt.Errorf("pipeline %s: its stored state means something else (key, window, aggregates, rules or other parts changed): give the changed pipeline a new name", p.Name()))
			}
		}
		steps = append(steps, step)
	}
	for _, p := range now.plans {
		if next.plan(p.Name()) == nil {
			steps = append(steps, reloadStep{p.Name(), stepRemove})
		}
	}
	return steps, errors.Join(faults...)
}

// plan returns the plan of a name, nil if there is none.
func (s *setup) plan(name string) *query.Plan {
	if i := slices.IndexFunc(s.plans, func(p *query.Plan) bool { return p.Name() == name }); i >= 0 {
		return s.plans[i]
	}
	return nil
}

// watchTables looks at the files of reference tables instead of those before.
func (d *daemon) watchTables(ctx context.Context, tables *tableFiles) {
	if d.watching != nil {
		d.watching.end()
	}
	if before := d.tables.Swap(tables); before != tables { // counters go on
		tables.loaded.Add(before.loaded.Load())
		tables.failed.Add(before.failed.Load())
	}
	d.watching = start(ctx, func(ctx context.Context) error { return tables.watch(ctx, d.engine) })
}

// changedSettings names the settings that differ, by their sections.
func changedSettings(now, next *configs.Settings) (names []string) {
	a, b := reflect.ValueOf(*now), reflect.ValueOf(*next)
	for i := range a.NumField() {
		if !reflect.DeepEqual(a.Field(i).Interface(), b.Field(i).Interface()) {
			names = append(names, strings.ToLower(a.Type().Field(i).Name))
		}
	}
	return names
}
