package main

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"edged"
	"edged/fleet/protocol"
)

// patientConfig closes no window by silence.
var patientConfig = strings.Replace(demoConfig, "idle_timeout: 5s", "idle_timeout: 1h", 1)

// heldBench is a gateway whose windows are counted.
type heldBench struct {
	*outboxBench
	config   string
	p        *process
	up       *upstream
	payloads []string
	seed     uint64
	now      edged.Timestamp
}

func newHeldBench(t *testing.T, document string) *heldBench {
	t.Helper()
	b := &heldBench{outboxBench: newOutboxBench(t), now: edged.Timestamp(time.Now().Add(-time.Hour).UnixMilli())}
	b.up = startUpstream(t, b.y.broker.URL(), "agg/+")
	b.config = b.y.config("gw-1", t.TempDir())
	text, err := os.ReadFile(b.config)
	b.y.must(err)
	config := strings.Replace(string(text), demoConfig, document, 1)
	// Letters have a part of their messages only: the journal has the rest.
	config = strings.Replace(config, "settings:\n", "settings:\n  dead_letters: {sample_bytes: 10}\n", 1)
	b.y.must(os.WriteFile(b.config, []byte(config), 0o600))
	b.p = b.y.launch(b.config)
	b.ready(0)
	return b
}

func (b *heldBench) ready(session uint64) {
	b.t.Helper()
	b.d.online("gw-1", session)
	b.y.until("it is ready", func() bool { return b.samples("edged_ready")["edged_ready"] == 1 })
}

// dies kills the gateway and starts another one.
func (b *heldBench) dies() {
	b.t.Helper()
	before := b.d.state("gw-1").Session
	b.p.kill()
	b.p = b.y.launch(b.config)
	b.ready(before)
}

// publish lets devices say something, later than before, and waits until it is acknowledged.
func (b *heldBench) publish(events int) {
	b.t.Helper()
	b.seed++
	fleet := newFleet(b.t, b.seed, events, b.now)
	b.payloads = append(b.payloads, publish(b.t, b.y.broker.URL(), fleet)...)
	b.now += edged.Timestamp((10 * time.Minute).Milliseconds())
	b.y.until("all is acknowledged", func() bool {
		s := resultOf[sourceResult](b.t, b.d.done("gw-1", "source.status", "", "vera"))
		return s.Received > 0 && s.Unacked == 0 && s.Waiting == 0
	})
}

func (b *heldBench) standing() holdResult {
	b.t.Helper()
	return resultOf[pipelineStatus](b.t, b.d.done("gw-1", "pipeline.status", device, "vera")).Hold
}

// drained closes what is open, and checks all windows that there ever were.
func (b *heldBench) drained() {
	b.t.Helper()
	if r := resultOf[drainResult](b.t, b.d.done("gw-1", "pipeline.drain", device, "olga")); r.Keys == 0 || r.Standing != "held" {
		b.t.Errorf("drained: %+v", r)
	}
	windows := expected(b.t, b.payloads, 3*time.Second)
	eventually(b.t, "all windows have come", func() bool { return len(b.up.results()) >= len(windows) }, func() string {
		return fmt.Sprintf("%d windows; %d results", len(windows), len(b.up.results()))
	})
	compare(b.t, b.up.results(), windows)
	if err := b.up.receiver.Check(); err != nil {
		b.t.Error(err)
	}
}

const device = `{"pipeline":"device-windows"}`

