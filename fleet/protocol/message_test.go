package protocol_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"edged/fleet/protocol"
	"edged/fleet/trust"
)

const (
	kid   = trust.KeyID("0123456789abcdef0123456789abcdef")
	nonce = "00112233445566778899aabbccddeeff"
	hash  = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
)

func one() *uint64 { n := uint64(1); return &n }

// One good message of each type, with everything in it.
var (
	online  = protocol.State{V: 1, Online: true, Instance: "i1", Session: 7, Revision: 2, Boot: 3, Nonce: nonce, Mono: 5}
	info    = protocol.Info{V: 1, Fleet: "f", Gateway: "gw-1", Instance: "i1", Session: 7, Version: "1.0", Commit: "abc", OS: "linux", Arch: "arm64", CPUs: 4, Memory: 1 << 30, Labels: map[string]string{"site": "berlin"}, Ops: map[string]int{"ping": 1}, Limits: protocol.Bounds{CommandBytes: 65536, DesiredBytes: 1 << 20, Queue: 16}, Sources: []protocol.Endpoint{{ID: "a", Kind: "mqtt"}}, Outputs: []protocol.Endpoint{{ID: "b", Kind: "file"}}, Keyring: 4, Expires: 9, Config: protocol.Running{Version: 3, Hash: hash}}
	beat    = protocol.Heartbeat{V: 1, Session: 7, Boot: 3, Mono: 5, Events: 1.5, DeadLetters: 2}
	event   = protocol.Event{V: 1, Number: 9, Instance: "i1", Class: "alarm", Code: "outbox.quota", Severity: "major", Subject: "stream/kwh", Boot: 3, Mono: 5, Time: 6, Message: "full", Data: json.RawMessage(`{"a":[1]}`)}
	desired = protocol.Desired{V: 1, Aud: trust.Audience{Fleet: "f", Gateway: "gw-1"}, Issuer: kid, Keyring: 4, Epoch: 1, Version: 3, Refresh: 2, Config: json.RawMessage(`{"pipelines":[]}`), Apply: protocol.Apply{Health: 60000, Deadline: 600000, Confirm: "session", State: "keep"}}
	said    = protocol.Reported{V: 1, Instance: "i1", Session: 7, Epoch: 1, Keyring: 4, Seen: 3, Applied: 2, Effective: hash, Status: "FAILED", Phase: "health_gate", Error: &protocol.Fault{Code: protocol.CodeHealth, Path: "pipelines[2]", Message: "slow"}, Failed: []uint64{3}, Watermark: map[trust.KeyID]uint64{kid: 8}, Audit: "1:ab"}
	command = protocol.Command{V: 1, ID: ulid, Op: "pipeline.pause", Args: json.RawMessage(`{"pipeline":"kwh"}`), Aud: trust.Audience{Fleet: "f", Selector: "site=berlin"}, Issuer: kid, Keyring: 4, Epoch: 1, Seq: 8, Nonce: nonce, TTL: 60000, Expires: 9, If: &protocol.Precondition{Version: one(), Hash: hash}, DryRun: true, Timeout: 30000}
	answer  = protocol.Answer{V: 1, ID: ulid, Gateway: "gw-1", Instance: "i1", N: 2, Tick: 4, Status: protocol.StatusStarted, Code: protocol.OK, Step: "drain", Percent: 60, Message: "so far", Result: json.RawMessage(`{}`), Session: 7, Boot: 3, Mono: 5}
	beacon  = protocol.Beacon{V: 1, Fleet: "f", Issuer: kid, Epoch: 1, Number: 5, Time: 1790000000000}
)

