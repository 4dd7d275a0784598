package persistence

import (
	"errors"
	"testing"

	"edged"
)

func TestTwoGenerations(t *testing.T) {
	damaged := slot{err: ErrCorrupt}
	intact := func(seq edged.Seq, gen uint64, twin bool) slot {
		return slot{present: true, generation: gen, snap: edged.Snapshot{Seq: seq, Twin: twin}}
	}
	const floor = 100
	for _, c := range []struct {
		name     string
		a, b     slot
		floor    edged.Seq
		found    bool
		seq      edged.Seq
		twin     bool
		repaired bool
		lost     bool
	}{
		{name: "empty", floor: floor},
		{name: "first snapshot", a: intact(150, 4, false), floor: floor, found: true, seq: 150},
		{name: "newer by record", a: intact(150, 4, false), b: intact(160, 5, false), floor: floor, found: true, seq: 160},
		{name: "newer by record, both below the floor", a: intact(50, 4, false), b: intact(40, 5, false), floor: floor, found: true, seq: 50},
		{name: "twins", a: intact(50, 4, true), b: intact(50, 4, true), floor: floor, found: true, seq: 50, twin: true},
		{name: "new beside an old twin", a: intact(50, 4, true), b: intact(160, 5, false), floor: floor, found: true, seq: 160},
		{name: "new twin flag, other older", a: intact(50, 4, true), b: intact(160, 5, true), floor: floor, found: true, seq: 160},
		{name: "damaged, other a twin", a: damaged, b: intact(50, 4, true), floor: floor, found: true, seq: 50, repaired: true},
		{name: "damaged, other in the journal", a: damaged, b: intact(100, 4, false), floor: floor, found: true, seq: 100, repaired: true},
		{name: "damaged, other too old", a: damaged, b: intact(99, 4, false), floor: floor, lost: true},
		{name: "damaged, no other", a: damaged, floor: floor, repaired: true},
		{name: "both damaged", a: damaged, b: damaged, floor: floor, lost: true},
		{name: "both damaged, journal complete", a: damaged, b: damaged, repaired: true},
	} {
		for _, swapped := range []bool{false, true} {
			a, b := c.a, c.b
			if swapped {
				a, b = b, a
			}
			got := choose(a, b, c.floor)
			if got.found != c.found || got.snap.Seq != c.seq || got.snap.Twin != c.twin ||
				got.repaired != c.repaired || errors.Is(got.err, ErrCorrupt) != c.lost {
				t.Errorf("%s (swapped %v): got %+v", c.name, swapped, got)
			}
		}
	}
}
