package main

import (
	"testing"
	"time"

	"edged"
	"edged/fleet/protocol"
)

// TestManagedCheckpoint stores the states of a gateway that is quiet, and kills it: the
// next process has nothing to replay.
func TestManagedCheckpoint(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	d := y.desk()
	y.certify("gw-1")
	config := y.config("gw-1", t.TempDir())
	p := y.launch(config)
	d.online("gw-1", 0)
	taken := publish(t, y.broker.URL(), newFleet(t, 7, 400, edged.Timestamp(time.Now().UnixMilli())))
	samples := func(prefix string) map[string]float64 {
		return resultOf[metricsResult](t, d.done("gw-1", "metrics.snapshot", `{"prefix":"`+prefix+`"}`, "vera")).Samples
	}
	y.until("events are processed", func() bool {
		return samples("edged_messages")["edged_messages_received_total"] >= float64(len(taken))
	})
	r := resultOf[checkpointResult](t, d.done("gw-1", "checkpoint.now", "", "olga"))
	if r.Seq < uint64(len(taken)) || r.Keys == 0 || r.Bytes == 0 {
		t.Errorf("%+v after %d messages", r, len(taken))
	}
	if a := d.do("gw-1", "checkpoint.now", `{"x":1}`, "olga"); a.Code != protocol.CodeArgs {
		t.Errorf("with an argument: %+v", a)
	}
	again := resultOf[checkpointResult](t, d.done("gw-1", "checkpoint.now", "", "olga"))
	before := d.state("gw-1").Session
	p.kill()
	p = y.launch(config)
	d.online("gw-1", before)
	var left float64
	y.until("recovery is over", func() bool {
		all := samples("edged_re")
		left = all["edged_recovery_records"]
		return all["edged_ready"] == 1
	})
	// Ticks may have come between the checkpoint and the kill.
	if left > 50 {
		t.Errorf("%v records were replayed after a checkpoint", left)
	}
	t.Logf("%+v, then %+v; %v records replayed", r, again, left)
}
