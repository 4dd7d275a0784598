package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"edged"
	"edged/fleet/protocol"
	"edged/internal/mosquitto"
)

// outboxBench is a gateway with a desk, and what tests of outputs ask it.
type outboxBench struct {
	y *yard
	d *operatorDesk
	t *testing.T
}

func newOutboxBench(t *testing.T) *outboxBench {
	t.Helper()
	y := newYard(t)
	d := y.desk()
	y.certify("gw-1")
	return &outboxBench{y: y, d: d, t: t}
}

func (b *outboxBench) samples(prefix string) map[string]float64 {
	b.t.Helper()
	return resultOf[metricsResult](b.t, b.d.done("gw-1", "metrics.snapshot", `{"prefix":"`+prefix+`"}`, "vera")).Samples
}

func (b *outboxBench) status() outboxResult {
	b.t.Helper()
	return resultOf[outboxResult](b.t, b.d.done("gw-1", "outbox.status", "", "vera"))
}

// feed publishes events and waits until they are processed.
func (b *outboxBench) feed(seed uint64) {
	b.t.Helper()
	received := func() float64 { return b.samples("edged_messages")["edged_messages_received_total"] }
	before := received()
	taken := publish(b.t, b.y.broker.URL(), newFleet(b.t, seed, 400, edged.Timestamp(time.Now().UnixMilli())))
	b.y.until("events are processed", func() bool { return received() >= before+float64(len(taken)) })
}

// waiting returns how many rows are not confirmed, and how many are, at all outputs.
func (r outboxResult) waiting() (waiting, confirmed uint64) {
	for _, l := range r.Outputs {
		waiting += l.Waiting
		confirmed += l.Confirmed
	}
	return waiting, confirmed
}

// TestManagedThrottle holds the outputs of a gateway, gives them a rate, and lifts it.
func TestManagedThrottle(t *testing.T) {
	t.Parallel()
	b := newOutboxBench(t)
	b.y.launch(b.y.config("gw-1", t.TempDir()))
	b.d.online("gw-1", 0)
	b.y.until("it is ready", func() bool { return b.samples("edged_ready")["edged_ready"] == 1 })
	for _, args := range []string{``, `{"rows_per_s":-1}`, `{"rows_per_s":1,"for_ms":86400001}`, `{"rows_per_s":1,"off":true}`, `{"rows_per_s":1,"stream":"none"}`} {
		if a := b.d.do("gw-1", "outbox.throttle", args, "olga"); a.Code != protocol.CodeArgs {
			t.Errorf("%s: %+v", args, a)
		}
	}
	if a := b.d.do("gw-1", "outbox.throttle", `{"rows_per_s":0}`, "vera"); a.Code != protocol.CodeRole {
		t.Errorf("by a viewer: %+v", a)
	}
	r := resultOf[throttleResult](t, b.d.done("gw-1", "outbox.throttle", `{"rows_per_s":0}`, "olga"))
	if r.Outputs == 0 || r.Limit == nil || r.Limit.Rows != 0 || r.Limit.Ends > time.Hour.Milliseconds() || r.Limit.Ends < time.Hour.Milliseconds()-60_000 {
		t.Errorf("%+v, %+v", r, r.Limit)
	}
	b.feed(7)
	b.y.until("rows wait", func() bool { waiting, _ := b.status().waiting(); return waiting > 3 })
	st := b.status()
	if _, confirmed := st.waiting(); confirmed != 0 || st.Outputs[0].Limit == nil {
		t.Errorf("while all is held: %+v", st)
	}
	if len(b.samples("edged_output_throttle")) != r.Outputs {
		t.Errorf("metrics %v for %d outputs", b.samples("edged_output_throttle"), r.Outputs)
	}
	// A short one ends by itself.
	b.d.done("gw-1", "outbox.throttle", `{"rows_per_s":2,"for_ms":1000}`, "olga")
	b.y.until("nothing waits", func() bool { waiting, confirmed := b.status().waiting(); return waiting == 0 && confirmed > 3 })
	b.y.until("no limit holds", func() bool { return len(b.samples("edged_output_throttle")) == 0 })

	b.d.done("gw-1", "outbox.throttle", `{"rows_per_s":0}`, "olga")
	b.feed(8)
	if r := resultOf[throttleResult](t, b.d.done("gw-1", "outbox.throttle", `{"off":true}`, "olga")); r.Outputs == 0 || r.Limit != nil {
		t.Errorf("lifted: %+v", r)
	}
	b.y.until("nothing waits", func() bool { waiting, _ := b.status().waiting(); return waiting == 0 })
}

// TestManagedFlush flushes a gateway whose upstream is away, which takes longer than
// allowed; then it is back, and the gateway is woken from a pause and sends all, also what
// a limit holds.
func TestManagedFlush(t *testing.T) {
	t.Parallel()
	b := newOutboxBench(t)
	upstream := mosquitto.Start(t)
	config := b.y.config("gw-1", t.TempDir())
	text, err := os.ReadFile(config)
	b.y.must(err)
	b.y.must(os.WriteFile(config, bytes.Replace(text, []byte("settings:\n"), []byte("settings:\n  upstream: {url: "+upstream.URL()+"}\n"), 1), 0o600))
	b.y.launch(config)
	b.d.online("gw-1", 0)
	b.y.until("it is ready", func() bool { return b.samples("edged_ready")["edged_ready"] == 1 })
	upstream.Stop()
	b.feed(7)
	b.y.until("rows wait", func() bool { waiting, _ := b.status().waiting(); return waiting > 3 })
	b.d.done("gw-1", "outbox.throttle", `{"rows_per_s":0}`, "olga")

	if a := b.d.do("gw-1", "outbox.flush", `{"timeout_ms":600001}`, "olga"); a.Code != protocol.CodeArgs {
		t.Errorf("longer than any command: %+v", a)
	}
	a := b.d.do("gw-1", "outbox.flush", `{"timeout_ms":200}`, "olga")
	if a.Code != protocol.CodeTimeout || !strings.Contains(a.Message, "rows are not confirmed by their outputs: its time is over") {
		t.Errorf("while the upstream is away: %+v", a)
	}
	c := b.d.order("gw-1", "olga", "outbox.flush", "")
	c.Timeout = 200
	if a := b.d.await("gw-1", c, b.d.seal(c, "olga"), final); a.Code != protocol.CodeTimeout || !strings.Contains(a.Message, "rows are not confirmed") {
		t.Errorf("with the time of the command: %+v", a)
	}
	b.d.done("gw-1", "outbox.throttle", `{"rows_per_s":0}`, "olga")
	upstream.Restart()
	r := resultOf[flushResult](t, b.d.done("gw-1", "outbox.flush", "", "olga"))
	waiting, confirmed := b.status().waiting()
	if r.Rows < 4 || confirmed < r.Rows || b.status().Outputs[0].Limit != nil {
		t.Errorf("%+v, then %d wait and %d are confirmed: %+v", r, waiting, confirmed, b.status())
	}
	t.Logf("%q; then %+v", a.Message, r)
}
