package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"edged/actors"
	"edged/configs"
	"edged/fleet/apply"
	"edged/fleet/protocol"
	"edged/fleet/strict"
	"edged/query"
)

// desiredFile says in a data directory which configuration of the fleet's operators is in
// effect.
const desiredFile = "desired.json"

// How much of what was already there a configuration is tried with.
const (
	dryRunRecords = 10_000
	dryRunBytes   = 8 << 20

	// dryRunTime is how long that may take. A version that needs as long for what took the
	// one before a fourth of it is too slow.
	dryRunTime   = 20 * time.Second
	dryRunGrowth = 4

	// dryRunAhead is how many records may wait: they cannot be taken back when time is over.
	dryRunAhead = 64
)

// errDryRunTime is why a dry run ends early.
var errDryRunTime = errors.New("the dry run takes too long")

// site is a daemon as the operators of a fleet configure it. They send pipelines, tables and
// outputs; the settings stay those of the gateway's own file, so that nothing that is sent
// can cut the gateway off.
type site struct {
	own    *setup // of the gateway's own file
	daemon *daemon
	linked func() bool // the management link works
}

var _ apply.Gateway = (*site)(nil)

// parseSent compiles a version for a gateway with these settings.
func parseSent(own *setup, v apply.Version) (*setup, error) {
	if v.Number == 0 {
		return own, nil
	}
	// Files of tables are looked for where they would be for the gateway's own file.
	name := filepath.Join(filepath.Dir(own.file), fmt.Sprintf("desired-%d", v.Number))
	next, err := parseText(own, name, sentText(v.Config))
	if err != nil {
		return nil, err
	}
	next.version = v
	return next, nil
}

// parseText compiles a document that was sent.
func parseText(own *setup, name string, text []byte) (*setup, error) {
	settings, doc, err := configs.Load(name, text, os.Environ(), nil)
	if err != nil {
		return nil, sentFault(err)
	}
	if doc.Settings != nil {
		return nil, &apply.Fault{Code: protocol.CodeSchema, Path: "settings", Err: fmt.Errorf("%s: settings are the gateway's own and cannot be sent; remove the section", name)}
	}
	next := &setup{file: name, text: string(text), settings: settings, doc: doc, specs: doc.Pipelines}
	if err := errors.Join(append(next.compile(), next.checkFiles())...); err != nil {
		return nil, sentFault(err)
	}
	next.settings = own.settings
	return next, nil
}

// sentText returns the text of a configuration: an object is one, or has it.
func sentText(config json.RawMessage) []byte {
	var wrapped struct {
		YAML string `json:"yaml"`
	}
	if strict.Decode(config, &wrapped, strict.Limits{Bytes: protocol.DesiredBytesMax}) == nil && wrapped.YAML != "" {
		return []byte(wrapped.YAML)
	}
	return config
}

// sentFault gives an error the place of its first fault.
func sentFault(err error) error {
	f := &apply.Fault{Code: protocol.CodeSchema, Err: err}
	if all, ok := errors.AsType[query.Errors](err); ok && len(all) > 0 {
		f.Path = all[0].Path
	} else if one, ok := errors.AsType[*query.Error](err); ok {
		f.Path = one.Path
	}
	return f
}

// sent is what a start finds of the configurations that were sent.
type sent struct {
	state  apply.State
	gaveUp bool // of a version, because processes ended while it was tried
}

// beginSite returns what is to run: what the operators have sent last, or the gateway's own
// file; and beside it what is on trial. A version that cannot be read any more must not take
// the management link with it.
func beginSite(own *setup, log *slog.Logger) (roles, *sent, error) {
	r := roles{speaks: own}
	if own.settings.Fleet.Name == "" {
		return r, &sent{}, nil
	}
	state, gaveUp, err := apply.Begin(desiredStore(own.settings.DataDir))
	if err != nil {
		return r, nil, failed(exitStore, err)
	}
	if r.speaks, err = parseSent(own, state.Active); err != nil {
		log.Error("the configuration that was sent last cannot be used; the gateway's own file is", "version", state.Active.Number, "err", err)
		r.speaks = own
	}
	if state.Trial != nil {
		if r.listens, err = parseSent(own, state.Trial.Version); err != nil {
			log.Error("the configuration on trial cannot be used", "version", state.Trial.Number, "err", err)
			r.listens = nil
		}
	}
	return r, &sent{state, gaveUp}, nil
}

// Verify implements apply.Gateway.
func (s *site) Verify(v apply.Version) error {
	_, err := parseSent(s.own, v)
	return err
}

