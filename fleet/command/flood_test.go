package command_test

import (
	"bytes"
	"strings"
	"testing"

	"edged/fleet/audit"
	"edged/fleet/command"
	"edged/fleet/protocol"
)

// In a flood of a hundred invalid messages for each valid one, all at the same
// moment or in the same second, every valid one is accepted; the log and the number
// of commits grow with time and not with the flood; and nothing is left uncounted.
func TestFlood(t *testing.T) {
	r := newRig(t, nil)
	r.introduce("olga")
	good := order("olga", 2, "pipeline.pause")
	used := seal(t, good, "olga")
	r.accept(used)
	r.run(good.ID)
	stale := order("olga", 1, "ping")
	stale.ID = order("x", 1, "ping").ID
	junk := []command.Delivery{used, seal(t, stale, "olga"), seal(t, order("mallory", 2, "ping"), "mallory"), seal(t, order("rob", 2, "ping"), "rob")}
	bad := []func(d *command.Delivery){func(d *command.Delivery) { d.Data = []byte("junk") }, forge, func(d *command.Delivery) { d.Retained = true },
		func(d *command.Delivery) { d.Data = bytes.Repeat([]byte("x"), protocol.CommandBytesMax+1) }}
	for _, bend := range bad {
		d := used
		bend(&d)
		junk = append(junk, d)
	}
	commits, answers, sent := r.commits, len(r.answers), 0
	const rounds = 60
	for round := range uint64(rounds) {
		r.at.Now += 1000
		for i := range 100 {
			if i%len(junk) > 0 { // the first is a repetition
				sent++
			}
			if e := r.accept(junk[i%len(junk)]); e.Command != nil {
				t.Fatalf("junk %d was accepted", i%len(junk))
			}
		}
		c := order("olga", 3+round, "ping")
		if e := r.accept(seal(t, c, "olga")); e.Command == nil {
			t.Fatalf("round %d: %s, %v", round, e.Code, e.Err)
		}
		r.run(c.ID)
	}
	// Each round has 3 commits and 3 answers of the valid one, and one repetition.
	if extra := r.commits - commits - 3*rounds; extra > 100 {
		t.Errorf("%d commits for %d invalid messages", extra, sent)
	}
	if extra := len(r.answers) - answers - 4*rounds; extra > 100 {
		t.Errorf("%d answers for %d invalid messages", extra, sent)
	}
	r.at.Now += 60_000
	r.commit(r.guard.Tick(r.at))
	if denied := r.denied(); denied != sent {
		t.Errorf("%d denials in the log, %d invalid messages were sent", denied, sent)
	}
	r.sound()
}

// denied counts the denials in the log, those that were only counted included.
func (r *rig) denied() (n int) {
	r.t.Helper()
	var head audit.Head
	for line := range bytes.Lines(r.log) {
		next, e, err := head.Next(line)
		if err != nil {
			r.t.Fatal(err)
		}
		head = next
		if e.Kind == "denials" {
			for _, count := range e.Counts {
				n += int(count)
			}
		} else if e.Decision == "denied" {
			n++
		}
	}
	return n
}

// One key has its quota, which nobody else can use up, and which comes back.
func TestQuota(t *testing.T) {
	r := newRig(t, func(c *command.Config) { c.PerSecond, c.Burst, c.QueueMax, c.RecordsMax = 2, 5, 100, 1000 })
	r.introduce("olga", "anna")
	send := func(holder string, seq uint64) protocol.Code {
		return r.accept(seal(t, order(holder, seq, "ping"), holder)).Code
	}
	var codes []string
	for seq := uint64(2); seq < 8; seq++ {
		codes = append(codes, string(send("olga", seq)))
	}
	if got := strings.Join(codes, " "); got != "OK OK OK OK E_QUOTA E_QUOTA" { // one went for the introduction
		t.Errorf("%s", got)
	}
	if code := send("anna", 2); code != protocol.OK {
		t.Errorf("another key: %s", code)
	}
	r.at.Now += 1000
	if a, b, c := send("olga", 6), send("olga", 7), send("olga", 8); a != protocol.OK || b != protocol.OK || c != protocol.CodeQuota {
		t.Errorf("a second later: %s %s %s", a, b, c) // what was refused for the quota was not used up
	}
	r.at.Now += 1 << 50
	for seq := uint64(8); seq < 13; seq++ {
		if code := send("olga", seq); code != protocol.OK {
			t.Errorf("much later: %s", code)
		}
	}
	if code := send("olga", 13); code != protocol.CodeQuota {
		t.Errorf("the burst is bounded: %s", code)
	}
}

// What an invalid message costs: one verification.
func BenchmarkAccept(b *testing.B) {
	r := newRig(b, nil)
	r.introduce("olga")
	forged := seal(b, order("olga", 2, "pipeline.pause"), "olga")
	forge(&forged)
	for name, d := range map[string]command.Delivery{"forged": forged, "stale": seal(b, order("olga", 1, "pipeline.pause"), "olga")} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				r.guard.Accept(d, r.at)
			}
		})
	}
}
