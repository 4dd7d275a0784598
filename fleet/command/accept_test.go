package command_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"edged/fleet/command"
	"edged/fleet/protocol"
	"edged/fleet/trust"
)

// try is a command on its way.
type try struct {
	c       protocol.Command
	holders []string
	bend    func(d *command.Delivery) // what somebody on the way does
}

// acceptCases are the reasons to refuse, one at a time. Each starts from a command
// that is accepted.
var acceptCases = map[string]struct {
	change func(r *rig, a *try)
	code   protocol.Code
	burnt  bool // the number is used up
	silent bool // no answer
}{
	"good":                 {func(*rig, *try) {}, protocol.OK, true, false},
	"for a group":          {func(_ *rig, a *try) { a.c.Aud = trust.Audience{Fleet: "plant7", Selector: "site=berlin"} }, protocol.OK, true, false},
	"on a group's topic":   {func(_ *rig, a *try) { a.bend = group }, protocol.OK, true, false},
	"lower number":         {func(_ *rig, a *try) { a.c.Seq = 40 }, protocol.OK, true, false},
	"signed by two":        {func(_ *rig, a *try) { a.holders = []string{"vera", "olga"} }, protocol.OK, true, false},
	"oversize":             {func(_ *rig, a *try) { a.bend = func(d *command.Delivery) { d.Data = bytes.Repeat(d.Data, 200) } }, protocol.CodeSize, false, false},
	"another's topic":      {func(_ *rig, a *try) { a.bend = func(d *command.Delivery) { d.Topic.Gateway = "gw-2" } }, protocol.CodeTopic, false, false},
	"another id":           {func(_ *rig, a *try) { a.bend = func(d *command.Delivery) { d.Topic.ID = order("x", 9, "ping").ID } }, protocol.CodeTopic, false, false},
	"retained":             {func(_ *rig, a *try) { a.bend = func(d *command.Delivery) { d.Retained = true } }, protocol.CodeRetained, false, false},
	"no envelope":          {func(_ *rig, a *try) { a.bend = func(d *command.Delivery) { d.Data = []byte("{}") } }, protocol.CodeSchema, false, false},
	"another type":         {func(_ *rig, a *try) { a.bend = retype }, protocol.CodeSchema, false, false},
	"a changed payload":    {func(_ *rig, a *try) { a.bend = forge }, protocol.CodeSignature, false, false},
	"unknown key":          {func(_ *rig, a *try) { a.c.Issuer, a.holders = newKey("mallory").Public().ID(), []string{"mallory"} }, protocol.CodeKey, false, false},
	"revoked key":          {func(_ *rig, a *try) { a.c.Issuer, a.holders = newKey("rob").Public().ID(), []string{"rob"} }, protocol.CodeRevoked, false, false},
	"a root key":           {func(_ *rig, a *try) { a.c.Issuer, a.holders = newKey("root1").Public().ID(), []string{"root1"} }, protocol.CodeKey, false, false},
	"issuer did not sign":  {func(_ *rig, a *try) { a.holders = []string{"vera"} }, protocol.CodeSignature, false, false},
	"another gateway":      {func(_ *rig, a *try) { a.c.Aud.Gateway = "gw-2" }, protocol.CodeAudience, false, true},
	"another instance":     {func(_ *rig, a *try) { a.c.Aud.Instance = "i2" }, protocol.CodeAudience, false, true},
	"another fleet":        {func(_ *rig, a *try) { a.c.Aud.Fleet = "plant8" }, protocol.CodeAudience, false, true},
	"not selected":         {func(_ *rig, a *try) { a.c.Aud = trust.Audience{Fleet: "plant7", Selector: "site!=berlin"} }, protocol.CodeAudience, false, true},
	"a newer keyring":      {func(_ *rig, a *try) { a.c.Keyring = 2 }, protocol.CodeKeyring, false, false},
	"an epoch to come":     {func(_ *rig, a *try) { a.c.Epoch = 2 }, protocol.CodeEpoch, false, false},
	"a used number":        {func(_ *rig, a *try) { a.c.Seq = 1 }, protocol.CodeReplay, false, false},
	"far ahead":            {func(_ *rig, a *try) { a.c.Seq = trust.NumberMax }, protocol.CodeJump, false, false},
	"not introduced":       {func(_ *rig, a *try) { a.c.Issuer, a.holders = newKey("dave").Public().ID(), []string{"dave"} }, protocol.CodeNonce, false, false},
	"introduced far ahead": {introducedFar[try](func(a *try, c protocol.Command) { a.c, a.holders = c, []string{"dave"} }), protocol.CodeJump, false, false},
	"role":                 {func(_ *rig, a *try) { a.c.Op = "config.confirm" }, protocol.CodeRole, true, false},
	"scope":                {func(r *rig, a *try) { a.c = r.quote(order("pia", 50, "ping")); a.holders = []string{"pia"} }, protocol.CodeRole, true, false},
	"one admin too few": {func(r *rig, a *try) {
		a.c = r.quote(order("anna", 50, "state.reset"))
		a.holders = []string{"anna"}
	}, protocol.CodeHolders, false, false},
	"two admins": {func(r *rig, a *try) {
		a.c = r.quote(order("anna", 50, "state.reset"))
		a.holders = []string{"anna", "alan"}
	}, protocol.OK, true, false},
	"dangerous": {func(r *rig, a *try) {
		a.c = r.quote(order("anna", 50, "engine.restart"))
		a.holders = []string{"anna"}
	}, protocol.OK, true, false},
	"no nonce":           {func(_ *rig, a *try) { a.c = order("anna", 50, "engine.restart"); a.holders = []string{"anna"} }, protocol.CodeNonce, true, false},
	"an old nonce":       {func(r *rig, a *try) { a.c = r.quote(a.c); r.connect() }, protocol.CodeNonce, true, false},
	"the previous nonce": {func(r *rig, a *try) { a.c = r.quote(a.c); r.at.Nonces = r.at.Nonces.Rotate(r.nonce(), r.at.Now) }, protocol.OK, true, false},
	"a tired nonce": {func(r *rig, a *try) {
		a.c = r.quote(a.c)
		a.c.TTL = protocol.DurationMax
		r.at.Now += command.NonceLifeMax + 1
	}, protocol.CodeNonce, true, false},
	"ttl":                   {func(r *rig, a *try) { a.c = r.quote(a.c); r.at.Now += 60_001 }, protocol.CodeExpired, true, false},
	"ttl, just in time":     {func(r *rig, a *try) { a.c = r.quote(a.c); r.at.Now += 60_000 }, protocol.OK, true, false},
	"ttl without nonce":     {func(r *rig, _ *try) { r.at.Now += 1 << 40 }, protocol.OK, true, false},
	"exp":                   {func(_ *rig, a *try) { a.c.Expires = buildTime - 1 }, protocol.CodeExpired, true, false},
	"exp, just in time":     {func(_ *rig, a *try) { a.c.Expires = buildTime }, protocol.OK, true, false},
	"unknown op":            {func(_ *rig, a *try) { a.c.Op = "shell.exec" }, protocol.CodeUnknownOp, true, false},
	"op it cannot do":       {func(_ *rig, a *try) { a.c.Op = "outbox.flush" }, protocol.CodeUnknownOp, true, false},
	"arguments":             {func(_ *rig, a *try) { a.c.Op = "log.level" }, protocol.CodeArgs, true, false},
	"good arguments":        {func(_ *rig, a *try) { a.c.Op, a.c.Args = "log.level", json.RawMessage(`{"level":"debug"}`) }, protocol.OK, true, false},
	"another configuration": {func(_ *rig, a *try) { a.c.If = &protocol.Precondition{Hash: hashA} }, protocol.CodePrecond, true, false},
}

