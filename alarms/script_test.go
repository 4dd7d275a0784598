package alarms_test

import (
	"fmt"
	"math"
	"math/rand/v2"

	"edged"
	"edged/alarms"
	"edged/anomaly"
)

// step is one thing that happens to an alarm: a sample, a command, or time.
type step struct {
	what    string // "sample", "command", "tick"
	sample  alarms.Sample
	command alarms.Command
	now     edged.Timestamp
}

func (s step) String() string {
	switch v := &s.sample.Verdict; s.what {
	case "sample":
		return fmt.Sprintf("at %d now %d value %v %s alarm %v warm %v score %v cause %d historical %v suppressed %v", s.sample.At,
			s.sample.Now, s.sample.Value, v.Severity, v.Alarm, v.Warm, v.Score, v.Reason.Cause, s.sample.Historical, s.sample.Suppressed)
	case "command":
		return fmt.Sprintf("now %d %s %+v", s.now, s.command.Kind, s.command)
	}
	return fmt.Sprintf("tick %d", s.now)
}

// abnormal and normal are verdicts.
func abnormal(s anomaly.Severity) anomaly.Verdict {
	return anomaly.Verdict{Score: float64(s), Severity: s, Alarm: true, Warm: true, High: 1, HasRange: true,
		Reason: anomaly.Reason{Cause: anomaly.CauseThreshold, Excess: 1}}
}

func normal() anomaly.Verdict { return anomaly.Verdict{Warm: true} }

// randomSpec returns a sound configuration whose spans are a few milliseconds.
func randomSpec(r *rand.Rand) *alarms.Spec {
	some := func(most int64) int64 { return max(0, r.Int64N(2*most)-most) }
	s := &alarms.Spec{
		OnDelay: some(6), OffDelay: some(6), DurationMin: some(8), CoolDown: some(12), UpdateInterval: some(6),
		SetBackMin: some(8), Remember: some(20), ShelfMax: 20,
		Latch: r.IntN(4) == 0, Acknowledge: r.IntN(3) == 0,
	}
	if r.IntN(2) == 0 {
		s.Of = 1 + r.IntN(5)
		s.Least = 1 + r.IntN(s.Of)
	}
	if r.IntN(3) == 0 {
		s.SeverityMin = anomaly.Severity(r.IntN(4))
	}
	if r.IntN(2) == 0 {
		s.BudgetMax, s.BudgetPer = 1+r.IntN(3), 1+r.Int64N(30)
	}
	return s
}

// scripter makes random steps. Both times go on, and event time sometimes back.
type scripter struct {
	r       *rand.Rand
	at, now edged.Timestamp
	mood    int // how likely a value is abnormal, of 8
}

func (g *scripter) step(status alarms.Change, last alarms.Change) step {
	r := g.r
	g.now += edged.Timestamp(r.Int64N(3))
	switch r.IntN(12) {
	case 0:
		g.now += edged.Timestamp(r.Int64N(12))
		return step{what: "tick", now: g.now}
	case 1, 2:
		return step{what: "command", now: g.now, command: g.command(status, last)}
	}
	return step{what: "sample", sample: g.sample()}
}

func (g *scripter) command(status, last alarms.Change) alarms.Command {
	r := g.r
	c := alarms.Command{Kind: alarms.KindAcknowledge + alarms.Kind(r.IntN(7)), For: 1 + r.Int64N(21), By: "eve", Note: "n"}
	// Mostly sparing the sweeping ones, or else little is ever alarmed.
	for range 2 {
		if k := c.Kind; k == alarms.KindOutOfService || k == alarms.KindReset || k == alarms.KindShelve {
			c.Kind = alarms.KindAcknowledge + alarms.Kind(r.IntN(7))
		}
	}
	if c.Kind == alarms.KindOutOfService && r.IntN(2) == 0 {
		c.For = 1
	}
	c.Label = anomaly.Label(r.IntN(4))
	named := status
	if r.IntN(3) == 0 {
		named = last
	}
	c.Start, c.Ordinal = named.Start, named.Ordinal
	if r.IntN(10) == 0 {
		c.Ordinal++
	}
	return c
}

func (g *scripter) sample() alarms.Sample {
	r := g.r
	if r.IntN(6) == 0 {
		g.mood = r.IntN(9)
	}
	g.at += edged.Timestamp(r.Int64N(5))
	at := g.at
	switch r.IntN(20) {
	case 0:
		at -= edged.Timestamp(r.Int64N(12))
	case 1:
		if r.IntN(3) == 0 {
			g.at -= edged.Timestamp(r.Int64N(12))
		}
	case 2:
		if r.IntN(60) == 0 {
			at = [...]edged.Timestamp{edged.MinTimestamp, edged.MaxTimestamp, math.MaxInt64 - 3, math.MinInt64 + 3}[r.IntN(4)]
		}
	}
	s := alarms.Sample{At: at, Now: g.now, Value: float64(r.IntN(10)), Historical: r.IntN(10) == 0, Suppressed: r.IntN(25) == 0}
	s.Verdict = normal()
	if r.IntN(8) < g.mood {
		s.Verdict = abnormal(anomaly.Severity(1 + r.IntN(3)*r.IntN(2)))
		s.Verdict.Score += float64(r.IntN(3)) / 4
	}
	switch r.IntN(20) {
	case 0:
		s.Verdict.Warm = false
	case 1:
		s.Verdict.Alarm = false
	case 2:
		s.Value = math.NaN()
		s.Verdict = anomaly.Verdict{Warm: true, Reason: anomaly.Reason{Cause: anomaly.CauseNotFinite}}
	}
	return s
}
