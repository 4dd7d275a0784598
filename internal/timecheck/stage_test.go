package timecheck

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// stages are two pipelines, of which the second gathers the results of the first.
// It takes late contributions for as long as it lasts, for when they come is what
// the test varies.
const stages = `pipelines:
  - name: device
    fields: [{name: v, type: number}]
    watermark: {out_of_orderness: 3ms, idle_timeout: 0s}
    window: {type: tumbling, size: 10ms, allowed_lateness: 5ms}
    aggregates: [{name: n, function: count}, {name: total, function: sum, field: v}]
  - name: site
    source: {pipeline: device}
    key: {value: all}
    watermark: {out_of_orderness: 0s, idle_timeout: 0s}
    window: {type: tumbling, size: 30ms, allowed_lateness: 10s}
    aggregates: [{name: members, function: count}, {name: total, function: sum, field: total}, {name: n, function: merge, field: n}]
`

// What the second stage says last about every window does not depend on how the
// members' events are interleaved.
func TestSecondStageUnderInterleaving(t *testing.T) {
	for seed := *seedFlag; seed < *seedFlag+uint64(*casesFlag)/20; seed++ {
		d := dice{rand.New(rand.NewPCG(seed, 6))}
		var members [3][]string
		for m := range members {
			at := d.ms(0, 10)
			for range d.IntN(20) + 2 {
				at += d.ms(0, 8)
				members[m] = append(members[m], fmt.Sprintf(`{"event":{"key":"m%d","ts":%d,"v":%d}}`, m, at-d.ms(0, 12), d.IntN(9)))
			}
		}
		want := final(t, shuffle(d, members))
		for range 4 {
			if got := final(t, shuffle(d, members)); !slices.Equal(got, want) {
				t.Fatalf("-seed %d\n got %q\nwant %q", seed, got, want)
			}
		}
	}
}

// shuffle interleaves scripts; the order within each stays.
func shuffle(d dice, scripts [3][]string) []string {
	var steps []string
	for len(scripts[0])+len(scripts[1])+len(scripts[2]) > 0 {
		if m := d.IntN(3); len(scripts[m]) > 0 {
			steps = append(steps, scripts[m][0])
			scripts[m] = scripts[m][1:]
		}
		if d.chance(10) {
			steps = append(steps, `{"checkpoint_restore":true}`)
		}
	}
	return append(steps, `{"end":true}`)
}

// final returns the values of the newest pane of every window of the second stage.
func final(t *testing.T, steps []string) []string {
	t.Helper()
	lines, err := Driver{}.Run(stages, steps)
	if err != nil {
		t.Fatal(err)
	}
	newest := map[int64]string{}
	for _, text := range lines {
		var p printed
		if err := json.Unmarshal([]byte(text), &p); err != nil {
			t.Fatal(err)
		}
		if p.Pipeline == "site" && p.Late != nil {
			t.Fatalf("the second stage drops %s", text)
		}
		if p.Pipeline == "site" && p.Start != nil {
			newest[*p.Start] = string(p.Values)
		}
	}
	var all []string
	for start, values := range newest {
		all = append(all, fmt.Sprint(start, " ", values))
	}
	slices.Sort(all)
	if len(all) == 0 {
		t.Fatal("the second stage says nothing")
	}
	return all
}