// Every reason has its code; for some the number is used up, and for all the same
// is told and written down.
func TestAcceptCodes(t *testing.T) {
	for name, test := range acceptCases {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			r.introduce("olga", "anna")
			r.answers = nil
			a := try{c: order("olga", 50, "pipeline.pause"), holders: []string{"olga"}}
			test.change(r, &a)
			d := seal(t, a.c, a.holders...)
			if a.bend != nil {
				a.bend(&d)
			}
			e := r.accept(d)
			if e.Code != test.code || (e.Command != nil) != (test.code == protocol.OK) || (e.Err == nil) != (test.code == protocol.OK) {
				t.Fatalf("%s, %v, want %s", e.Code, e.Err, test.code)
			}
			if burnt := r.guard.Watermarks()[a.c.Issuer] > 1; burnt != test.burnt {
				t.Errorf("number used: %v", burnt)
			}
			status := protocol.StatusDenied
			if test.code == protocol.OK {
				status = protocol.StatusAccepted
			} else if test.burnt {
				status = protocol.StatusRefused
			}
			switch {
			case test.silent != (len(r.answers) == 0):
				t.Errorf("answers: %+v", r.answers)
			case !test.silent && (r.answers[0].Status != status || r.answers[0].Code != test.code || r.answers[0].Final != (status == protocol.StatusRefused)):
				t.Errorf("answer: %+v, want status %s", r.answers[0], status)
			}
			if !e.Changed || len(e.Audit) != 1 || !strings.Contains(string(e.Audit[0]), `"code":"`+string(test.code)+`"`) {
				t.Errorf("audit: %q", e.Audit)
			}
			r.sound()
		})
	}
}

