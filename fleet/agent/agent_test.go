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
	"edged/fleet/command"
	"edged/fleet/protocol"
	"edged/fleet/trust"
)

func TestPresence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		time.Sleep(11*time.Minute + time.Second/2) // not when a tick is due
		r.wire.cut()
		<-r.wire.greeted
		synctest.Wait()
		if err := r.stop(); err != nil {
			t.Error(err)
		}
		var words []string
		for _, s := range all[protocol.State](r, "state") {
			words = append(words, fmt.Sprintf("%t/%d/%d%s", s.Online, s.Session, s.Revision, s.Cause))
		}
		if want := []string{"true/1/1", "true/1/2", "true/2/1", "false/2/0shutdown"}; !slices.Equal(words, want) {
			t.Errorf("states %v", words)
		}
		states := all[protocol.State](r, "state")
		if states[0].Nonce == states[1].Nonce || states[1].Nonce == states[2].Nonce {
			t.Error("a nonce came twice")
		}
		for i, w := range r.wire.wills {
			s, err := protocol.Decode[protocol.State](w.Payload)
			if err != nil || s.Online || s.Session != uint64(i+1) || s.Cause != protocol.CauseWill || !w.Retained || w.QoS != 1 {
				t.Errorf("will %d: %+v, %v", i, s, err)
			}
		}
		if n := len(all[protocol.Heartbeat](r, "hb")); n != 22 {
			t.Errorf("%d heartbeats in 11 minutes", n)
		}
		if n := len(all[protocol.Info](r, "info")); n != 2 {
			t.Errorf("%d infos", n)
		}
		r.boot()
		defer r.stop()
		if s := r.state(); s.Session != 3 || s.Boot != 2 || s.Instance != states[0].Instance {
			t.Errorf("the next process: %+v", s)
		}
	})
}

// TestOutcomes runs operations that end in every way.
func TestOutcomes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		deaf := make(chan struct{})
		defer close(deaf)
		ops := map[string]agent.Op{
			"log.level": agent.Do(func(_ context.Context, _ *agent.Call, args struct {
				Level string `json:"level"`
			}) (any, error) {
				return args, nil
			}),
			"pipeline.pause":  {Run: func(context.Context, *agent.Call) (any, error) { panic("oops") }},
			"pipeline.resume": {Run: func(ctx context.Context, _ *agent.Call) (any, error) { <-ctx.Done(); return nil, ctx.Err() }, Timeout: time.Minute},
			"checkpoint.now": {Run: func(context.Context, *agent.Call) (any, error) {
				return nil, agent.Failed(protocol.CodeBusy, errors.New("not now"))
			}},
			"window.dump":   {Run: func(context.Context, *agent.Call) (any, error) { return strings.Repeat("x", 200<<10), nil }},
			"health.check":  {Run: func(ctx context.Context, _ *agent.Call) (any, error) { <-ctx.Done(); return nil, ctx.Err() }},
			"source.status": {Run: func(context.Context, *agent.Call) (any, error) { <-deaf; return nil, nil }},
			"outbox.flush": {Run: func(_ context.Context, c *agent.Call) (any, error) {
				for i := range 30 {
					c.Progress("rows", i)
					time.Sleep(100 * time.Millisecond)
				}
				return nil, nil
			}},
		}
		r := newRig(t, ops)
		defer r.stop()
		if a := r.expect(r.order("olga", "log.level", `{"level":"debug"}`, nil), protocol.StatusDone, protocol.OK); string(a.Result) != `{"level":"debug"}` {
			t.Errorf("result %s", a.Result)
		}
		r.expect(r.order("olga", "log.level", `{"levle":"debug"}`, nil), protocol.StatusRefused, protocol.CodeArgs)
		r.expect(r.order("olga", "ping", `{"x":1}`, nil), protocol.StatusRefused, protocol.CodeArgs)
		r.expect(r.order("olga", "pipeline.drain", "", nil), protocol.StatusRefused, protocol.CodeUnknownOp)
		r.expect(r.order("olga", "pipeline.pause", "", nil), protocol.StatusError, protocol.CodeInternal)
		r.expect(r.order("olga", "checkpoint.now", "", nil), protocol.StatusError, protocol.CodeBusy)
		r.expect(r.order("olga", "window.dump", "", nil), protocol.StatusError, protocol.CodeSize)
		r.expect(r.order("olga", "log.level", `{}`, func(c *protocol.Command) { c.DryRun = true }), protocol.StatusError, protocol.CodeArgs)

		slow := r.order("olga", "pipeline.resume", "", nil)
		behind := r.order("olga", "log.level", `{}`, nil) // in the same lane
		time.Sleep(59 * time.Second)
		r.expect(slow, protocol.StatusStarted, protocol.OK)
		r.expect(behind, protocol.StatusAccepted, protocol.OK)
		r.expect(r.order("olga", "ping", "", nil), protocol.StatusDone, protocol.OK) // beside it
		time.Sleep(2 * time.Second)
		r.expect(slow, protocol.StatusError, protocol.CodeTimeout)
		r.expect(behind, protocol.StatusDone, protocol.OK)

		stuck := r.order("olga", "source.status", "", func(c *protocol.Command) { c.Timeout = 1000 })
		time.Sleep(4 * time.Second)
		r.expect(stuck, protocol.StatusError, protocol.CodeTimeout)

		endless := r.order("olga", "health.check", "", nil)
		r.expect(r.order("olga", "command.cancel", `{"id":"`+string(endless)+`"}`, nil), protocol.StatusDone, protocol.OK)
		r.expect(endless, protocol.StatusError, protocol.CodeCancelled)

		id := r.order("olga", "outbox.flush", "", nil)
		time.Sleep(5 * time.Second)
		r.expect(id, protocol.StatusDone, protocol.OK)
		progress := slices.DeleteFunc(all[protocol.Answer](r, "rsp"), func(a protocol.Answer) bool { return a.ID != id || a.Tick == 0 })
		if len(progress) < 2 || len(progress) > 4 || progress[1].Step != "rows" {
			t.Errorf("%d progress answers in 3 s", len(progress))
		}
		time.Sleep(2 * time.Second)
		r.sound()
	})
}

