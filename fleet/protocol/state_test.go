package protocol_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"edged/fleet/protocol"
)

// life returns the states of one gateway in the order in which they were said, each
// session ending with its will, with a goodbye, or with both.
func life(random *rand.Rand) (states []protocol.State) {
	session := uint64(0)
	for range 1 + random.IntN(6) {
		session += 1 + random.Uint64N(3)
		at := protocol.State{V: 1, Online: true, Instance: "i1", Session: session, Boot: 1}
		for range random.IntN(4) {
			at.Revision++
			at.Nonce = fmt.Sprintf("%032x", session*1000+at.Revision)
			states = append(states, at)
		}
		if random.IntN(3) > 0 {
			states = append(states, at.Will())
		}
	}
	return states
}

// Whatever the broker does with the states of a gateway, the last one said is what
// is known in the end.
func TestPresence(t *testing.T) {
	t.Logf("seed %d", *seed)
	random := rand.New(rand.NewPCG(*seed, 2))
	for range 2000 {
		states := life(random)
		if len(states) == 0 {
			continue
		}
		want := states[len(states)-1]
		arrived := append([]protocol.State{}, states...)
		for range random.IntN(5) {
			arrived = append(arrived, states[random.IntN(len(states))])
		}
		random.Shuffle(len(arrived), func(i, j int) { arrived[i], arrived[j] = arrived[j], arrived[i] })
		var p protocol.Presence
		for _, s := range arrived {
			before := p.Now
			change := p.Observe(s)
			if (change == protocol.Newer) != (p.Now != before) || change > protocol.Older {
				t.Fatalf("%+v after %+v: %s", s, before, change)
			}
		}
		if p.Now != want {
			t.Fatalf("%+v, want %+v, of %+v", p.Now, want, arrived)
		}
	}
}

func TestPresenceOfClones(t *testing.T) {
	var p protocol.Presence
	other := online
	other.Instance = "i2"
	twin := online
	twin.Nonce = "ffffffffffffffffffffffffffffffff"
	goodbye := online.Will()
	goodbye.Cause = protocol.CauseShutdown
	for _, step := range []struct {
		state protocol.State
		want  protocol.Change
	}{
		{online, protocol.Newer}, {online, protocol.Known}, {twin, protocol.Conflict}, {other, protocol.Foreign},
		{goodbye, protocol.Newer}, {online.Will(), protocol.Known}, {online, protocol.Older},
	} {
		if got := p.Observe(step.state); got != step.want {
			t.Errorf("%+v: %s, want %s", step.state, got, step.want)
		}
	}
	if p.Adopt(other); p.Now != other {
		t.Errorf("%+v", p.Now)
	}
}

// The last state is what wins also if nothing but the will of an old session comes
// after it.
func TestLateWill(t *testing.T) {
	var p protocol.Presence
	next := online
	next.Session++
	p.Observe(online)
	p.Observe(next)
	if change := p.Observe(online.Will()); change != protocol.Older || !p.Now.Online {
		t.Errorf("%s, %+v", change, p.Now)
	}
}

func TestNumbering(t *testing.T) {
	var n protocol.Numbering
	for _, step := range []struct {
		number, missing uint64
		fresh           bool
	}{{1, 0, true}, {2, 0, true}, {2, 0, false}, {5, 2, true}, {3, 0, false}, {6, 0, true}} {
		if missing, fresh := n.Observe(step.number); missing != step.missing || fresh != step.fresh {
			t.Errorf("%+v: %d, %v", step, missing, fresh)
		}
	}
}