// check encodes a message, decodes it, and says whether unknown members pass.
func check[M protocol.Message](t *testing.T, m M, tolerant bool) {
	t.Helper()
	data, err := protocol.Encode(m)
	if err != nil {
		t.Errorf("%T: %v", m, err)
		return
	}
	if !bytes.HasPrefix(data, []byte(`{"v":1,`)) {
		t.Errorf("%T does not begin with its version: %s", m, data)
	}
	if got, err := protocol.Decode[M](data); err != nil || !reflect.DeepEqual(got, m) {
		t.Errorf("%T: %+v, %v, want %+v", m, got, err, m)
	}
	text := string(data)
	for what, changed := range map[string]string{
		"version 2":      strings.Replace(text, `{"v":1,`, `{"v":2,`, 1),
		"no version":     strings.Replace(text, `{"v":1,`, `{`, 1),
		"v twice":        strings.Replace(text, `{"v":1,`, `{"v":1,"v":1,`, 1),
		"V beside v":     strings.Replace(text, `{"v":1,`, `{"v":1,"V":1,`, 1),
		"trailing":       text + "{}",
		"far too large":  strings.Replace(text, `{"v":1,`, `{`+strings.Repeat(" ", 2<<20)+`"v":1,`, 1),
		"nothing inside": `{}`,
	} {
		if got, err := protocol.Decode[M]([]byte(changed)); !errors.Is(err, protocol.ErrMessage) || !reflect.ValueOf(got).IsZero() {
			t.Errorf("%T, %s: %v", m, what, err)
		}
	}
	unknown := strings.Replace(text, `{"v":1,`, `{"v":1,"newer":{"a":1},`, 1)
	if got, err := protocol.Decode[M]([]byte(unknown)); (err == nil) != tolerant || tolerant && !reflect.DeepEqual(got, m) {
		t.Errorf("%T, unknown member: %v", m, err)
	}
	deep := strings.Replace(text, `{"v":1,`, `{"v":1,"newer":`+strings.Repeat("[", 40)+strings.Repeat("]", 40)+`,`, 1)
	if _, err := protocol.Decode[M]([]byte(deep)); err == nil {
		t.Errorf("%T: deep nesting was accepted", m)
	}
}

// Every message survives; documents for gateways are strict, reports are not.
func TestMessages(t *testing.T) {
	check(t, online, true)
	check(t, online.Will(), true)
	check(t, info, true)
	check(t, beat, true)
	check(t, event, true)
	check(t, desired, false)
	check(t, said, true)
	check(t, command, false)
	check(t, answer, true)
	check(t, beacon, false)
}

// with returns a changed copy.
func with[M any](m M, change func(*M)) M { change(&m); return m }

