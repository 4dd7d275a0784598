package campaign

import (
	"fmt"
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

	// linkMax is how long links live at most between two breaks.
	linkMax = 200 * time.Millisecond

	// lossMax is for how long a wire loses at most before it breaks. It must stay
	// below the pipeline's idle timeout by far.
	lossMax = 60 * time.Millisecond

	// cycleEventsMin events must have been published since the last kill, or the
	// kill is put off.
	cycleEventsMin = 100
)

// stress makes rare things frequent: small segments and epochs, a sweep of
// snapshots every few hundred milliseconds, more keys than may stay in memory.
var stress = []string{
	"EDGED_JOURNAL_SEGMENT_BYTES=64KiB", "EDGED_JOURNAL_SWEEP_BYTES=256KiB",
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
			t.Logf("%d kills while %d events were published", *cyclesFlag, total.Acked)
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

// lose loses what is written in one of the four directions, for a while.
func (s *scene) lose() {
	s.Helper()
	wire, direction := s.in, Direction(s.random.IntN(2))
	if s.random.IntN(2) == 0 {
		wire = s.out
	}
	wire.Lose(direction)
	s.pass(time.Duration(s.random.Int64N(int64(lossMax))))
}

// TestCrashUplinkDown kills the daemon while its upstream is away, and the
// upstream while the daemon runs.
func TestCrashUplinkDown(t *testing.T) {
	s := newScene(t, crashConfig, mosquitto.Start(t), mosquitto.Start(t, mosquitto.Persistent()), stress...)
	s.start()
	load := s.load(s.fleet(0), crashRate)
	const rounds = 3
	for range rounds {
		s.crash(load)
		s.upstream.Stop()
		for range 1 + s.random.IntN(3) {
			s.crash(load)
		}
		s.upstream.Restart()
		s.crash(load)
	}
	_, err := load.Finish()
	s.must(err)
	s.settle(load, crashStreams(load.Ledger)...)
}

// TestBrokenLinks breaks both links again and again, after losing what is on the
// way, while the daemon lives on.
func TestBrokenLinks(t *testing.T) {
	s := newScene(t, crashConfig, mosquitto.Start(t), mosquitto.Start(t), stress...)
	s.start()
	load := s.load(s.fleet(0), crashRate)
	for range *cyclesFlag {
		before := load.Ledger.Published()
		s.await("the load publishes", soon, func() bool { return load.Ledger.Published() >= before+cycleEventsMin })
		s.pass(time.Duration(s.random.Int64N(int64(linkMax))))
		s.lose()
		s.in.Cut()
		s.out.Cut()
	}
	_, err := load.Finish()
	s.must(err)
	s.settle(load, crashStreams(load.Ledger)...)
}

// TestRestartClean ends the daemon in order in mid-stream, with the example's own
// configuration.
func TestRestartClean(t *testing.T) {
	s := newScene(t, "configs/examples/device-windows.yaml", mosquitto.Start(t), nil)
	load := (*Load)(nil)
	const rounds = 4
	for i := range rounds {
		s.start()
		if load == nil {
			load = s.load(s.fleet(0), crashRate)
		}
		if i == rounds-1 {
			break
		}
		before := load.Ledger.Published()
		s.await(fmt.Sprintf("round %d publishes", i), soon, func() bool { return load.Ledger.Published() > before+1000 })
		s.must(s.daemon.Terminate(shutdown))
	}
	_, err := load.Finish()
	s.must(err)
	s.settle(load, crashStreams(load.Ledger)[:1]...)
}
