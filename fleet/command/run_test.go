package command_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"edged/fleet/command"
	"edged/fleet/protocol"
	"edged/fleet/trust"
)

// accepted returns a gateway on which a command waits.
func accepted(t *testing.T, change func(*protocol.Command)) (*rig, protocol.Command) {
	t.Helper()
	r := newRig(t, nil)
	r.introduce("olga", "anna")
	c := r.quote(order("olga", 2, "pipeline.pause"))
	if change != nil {
		change(&c)
	}
	if e := r.accept(seal(t, c, "olga")); e.Command == nil {
		t.Fatal(e.Code, e.Err)
	}
	return r, c
}

// What has changed between acceptance and start counts.
func TestStartLooksAgain(t *testing.T) {
	rotate := func(change func(*trust.Keyring)) func(*rig) {
		return func(r *rig) {
			k := staff()
			k.Version = 2
			change(&k)
			if e := r.commit(r.guard.AcceptTrust(r.trust(sealed(r.t, k, roots[1:]...)), r.at)); !e.Keyring {
				r.t.Fatal(e.Err)
			}
		}
	}
	zero := uint64(0)
	about := func(c *protocol.Command) { c.If = &protocol.Precondition{Version: &zero} }
	until := func(c *protocol.Command) { c.Expires = buildTime + 5 }
	for name, test := range map[string]struct {
		command func(*protocol.Command)
		change  func(*rig)
		code    protocol.Code
	}{
		"nothing":              {nil, func(*rig) {}, protocol.OK},
		"a harmless keyring":   {nil, rotate(func(*trust.Keyring) {}), protocol.OK},
		"revoked":              {nil, rotate(func(k *trust.Keyring) { k.Keys[1].Revoked = true }), protocol.CodeRevoked},
		"not listed":           {nil, rotate(func(k *trust.Keyring) { k.Keys = k.Keys[:1] }), protocol.CodeKey},
		"less of a role":       {nil, rotate(func(k *trust.Keyring) { k.Keys[1].Roles = []trust.Role{trust.Viewer} }), protocol.CodeRole},
		"another scope":        {nil, rotate(func(k *trust.Keyring) { k.Keys[1].Scope = "site=paris" }), protocol.CodeRole},
		"a worse class":        {nil, rotate(func(k *trust.Keyring) { k.Classes = map[string]trust.Class{"pipeline.pause": trust.Configure} }), protocol.CodeRole},
		"another epoch":        {nil, rotate(func(k *trust.Keyring) { k.Epoch = 2 }), protocol.CodeEpoch},
		"too late":             {nil, func(r *rig) { r.at.Now += 60_001 }, protocol.CodeExpired},
		"just in time":         {nil, func(r *rig) { r.at.Now += 60_000 }, protocol.OK},
		"reconnected":          {nil, func(r *rig) { r.connect() }, protocol.OK},
		"configuration":        {about, func(r *rig) { r.at.Running.Version = 1 }, protocol.CodePrecond},
		"the same one":         {about, func(*rig) {}, protocol.OK},
		"it is later than exp": {until, func(r *rig) { r.beacon(buildTime + 6); r.beacon(buildTime + 7) }, protocol.CodeExpired},
	} {
		r, c := accepted(t, test.command)
		test.change(r)
		e, err := r.guard.Start(c.ID, r.at)
		r.commit(e)
		if err != nil || e.Code != test.code || (e.Command != nil) != (test.code == protocol.OK) || len(e.Answers) != 1 {
			t.Errorf("%s: %s, %v, %v, want %s", name, e.Code, e.Err, err, test.code)
			continue
		}
		if again, err := r.guard.Start(c.ID, r.at); !errors.Is(err, command.ErrPhase) || again.Command != nil {
			t.Errorf("%s: started again: %v", name, err)
		}
		r.sound()
	}
}

// beacon delivers a beacon of tick.
func (r *rig) beacon(ms int64) command.Effects {
	r.t.Helper()
	payload, err := protocol.Encode(protocol.Beacon{V: 1, Fleet: "plant7", Issuer: newKey("tick").Public().ID(), Epoch: r.guard.Ring().Epoch(), Number: uint64(ms), Time: ms})
	if err != nil {
		r.t.Fatal(err)
	}
	d := sealRaw("", trust.TypeTime, payload, "tick")
	d.Topic = protocol.Topic{Kind: protocol.KindTime, Fleet: "plant7"}
	return r.commit(r.guard.AcceptTime(d, r.at))
}

// A class that was raised to dangerous needs the nonce that the command has not.
func TestRaisedToDangerous(t *testing.T) {
	r := newRig(t, nil)
	r.introduce("anna")
	c := order("anna", 2, "pipeline.pause")
	r.accept(seal(t, c, "anna"))
	k := staff()
	k.Version, k.Classes = 2, map[string]trust.Class{"pipeline.pause": trust.Dangerous}
	r.commit(r.guard.AcceptTrust(r.trust(sealed(t, k, roots[1:]...)), r.at))
	if e, err := r.guard.Start(c.ID, r.at); err != nil || e.Code != protocol.CodeNonce || e.Command != nil {
		t.Errorf("%s, %v", e.Code, err)
	}
}