// TestRestartAndInterruption ends the process while one command runs, another waits, and
// once because a command says so.
func TestRestartAndInterruption(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ran := 0
		r := newRig(t, nil)
		r.stop()
		r.cfg.Ops = map[string]agent.Op{
			"pipeline.pause": {Run: func(ctx context.Context, _ *agent.Call) (any, error) { ran++; <-ctx.Done(); return nil, ctx.Err() }},
			"engine.restart": {Run: func(_ context.Context, c *agent.Call) (any, error) { return nil, c.Handover() }},
		}
		r.boot()
		running := r.order("olga", "pipeline.pause", "", nil)
		waiting := r.order("olga", "pipeline.pause", "", nil)
		r.expect(running, protocol.StatusStarted, protocol.OK)
		r.stop()
		r.expect(running, protocol.StatusError, protocol.CodeInterrupt)
		r.boot()
		if a := r.expect(waiting, protocol.StatusInterrupted, protocol.CodeInterrupt); !strings.Contains(a.Message, "it had no effect") {
			t.Errorf("%s", a.Message)
		}
		id := r.order("anna", "engine.restart", "", nil)
		r.expect(id, protocol.StatusStarted, protocol.OK)
		r.stop()
		r.boot()
		defer r.stop()
		r.expect(id, protocol.StatusDone, protocol.OK)
		if ran != 1 {
			t.Errorf("the operation ran %d times", ran)
		}
		time.Sleep(2 * time.Second)
		r.sound()
	})
}

// TestCommitFails ends everything: nothing is answered, acknowledged or run.
func TestCommitFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ran := false
		r := newRig(t, map[string]agent.Op{"pipeline.pause": {Run: func(context.Context, *agent.Call) (any, error) { ran = true; return nil, nil }}})
		r.disk.mu.Lock()
		r.disk.fail = errors.New("disk full")
		r.disk.mu.Unlock()
		id := r.order("olga", "pipeline.pause", "", nil)
		if err := <-r.ended; err == nil || !strings.Contains(err.Error(), "disk full") {
			t.Error(err)
		}
		if a := r.last(id); ran || a.ID != "" {
			t.Errorf("ran %t, answered %+v", ran, a)
		}
		r.cancel()
	})
}