// Plan implements apply.Gateway.
func (s *site) Plan(v apply.Version, a protocol.Apply) error {
	next, err := parseSent(s.own, v)
	if err != nil {
		return err
	}
	steps, err := planReload(s.daemon.active.Load().setup, next, a.State)
	if err != nil {
		return &apply.Fault{Code: protocol.CodePrecond, Path: "pipelines", Err: err}
	}
	if err := s.flowing(); err != nil {
		return &apply.Fault{Code: protocol.CodePrecond, Path: "pipelines", Err: err}
	}
	for _, step := range steps {
		s.daemon.log.Info("a configuration would be taken", "version", v.Number, "pipeline", step.name, "is", string(step.what))
	}
	return nil
}

// How long a plan waits for pipelines that are catching up, and how often it looks.
const (
	flowingWithin = 10 * time.Second
	flowingPoll   = 50 * time.Millisecond
)

// flowing waits until pipelines get what comes that catch up with what they have missed, and
// returns an error if one is held.
func (s *site) flowing() error {
	for end := time.Now().Add(flowingWithin); ; time.Sleep(flowingPoll) {
		i := slices.IndexFunc(s.daemon.engine.Stats().Pipelines(), func(st *actors.PipelineStats) bool { return st.Hold().Standing != actors.Flowing })
		if i < 0 {
			return nil
		}
		st := s.daemon.engine.Stats().Pipelines()[i]
		if h := st.Hold(); h.Standing != actors.Resuming || time.Now().After(end) {
			return fmt.Errorf("pipeline %s is %s, and a version on trial would not see what it misses: let it go on with pipeline.resume, then ask for another try with config.retry", pipelineOf(st.Name), h.Standing)
		}
	}
}

// DryRun implements apply.Gateway: what runs and what shall run get the newest records of
// the journal, and are compared.
func (s *site) DryRun(ctx context.Context, v apply.Version) error {
	next, err := parseSent(s.own, v)
	if err != nil {
		return err
	}
	began := time.Now()
	before, _, err := s.rehearse(ctx, s.daemon.active.Load().setup)
	took := time.Since(began)
	if errors.Is(err, errDryRunTime) {
		s.daemon.log.Warn("no dry run: what runs already takes too long for it", "version", v.Number, "after", took)
		return nil
	}
	if err != nil {
		return err
	}
	after, sample, err := s.rehearse(ctx, next)
	switch {
	case errors.Is(err, errDryRunTime) && took > dryRunTime/dryRunGrowth:
		return nil // the trial will tell
	case errors.Is(err, errDryRunTime):
		return &apply.Fault{Code: protocol.CodeHealth, Err: fmt.Errorf("dry run: it needs more than %v for %d records, what runs needs %v", dryRunTime, before.Messages, took.Round(time.Millisecond))}
	case err != nil:
		return fmt.Errorf("dry run: %w", err)
	case after.Broken > before.Broken:
		return fmt.Errorf("dry run over %d records: %d panics or quarantined keys", after.Messages, after.Broken)
	}
	if err := after.TooMany(&before); err != nil {
		return fmt.Errorf("dry run: %w: %s", err, sample)
	}
	return nil
}

// rehearse runs the pipelines of a setup over the newest records of the journal, and
// returns what it counted and one of its dead letters.
func (s *site) rehearse(ctx context.Context, as *setup) (h apply.Health, sample string, err error) {
	var fresh []actors.Pipeline
	for _, p := range as.plans {
		fresh = append(fresh, newPipeline(p.Clone(), as.settings.GatewayID)) // it stores nothing
	}
	pos := s.daemon.store.Position()
	source := &journalSource{store: s.daemon.store, after: pos.Floor, limit: dryRunRecords, bytes: dryRunBytes}
	if pos.Seq > source.after+dryRunRecords {
		source.after = pos.Seq - dryRunRecords
	}
	store := newShadowStore()
	settings := *as.settings
	settings.Engine.EpochEventsMax, settings.Engine.IntakeEventsMax = dryRunAhead, dryRunAhead
	careful := *as
	careful.settings = &settings
	ctx, cancel := context.WithTimeoutCause(ctx, dryRunTime, errDryRunTime)
	defer cancel()
	st, err := rehearse(ctx, &careful, fresh, source, store)
	if err != nil {
		return h, "", err
	}
	h = apply.Health{Messages: source.records, Broken: st.Panics.Load() + st.Quarantined.Load()}
	for _, n := range store.causes {
		h.Errors += n
	}
	if len(store.samples) > 0 {
		sample = store.samples[0]
	}
	s.daemon.log.Debug("dry run", "records", source.records, "errors", h.Errors)
	return h, sample, nil
}

