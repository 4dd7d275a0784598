package main

import (
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"edged"
	"edged/internal/sim"
	"edged/mqtt"
	"edged/mqtt/broker"
)

//go:embed demo.yaml
var demoDocument []byte

const demoLong = `Run everything in one process: an MQTT broker, a simulated fleet that publishes
to it, the engine, and a subscriber that prints results as they arrive and checks
that each comes once and none is missing. A line with the engine's numbers follows
every few seconds.

It needs nothing installed and leaves nothing behind, unless --data-dir says where
to keep the data: the next demo in the same directory goes on where this one
ended. Ctrl-C drains and says what is kept.

With --mqtt-url the demo uses a broker that is running already; its sessions
edged-demo and edged-demo-watch stay there.`

const demoExample = `  edged demo

  edged demo --devices 1000 --rate 5000 --window 10s --duration 1m --json`

const (
	demoRefresh   = 500 * time.Millisecond
	demoCatchUp   = 5 * time.Second // for what is on the way when the demo ends
	demoStartWait = 10 * time.Second
	demoDisorder  = 800 * time.Millisecond
)

// demoFlags are the flags of edged demo as they were given.
type demoFlags struct {
	mqttURL, dataDir, listen string
	devices                  int
	rate                     float64
	seed                     uint64
	window, duration, every  time.Duration
	asJSON                   bool
}

func newDemoCmd() *cobra.Command {
	var f demoFlags
	cmd := &cobra.Command{Use: "demo", Short: "broker, fleet and engine in one process", Long: demoLong, Example: demoExample, Args: noArgs}
	flags := cmd.Flags()
	flags.StringVar(&f.mqttURL, "mqtt-url", "", "a broker that is running (default: one of our own)")
	flags.StringVar(&f.dataDir, "data-dir", "", "keep data here (default: a temporary directory)")
	flags.StringVar(&f.listen, "http-listen", "127.0.0.1:0", "loopback address for metrics and health; empty is off")
	flags.IntVar(&f.devices, "devices", 50, "how many devices")
	flags.Float64Var(&f.rate, "rate", 500, "readings per second over all devices")
	flags.Uint64Var(&f.seed, "seed", 1, "which fleet")
	flags.DurationVar(&f.window, "window", 3*time.Second, "length of a window")
	flags.DurationVar(&f.duration, "duration", 0, "end by itself after this long")
	flags.DurationVar(&f.every, "every", 5*time.Second, "time between two lines with numbers")
	flags.BoolVar(&f.asJSON, "json", false, "print only a summary at the end, as JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if f.every <= 0 || f.window <= 0 || f.duration < 0 {
			return failed(exitUsage, errors.New("--window and --every must be above 0, --duration not below"))
		}
		ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		context.AfterFunc(ctx, stop)
		return runDemo(ctx, &f, cmd)
	}
	return cmd
}

// runDemo prepares the directory and the broker around a demo.
func runDemo(ctx context.Context, f *demoFlags, cmd *cobra.Command) error {
	dir := f.dataDir
	if dir == "" {
		temp, err := os.MkdirTemp("", "edged-demo-")
		if err != nil {
			return fmt.Errorf("demo: %w; give a directory with --data-dir", err)
		}
		defer os.RemoveAll(temp)
		dir = temp
	}
	url := f.mqttURL
	if url == "" {
		b, err := broker.Start(broker.Config{Listen: "127.0.0.1:0", Dir: filepath.Join(dir, "broker")})
		if err != nil {
			return failed(exitConnect, fmt.Errorf("demo: %w; or give a broker with --mqtt-url", err))
		}
		defer b.Close()
		url = b.URL()
	}
	d, err := f.open(dir, url, cmd)
	if err != nil {
		return err
	}
	defer d.daemon.close()
	defer d.web.close()
	return d.run(ctx)
}

// demo is a running demo.
type demo struct {
	flags   *demoFlags
	out     io.Writer // for people
	json    io.Writer // for machines, nil: none
	daemon  *daemon
	web     *web
	watcher *watcher
	fleet   *sim.Fleet
	pub     *mqtt.Publisher
	last    int64 // events at the last line
}