// TestEventsAreContiguous cuts the link while events are unconfirmed.
func TestEventsAreContiguous(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.wire.mu.Lock()
		r.wire.mute = true
		r.wire.mu.Unlock()
		for i := range 10 {
			r.agent.Event("test.thing", "", fmt.Sprint(i))
		}
		r.wire.cut()
		r.wire.mu.Lock()
		r.wire.mute = false
		r.wire.mu.Unlock()
		r.agent.Event("test.thing", "", "while down")
		<-r.wire.greeted
		time.Sleep(time.Second)
		synctest.Wait()
		if st := r.agent.Stats(); st.EventsWaiting != 0 || st.EventsDropped != 0 {
			t.Errorf("%+v", st)
		}
		var n protocol.Numbering
		for _, e := range all[protocol.Event](r, "evt") {
			if missing, _ := n.Observe(e.Number); missing > 0 {
				t.Errorf("%d missing before %d", missing, e.Number)
			}
		}
		before := n.Highest
		r.stop()
		for range 2 * agent.EventsMax { // nobody is there to take them
			r.agent.Event("test.thing", "", "")
		}
		if st := r.agent.Stats(); st.EventsWaiting != agent.EventsMax || st.EventsDropped != agent.EventsMax {
			t.Errorf("%d wait, %d dropped", st.EventsWaiting, st.EventsDropped)
		}
		r.boot()
		defer r.stop()
		r.agent.Event("test.thing", "", "")
		synctest.Wait()
		if events := r.events(protocol.ClassLifecycle); events[len(events)-1].Number != before+2*agent.EventsMax+1 {
			t.Errorf("number %d after %d", events[len(events)-1].Number, before)
		}
	})
}

func TestAlarms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		defer r.stop()
		r.desired(1, 0)
		set := func(alarms ...agent.Alarm) {
			r.box.mu.Lock()
			r.box.alarms = alarms
			r.box.mu.Unlock()
			time.Sleep(time.Minute)
		}
		a := agent.Alarm{Code: "outbox.blocked", Subject: "stream/a", Severity: protocol.SeverityMajor, Message: "full"}
		b := a
		b.Subject = "stream/b"
		set(a)
		set(a, b)
		b.Severity = protocol.SeverityCritical
		set(a, b) // it has become worse
		set(b)
		set()
		time.Sleep(2 * time.Hour)
		r.desired(1, 1) // fresh again
		time.Sleep(2 * time.Hour)
		if n := len(r.events(protocol.ClassAlarm)); n != 5 {
			t.Errorf("%d alarm events before the document is old", n)
		}
		time.Sleep(2 * time.Hour)
		r.desired(1, 2)
		time.Sleep(time.Minute)
		var words []string
		for _, e := range r.events(protocol.ClassAlarm) {
			words = append(words, e.Code+" "+e.Subject+" "+e.Severity)
		}
		want := []string{"outbox.blocked stream/a major", "outbox.blocked stream/b major", "outbox.blocked stream/b critical", "outbox.blocked stream/a clear", "outbox.blocked stream/b clear",
			"config.frozen  major", "config.frozen  clear"}
		if !slices.Equal(words, want) {
			t.Errorf("%q", words)
		}
	})
}

// frozen returns what was said of the alarm config.frozen on this wire.
func (r *rig) frozen() (severities []string) {
	for _, e := range r.events(protocol.ClassAlarm) {
		if e.Code == "config.frozen" {
			severities = append(severities, e.Severity)
		}
	}
	return severities
}