// TestManagedHold holds the pipeline of a gateway, kills the gateway while it is held and
// while it catches up, drains it, and compares all windows with a recomputation.
func TestManagedHold(t *testing.T) {
	t.Parallel()
	b := newHeldBench(t, patientConfig)
	d := b.d
	if a := d.do("gw-1", "pipeline.pause", device, "vera"); a.Code != protocol.CodeRole {
		t.Errorf("by a viewer: %+v", a)
	}
	if a := d.do("gw-1", "pipeline.pause", `{"pipeline":"none"}`, "olga"); a.Code != protocol.CodeArgs {
		t.Errorf("of no pipeline: %+v", a)
	}
	b.publish(800)
	if r := resultOf[holdResult](t, d.done("gw-1", "pipeline.pause", device, "olga")); r.Standing != "held" || r.UpTo == 0 {
		t.Errorf("held: %+v", r)
	}
	b.y.until("nothing is on its way", func() bool { waiting, _ := b.status().waiting(); return waiting == 0 })
	said := len(b.up.results())
	b.publish(700)
	b.dies()
	b.publish(300)
	b.y.until("it is known what is kept", func() bool { return b.standing().Kept > 0 })
	if h := b.standing(); h.Standing != "held" || h.Behind < 1000 {
		t.Errorf("after 1,000 events and a death: %+v", h)
	}
	if n := len(b.up.results()); n != said {
		t.Errorf("%d results when it was held, %d now", said, n)
	}
	d.event("an alarm says so", func(e protocol.Event) bool { return e.Code == "pipeline.held" && e.Subject == "device-windows" })
	d.send("gw-1", 1, slackConfig, protocol.ConfirmSession, trialShort)
	d.fails(1, 0, protocol.StatusRejected, protocol.PhasePlan, protocol.CodePrecond, "pipelines", "pipeline.resume")
	if a := d.do("gw-1", "state.reset", device, "anna", "alan"); a.Code != protocol.CodeBusy {
		t.Errorf("reset while it is held: %+v", a)
	}
	if r := resultOf[resumeResult](t, d.done("gw-1", "pipeline.resume", device, "olga")); r.Records < 1000 || r.Discarded {
		t.Errorf("resumed: %+v", r)
	}
	if h := b.standing(); h.Standing != "flowing" {
		t.Errorf("after it has gone on: %+v", h)
	}
	b.publish(300)

	d.done("gw-1", "pipeline.pause", device, "olga")
	b.publish(3000)
	c := d.order("gw-1", "olga", "pipeline.resume", device)
	d.publish(commandTopic("gw-1", c.ID), d.seal(c, "olga"), false)
	// It says so, for the second time, once that is durable.
	b.y.until("it goes on", func() bool { return strings.Count(b.p.log.String(), "a command lets a pipeline go on") == 2 })
	b.dies()
	b.y.until("it goes on by itself", func() bool { return b.standing().Standing == "flowing" })
	b.drained()
	b.dies()
	if h := b.standing(); h.Standing != "held" {
		t.Errorf("drained, after a death: %+v", h)
	}
	d.done("gw-1", "pipeline.resume", device, "olga")
	b.publish(300)

	// What is thrown away is what came in between, and nothing else.
	d.done("gw-1", "pipeline.pause", device, "olga")
	kept := len(b.payloads)
	b.publish(100)
	b.payloads = b.payloads[:kept]
	if r := resultOf[resumeResult](t, d.done("gw-1", "pipeline.resume", `{"pipeline":"device-windows","discard":true}`, "olga")); r.Records < 100 || !r.Discarded {
		t.Errorf("resumed without what it has missed: %+v", r)
	}
	b.publish(300)
	b.drained()
	t.Logf("%d results of %d events", len(b.up.results()), len(b.payloads))
}