func group(d *command.Delivery) {
	d.Topic = protocol.Topic{Kind: protocol.KindGroupCommand, Fleet: "plant7", Group: "all", ID: d.Topic.ID}
}

func introducedFar[A any](set func(*A, protocol.Command)) func(*rig, *A) {
	return func(r *rig, a *A) { set(a, r.quote(order("dave", command.DefaultJumpMax+1, "ping"))) }
}

// retype signs the same payload for another purpose.
func retype(d *command.Delivery) {
	e, _ := trust.Open(d.Data, protocol.CommandBytesMax)
	*d = sealRaw(d.Topic.ID, trust.TypeDesired, e.Payload, "olga")
}

// forge changes the payload and keeps the signature.
func forge(d *command.Delivery) {
	e, _ := trust.Open(d.Data, protocol.CommandBytesMax)
	e.Payload = bytes.Replace(e.Payload, []byte("pause"), []byte("drain"), 1)
	d.Data = e.Encode()
}

// A group command that selects others is no denial: nobody is told, nothing is
// written.
func TestOthersGroupCommand(t *testing.T) {
	r := newRig(t, nil)
	r.introduce("olga")
	c := order("olga", 5, "ping")
	c.Aud = trust.Audience{Fleet: "plant7", Selector: "site=paris"}
	d := seal(t, c, "olga")
	group(&d)
	if e := r.accept(d); e.Code != protocol.CodeAudience || e.Changed || len(e.Answers) > 0 {
		t.Errorf("%+v", e)
	}
}

// Whatever somebody on the way does first, the real command is still accepted.
func TestRefusalsSpoilNothing(t *testing.T) {
	for name, bend := range map[string]func(d *command.Delivery){
		"retained": func(d *command.Delivery) { d.Retained = true },
		"stripped": func(d *command.Delivery) {
			e, _ := trust.Open(d.Data, protocol.CommandBytesMax)
			e.Signatures = e.Signatures[:1]
			d.Data = e.Encode()
		},
		"stripped of the first": func(d *command.Delivery) {
			e, _ := trust.Open(d.Data, protocol.CommandBytesMax)
			e.Signatures = e.Signatures[1:]
			d.Data = e.Encode()
		},
		"forged":        forge,
		"another topic": func(d *command.Delivery) { d.Topic.ID = order("x", 1, "ping").ID },
	} {
		r := newRig(t, nil)
		c := r.quote(order("anna", 7, "state.reset"))
		good := seal(t, c, "anna", "alan")
		bad := good
		if bend(&bad); bytes.Equal(bad.Data, good.Data) && bad.Topic == good.Topic && !bad.Retained {
			bad.Data = append(bad.Data, 'x') // what forge looked for is not there
		}
		if e := r.accept(bad); e.Command != nil || e.Code == protocol.OK {
			t.Errorf("%s: accepted", name)
		}
		if e := r.accept(good); e.Command == nil {
			t.Errorf("%s, then the real one: %s, %v", name, e.Code, e.Err)
		}
	}
}

// What was rejected for a reason that the signer has signed stays rejected, when
// the reason is gone.
func TestRejectedStaysRejected(t *testing.T) {
	r := newRig(t, nil)
	r.introduce("olga")
	c := order("olga", 2, "pipeline.pause")
	c.If = &protocol.Precondition{Hash: hashA}
	d := seal(t, c, "olga")
	if e := r.accept(d); e.Code != protocol.CodePrecond {
		t.Fatalf("%s", e.Code)
	}
	r.at.Running.Hash = hashA
	for range 3 {
		r.at.Now += 5000
		e := r.accept(d)
		if e.Command != nil || e.Changed || len(e.Answers) != 1 || !e.Answers[0].Repeated || e.Answers[0].Code != protocol.CodePrecond || !e.Answers[0].Final {
			t.Errorf("%+v", e)
		}
		r.boot()
		r.connect()
	}
}