// TestFrozen: what counts is time on the connection since the last document that was
// fresher; and only documents with a refresh promise that there will be one.
func TestFrozen(t *testing.T) {
	const major, clear = protocol.SeverityMajor, protocol.SeverityClear
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		expect := func(after string, want ...string) {
			t.Helper()
			time.Sleep(time.Minute)
			if got := r.frozen(); !slices.Equal(got, want) {
				t.Fatalf("%s: %q, want %q", after, got, want)
			}
		}
		r.desired(1, 0)
		time.Sleep(100 * time.Hour)
		expect("a document that promises nothing")
		r.desired(1, 4)
		for range 5 {
			time.Sleep(time.Hour)
			r.wire.cut() // the time before counts, too
		}
		expect("hours on several connections", major)
		r.desired(1, 4) // kept by the broker, or sent again by whoever keeps newer ones back
		r.desired(1, 3)
		expect("old ones", major)
		r.desired(1, 5)
		expect("a fresher one", major, clear)
		time.Sleep(177 * time.Minute)
		expect("just before", major, clear)
		time.Sleep(2 * time.Minute)
		expect("and after", major, clear, major)
		r.desired(2, 0)
		time.Sleep(100 * time.Hour)
		expect("a newer one that promises nothing", major, clear, major, clear)
		r.desired(3, 1)
		time.Sleep(2 * time.Hour)
		r.stop()
		r.boot()
		time.Sleep(4 * time.Hour)
		expect("the next process remembers the promise", major)
	})
}

// desired delivers a desired document.
func (r *rig) desired(version, refresh uint64) {
	r.t.Helper()
	if err := r.deliver("edged/v1/plant7/gw-1/desired", r.document(version, refresh), true); err != nil {
		r.t.Error(err)
	}
}

// document signs a desired document.
func (r *rig) document(version, refresh uint64) []byte {
	r.t.Helper()
	d := protocol.Desired{
		V: 1, Aud: trust.Audience{Fleet: "plant7", Gateway: "gw-1"}, Issuer: key("dave").Public().ID(), Keyring: 1, Epoch: 1,
		Version: version, Refresh: refresh, Config: json.RawMessage(`{"a":1}`),
		Apply: protocol.Apply{Health: 1000, Deadline: 60_000, Confirm: protocol.ConfirmNone, State: protocol.StateKeep},
	}
	data, err := protocol.Seal(d, key("dave"))
	if err != nil {
		r.t.Fatal(err)
	}
	return data
}

// TestDesiredIsKept: a document is stored with its acceptance, and handed on once; the
// next process gets it again.
func TestDesiredIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.desired(3, 0)
		time.Sleep(2 * time.Second)
		reported := all[protocol.Reported](r, "reported")
		if p := reported[len(reported)-1]; p.Seen != 3 || p.Status != protocol.StatusRejected || p.Error.Code != protocol.CodeUnknownOp {
			t.Errorf("%+v", p)
		}
		r.stop()
		var got []uint64
		r.cfg.Desired = func(d *protocol.Desired) { got = append(got, d.Version) }
		r.boot()
		defer r.stop()
		r.desired(3, 0)
		r.desired(4, 0)
		r.desired(2, 0)
		r.agent.Report(func(p *agent.Report) {
			p.Applied, p.Status, p.Phase = 4, protocol.StatusApplied, protocol.PhaseCommitted
		})
		time.Sleep(2 * time.Second)
		reported = all[protocol.Reported](r, "reported")
		if p := reported[len(reported)-1]; p.Seen != 4 || p.Applied != 4 || p.Status != protocol.StatusApplied {
			t.Errorf("%+v", p)
		}
		if !slices.Equal(got, []uint64{3, 4}) {
			t.Errorf("handed on: %v", got)
		}
	})
}

// show shows the agent a state on its own topic.
func (r *rig) show(s protocol.State, retained bool) {
	r.t.Helper()
	data, err := protocol.Encode(s)
	if err != nil {
		r.t.Fatal(err)
	}
	r.deliver("edged/v1/plant7/gw-1/state", data, retained)
}

