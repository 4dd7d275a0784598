package agent_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"edged/fleet/agent"
	"edged/fleet/protocol"
)

// errKilled is what a store says to a process that is no more.
var errKilled = errors.New("the process was killed")

// reaper ends a process at its n-th commit, before or behind it, and notes what that
// commit was.
type reaper struct {
	*disk
	n      int
	behind bool
	count  int
	step   string // at which it happened; empty: not yet
}

// Commit implements agent.Store.
func (r *reaper) Commit(c agent.Change) error {
	if r.step != "" {
		return errKilled
	}
	if r.count++; r.count != r.n {
		return r.disk.Commit(c)
	}
	r.step = stepOf(c)
	if r.behind {
		if err := r.disk.Commit(c); err != nil {
			return err
		}
	}
	return errKilled
}

// stepOf names a commit by what it writes into the audit log.
func stepOf(c agent.Change) string {
	if len(c.Audit) == 0 {
		if c.Guard == nil {
			return "counters"
		}
		return "handover"
	}
	var e struct{ Kind, Decision string }
	if json.Unmarshal(c.Audit[0], &e) != nil {
		return "?"
	}
	if c.Desired != nil {
		return "desired"
	}
	return e.Decision
}

// effects counts what operations have done to the world, in all lives of the process.
type effects map[protocol.ID]int

func (e effects) ops() map[string]agent.Op {
	act := func(_ context.Context, c *agent.Call) (any, error) { e[c.Command.ID]++; return nil, nil }
	return map[string]agent.Op{
		"pipeline.pause": {Run: act},
		"engine.restart": {Run: func(_ context.Context, c *agent.Call) (any, error) {
			e[c.Command.ID]++
			return nil, c.Handover()
		}},
	}
}

// TestKilledAtEachCommit ends the process at each commit in the lives of two commands and
// a document, before and behind it. What was acknowledged is known afterwards; nothing
// happens twice, whatever comes again; and an answer never says less than what happened.
func TestKilledAtEachCommit(t *testing.T) {
	steps := map[string]bool{}
	for _, behind := range []bool{false, true} {
		for n, over := 1, false; !over; n++ {
			t.Run(fmt.Sprintf("n=%d,behind=%t", n, behind), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					step := killedAt(t, n, behind)
					over = step == ""
					steps[fmt.Sprint(step, behind)] = true
				})
			})
			if n > 100 {
				t.Fatal("the script has no end")
			}
		}
	}
	for _, step := range []string{"accepted", "started", "handover", "done", "desired", "counters"} {
		if !steps[step+"false"] || !steps[step+"true"] {
			t.Errorf("no process was killed at %s: %v", step, steps)
		}
	}
}

func killedAt(t *testing.T, n int, behind bool) string {
	happened := effects{}
	r := newRig(t, happened.ops())
	r.cfg.Desired = func(d *protocol.Desired) {
		r.agent.Report(func(p *agent.Report) {
			p.Applied, p.Status, p.Phase = d.Version, protocol.StatusApplied, protocol.PhaseCommitted
		})
	}
	r.expect(r.order("olga", "ping", "", nil), protocol.StatusDone, protocol.OK) // introduces the keys
	r.expect(r.order("anna", "ping", "", nil), protocol.StatusDone, protocol.OK)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	life := &reaper{disk: r.disk, n: n, behind: behind}
	r.store = life
	if err := r.launch(); err != nil { // killed before it was online
		r.store = r.disk
		r.boot()
		defer r.stop()
		return life.step
	}
	took := r.try("edged/v1/plant7/gw-1/desired", r.document(7, 0), true)
	sent := []sentCommand{r.sent("olga", "pipeline.pause"), r.sent("anna", "engine.restart")}
	for i := range sent {
		sent[i].acked = r.try(commandTopic(sent[i].id), sent[i].data, false)
	}
	if err := r.stop(); (life.step != "") != errors.Is(err, errKilled) {
		t.Fatalf("killed at %q, and Run says %v", life.step, err)
	}
	said := all[protocol.Answer](r, "rsp")
	r.store = r.disk
	r.boot()
	defer r.stop()
	for _, s := range sent {
		a := r.judge(s, said, happened)
		if life.step == "" && a.Status != protocol.StatusDone {
			t.Errorf("%s: nothing was killed, and the answer is %+v", s.id, a)
		}
	}
	if took && r.disk.state.Desired == nil {
		t.Error("a document was acknowledged, and is not known")
	}
	r.sound()
	return life.step
}

// sentCommand is a command as it was published, and whether the gateway has
// acknowledged it.
type sentCommand struct {
	id    protocol.ID
	data  []byte
	acked bool
}

// sent makes such a command. It quotes no nonce if it may, so that it is good in the next
// session, too.
func (r *rig) sent(holder, op string) sentCommand {
	id, data := r.prepare(holder, op, "", func(c *protocol.Command) {
		if op == "pipeline.pause" {
			c.Nonce = ""
		}
	})
	return sentCommand{id: id, data: data}
}

// judge sends the same bytes again to the next process, twice.
func (r *rig) judge(s sentCommand, said []protocol.Answer, happened effects) protocol.Answer {
	r.t.Helper()
	of := func(a protocol.Answer) bool { return a.ID == s.id }
	before := happened[s.id]
	for range 2 {
		r.try(commandTopic(s.id), s.data, false)
		<-time.After(2 * time.Second) // answers are repeated once a second at most
	}
	now := all[protocol.Answer](r, "rsp")
	anew := slices.ContainsFunc(now, func(a protocol.Answer) bool { return of(a) && a.Status == protocol.StatusAccepted })
	if anew && (s.acked || slices.ContainsFunc(said, of)) {
		r.t.Errorf("%s was acknowledged or answered, and the next process takes it for a new one", s.id)
	}
	a := r.last(s.id)
	switch n := happened[s.id]; {
	case !a.Final:
		r.t.Errorf("%s has no end: %+v", s.id, a)
	case n > 1:
		r.t.Errorf("%s happened %d times", s.id, n)
	case n == 0 && a.Status == protocol.StatusDone, before > 0 && (a.Status == protocol.StatusRefused || strings.Contains(a.Message, "no effect")):
		r.t.Errorf("%s happened %d times, and the answer is %+v", s.id, n, a)
	}
	return a
}