// Each of these is refused by Encode, naming the member.
func TestMessageFaults(t *testing.T) {
	for member, m := range map[string]protocol.Message{
		"nonce:":           with(online, func(s *protocol.State) { s.Nonce = "" }),
		"rev:":             with(online, func(s *protocol.State) { s.Revision = 0 }),
		"cause: only":      with(online, func(s *protocol.State) { s.Cause = "will" }),
		"cause: \"\"":      with(online.Will(), func(s *protocol.State) { s.Cause = "" }),
		"nonce, rev":       with(online.Will(), func(s *protocol.State) { s.Nonce = nonce }),
		"session":          with(online, func(s *protocol.State) { s.Session = 0 }),
		"gw:":              with(info, func(i *protocol.Info) { i.Gateway = "a/b" }),
		"labels.site":      with(info, func(i *protocol.Info) { i.Labels = map[string]string{"site": strings.Repeat("x", 65)} }),
		"config.hash":      with(info, func(i *protocol.Info) { i.Config.Hash = "md5:1" }),
		"class":            with(event, func(e *protocol.Event) { e.Class = "x" }),
		"sev":              with(event, func(e *protocol.Event) { e.Severity = "bad" }),
		"data":             with(event, func(e *protocol.Event) { e.Data = json.RawMessage("[]") }),
		"evt_seq":          with(event, func(e *protocol.Event) { e.Number = 0 }),
		"aud:":             with(desired, func(d *protocol.Desired) { d.Aud.Gateway = "" }),
		"config, ref":      with(desired, func(d *protocol.Desired) { d.Config = nil }),
		"config, ref: ":    with(desired, func(d *protocol.Desired) { d.Ref = &protocol.Reference{URL: "u", SHA256: hash, Size: 1} }),
		"ref.sha256":       with(desired, func(d *protocol.Desired) { d.Config, d.Ref = nil, &protocol.Reference{URL: "u", Size: 1} }),
		"version":          with(desired, func(d *protocol.Desired) { d.Version = 1 << 53 }),
		"apply.health_ms":  with(desired, func(d *protocol.Desired) { d.Apply.Health = 0 }),
		"apply.deadline":   with(desired, func(d *protocol.Desired) { d.Apply.Deadline = 1 }),
		"apply.confirm":    with(desired, func(d *protocol.Desired) { d.Apply.Confirm = "" }),
		"apply.state":      with(desired, func(d *protocol.Desired) { d.Apply.State = "lose" }),
		"status":           with(said, func(r *protocol.Reported) { r.Status = "" }),
		"phase":            with(said, func(r *protocol.Reported) { r.Phase = "x" }),
		"error.code":       with(said, func(r *protocol.Reported) { r.Error = &protocol.Fault{Code: "broken"} }),
		"id":               with(command, func(c *protocol.Command) { c.ID = "x" }),
		"op":               with(command, func(c *protocol.Command) { c.Op = "rm -rf" }),
		"args":             with(command, func(c *protocol.Command) { c.Args = json.RawMessage(`"x"`) }),
		"aud.selector":     with(command, func(c *protocol.Command) { c.Aud.Selector = "a==b" }),
		"iss":              with(command, func(c *protocol.Command) { c.Issuer = "alice" }),
		"keyring":          with(command, func(c *protocol.Command) { c.Keyring = 0 }),
		"epoch":            with(command, func(c *protocol.Command) { c.Epoch = 0 }),
		"seq":              with(command, func(c *protocol.Command) { c.Seq = 0 }),
		"seq: ":            with(command, func(c *protocol.Command) { c.Seq = 1 << 53 }),
		"nonce: want":      with(command, func(c *protocol.Command) { c.Nonce = strings.ToUpper(nonce) }),
		"ttl_ms":           with(command, func(c *protocol.Command) { c.TTL = 0 }),
		"ttl_ms: ":         with(command, func(c *protocol.Command) { c.TTL = protocol.DurationMax + 1 }),
		"exp_ms":           with(command, func(c *protocol.Command) { c.Expires = -1 }),
		"timeout_ms":       with(command, func(c *protocol.Command) { c.Timeout = -1 }),
		"if: says nothing": with(command, func(c *protocol.Command) { c.If = &protocol.Precondition{} }),
		"final":            with(answer, func(a *protocol.Answer) { a.Final = true }),
		"n:":               with(answer, func(a *protocol.Answer) { a.N = 4 }),
		"pct":              with(answer, func(a *protocol.Answer) { a.Percent = 101 }),
		"msg":              with(answer, func(a *protocol.Answer) { a.Message = strings.Repeat("x", 513) }),
		"time_ms":          with(beacon, func(b *protocol.Beacon) { b.Time = 0 }),
		"fleet":            with(beacon, func(b *protocol.Beacon) { b.Fleet = "" }),
	} {
		if _, err := protocol.Encode(m); !errors.Is(err, protocol.ErrMessage) || !strings.Contains(err.Error(), strings.TrimSpace(member)) {
			t.Errorf("%s: %v", member, err)
		}
	}
	large := with(command, func(c *protocol.Command) {
		c.Args = json.RawMessage(`{"a":"` + strings.Repeat("x", protocol.CommandBytesMax) + `"}`)
	})
	if _, err := protocol.Encode(large); !errors.Is(err, protocol.ErrMessage) {
		t.Errorf("large: %v", err)
	}
}

// What is sealed opens to the same bytes, signed for its own purpose.
func TestSeal(t *testing.T) {
	key := trust.NewSecretKey([32]byte{1})
	for want, d := range map[string]protocol.Document{trust.TypeCommand: command, trust.TypeDesired: desired, trust.TypeTime: beacon} {
		data, err := protocol.Seal(d, key)
		if err != nil {
			t.Fatal(err)
		}
		e, err := trust.Open(data, protocol.DesiredBytesMax)
		payload, _ := protocol.Encode(d)
		if err != nil || e.Type != want || !bytes.Equal(e.Payload, payload) || len(e.Signatures) != 1 || e.Signatures[0].KeyID != key.Public().ID() {
			t.Errorf("%T: %+v, %v", d, e, err)
		}
	}
	large := with(command, func(c *protocol.Command) { c.Args = json.RawMessage(`{"a":"` + strings.Repeat("x", 60_000) + `"}`) })
	wrong := with(command, func(c *protocol.Command) { c.Seq = 0 })
	for _, c := range []protocol.Command{large, wrong} {
		if _, err := protocol.Seal(c, key); !errors.Is(err, protocol.ErrMessage) {
			t.Errorf("%v", err)
		}
	}
	if _, err := protocol.Seal(command); !errors.Is(err, protocol.ErrMessage) {
		t.Errorf("without a key: %v", err)
	}
}