// TestDuplicates shows the agent states that it has not said.
func TestDuplicates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		defer r.stop()
		mine := r.state()
		r.show(mine, true)
		r.wire.cut()
		<-r.wire.greeted
		synctest.Wait()
		r.show(mine.Will(), true) // late
		r.show(mine, true)
		r.deliver("edged/v1/plant7/gw-1/state", []byte("nonsense"), false)
		if st := r.agent.Stats(); st.Duplicates != 0 {
			t.Fatalf("%d signs of a duplicate where there is none", st.Duplicates)
		}
		mine = r.state()
		other := mine
		other.Instance = "another"
		r.show(other, true)
		mine = r.state() // it has said that it is blocked
		clone := mine
		clone.Nonce = strings.Repeat("b", 32)
		r.show(clone, true)
		<-r.wire.greeted
		time.Sleep(2 * time.Minute)
		if n := len(r.events(protocol.ClassAlarm)); n != 2 || r.agent.Stats().Duplicates != 2 {
			t.Errorf("%d alarms, %d signs", n, r.agent.Stats().Duplicates)
		}
		renamed := r.state()
		if renamed.Instance == mine.Instance {
			t.Error("it still has the name that a clone of it has")
		}
		for range 4 { // a broker that is shut down says the will of a session that is not over: begin another, and stay
			r.show(r.state().Will(), false)
			<-r.wire.greeted
			synctest.Wait()
		}
		if n := r.agent.Stats().Duplicates; n != 2 || r.state().Instance != renamed.Instance {
			t.Errorf("%d signs of a duplicate after the broker was restarted", n)
		}
		ahead := r.state()
		ahead.Session = 50
		for range 2 {
			r.show(other, true)
			r.show(other, true) // again in the same session: it is not thrown out
			r.wire.cut()
			<-r.wire.greeted
			synctest.Wait()
		}
		r.show(ahead, true) // the third sign within a minute: stay away, and come back with a greater session
		begun := time.Now()
		<-r.wire.greeted
		if d := time.Since(begun); d < agent.DefaultHoldOff || d > 2*agent.DefaultHoldOff+time.Second {
			t.Errorf("away for %v", d)
		}
		synctest.Wait()
		if s := r.state(); s.Session != 51 {
			t.Errorf("session %d", s.Session)
		}
		time.Sleep(20 * time.Minute)
		events := r.events(protocol.ClassAlarm)
		if e := events[len(events)-1]; e.Severity != protocol.SeverityClear || e.Code != "identity.duplicate" {
			t.Errorf("not cleared: %+v", e)
		}
	})
}

// TestSignedNeighbour: of a gateway that signs, nobody without its key is another instance.
func TestSignedNeighbour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		signing := key("gw-1")
		r := newSigningRig(t, nil, &signing)
		defer r.stop()
		other := r.state()
		other.Instance = "another"
		r.show(other, true)
		clone := r.state()
		clone.Session += 7
		r.show(clone, true)
		if st := r.agent.Stats(); st.Duplicates != 0 || r.state().Blocked {
			t.Errorf("whoever publishes blocks it: %+v", r.state())
		}
		data, err := protocol.Sign(other, signing.Signer())
		if err != nil {
			t.Fatal(err)
		}
		r.deliver("edged/v1/plant7/gw-1/state", data, true)
		if st := r.agent.Stats(); st.Duplicates != 1 || !r.state().Blocked {
			t.Errorf("a clone of the disk, with the key on it, does not: %+v", r.state())
		}
	})
}

// TestReplacedDisk: the farewell of the disk that was in the machine before, which the broker
// has kept, blocks nothing; nor does our own, when the disk was set back.
func TestReplacedDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		defer func() { r.stop() }()
		before := r.state()
		before.Instance, before.Session = "before", 70
		r.show(before.Will(), true)
		later := r.state()
		later.Session = 40
		r.show(later.Will(), true)
		<-r.wire.greeted
		synctest.Wait()
		s := r.state()
		if s.Blocked || s.Instance == later.Instance || s.Session != 41 {
			t.Errorf("%+v", s)
		}
		r.show(later, false) // what it has said itself under the old name, on its way
		r.expect(r.order("olga", "ping", "", nil), protocol.StatusDone, protocol.OK)
		r.expect(r.order("anna", "trust.update", `{"chain":{}}`, nil), protocol.StatusError, protocol.CodeSchema)
		r.stop()
		r.boot()
		if again := r.state(); again.Blocked || again.Instance != s.Instance {
			t.Errorf("the next process: %+v", again)
		}
	})
}

