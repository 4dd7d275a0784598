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
	"time"

	"github.com/spf13/pflag"

	"edged"
	"edged/actors"
	"edged/configs"
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
	steps, err := planReload(d.active.Load().setup, next)
	if err != nil {
		return failed(exitConfig, err)
	}
	pause, err := d.swap(ctx, next, steps)
	if err != nil {
		return err
	}
	d.taken.Add(1)
	for _, s := range steps {
		if s.what != stepKeep {
			d.log.Info("pipeline "+string(s.what), "name", s.name)
		}
	}
	d.log.Info("configuration taken", "config", next.file, "pipelines", len(next.plans), "paused", pause.Round(time.Microsecond))
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
	stepAdd    stepKind = "added"
	stepRemove stepKind = "removed"
)

// planReload says what a reload means for each pipeline, and refuses it if one would
// lose its state.
func planReload(now, next *setup) (steps []reloadStep, err error) {
	var faults []error
	for _, p := range next.plans {
		step := reloadStep{p.Name(), stepAdd}
		if old := now.plan(p.Name()); old != nil {
			switch step.what = stepChange; {
			case old.Same(p):
				step.what = stepKeep
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

// swap puts the pipelines and outputs of a setup in the place of those that run, and
// returns for how long the input stood still.
func (d *daemon) swap(ctx context.Context, next *setup, steps []reloadStep) (pause time.Duration, err error) {
	outputs, err := d.outputs.next(next, d.log)
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, outputs.closeBut(d.outputs))
		}
	}()
	tables, contents, err := openTables(next, d.log)
	if err != nil {
		return 0, err
	}
	var pipes []actors.Pipeline
	for i, p := range next.plans {
		if at := slices.IndexFunc(d.pipes, func(old actors.Pipeline) bool { return old.Name() == p.Name() }); at >= 0 && steps[i].what == stepKeep {
			pipes = append(pipes, d.pipes[at])
			next.plans[i] = d.pipes[at].(*pipeline).Plan
			continue
		}
		pipes = append(pipes, newPipeline(p, next.settings.GatewayID))
	}
	pause, err = d.engine.Swap(ctx, actors.Swap{
		Pipelines: pipes, Links: outputs.links, Tables: contents,
		Settle: func(edged.Seq) (map[string]edged.Seq, error) {
			since, err := settleContract(next.settings.DataDir, next, d.store.Position(), false)
			if err == nil {
				err = d.settleStreams(next, nil)
			}
			return since, err
		},
	})
	if err != nil {
		return 0, err
	}
	d.pipes = pipes
	d.watchTables(ctx, tables)
	gone := d.outputs
	d.outputs = outputs
	d.active.Store(&shown{next, outputs.links})
	for _, fault := range []error{d.inlet.Resubscribe(subscriptions(next.specs)), gone.closeBut(outputs)} {
		if fault != nil {
			d.log.Warn("after a swap of pipelines", "err", fault)
		}
	}
	return pause, nil
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
