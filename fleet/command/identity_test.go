package command_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"edged/fleet/command"
	"edged/fleet/protocol"
	"edged/fleet/trust"
)

// instance is a state of another instance.
func instance(name string, session, adoption uint64, online bool) protocol.State {
	s := protocol.State{V: 1, Instance: name, Session: session, Adoption: adoption, Online: online, Cause: protocol.CauseWill}
	if online {
		s.Cause, s.Revision, s.Boot, s.Nonce = "", 1, 1, fmt.Sprintf("%032x", 7)
	}
	return s
}

// TestMeet: who blocks. A farewell of somebody who never comes again does not, a number that is lower
// does not, and nobody is believed who is far ahead.
func TestMeet(t *testing.T) {
	far := uint64(command.AdoptionJumpMax + 1)
	for _, c := range []struct {
		name    string
		states  []protocol.State
		blocked bool
	}{
		{"online", []protocol.State{instance("b", 5, 0, true)}, true},
		{"gone", []protocol.State{instance("b", 5, 0, false)}, false},
		{"gone, said again", []protocol.State{instance("b", 5, 0, false), instance("b", 5, 0, false), instance("b", 4, 0, true)}, false},
		{"gone, and back", []protocol.State{instance("b", 5, 0, false), instance("b", 6, 0, false)}, true},
		{"gone after it was online", []protocol.State{instance("b", 5, 0, true), instance("b", 5, 0, false)}, true},
		{"adopted, and gone", []protocol.State{instance("b", 5, 9, false)}, false},
		{"far ahead", []protocol.State{instance("b", 5, far, true)}, false},
		{"ourselves", []protocol.State{instance(here.Instance, 5, 3, true)}, false},
		{"many before", append(crowd(command.RivalsMax, false), instance("b", 5, 0, true)), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, nil)
			for _, s := range c.states {
				r.at.Now += 60_000
				r.commit(r.guard.Meet(s, r.at))
			}
			r.boot()
			if by, blocked := r.guard.Blocked(); blocked != c.blocked || blocked && by != "b" {
				t.Errorf("blocked by %q: %t", by, blocked)
			}
			r.sound()
		})
	}
}

func crowd(n int, online bool) (all []protocol.State) {
	for i := range n {
		all = append(all, instance(fmt.Sprintf("c%d", i), 1, 0, online))
	}
	return all
}

// TestMeetBounds: who makes names up fills neither the state nor the disk.
func TestMeetBounds(t *testing.T) {
	r := newRig(t, nil)
	r.commit(r.guard.Meet(instance("b", 5, 7, true), r.at))
	for i := range 1000 {
		r.at.Now += 10_000
		r.commit(r.guard.Meet(instance(fmt.Sprintf("x%d", i), 1, uint64(i%7), true), r.at))
	}
	if size := len(r.disk); size > 8<<10 {
		t.Errorf("%d bytes of state", size)
	}
	r.boot()
	if by, blocked := r.guard.Blocked(); !blocked || !r.guard.Alive("b") {
		t.Errorf("by %s: the one with the highest number is forgotten", by)
	}
	before := r.commits
	for i := range 1000 {
		r.commit(r.guard.Meet(instance(fmt.Sprintf("y%d", i), 1, uint64(8+i), true), r.at))
	}
	if n := r.commits - before; n > 20 {
		t.Errorf("%d commits at one moment", n)
	}
}