// TestAdoption: what another instance with our name blocks, until we are adopted, also in the
// next process; and the document that was refused comes again.
func TestAdoption(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, map[string]agent.Op{"log.level": {Run: func(context.Context, *agent.Call) (any, error) { return nil, nil }}})
		defer func() { r.stop() }()
		r.expect(r.order("olga", "log.level", "", nil), protocol.StatusDone, protocol.OK)
		other := r.state()
		other.Instance, other.Adoption = "another", 3
		r.show(other, false)
		said := r.state()
		time.Sleep(time.Minute) // nobody speaks but us
		if s := r.state(); s != said {
			t.Errorf("it says its state again for nothing: %+v", s)
		}
		r.show(other, false)
		time.Sleep(time.Minute)
		if s := r.state(); s.Revision != said.Revision+1 {
			t.Errorf("the other one's is kept, and it does not say its own: %+v", s)
		}
		r.stop()
		r.boot()
		s := r.state()
		if !s.Blocked || !r.wire.will(t).Blocked {
			t.Fatalf("after a restart: %+v", s)
		}
		id, data := r.prepare("olga", "log.level", "", func(c *protocol.Command) { c.Nonce = "" })
		r.deliver(commandTopic(id), data, false)
		r.expect(id, protocol.StatusDenied, protocol.CodeDuplicate)
		r.expect(r.order("olga", "ping", "", nil), protocol.StatusDone, protocol.OK)
		adopt := func(change func(*protocol.Command)) protocol.ID {
			id, data := r.prepare("anna", "identity.adopt", "", change, "alan")
			r.deliver(commandTopic(id), data, false)
			return id
		}
		r.expect(adopt(nil), protocol.StatusRefused, protocol.CodeAudience)
		here := func(c *protocol.Command) { c.Aud.Instance = s.Instance }
		r.expect(adopt(here), protocol.StatusDone, protocol.OK)
		if s := r.state(); s.Blocked || s.Adoption != 4 {
			t.Errorf("adopted: %+v", s)
		}
		<-r.wire.greeted // for the documents that were refused
		synctest.Wait()
		if w := r.wire.will(t); w.Blocked || w.Adoption != 4 {
			t.Errorf("the will: %+v", w)
		}
		r.deliver(commandTopic(id), data, false) // its number was not used up
		r.expect(id, protocol.StatusDone, protocol.OK)
	})
}

// TestAdoptedStays: of two that throw each other out, the one that was adopted does not stay
// away.
func TestAdoptedStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		defer r.stop()
		other := r.state()
		other.Instance = "another"
		r.show(other, true)
		id, data := r.prepare("anna", "identity.adopt", "", func(c *protocol.Command) { c.Aud.Instance = r.state().Instance }, "alan")
		r.deliver(commandTopic(id), data, false)
		r.expect(id, protocol.StatusDone, protocol.OK)
		<-r.wire.greeted
		begun := time.Now()
		for range 4 {
			synctest.Wait()
			other.Session++
			r.show(other.Will(), true)
			r.wire.cut()
			<-r.wire.greeted
		}
		if away := time.Since(begun); away > time.Minute {
			t.Errorf("it was away for %v", away)
		}
	})
}

