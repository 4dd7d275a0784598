package command_test

import (
	"flag"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

var script = flag.Int("script", 20, "how many messages TestKilledAtEachStep delivers before and after each kill")

// steps are the commits in the lives of commands and documents.
var steps = []string{"accept", "refuse", "start", "handover", "finish", "keyring", "desired", "beacon"}

// scriptsMax is how many scripts there are at most until all steps have come.
const scriptsMax = 300

// refusalsPer keeps refusals, of which there are most, from taking all the time: power
// fails at one of so many.
const refusalsPer = 8

// TestKilledAtEachStep lets power fail at every single commit of a script of the hostile
// channel, once before and once after it, and sometimes again during recovery. Then all
// that was ever sent comes again, and the channel goes on. The oracle knows what may be
// done afterwards.
func TestKilledAtEachStep(t *testing.T) {
	t.Logf("seed %d", *seed)
	cut := map[string]int{}
	total := map[string]int{}
	for stream := uint64(0); stream < scriptsMax && len(cut) < 2*len(steps); stream++ {
		for _, after := range []bool{false, true} {
			for n := 1; killAt(t, stream, n, after, cut, total); n++ {
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(cut)) {
		t.Logf("%6d killed %s", cut[name], name)
	}
	t.Logf("%d messages, %d commands accepted, %d ran", total["delivered"], total["accepted"], total["ran"])
	if len(cut) != 2*len(steps) {
		t.Errorf("not every step has come, before and after its commit: %v", cut)
	}
}

// killAt plays a script with a kill at its n-th commit. It reports whether there was one.
func killAt(t *testing.T, stream uint64, n int, after bool, cut, total map[string]int) (killed bool) {
	w := newWorld(t, rand.New(rand.NewPCG(*seed, 100+stream)), 1<<16)
	commits, refusals := 0, 0
	w.power = func(step string, behind bool) bool {
		if step == "recover" {
			return n%2 == 1 // and again before what was found is stored
		}
		if step == "refuse" && !behind {
			refusals++
		}
		if step == "refuse" && refusals%refusalsPer != 1 {
			return false
		}
		if !behind {
			commits++
		}
		if killed || commits != n || behind != after {
			return false
		}
		killed = true
		cut[map[bool]string{false: "before ", true: "behind "}[after]+step]++
		return true
	}
	for w.stats["delivered"] < *script && !killed {
		w.step()
	}
	if killed {
		for _, a := range slices.Clone(w.history) {
			w.deliver(a)
		}
		for most := w.stats["delivered"] + *script; w.stats["delivered"] < most; {
			w.step()
		}
	}
	w.sound()
	w.audited()
	for name, count := range w.stats {
		total[name] += count
	}
	return killed
}