// Try implements apply.Gateway.
func (s *site) Try(ctx context.Context, v apply.Version, a protocol.Apply) error {
	next, err := parseSent(s.own, v)
	if err != nil {
		return err
	}
	d := s.daemon
	d.taking.Lock()
	defer d.taking.Unlock()
	now := d.active.Load()
	steps, err := planReload(now.setup, next, a.State)
	if err != nil {
		return err
	}
	if err := d.tidy(ctx); err != nil { // origins do not have origins
		return err
	}
	c, err := readContract(now.settings.DataDir)
	if err != nil {
		return err
	}
	next.names = c.tried(now.setup, next, steps, d.store.Position().Seq)
	pause, err := d.swap(ctx, roles{speaks: now.setup, listens: next}, false)
	if err == nil {
		d.log.Info("a configuration listens", "version", v.Number, "paused", pause)
	}
	return err
}

// Standing implements apply.Gateway.
func (s *site) Standing(v apply.Version) apply.Standing {
	now := s.daemon.active.Load()
	switch {
	case now.roles.speaks.version.Is(v):
		return apply.Speaks
	case now.roles.listens != nil && now.roles.listens.version.Is(v):
		return apply.Listens
	}
	return apply.Absent
}

// Switch implements apply.Gateway.
func (s *site) Switch(ctx context.Context, v apply.Version) error {
	d := s.daemon
	d.taking.Lock()
	defer d.taking.Unlock()
	now := d.active.Load()
	if s.Standing(v) != apply.Listens {
		return fmt.Errorf("version %d does not run", v.Number)
	}
	next := *now.roles.listens
	if !now.roles.after {
		next.names = now.roles.speaking()
	}
	pause, err := d.swap(ctx, roles{speaks: &next, listens: now.setup, after: true}, false)
	if err != nil {
		return err
	}
	d.taken.Add(1)
	d.log.Info("configuration taken", "config", next.file, "pipelines", len(next.plans), "paused", pause)
	return nil
}

// Settle implements apply.Gateway.
func (s *site) Settle(ctx context.Context, keep bool) error {
	d := s.daemon
	d.taking.Lock()
	defer d.taking.Unlock()
	if now := d.active.Load(); now.roles.listens != nil {
		if !keep {
			d.engine.DropShadows()
		}
		if _, err := d.swap(ctx, roles{speaks: now.roles.speaks}, keep); err != nil {
			return err
		}
	}
	return d.tidy(ctx)
}

// errors returns how many messages what is on trial could not take: while it listens only
// it knows, and afterwards they are dead letters.
func (s *site) errors() (n int64) {
	st, now := s.daemon.engine.Stats(), s.daemon.active.Load()
	if now.roles.listens == nil || now.roles.after {
		return st.DeadLetters.Load()
	}
	for _, p := range st.Pipelines() {
		if now.roles.shadows(p.Name) {
			n += p.Refused.Load()
		}
	}
	return n
}

// Health implements apply.Gateway.
func (s *site) Health() apply.Health {
	e := s.daemon.engine
	st := e.Stats()
	h := apply.Health{
		Messages: st.Received.Load(), Errors: s.errors(), Busy: e.Busy(), Broken: st.Panics.Load() + st.Quarantined.Load(),
		Stuck: int64(e.IntakeLevel()), StuckMax: int64(e.Config().IntakeEventsMax), Linked: s.linked(),
	}
	note := func(name string, up bool) {
		if up {
			h.Up = append(h.Up, name)
		} else {
			h.Down = append(h.Down, name)
		}
	}
	note("the source", s.daemon.inlet.Connected())
	for _, l := range e.Links() {
		note("output "+l.Stream+"/"+l.Output, l.Up)
	}
	return h
}

// desiredStore keeps a state of package apply in a data directory.
type desiredStore string

// Load implements apply.Store.
func (dir desiredStore) Load() (state apply.State, err error) {
	path := filepath.Join(string(dir), desiredFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return state, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &state)
	}
	if err != nil {
		return state, fmt.Errorf("%s: %w; restore it, or delete it: the gateway goes on with its own file until the fleet's operators send a configuration", path, err)
	}
	return state, nil
}

// Save implements apply.Store.
func (dir desiredStore) Save(state apply.State) error {
	text, err := json.Marshal(state)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(string(dir), 0o700); err != nil {
		return err
	}
	return replaceFile(filepath.Join(string(dir), desiredFile), text)
}