// TestManagedDump asks a gateway for its open windows: with what it has said before, these
// are all that there are.
func TestManagedDump(t *testing.T) {
	t.Parallel()
	b := newHeldBench(t, patientConfig)
	b.publish(900)
	b.d.done("gw-1", "pipeline.pause", device, "olga")
	b.d.done("gw-1", "checkpoint.now", "", "olga")
	b.y.until("nothing is on its way", func() bool { waiting, _ := b.status().waiting(); return waiting == 0 })
	var open []string
	var keys []keyResult
	for more, from := true, ""; more; from = keys[len(keys)-1].Key { // page by page
		r := resultOf[dumpResult](t, b.d.done("gw-1", "window.dump", fmt.Sprintf(`{"pipeline":"device-windows","limit":7,"from":%q}`, from), "vera"))
		if more = r.More; len(r.Keys) == 0 {
			t.Fatalf("no keys behind %q: %+v", from, r)
		}
		keys = append(keys, r.Keys...)
	}
	windows := expected(t, b.payloads, 3*time.Second)
	for _, k := range keys {
		one := resultOf[keyResult](t, b.d.done("gw-1", "key.inspect", fmt.Sprintf(`{"pipeline":"device-windows","key":%q}`, k.Key), "vera"))
		if k.Error != "" || k.Open != len(k.Windows)+k.Left || k.Behind > 1 || k.Watermark == nil || k.Left == 0 && !reflect.DeepEqual(one, k) {
			t.Errorf("key %+v\nasked for alone: %+v", k, one)
		}
		for _, w := range one.Windows { // a page may end between two windows of a key
			open = append(open, string(w))
		}
	}
	b.y.until("all that is over is said", func() bool { return len(b.up.results())+len(open) >= len(windows) })
	if len(open) == 0 || len(b.up.results()) == 0 {
		t.Fatalf("%d open windows, %d results", len(open), len(b.up.results()))
	}
	compare(t, append(b.up.results(), open...), windows)
}

// TestManagedRetry lets a wrong configuration refuse everything, mends it, and has all dead
// letters taken once more, with deaths in between.
func TestManagedRetry(t *testing.T) {
	t.Parallel()
	b := newHeldBench(t, strings.Replace(unfitConfig, "idle_timeout: 5s", "idle_timeout: 1h", 1))
	d := b.d
	b.publish(600)
	letters := func() lettersResult { return resultOf[lettersResult](t, d.done("gw-1", "dlq.list", "", "vera")) }
	if l := letters(); l.Matched < 600 {
		t.Fatalf("letters: %+v", l)
	}
	// The newest ones, so that their order stays.
	newest := resultOf[lettersResult](t, d.done("gw-1", "dlq.list", `{"limit":10}`, "vera")).Letters
	var seqs []string
	for _, l := range newest {
		seqs = append(seqs, fmt.Sprint(l.Seq))
	}
	again := fmt.Sprintf(`{"seqs":[%s]}`, strings.Join(seqs, ","))
	if r := resultOf[retryResult](t, d.done("gw-1", "dlq.retry", again, "olga")); r.Retried != 10 || r.Again != 10 || r.More {
		t.Errorf("retried with the same fault: %+v", r)
	}
	if r := resultOf[retryResult](t, d.done("gw-1", "dlq.retry", again, "olga")); r.Retried != 0 {
		t.Errorf("retried twice: %+v", r)
	}
	d.send("gw-1", 1, patientConfig, protocol.ConfirmSession, trialShort)
	d.runs(1, patientConfig)
	d.done("gw-1", "pipeline.pause", device, "olga")
	if r := resultOf[retryResult](t, d.done("gw-1", "dlq.retry", `{"limit":10}`, "olga")); r.Retried != 0 || r.Held != 10 {
		t.Errorf("retried while it is held: %+v", r)
	}
	d.done("gw-1", "pipeline.resume", device, "olga")
	one := letters().Letters[0].Seq
	if r := resultOf[retryResult](t, d.done("gw-1", "dlq.retry", fmt.Sprintf(`{"seqs":[%d],"cause":"none"}`, one), "olga")); r.Retried != 0 || r.More {
		t.Errorf("of no cause: %+v", r)
	}
	for rounds, more := 0, true; more; rounds++ {
		r := resultOf[retryResult](t, d.done("gw-1", "dlq.retry", `{"limit":200,"pipeline":"device-windows"}`, "olga"))
		if more = r.More; r.Retried == 0 || r.Again+r.Held+r.Gone+r.Unfit > 0 {
			t.Fatalf("retried: %+v", r)
		}
		if rounds == 1 {
			b.dies()
		}
	}
	if l := letters(); l.Matched != 0 {
		t.Errorf("letters that are left: %+v", l)
	}
	b.drained()
}
