package timecheck

import (
	"testing"

	"edged/internal/oracle"
)

// compare runs the cases of as many seeds.
func compare(t *testing.T, run Runner, cases int, of func(seed uint64) Case) {
	t.Helper()
	for seed := *seedFlag; seed < *seedFlag+uint64(cases); seed++ {
		c := of(seed)
		if d := Check(run, c); d != nil {
			t.Fatalf("-seed %d: engine and oracle differ\n%s", seed, Shrink(run, d))
		}
	}
}

// Every type apart, so that one that fails does not hide the others.
func TestOperators(t *testing.T) {
	all := map[string]bool{}
	for _, kind := range Types() {
		all[kind] = true
	}
	for kind := range all {
		t.Run(kind, func(t *testing.T) {
			compare(t, operators, *casesFlag/len(all), func(seed uint64) Case { return Random(seed, kind) })
		})
	}
}

// All scripts of a few steps over small pipelines.
func TestOperatorsExhaustively(t *testing.T) {
	for _, c := range Minimal() {
		name := window(c).String()
		t.Run(name, func(t *testing.T) { exhaust(t, operators, c, *depthFlag) })
	}
}

func exhaust(t *testing.T, run Runner, c oracle.Config, depth int) {
	for length := 1; length <= depth; length++ {
		Exhaustive(c, length, func(tried Case) bool {
			if d := Check(run, tried); d != nil {
				t.Errorf("engine and oracle differ\n%s", Shrink(run, d))
				return false
			}
			return true
		})
	}
}