// Each verb is refused in each phase to which it does not belong, and then changes
// nothing.
func TestPhases(t *testing.T) {
	verbs := map[string]func(r *rig, id protocol.ID) (command.Effects, error){
		"start":    func(r *rig, id protocol.ID) (command.Effects, error) { return r.guard.Start(id, r.at) },
		"progress": func(r *rig, id protocol.ID) (command.Effects, error) { return r.guard.Progress(id, "x", 5, r.at) },
		"handover": func(r *rig, id protocol.ID) (command.Effects, error) { return r.guard.Handover(id, r.at) },
		"finish": func(r *rig, id protocol.ID) (command.Effects, error) {
			return r.guard.Finish(id, command.Outcome{Code: protocol.OK}, r.at)
		},
	}
	for _, test := range []struct{ path, allowed string }{
		{"", "start"}, {"start", "progress handover finish"}, {"start handover", "progress finish"}, {"start finish", ""},
		{"start handover finish", ""}, {"boot", ""}, {"start boot", ""}, {"unknown", ""},
	} {
		for name, verb := range verbs {
			r, c := accepted(t, nil)
			id := c.ID
			for _, step := range strings.Fields(test.path) {
				switch step {
				case "boot":
					r.boot()
				case "unknown":
					id = order("nobody", 1, "ping").ID
				default:
					e, err := verbs[step](r, id)
					if r.commit(e); err != nil {
						t.Fatal(err)
					}
				}
			}
			before := string(r.guard.AppendBinary(nil))
			e, err := verb(r, id)
			allowed := slices.Contains(strings.Fields(test.allowed), name)
			if allowed != (err == nil) || err != nil && (!errors.Is(err, command.ErrPhase) || string(r.guard.AppendBinary(nil)) != before || e.Changed) {
				t.Errorf("%s after %q: %v", name, test.path, err)
			}
		}
	}
}

// Power fails at every step; the answer afterwards says what can be known.
func TestPowerCuts(t *testing.T) {
	for name, test := range map[string]struct {
		until   int // how many of accept, start, handover, finish are committed
		restart bool
		status  protocol.Status
		message string
	}{
		"accepted":   {0, false, protocol.StatusInterrupted, "the process ended before it was started; it had no effect"},
		"started":    {1, false, protocol.StatusInterrupted, "the process ended after it was started; it may have had an effect"},
		"leaving":    {2, false, protocol.StatusDone, "the process has started again"},
		"finished":   {3, false, protocol.StatusDone, "bye"},
		"twice down": {1, true, protocol.StatusInterrupted, "the process ended after it was started; it may have had an effect"},
	} {
		r, c := accepted(t, nil)
		d := seal(t, c, "olga")
		for _, step := range []func() (command.Effects, error){
			func() (command.Effects, error) { return r.guard.Start(c.ID, r.at) },
			func() (command.Effects, error) { return r.guard.Handover(c.ID, r.at) },
			func() (command.Effects, error) {
				return r.guard.Finish(c.ID, command.Outcome{Code: protocol.OK, Message: "bye"}, r.at)
			},
		}[:test.until] {
			e, err := step()
			if r.commit(e); err != nil {
				t.Fatal(err)
			}
		}
		if test.restart {
			if _, _, err := command.Restore(r.cfg, r.disk, r.at); err != nil { // and dies before it commits
				t.Fatal(err)
			}
		}
		e := r.boot()
		if want := min(1, 3-test.until); len(e.Answers) != want {
			t.Errorf("%s: %d answers at the start, want %d", name, len(e.Answers), want)
		}
		if len(r.guard.Waiting()) > 0 {
			t.Errorf("%s: something waits", name)
		}
		again := r.accept(d)
		if a := again.Answers[0]; again.Changed || a.Status != test.status || a.Message != test.message || !a.Final {
			t.Errorf("%s: %+v", name, a)
		}
		r.sound()
	}
}

// Progress is told once a second, with rising ticks, and changes nothing.
func TestProgress(t *testing.T) {
	r, c := accepted(t, nil)
	e, _ := r.guard.Start(c.ID, r.at)
	r.commit(e)
	last := e.Answers[0]
	told := 0
	for range 50 {
		r.at.Now += 100
		r.accept(seal(t, c, "olga")) // who repeats it cannot silence it
		e, err := r.guard.Progress(c.ID, "drain", 120, r.at)
		if err != nil || e.Changed {
			t.Fatal(e, err)
		}
		for _, a := range e.Answers {
			if a.Percent != 100 || a.Step != "drain" || !a.Behind(last) || a.Final || a.Check() != nil {
				t.Errorf("%+v after %+v", a, last)
			}
			last, told = a, told+1
		}
	}
	if told != 5 {
		t.Errorf("told %d times in 5 s", told)
	}
	e, _ = r.guard.Finish(c.ID, command.Outcome{Code: protocol.CodeTimeout, Message: "too slow"}, r.at)
	if a := e.Answers[0]; !a.Behind(last) || a.Status != protocol.StatusError || a.Code != protocol.CodeTimeout {
		t.Errorf("%+v", a)
	}
}

// The queue is bounded, and what it refuses is refused for good.
func TestBusy(t *testing.T) {
	r := newRig(t, func(c *command.Config) { c.QueueMax = 3 })
	r.introduce("olga")
	var last command.Delivery
	for seq := uint64(2); seq < 6; seq++ {
		last = seal(t, order("olga", seq, "ping"), "olga")
		if e := r.accept(last); (e.Code == protocol.CodeBusy) != (seq == 5) {
			t.Errorf("%d: %s", seq, e.Code)
		}
	}
	for _, id := range r.guard.Waiting() {
		r.run(id)
	}
	if e := r.accept(last); e.Command != nil || e.Code != protocol.CodeBusy {
		t.Errorf("%s", e.Code)
	}
}