// open wires all parts; nothing runs yet.
func (f *demoFlags) open(dir, url string, cmd *cobra.Command) (_ *demo, err error) {
	env := []string{
		"EDGED_MQTT_URL=" + url, "EDGED_DATA_DIR=" + filepath.Join(dir, "data"), "EDGED_GATEWAY_ID=demo",
		"EDGED_HTTP_LISTEN=" + f.listen, "EDGED_WINDOW=" + f.window.String(), "EDGED_LOG_LEVEL=warn",
	}
	s, err := parseSetup("demo.yaml", demoDocument, env, nil)
	if err != nil {
		return nil, err
	}
	log := newLogger(s.settings.Log, cmd)
	quiet := slog.New(slog.DiscardHandler)
	d := &demo{flags: f, out: cmd.OutOrStdout()}
	if f.asJSON {
		d.out, d.json = io.Discard, cmd.OutOrStdout()
	}
	d.fleet, err = sim.NewFleet(sim.Config{
		Seed: f.seed, Devices: f.devices, Rate: f.rate, Start: edged.Timestamp(time.Now().UnixMilli()),
		Disorder: demoDisorder, DuplicateShare: 0.01, LateShare: 0.001, LateBy: 2*f.window + 2*time.Second,
	})
	if err != nil {
		return nil, failed(exitUsage, err)
	}
	if d.pub, err = mqtt.NewPublisher(mqtt.Config{URL: url, Logger: quiet}); err != nil {
		return nil, failed(exitUsage, err)
	}
	if d.daemon, err = openDaemon(roles{speaks: s}, choices{}, io.Discard, log); err != nil {
		return nil, err
	}
	stream := s.plans[0].Stream()
	if d.watcher, err = newWatcher(url, "demo", stream, d.daemon.confirmed(stream), quiet); err != nil {
		return nil, errors.Join(failed(exitUsage, err), d.daemon.close())
	}
	if d.web, err = listen(s.settings.HTTP.Listen, d.daemon); err != nil {
		return nil, errors.Join(err, d.daemon.close())
	}
	fmt.Fprintf(d.out, "broker %s, data in %s\n", url, dir)
	if addr := d.web.addr(); addr != "" {
		fmt.Fprintf(d.out, "metrics http://%s/metrics, health http://%s/healthz and /readyz\n", addr, addr)
	}
	fmt.Fprintf(d.out, "%d devices publish %g readings a second; windows of %v close a second after their end; Ctrl-C ends\n\n", f.devices, f.rate, f.window)
	return d, nil
}

// run runs the parts in an order in which nothing is missed: the watcher before
// the engine, the engine before the fleet; and ends them the other way round.
func (d *demo) run(ctx context.Context) error {
	background := context.WithoutCancel(ctx)
	watching := start(background, d.watcher.run)
	defer watching.end()
	engine := start(background, d.daemon.run)
	defer engine.end()
	if err := d.connected(ctx); err != nil {
		return err
	}
	var total sim.Summary
	driving := start(background, func(ctx context.Context) (err error) {
		total, err = sim.Drive(ctx, d.pub, d.fleet, sim.DriverConfig{Rate: d.flags.rate, Duration: d.flags.duration})
		return err
	})
	defer driving.end()
	if err := d.show(ctx, driving, engine); err != nil {
		return err
	}
	driving.end()
	if err := engine.end(); err != nil {
		return err
	}
	confirmed := d.daemon.confirmed(d.watcher.stream)
	await(demoCatchUp, func() bool { return d.watcher.verdict().Upto >= confirmed })
	return d.finish(total, confirmed)
}

// connected waits until watcher and engine are subscribed.
func (d *demo) connected(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, demoStartWait)
	defer cancel()
	for !d.watcher.source.Connected() || !d.daemon.inlet.Connected() {
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			reason := cmp.Or(d.daemon.inlet.Stats().LastError, d.watcher.source.Stats().LastError, "interrupted")
			return failed(exitConnect, fmt.Errorf("demo: not connected to the broker: %s", reason))
		}
	}
	return nil
}

