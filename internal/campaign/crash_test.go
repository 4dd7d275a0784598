package campaign

import (
	"testing"
	"time"

	"edged/internal/mosquitto"
)

const (
	// crashRate is the load's rate during crash campaigns, in events per second.
	crashRate = 3000

	// upMax is how long a daemon lives at most between two kills. Moments are
	// uniform, so that some kills hit the start and recovery.
	upMax = 500 * time.Millisecond

	// linkMin is how long links live at least between two breaks. Shorter lives
	// would make the daemon wait longer and longer before it connects again.
	linkMin = 250 * time.Millisecond

	// A wire waits at most lossWait for something to lose, and then loses for at
	// most lossMax. Together they must stay far below the pipeline's idle timeout.
	lossWait = time.Second
	lossMax  = 60 * time.Millisecond

	// cycleEventsMin events must have been published since the last kill, or the
	// kill is put off.
	cycleEventsMin = 100
)

// stress makes rare things frequent: small segments and epochs, a sweep of
// snapshots every few hundred milliseconds, more keys than may stay in memory.
var stress = []string{
	"EDGED_JOURNAL_SEGMENT_BYTES=64KiB", "EDGED_JOURNAL_SWEEP_BYTES=64KiB",
	"EDGED_ENGINE_EPOCH_EVENTS_MAX=512", "EDGED_ENGINE_ACTIVE_KEYS_MAX=80",
}

const crashConfig = "internal/campaign/testdata/crash.yaml"

// TestCrash kills the daemon again and again under load.
func TestCrash(t *testing.T) {
	for name, broker := range map[string]mosquitto.Option{
		"in flight 20":        mosquitto.Line("max_inflight_messages 20"),
		"in flight unlimited": mosquitto.Unlimited(),
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, crashConfig, mosquitto.Start(t, broker), nil, stress...)
			s.start()
			load := s.load(s.fleet(0), crashRate)
			for range *cyclesFlag {
				s.crash(load)
			}
			total, err := load.Finish()
			s.must(err)
			t.Logf("%d kills, before %d of which something was lost, while %d events were published", *cyclesFlag, s.losses, total.Acked)
			s.settle(load, crashStreams(load.Ledger)...)
		})
	}
}

// crash is one cycle: it lets the running daemon work for a random time, kills
// it, and starts the next. Half of the time what is on the way to the brokers
// in the last moments is lost: acknowledgements, or results.
func (s *scene) crash(load *Load) {
	s.Helper()
	before := load.Ledger.Published()
	s.pass(time.Duration(s.random.Int64N(int64(upMax))))
	s.await("the load publishes", soon, func() bool { return load.Ledger.Published() >= before+cycleEventsMin })
	if s.random.IntN(2) == 0 {
		s.lose()
	}
	s.must(s.daemon.Kill())
	s.in.Cut()
	s.out.Cut()
	s.must(s.daemon.Start())
}

// lose loses what is written in one of the four directions, which take turns, for
// a while from the moment at which something was. Results come in bursts, and with the upstream
// away there are none: then it gives up.
func (s *scene) lose() {
	s.Helper()
	wire, direction := s.in, Direction(s.turn%2)
	if s.turn/2%2 == 0 {
		wire = s.out
	}
	s.turn++
	before := wire.Lost()
	wire.Lose(direction)
	for deadline := time.Now().Add(lossWait); wire.Lost() == before && time.Now().Before(deadline); {
		s.pass(time.Millisecond)
	}
	if wire.Lost() > before {
		s.losses++
	}
	s.pass(time.Duration(s.random.Int64N(int64(lossMax))))
}

// TestCrashUplinkDown kills the daemon while its upstream is away, and the
// upstream while the daemon runs.
func TestCrashUplinkDown(t *testing.T) {
	s := newScene(t, crashConfig, mosquitto.Start(t), mosquitto.Start(t, mosquitto.Persistent()), stress...)
	s.start()
	load := s.load(s.fleet(0), crashRate)
	for range max(1, *cyclesFlag/5) {
		s.crash(load)
		s.upstream.Stop()
		for range 1 + s.random.IntN(2) {
			s.crash(load)
		}
		s.upstream.Restart()
		s.crash(load)
	}
	_, err := load.Finish()
	s.must(err)
	t.Logf("before %d kills something was lost", s.losses)
	s.settle(load, crashStreams(load.Ledger)...)
}

// TestBrokenLinks breaks both links again and again, after losing what is on the
// way, while the daemon lives on.
func TestBrokenLinks(t *testing.T) {
	s := newScene(t, crashConfig, mosquitto.Start(t), mosquitto.Start(t), stress...)
	s.start()
	load := s.load(s.fleet(0), crashRate)
	for range (*cyclesFlag + 1) / 2 {
		before, results := load.Ledger.Published(), s.results.Applied("agg")
		s.await("the load publishes", soon, func() bool { return load.Ledger.Published() >= before+cycleEventsMin })
		s.await("results flow", soon, func() bool { return s.results.Applied("agg") > results })
		s.pass(linkMin + time.Duration(s.random.Int64N(int64(linkMin))))
		s.lose()
		s.in.Cut()
		s.out.Cut()
	}
	_, err := load.Finish()
	s.must(err)
	t.Logf("before %d breaks something was lost", s.losses)
	s.settle(load, crashStreams(load.Ledger)...)
}

// TestRestartClean ends the daemon in order in mid-stream, with the example's own
// configuration.
func TestRestartClean(t *testing.T) {
	shortLives(t, func(s *scene) { s.must(s.daemon.Terminate(shutdown)) })
}

// TestShortLives does the same with kills.
func TestShortLives(t *testing.T) {
	shortLives(t, func(s *scene) { s.must(s.daemon.Kill()) })
}

// shortLives runs lives of which none fills the journal by itself. It must stay
// bounded all the same: a gateway that loses power every evening has such lives.
func shortLives(t *testing.T, end func(s *scene)) {
	const (
		lives      = 10
		lifeEvents = 800 // about 100 bytes of journal each
		journalMax = 512 << 10
	)
	s := newScene(t, "configs/examples/device-windows.yaml", mosquitto.Start(t), nil,
		"EDGED_JOURNAL_SEGMENT_BYTES=64KiB", "EDGED_JOURNAL_SWEEP_BYTES=128KiB")
	s.start()
	load := s.load(s.fleet(0), crashRate)
	for range lives {
		before := load.Ledger.Published()
		s.await("the load publishes", soon, func() bool { return load.Ledger.Published() >= before+lifeEvents })
		end(s)
		s.start()
	}
	_, err := load.Finish()
	s.must(err)
	// Killed, not ended: an end in order would tidy up.
	expected := crashStreams(load.Ledger)[0]
	s.await("everything arrives", drained, func() bool { return s.results.Applied(expected.stream) >= len(expected.windows) })
	s.must(s.daemon.Kill())
	report := s.inspect()
	t.Logf("journal: %d bytes, %d of %d records, after sweep %d", report.Journal.Bytes, report.Journal.Items, report.Seq, report.Generation)
	if report.Journal.Bytes > journalMax {
		t.Errorf("the journal has %d bytes after %d lives; the limit is %d", report.Journal.Bytes, lives+1, journalMax)
	}
	s.start()
	s.settle(load, expected)
}
