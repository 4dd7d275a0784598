package timecheck

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"edged/internal/oracle"
)

var (
	seedFlag  = flag.Uint64("seed", 1, "the first seed of random cases")
	casesFlag = flag.Int("cases", 2000, "how many random cases are compared")
	depthFlag = flag.Int("depth", 4, "how many steps the scripts have of which all are tried")
)

// ask is the oracle as a runner.
func ask(c Case) ([]oracle.Line, error) { return oracle.Run(c.Config, c.Steps), nil }

// The oracle itself is indifferent to what must make no difference.
func TestOracleUnderRewriting(t *testing.T) { underRewriting(t, ask, *casesFlag/4, ofTypes) }

// So are the operators.
func TestOperatorsUnderRewriting(t *testing.T) { underRewriting(t, operators, *casesFlag/4, ofTypes) }

func ofTypes(seed uint64) Case { return Random(seed, Types()...) }

func underRewriting(t *testing.T, run Runner, cases int, of func(seed uint64) Case) {
	t.Helper()
	said := func(c Case) []oracle.Line {
		lines, err := run(c)
		if err != nil {
			t.Fatalf("%v\n%s", err, c)
		}
		return history(lines)
	}
	for seed := *seedFlag; seed < *seedFlag+uint64(cases); seed++ {
		c := of(seed)
		want := said(c)
		for _, r := range rewritings() {
			other := r.rewrite(dice{rand.New(rand.NewPCG(seed, 4))}, c)
			if got := said(other); !slices.Equal(got, want) {
				t.Fatalf("-seed %d: %s\n%s%s", seed, r.name, c, &Difference{Case: other, Want: want, Got: got})
			}
		}
	}
}

// Random cases say something, and of every kind.
func TestRandomCasesSayEnough(t *testing.T) {
	const cases = 2000
	said := map[string]int{}
	for seed := range uint64(cases) {
		c := Random(seed, Types()...)
		for _, l := range oracle.Run(c.Config, c.Steps) {
			said[c.Config.Window.Type+" "+l.Kind+" "+l.Pane]++
		}
	}
	for _, kind := range Types() {
		wanted := []string{"pane on_time"}
		if kind != oracle.CountType && kind != oracle.GlobalType && kind != oracle.StateType {
			wanted = append(wanted, "pane early", "pane late", "late ")
		}
		if kind == oracle.SessionType || kind == oracle.TumblingType {
			wanted = append(wanted, "retract ")
		}
		for _, w := range wanted {
			if said[kind+" "+w] < 10 {
				t.Errorf("%s: %d lines %q in %d cases", kind, said[kind+" "+w], w, cases)
			}
		}
	}
}

// So do those with joins, with a past, and with a future.
func TestRandomCasesSayMore(t *testing.T) {
	const cases = 1000
	said := map[string]int{}
	for seed := range uint64(cases) {
		c := RandomJoin(seed)
		for _, l := range oracle.Run(c.Config, c.Steps) {
			said[c.Config.Join.Type+" "+l.Kind]++
			if strings.Contains(l.Values, "null") {
				said[c.Config.Join.Type+" alone"]++
			}
		}
		c = RandomPast(seed)
		for _, l := range oracle.Run(c.Config, c.Steps) {
			said[fmt.Sprint("past ", l.Kind, " ", l.Pane, " ", l.Historical)]++
			said[fmt.Sprint("past ", l.Historical, " ", l.Cause)]++
		}
	}
	for _, w := range []string{
		"interval row", "interval alone", "interval late", "window row", "window alone", "window late", "as_of row", "as_of alone", "as_of late", "interval pane", "interval retract", "as_of pane",
		"past dead_letter  false", "past late  true", "past late  false", "past retract  true",
		"past pane early true", "past pane on_time true", "past pane late true", "past true idle", "past true end", "past true watermark", "past true tick",
	} {
		if said[w] < 10 {
			t.Errorf("%d lines %q in %d cases", said[w], w, cases)
		}
	}
}

// scarecrow is an engine that says nothing right about two certain events.
type scarecrow struct{}

func (scarecrow) Run(_ string, steps []string) ([]string, error) {
	if slices.Contains(steps, `{"event":{"key":"a","ts":7,"a":false}}`) && slices.Contains(steps, `{"event":{"key":"a","ts":9,"a":true}}`) {
		return []string{`{"step":0,"pipeline":"p","key":"a","late":{"ts":7,"windows":[[0,10]],"dropped":true,"values":{}}}`}, nil
	}
	return nil, nil
}

// A case that fails is cut down to what makes it fail.
func TestShrink(t *testing.T) {
	c := Case{Config: oracle.Config{
		Window:    oracle.Windowing{Type: oracle.TumblingType, Size: 10},
		Watermark: oracle.Watermark{Type: oracle.Manual}, Columns: columns(dice{rand.New(rand.NewPCG(1, 1))}),
	}}
	for at := range int64(20) {
		c.Steps = append(c.Steps, oracle.Step{Kind: oracle.EventStep, Readings: []oracle.Reading{{Key: "a", Time: at, Fields: map[string]any{"a": at == 9}}}},
			oracle.Step{Kind: oracle.RestoreStep})
	}
	d := Check(Through(scarecrow{}), c)
	if d == nil {
		t.Fatal("it does not differ")
	}
	if d = Shrink(Through(scarecrow{}), d); len(d.Steps) != 2 || len(d.Config.Columns) != 1 {
		t.Errorf("it is\n%s", d)
	}
}
