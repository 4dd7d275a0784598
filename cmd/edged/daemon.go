package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"edged"
	"edged/actors"
	"edged/configs"
	"edged/mqtt"
	"edged/persistence"
)

// daemon is a wired engine: what edged run and edged demo drive.
type daemon struct {
	next     *setup     // to be gone over to after recovery; nil: none
	taking   sync.Mutex // held while pipelines are swapped or their states moved
	log      *slog.Logger
	store    *persistence.Store
	inlet    *mqtt.Source
	outputs  *outputs
	tables   atomic.Pointer[tableFiles]
	watching *part // looks at the files of tables; nil: nobody does
	pipes    []actors.Pipeline
	taken    atomic.Int64 // configurations read and put to use while running
	refused  atomic.Int64
	engine   *actors.Engine
	active   atomic.Pointer[shown]
	managed  *managed // nil: nobody manages it over MQTT
	draining atomic.Bool
}

// shown is what runs, for those who look at it from outside.
type shown struct {
	*setup // what speaks
	roles  roles
	links  []actors.Link
}

// choices are what only an operator can decide when a configuration does not
// continue what is stored.
type choices struct {
	discard       []string // streams whose rows may be forgotten
	acceptChanges bool     // of pipelines whose journal must be replayed
}

// openDaemon opens the store, settles which outputs rows wait for, and wires
// everything. Nothing connects before run.
func openDaemon(r roles, choice choices, stdout io.Writer, log *slog.Logger) (d *daemon, err error) {
	opened := &daemon{log: log}
	d = opened
	defer func() {
		if err != nil {
			err = errors.Join(err, opened.close())
		}
	}()
	settings := r.speaks.settings
	if d.store, err = persistence.Open(storeConfig(settings, log)); err != nil {
		return nil, storeFailed(err)
	}
	before, err := readContract(settings.DataDir)
	if err != nil {
		return nil, err
	}
	before.cast(&r)
	if !choice.acceptChanges {
		old, err := predecessor(before, r.speaks, d.store.Position())
		if err != nil {
			return nil, err
		}
		if old != nil {
			log.Info("the configuration has changed; what is stored is recovered with the one before", "config", r.speaks.file)
			d.next, r.speaks = r.speaks, old
		}
	}
	if d.inlet, err = newInlet(&settings.MQTT, r.specs(), log); err != nil {
		return nil, err
	}
	since, err := settleContract(settings.DataDir, &r, d.store.Position(), choice.acceptChanges, true)
	if err != nil {
		return nil, err
	}
	if err := d.settleStreams(&r, choice.discard); err != nil {
		return nil, err
	}
	if d.outputs, err = openOutputs(&r, stdout, log); err != nil {
		return nil, err
	}
	ports := actors.Ports{Store: d.store, Source: d.inlet, Links: d.outputs.links, Since: since}
	ports.Pipelines, ports.Shadows = r.pipelines(nil)
	d.pipes = beside(ports.Pipelines, ports.Shadows)
	tables, contents, err := openTables(&r, log)
	if err != nil {
		return nil, err
	}
	d.tables.Store(tables)
	ports.Tables = contents
	if d.engine, err = actors.New(engineConfig(settings, log), ports); err != nil {
		return nil, failed(exitConfig, err)
	}
	d.active.Store(&shown{r.speaks, r, d.outputs.links})
	return d, nil
}

func storeConfig(s *configs.Settings, log *slog.Logger) persistence.Config {
	return persistence.Config{
		Dir: s.DataDir, SegmentBytes: int(s.Journal.SegmentBytes), DeadLettersMax: s.DeadLetters.Max,
		AuditLinesMax: s.Fleet.AuditLinesMax, Logger: log,
	}
}

func engineConfig(s *configs.Settings, log *slog.Logger) actors.Config {
	e := &s.Engine
	return actors.Config{
		CommitInterval: e.CommitInterval, EpochEventsMax: e.EpochEventsMax, EpochBytesMax: int(e.EpochBytesMax),
		IntakeEventsMax: e.IntakeEventsMax, IntakeBytesMax: int(e.IntakeBytesMax),
		TickInterval: e.TickInterval, PassivateAfter: e.PassivateAfter, ActiveKeysMax: e.ActiveKeysMax,
		SweepBytes: int64(s.Journal.SweepBytes), OutboxBytesMax: int64(s.Outbox.BytesMax), HeldBytesMax: int64(s.Journal.HeldBytesMax),
		SampleBytesMax: int(s.DeadLetters.SampleBytes), Logger: log,
	}
}