// show prints results and numbers until the demo is over.
func (d *demo) show(ctx context.Context, driving, engine *part) error {
	refresh := time.NewTicker(demoRefresh)
	defer refresh.Stop()
	every := time.NewTicker(d.flags.every)
	defer every.Stop()
	for {
		select {
		case <-refresh.C:
			d.printNews()
		case <-every.C:
			d.printNumbers()
		case <-driving.done:
			return driving.err
		case <-engine.done:
			return cmp.Or(engine.err, errors.New("the engine ended by itself"))
		case <-ctx.Done():
			return nil
		}
	}
}

func (d *demo) printNews() {
	fresh, more := d.watcher.news()
	for i := range fresh {
		fmt.Fprintln(d.out, fresh[i].String())
	}
	if more > 0 {
		fmt.Fprintf(d.out, "... and %d more\n", more)
	}
}

func (d *demo) printNumbers() {
	e := d.daemon.engine
	st, v := e.Stats(), d.watcher.verdict()
	events := st.Events.Load()
	fmt.Fprintf(d.out, "== %d events (%.0f/s), %d duplicates, %d late | %d results, %d repeated, %d missing | behind the window's end p50 %v p99 %v | intake %d of %d | commit %v\n",
		events, float64(events-d.last)/d.flags.every.Seconds(), st.Duplicates.Load(), st.Late.Load(),
		v.Results, v.Repeats, v.Missing, v.LagP50.Round(time.Millisecond), v.LagP99.Round(time.Millisecond),
		e.IntakeLevel(), e.Config().IntakeEventsMax, time.Duration(st.Commit.Last.Load()).Round(10*time.Microsecond))
	d.last = events
}

// demoSummary is the end of a demo for machines.
type demoSummary struct {
	Published   int     `json:"published"` // acknowledged by the broker
	Received    int64   `json:"received"`
	Events      int64   `json:"events"`
	Duplicates  int64   `json:"duplicates"`
	Late        int64   `json:"late"`
	DeadLetters int64   `json:"dead_letters"`
	OpenWindows int64   `json:"open_windows"`
	Rows        uint64  `json:"rows_confirmed"`
	Waiting     uint64  `json:"rows_waiting"`
	Seconds     float64 `json:"seconds"`
	Verdict     verdict `json:"verdict"`
}

// finish prints what happened and what is kept, and judges it.
func (d *demo) finish(total sim.Summary, confirmed uint64) error {
	st, v := d.daemon.engine.Stats(), d.watcher.verdict()
	s := demoSummary{
		Published: total.Acked, Received: st.Received.Load(), Events: st.Events.Load(), Duplicates: st.Duplicates.Load(),
		Late: st.Late.Load(), DeadLetters: st.DeadLetters.Load(), OpenWindows: d.daemon.openWindows(), Rows: confirmed,
		Seconds: total.WallSeconds, Verdict: v,
	}
	for _, w := range waitingRows(d.daemon.store.Position()) {
		s.Waiting += w.rows
	}
	d.printNews()
	fmt.Fprintf(d.out, "\ndrained: %d readings published, %d events taken, %d duplicates left out, %d too late\n"+
		"%d results received, %d repeated, %d missing, %d contradicting\n"+
		"kept: %d records, %d open windows, %d results that wait for the broker\n",
		s.Published, s.Events, s.Duplicates, s.Late, v.Results, v.Repeats, v.Missing, v.Defects,
		uint64(d.daemon.store.Position().Seq), s.OpenWindows, s.Waiting)
	if d.flags.dataDir == "" {
		fmt.Fprintln(d.out, "the data was temporary; --data-dir keeps it")
	}
	if d.json != nil {
		if err := json.NewEncoder(d.json).Encode(s); err != nil {
			return err
		}
	}
	return failed(exitCheck, v.err(confirmed))
}