// TestBlocked: what a blocked gateway takes, and that nothing is used up meanwhile.
func TestBlocked(t *testing.T) {
	r := newRig(t, func(c *command.Config) { c.Ops["identity.adopt"] = nil })
	r.introduce("olga", "dave", "anna")
	plain := r.disk
	waiting := order("olga", 2, "pipeline.pause")
	r.accept(seal(t, waiting, "olga"))
	r.commit(r.guard.Meet(instance("b", 5, 4, true), r.at))
	if bytes.Equal(plain[:1], r.disk[:1]) {
		t.Error("an older program would read a state that it does not understand")
	}
	if e, err := r.guard.Start(waiting.ID, r.at); err != nil || e.Code != protocol.CodeDuplicate {
		t.Errorf("what waited: %s, %v", e.Code, err)
	} else {
		r.commit(e)
	}
	pause := seal(t, order("olga", 3, "pipeline.pause"), "olga")
	doc := document(t, 1, "dave")
	for name, e := range map[string]command.Effects{"a command": r.accept(pause), "a document": r.commit(r.guard.AcceptDesired(doc, r.at))} {
		if e.Code != protocol.CodeDuplicate || len(e.Audit) != 1 || !strings.Contains(string(e.Audit[0]), `"denied"`) || e.Command != nil || e.Desired != nil {
			t.Errorf("%s: %s, %v, %s", name, e.Code, e.Err, e.Audit)
		}
	}
	ping := order("olga", 4, "ping")
	if e := r.accept(seal(t, ping, "olga")); e.Code != protocol.OK || e.Command == nil {
		t.Errorf("ping: %s, %v", e.Code, e.Err)
	}
	r.run(ping.ID)
	adopt := r.quote(order("anna", 2, "identity.adopt"))
	if e := r.accept(seal(t, adopt, "anna")); e.Code != protocol.CodeHolders {
		t.Errorf("by one holder: %s", e.Code)
	}
	if e := r.accept(seal(t, adopt, "anna", "alan")); e.Code != protocol.CodeAudience || e.Command != nil {
		t.Errorf("for nobody by name: %s", e.Code)
	}
	adopt = r.quote(order("anna", 3, "identity.adopt"))
	adopt.Aud.Instance = here.Instance
	if e := r.accept(seal(t, adopt, "anna", "alan")); e.Code != protocol.OK || e.Command == nil {
		t.Errorf("adopt: %s, %v", e.Code, e.Err)
	}
	r.commit(r.guard.Adopt(r.at))
	r.boot()
	r.connect()
	if _, blocked := r.guard.Blocked(); blocked || r.guard.Adoption() != 5 {
		t.Errorf("adopted: %t, %d", blocked, r.guard.Adoption())
	}
	if e := r.accept(pause); e.Code != protocol.OK || e.Command == nil {
		t.Errorf("the command from before: %s, %v", e.Code, e.Err)
	}
	if e := r.commit(r.guard.AcceptDesired(doc, r.at)); e.Code != protocol.OK || e.Desired == nil {
		t.Errorf("the document from before: %s, %v", e.Code, e.Err)
	}
	r.commit(r.guard.Meet(instance("b", 6, 4, true), r.at))
	r.commit(r.guard.Meet(instance("b", 7, 5, true), r.at)) // it was adopted meanwhile
	if _, blocked := r.guard.Blocked(); !blocked {
		t.Error("not blocked by an equal number")
	}
	r.sound()
}

// TestAtMostOne: two instances that see each other in any way are never both managed once each
// has seen the present number of the other, alive.
func TestAtMostOne(t *testing.T) {
	random := chance(t, 31)
	for range 200 {
		two := twoInstances(t)
		for range 30 {
			two.step(random)
			one, _ := two[0].guard.Blocked()
			other, _ := two[1].guard.Blocked()
			if two[0].knows(two[1]) && two[1].knows(two[0]) && one == "" && other == "" {
				t.Fatalf("both are managed: adoptions %d and %d", two[0].guard.Adoption(), two[1].guard.Adoption())
			}
		}
	}
}

type pairOfInstances [2]*oneInstance

type oneInstance struct {
	*rig
	seen uint64 // 1 above the adoption of the other when it was seen alive last
}

func (o *oneInstance) knows(other *oneInstance) bool { return o.seen == other.guard.Adoption()+1 }

func twoInstances(t *testing.T) (two pairOfInstances) {
	for i, name := range []string{"a", "b"} {
		two[i] = &oneInstance{rig: newRig(t, func(c *command.Config) { c.Gateway.Instance = name })}
	}
	return two
}

func (p pairOfInstances) step(random *rand.Rand) {
	i := random.IntN(2)
	me, other := p[i], p[1-i]
	me.at.Now += 60_000
	switch random.IntN(6) {
	case 0:
		me.commit(me.guard.Adopt(me.at))
	case 1:
		me.boot()
	default:
		other.at.Session++
		me.commit(me.guard.Meet(instance(other.guard.Instance(), other.at.Session, other.guard.Adoption(), true), me.at))
		me.seen = other.guard.Adoption() + 1
	}
}

// document is a desired document of somebody.
func document(t testing.TB, version uint64, holder string) command.Delivery {
	t.Helper()
	data, err := protocol.Seal(protocol.Desired{
		V: 1, Aud: trust.Audience{Fleet: "plant7", Gateway: "gw-1"}, Issuer: newKey(holder).Public().ID(), Keyring: 1, Epoch: 1, Version: version,
		Config: json.RawMessage("{}"), Apply: protocol.Apply{Health: 1, Deadline: 1, Confirm: protocol.ConfirmNone, State: protocol.StateKeep},
	}, newKey(holder))
	if err != nil {
		t.Fatal(err)
	}
	return command.Delivery{Topic: protocol.Topic{Kind: protocol.KindDesired, Fleet: "plant7", Gateway: "gw-1"}, Retained: true, Data: data}
}