// settleStreams tells the store which outputs each stream has now. Rows of a
// stream that has no output any more were acknowledged to the devices' broker,
// so they are kept until the output is back or the operator discards them.
func (d *daemon) settleStreams(r *roles, discard []string) error {
	s, wanted := r.speaks, map[string]bool{}
	for _, st := range r.streams() {
		if len(st.outputs) == 0 {
			continue
		}
		wanted[st.name] = true
		var names []string
		for _, o := range st.outputs {
			names = append(names, o.Name())
		}
		if err := d.store.SetOutputs(st.name, names); err != nil {
			return fmt.Errorf("open store %s: %w", s.settings.DataDir, err)
		}
	}
	for _, name := range discard {
		if wanted[name] {
			return failed(exitUsage, fmt.Errorf("--discard-stream %s: the stream has outputs; remove them from %s first", name, s.file))
		}
		rows, err := d.store.DropStream(name)
		if err != nil {
			return fmt.Errorf("discard stream %s: %w", name, err)
		}
		d.log.Info("stream discarded", "stream", name, "unconfirmed_rows", rows)
	}
	for _, w := range waitingRows(d.store.Position()) {
		if !wanted[w.stream] {
			d.log.Warn("rows wait for an output that is not configured any more; configure it again, or start with --discard-stream",
				"stream", w.stream, "output", w.output, "rows", w.rows)
		}
	}
	return nil
}

// waiting is how many rows an output has not confirmed.
type waiting struct {
	stream, output string
	rows           uint64
}

// waitingRows returns the outputs that rows wait for.
func waitingRows(pos edged.Position) []waiting {
	var all []waiting
	for _, c := range pos.Cursors {
		if last := pos.Streams[c.Stream]; last > c.Seq {
			all = append(all, waiting{c.Stream, c.Output, last - c.Seq})
		}
	}
	return all
}

// run runs the engine until ctx ends (it drains) or something fails.
func (d *daemon) run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() {
		d.draining.Store(true)
		d.log.Info("draining")
	})
	defer stop()
	defer d.notify(ctx).end()
	err := d.engine.Run(ctx)
	if errors.Is(err, persistence.ErrCorrupt) && !d.ready() {
		return storeFailed(err) // found by recovery
	}
	if err != nil && exitCode(err) == exitUnexpected {
		// What else fails is a link's file or a commit.
		err = failed(exitStore, fmt.Errorf("%w; edged recovers when it is started again", err))
	}
	return err
}

// close closes what openDaemon opened. The engine must have ended.
func (d *daemon) close() error {
	var errs []error
	if d.outputs != nil {
		errs = append(errs, d.outputs.close())
	}
	if d.store != nil {
		errs = append(errs, d.store.Close())
	}
	return errors.Join(errs...)
}

// ready reports whether recovery is over.
func (d *daemon) ready() bool {
	select {
	case <-d.engine.Ready():
		return true
	default:
		return false
	}
}

// kept logs what a stopped daemon leaves on disk.
func (d *daemon) kept() {
	pos, store := d.store.Position(), d.store.Stats()
	d.log.Info("stopped; kept on disk", "records", uint64(pos.Seq), "journal_records", store.Journal.Items,
		"open_windows", d.openWindows(), "dead_letters", store.DeadLetters.Items,
		"last_commit", time.UnixMilli(int64(pos.Time)).UTC().Format(time.RFC3339))
	for _, w := range waitingRows(pos) {
		d.log.Info("rows wait in the outbox", "stream", w.stream, "output", w.output, "rows", w.rows)
	}
}

// openWindows counts the windows that wait for time to pass. A clean end has
// stored every state, also of keys that had no actor.
func (d *daemon) openWindows() (n int64) {
	speaks := map[string]bool{}
	s := d.active.Load()
	for _, p := range s.plans {
		id := s.identity(p.Name())
		speaks[id.Name], speaks[id.Origin] = true, true
	}
	err := d.store.Snapshots(func(snap edged.Snapshot) error {
		if speaks[snap.Pipeline] {
			n += int64(snap.Open)
		}
		return nil
	})
	if err != nil {
		d.log.Warn("open windows cannot be counted", "err", err)
	}
	return n
}

// confirmed returns the row up to which every output of a stream has confirmed.
func (d *daemon) confirmed(stream string) uint64 {
	pos := d.store.Position()
	upto := pos.Streams[stream]
	for _, c := range pos.Cursors {
		if c.Stream == stream {
			upto = min(upto, c.Seq)
		}
	}
	return upto
}