// TestSigned: everything that others decide by is signed, the will included, which is made
// before there is a connection; and what is of no weight is not.
func TestSigned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		signing := key("gw-1")
		r := newSigningRig(t, nil, &signing)
		ring, err := r.cfg.Guard.Pinned.Advance(r.ring)
		if err != nil {
			t.Fatal(err)
		}
		r.order("olga", "ping", "", nil)
		time.Sleep(time.Minute)
		r.wire.cut()
		<-r.wire.greeted
		synctest.Wait()
		if err := r.stop(); err != nil {
			t.Error(err)
		}
		kinds := map[protocol.Kind]int{}
		for _, m := range append(r.wire.wills, r.wire.sent...) {
			topic, err := protocol.ParseTopic(protocol.DefaultPrefix, m.Topic)
			if err != nil {
				t.Fatal(err)
			}
			kinds[topic.Kind]++
			signed := false
			switch topic.Kind {
			case protocol.KindState:
				_, signed, err = protocol.Believe[protocol.State](ring, "gw-1", m.Payload)
			case protocol.KindInfo:
				_, signed, err = protocol.Believe[protocol.Info](ring, "gw-1", m.Payload)
			case protocol.KindReported:
				_, signed, err = protocol.Believe[protocol.Reported](ring, "gw-1", m.Payload)
			case protocol.KindAnswer:
				_, signed, err = protocol.Believe[protocol.Answer](ring, "gw-1", m.Payload)
			default:
				if strings.Contains(string(m.Payload), `"sig":`) {
					t.Errorf("signed: %s %s", m.Topic, m.Payload)
				}
				continue
			}
			if err != nil || !signed {
				t.Errorf("%s: %t, %v: %s", m.Topic, signed, err, m.Payload)
			}
		}
		// two wills, two states, the farewell
		if kinds[protocol.KindState] != 5 || kinds[protocol.KindInfo] != 2 || kinds[protocol.KindReported] < 2 || kinds[protocol.KindAnswer] != 3 ||
			kinds[protocol.KindHeartbeat] == 0 || kinds[protocol.KindEvent] == 0 {
			t.Errorf("said: %v", kinds)
		}
	})
}

// TestAnswersWait: what is answered while the link is down is said later.
func TestAnswersWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		r := newRig(t, map[string]agent.Op{"pipeline.pause": {Run: func(context.Context, *agent.Call) (any, error) { <-release; return nil, nil }}})
		defer r.stop()
		id := r.order("olga", "pipeline.pause", "", nil)
		r.wire.cut()
		synctest.Wait()
		close(release)
		synctest.Wait()
		if st := r.agent.Stats(); st.AnswersWaiting != 1 {
			t.Errorf("%+v", st)
		}
		<-r.wire.greeted
		r.expect(id, protocol.StatusDone, protocol.OK)
	})
}

// TestTrustUpdate replaces the keyring by a command, and exports the audit log in pages.
func TestTrustUpdateAndExport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		defer r.stop()
		r.expect(r.order("anna", "trust.update", `{"chain":{"v":1,"keyrings":[]}}`, nil), protocol.StatusError, protocol.CodeSchema)
		r.expect(r.order("anna", "trust.update", `{}`, nil), protocol.StatusRefused, protocol.CodeArgs)
		for range 8 {
			r.order("olga", "ping", "", nil)
		}
		after, pages := uint64(0), 0
		for more := true; more; pages++ {
			var page agent.AuditPage
			a := r.expect(r.order("olga", "audit.export", fmt.Sprintf(`{"after":%d,"bytes":2000}`, after), nil), protocol.StatusDone, protocol.OK)
			if err := json.Unmarshal(a.Result, &page); err != nil {
				t.Fatal(err)
			}
			after += uint64(strings.Count(page.Lines, "\n"))
			more = page.More && pages < 40
			time.Sleep(time.Second)
		}
		if pages < 3 {
			t.Errorf("%d pages", pages)
		}
	})
}

func TestConfigFaults(t *testing.T) {
	if _, err := agent.New(agent.Config{}, newWire(), &disk{}, &box{}); err == nil {
		t.Error("an agent without root keys was made")
	}
	d := &disk{}
	d.state.Guard = []byte("garbage")
	pinned, err := trust.Pin("plant7", trust.Root{Threshold: 1, Keys: []trust.PublicKey{key("root").Public()}})
	if err != nil {
		t.Fatal(err)
	}
	cfg := agent.Config{Guard: command.Config{Gateway: trust.Gateway{Fleet: "plant7", ID: "gw-1"}, Pinned: pinned}}
	if _, err := agent.New(cfg, newWire(), d, &box{}); !errors.Is(err, command.ErrState) {
		t.Errorf("a damaged state: %v", err)
	}
}
