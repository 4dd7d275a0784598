package timecheck

import "testing"

// The same through documents, the driver and tasks.
func TestDriver(t *testing.T) {
	all := map[string]bool{}
	for _, kind := range Types() {
		all[kind] = true
	}
	for kind := range all {
		t.Run(kind, func(t *testing.T) {
			compare(t, Through(Driver{}), *casesFlag/len(all), func(seed uint64) Case { return Random(seed, kind) })
		})
	}
}

// Several sources share a key.
func TestDriverWithSources(t *testing.T) {
	compare(t, Through(Driver{}), *casesFlag/8, RandomSources)
}

func TestDriverUnderRewriting(t *testing.T) {
	for name, of := range map[string]func(seed uint64) Case{"windows": ofTypes, "joins": RandomJoin, "past and future": RandomPast} {
		t.Run(name, func(t *testing.T) { underRewriting(t, Through(Driver{}), *casesFlag/40, of) })
	}
}

// All scripts of two steps go through documents, too.
func TestDriverExhaustively(t *testing.T) {
	for _, c := range Minimal() {
		t.Run(window(c).String(), func(t *testing.T) { exhaust(t, Through(Driver{}), c, min(*depthFlag, 2)) })
	}
}

// Two streams share a key.
func TestDriverWithJoins(t *testing.T) {
	compare(t, Through(Driver{}), *casesFlag/4, RandomJoin)
}

// Devices upload what is old, and say what is not yet.
func TestDriverWithPastAndFuture(t *testing.T) {
	compare(t, Through(Driver{}), *casesFlag/4, RandomPast)
}