// A repetition repeats the answer, at most once a second, in every phase, with
// the result while it is remembered. It changes nothing.
func TestRepeats(t *testing.T) {
	r := newRig(t, nil)
	r.introduce("olga")
	c := order("olga", 2, "ping")
	d := seal(t, c, "olga")
	expect := func(status protocol.Status, result string) {
		t.Helper()
		r.at.Now += 1000
		e := r.accept(d)
		if e.Changed || e.Command != nil || len(e.Answers) != 1 || e.Answers[0].Status != status || !e.Answers[0].Repeated || string(e.Answers[0].Result) != result {
			t.Errorf("%+v, want %s", e, status)
		}
		if e := r.accept(d); e.Changed || len(e.Answers) != 0 {
			t.Errorf("at once again: %+v", e)
		}
	}
	r.accept(d)
	expect(protocol.StatusAccepted, "")
	e, err := r.guard.Start(c.ID, r.at)
	if r.commit(e); err != nil {
		t.Fatal(err)
	}
	expect(protocol.StatusStarted, "")
	e, err = r.guard.Finish(c.ID, command.Outcome{Code: protocol.OK, Message: "pong", Result: json.RawMessage(`{"a":1}`)}, r.at)
	if r.commit(e); err != nil {
		t.Fatal(err)
	}
	expect(protocol.StatusDone, `{"a":1}`)
	r.boot()
	expect(protocol.StatusDone, `{"a":1}`)

	other := c
	other.Op = "pipeline.pause" // under the same id
	if e := r.accept(seal(t, other, "olga")); e.Code != protocol.CodeReplay {
		t.Errorf("another command under the id: %s", e.Code)
	}
}

// Large results are in the answer once, and then only said to have been.
func TestLargeResults(t *testing.T) {
	r := newRig(t, nil)
	r.introduce("olga")
	for seq, size := range map[uint64]int{2: 400, 3: 600, 4: protocol.ResultBytesMax + 1} {
		c := order("olga", seq, "ping")
		d := seal(t, c, "olga")
		r.accept(d)
		e, _ := r.guard.Start(c.ID, r.at)
		r.commit(e)
		e, err := r.guard.Finish(c.ID, command.Outcome{Code: protocol.OK, Result: json.RawMessage(`"` + strings.Repeat("x", size-2) + `"`)}, r.at)
		if r.commit(e); err != nil {
			t.Fatal(err)
		}
		r.at.Now += 1000
		repeated := r.accept(d).Answers[0]
		if first := e.Answers[0]; (len(first.Result) == size) != (size <= protocol.ResultBytesMax) || (len(repeated.Result) == size) != (size <= 512) || repeated.Lost != (size > 512) {
			t.Errorf("size %d: first %d, then %d, lost %v", size, len(first.Result), len(repeated.Result), repeated.Lost)
		}
	}
}

// A command that is not remembered any more is still not run again.
func TestForgotten(t *testing.T) {
	r := newRig(t, func(c *command.Config) { c.RecordsMax, c.QueueMax, c.Burst = 8, 4, 1000 })
	r.introduce("olga")
	var all []command.Delivery
	waiting := order("olga", 2, "ping") // never forgotten, as long as it waits
	r.accept(seal(t, waiting, "olga"))
	for seq := uint64(3); seq < 60; seq++ {
		c := order("olga", seq, "ping")
		d := seal(t, c, "olga")
		if e := r.accept(d); e.Command == nil {
			t.Fatal(e.Err)
		}
		r.run(c.ID)
		all = append(all, d)
	}
	for i, d := range all {
		e := r.accept(d)
		want := protocol.CodeReplay
		if i >= len(all)-7 {
			want = protocol.OK
		}
		if e.Command != nil || e.Code != want {
			t.Errorf("%d: %s, want %s", i, e.Code, want)
		}
	}
	r.run(waiting.ID)
	if len(r.disk) > 10_000 {
		t.Errorf("the state has %d bytes", len(r.disk))
	}
}