// Every code has a hint, commands have a class, and what is dangerous is known.
func TestTables(t *testing.T) {
	if protocol.Code("E_FROM_LATER").Check() != nil || protocol.Code("oops").Check() == nil || protocol.Code("").Check() == nil {
		t.Error("codes")
	}
	for _, code := range []protocol.Code{
		protocol.OK, protocol.CodeSize, protocol.CodeTopic, protocol.CodeRetained, protocol.CodeSchema, protocol.CodeSignature, protocol.CodeKey,
		protocol.CodeRevoked, protocol.CodeKeyring, protocol.CodeEpoch, protocol.CodeAudience, protocol.CodeRole, protocol.CodeHolders,
		protocol.CodeReplay, protocol.CodeJump, protocol.CodeStale, protocol.CodeNonce, protocol.CodeExpired, protocol.CodePrecond,
		protocol.CodeUnknownOp, protocol.CodeArgs, protocol.CodeBusy, protocol.CodeQuota, protocol.CodeTimeout, protocol.CodeCancelled,
		protocol.CodeInterrupt, protocol.CodeHealth, protocol.CodeRolledBack, protocol.CodeStorage, protocol.CodeInternal,
	} {
		if code.Hint() == "" || code.Check() != nil {
			t.Errorf("%s: hint %q, %v", code, code.Hint(), code.Check())
		}
	}
	for op, want := range map[string]trust.Class{"ping": trust.Read, "pipeline.pause": trust.Operate, "config.apply": trust.Configure,
		"engine.restart": trust.Dangerous, "state.reset": trust.Destructive} {
		if got, known := protocol.ClassOf(op); !known || got != want {
			t.Errorf("%s: %s, %v", op, got, known)
		}
	}
	if _, known := protocol.ClassOf("shell.exec"); known {
		t.Error("there must not be a shell")
	}
}

func TestPrecondition(t *testing.T) {
	two := uint64(2)
	now := protocol.Running{Version: 2, Hash: hash}
	for _, test := range []struct {
		p    *protocol.Precondition
		want bool
	}{
		{nil, true}, {&protocol.Precondition{Version: &two}, true}, {&protocol.Precondition{Version: one()}, false},
		{&protocol.Precondition{Hash: hash}, true}, {&protocol.Precondition{Hash: "sha256:0"}, false},
		{&protocol.Precondition{Version: &two, Hash: "sha256:0"}, false},
	} {
		if got := test.p.Holds(now); got != test.want {
			t.Errorf("%+v: %v", test.p, got)
		}
	}
}

// What is accepted is written to what is accepted, and means the same.
func FuzzMessages(f *testing.F) {
	for i, m := range []protocol.Message{online, info, beat, event, desired, said, command, answer, beacon} {
		data, err := protocol.Encode(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(byte(i), data)
	}
	f.Fuzz(func(t *testing.T, which byte, data []byte) {
		switch which % 9 {
		case 0:
			again[protocol.State](t, data)
		case 1:
			again[protocol.Info](t, data)
		case 2:
			again[protocol.Heartbeat](t, data)
		case 3:
			again[protocol.Event](t, data)
		case 4:
			again[protocol.Desired](t, data)
		case 5:
			again[protocol.Reported](t, data)
		case 6:
			again[protocol.Command](t, data)
		case 7:
			again[protocol.Answer](t, data)
		case 8:
			again[protocol.Beacon](t, data)
		}
	})
}

func again[M protocol.Message](t *testing.T, data []byte) {
	m, err := protocol.Decode[M](data)
	if err != nil {
		return
	}
	first, err := protocol.Encode(m)
	if err != nil {
		t.Fatalf("%q was accepted: %v", data, err)
	}
	second, err := protocol.Decode[M](first)
	if err != nil {
		t.Fatalf("%q became %q: %v", data, first, err)
	}
	if third, _ := protocol.Encode(second); !bytes.Equal(first, third) {
		t.Fatalf("%q became %q", first, third)
	}
}
