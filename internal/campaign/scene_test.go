package campaign

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"edged/internal/mosquitto"
	"edged/internal/oracle"
	"edged/internal/sim"
)

var (
	seedFlag   = flag.Uint64("seed", 0, "of fleets and of kill moments; 0: a new one, which is printed")
	cyclesFlag = flag.Int("cycles", 20, "kills per crash campaign")
	raceFlag   = flag.Bool("race-daemon", false, "build the daemon with the race detector; its memory is then not judged")
	tagsFlag   = flag.String("daemon-tags", "", "build tags of the daemon")
	daemonFlag = flag.String("daemon", "", "path of a daemon to test instead of building one")
	brokenFlag = flag.Bool("broken", false, "also build broken daemons and require that the campaigns fail them")
)

// Deadlines of conditions. They are reached only when something is wrong.
const (
	soon     = 20 * time.Second
	drained  = 60 * time.Second
	shutdown = 30 * time.Second
)

// idleTimeout closes the last windows. It must exceed every pause of a load on a
// busy machine: see the package's caveats.
const idleTimeout = 3 * time.Second

var scratch string // for the binary

func TestMain(m *testing.M) {
	flag.Parse()
	var err error
	if scratch, err = os.MkdirTemp("", "campaign"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(scratch)
	os.Exit(code)
}

// binary builds the daemon once.
var binary = sync.OnceValues(func() (string, error) {
	if *daemonFlag != "" {
		return filepath.Abs(*daemonFlag)
	}
	root, err := Root()
	if err != nil {
		return "", err
	}
	return Build(root, scratch, buildArgs()...)
})

// buildArgs are the flags of go build.
func buildArgs() (args []string) {
	if *raceFlag {
		args = append(args, "-race")
	}
	if *tagsFlag != "" {
		args = append(args, "-tags", *tagsFlag)
	}
	return args
}

// scene is one gateway with its brokers and the observer behind them.
type scene struct {
	testing.TB
	seed     uint64
	random   *rand.Rand
	field    *mosquitto.Broker // that the devices publish to
	upstream *mosquitto.Broker // may be the same
	in, out  *Wire             // between the daemon and each of them
	turn     int               // of losing something on them
	losses   int               // turns in which something was lost
	dir      string            // of the data
	env      []string
	daemon   *Daemon
	results  *Collector
	http     string
}

// newScene sets a scene. config is a path, from the module's root; upstream nil
// means the field's broker.
func newScene(t testing.TB, config string, field, upstream *mosquitto.Broker, env ...string) *scene {
	t.Helper()
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed: -seed %d", seed)
	s := &scene{
		TB: t, seed: seed, random: rand.New(rand.NewPCG(seed, 1)), field: field, upstream: upstream,
		dir: filepath.Join(t.TempDir(), "data"), http: freeAddr(t),
	}
	if upstream == nil {
		s.upstream = field
	}
	s.in, s.out = s.wire(s.field), s.wire(s.upstream)
	s.env = append([]string{
		"EDGED_MQTT_URL=" + s.in.URL(), "EDGED_UPSTREAM_URL=" + s.out.URL(),
		"EDGED_DATA_DIR=" + s.dir, "EDGED_GATEWAY_ID=campaign",
		"EDGED_HTTP_LISTEN=" + s.http, "EDGED_WINDOW=2s", "EDGED_OUT_OF_ORDERNESS=2s", "EDGED_IDLE_TIMEOUT=" + idleTimeout.String(),
	}, env...)
	path, err := binary()
	s.must(err)
	root, err := Root()
	s.must(err)
	if !filepath.IsAbs(config) {
		config = filepath.Join(root, config)
	}
	s.daemon = NewDaemon(path, filepath.Join(t.TempDir(), "edged.log"), s.env, "run", "--config", config)
	t.Cleanup(s.close)
	s.results, err = StartCollector(s.upstream.URL(), "agg/#", "raw/#", "device/#", "line/#", "site/#", "session/#", "activity/#", "alarms/#", "pipe/#")
	s.must(err)
	s.await("the collector connects", soon, s.results.Connected)
	return s
}

func (s *scene) wire(to *mosquitto.Broker) *Wire {
	s.Helper()
	w, err := StartWire(to.Addr())
	s.must(err)
	s.Cleanup(w.Close)
	return w
}

func (s *scene) close() {
	s.daemon.Clean()
	if s.results != nil {
		if err := s.results.Stop(); err != nil {
			s.Errorf("collector: %v", err)
		}
	}
	if alarms := s.daemon.Alarms(); len(alarms) > 0 {
		s.Errorf("the daemon's log has %d alarms, the first is: %s", len(alarms), alarms[0])
	}
	if s.Failed() {
		s.Logf("the daemon's log ends with\n%s", s.daemon.Log())
	}
}

func (s *scene) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// await waits for a condition, looking every few milliseconds.
func (s *scene) await(what string, within time.Duration, met func() bool) {
	s.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(within)
	for !met() {
		select {
		case <-tick.C:
		case <-deadline:
			s.Fatalf("after %v still waiting: %s", within, what)
		}
	}
}

// pass lets time pass, unless the daemon ends by itself.
func (s *scene) pass(d time.Duration) {
	s.Helper()
	select {
	case <-time.After(d):
	case <-s.daemon.Done():
		s.must(s.daemon.Kill()) // says how it ended
	}
}

// start starts the daemon and waits until it receives.
func (s *scene) start() {
	s.Helper()
	s.must(s.daemon.Start())
	s.ready()
}

// ready waits until the daemon receives.
func (s *scene) ready() {
	s.Helper()
	s.await("the daemon is ready", soon, func() bool {
		select {
		case <-s.daemon.Done():
			s.must(s.daemon.Kill())
		default:
		}
		resp, err := http.Get("http://" + s.http + "/readyz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

// fleet is the load of most campaigns: 50 devices with all faults that do not
// make events late.
func (s *scene) fleet(events int) *sim.Fleet {
	s.Helper()
	fleet, err := sim.NewFleet(sim.Config{
		Seed: s.seed, Devices: 50, Step: 100 * time.Millisecond, Start: 1_700_000_000_000, Events: events,
		Disorder: time.Second, DuplicateShare: 0.05, BacklogShare: 0.1, BacklogDepth: 8,
	})
	s.must(err)
	return fleet
}

// load starts publishing.
func (s *scene) load(source Source, rate float64) *Load {
	s.Helper()
	load, err := StartLoad(s.field.URL(), source, rate)
	s.must(err)
	s.Cleanup(load.Abort)
	return load
}

// expectation is what must arrive on a stream.
type expectation struct {
	stream  string
	windows []oracle.Window
}

// crashStreams returns what testdata/crash.yaml must produce.
func crashStreams(l *Ledger) []expectation {
	return []expectation{
		{"agg", oracle.Tumbling(l.Events(false), 2000, 0)},
		{"raw", oracle.Tumbling(l.Events(true), 2000, 0)},
	}
}

// settle waits until as many results have arrived as must, ends the daemon in
// order, waits for everything that is still on its way, and judges.
func (s *scene) settle(load *Load, streams ...expectation) {
	s.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(drained)
	missing := func(e expectation) bool { return s.results.Applied(e.stream) < len(e.windows) }
wait:
	for slices.ContainsFunc(streams, missing) {
		select {
		case <-tick.C:
		case <-deadline:
			s.Errorf("not all results came within %v", drained)
			break wait
		case <-s.daemon.Done():
			s.must(s.daemon.Kill())
		}
	}
	s.must(s.daemon.Terminate(shutdown))
	s.flush()
	for _, e := range streams {
		v := Judge(e.windows, s.results.Deliveries(e.stream))
		s.Logf("%s: %v", e.stream, v)
		if err := v.Err(); err != nil {
			s.Errorf("stream %s, seed %d, longest pause of the load %v: %v", e.stream, s.seed, load.Ledger.Pause(), err)
		}
	}
}

// flush waits until everything that the upstream broker has is collected.
func (s *scene) flush() {
	s.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), soon)
	defer cancel()
	want, err := s.results.Mark(ctx)
	s.must(err)
	s.await("the mark arrives", soon, func() bool { return s.results.Marks() >= want })
}

func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
