package anomaly_test

import (
	"testing"

	"edged"
	"edged/anomaly"
)

// link plays a device and its link in virtual time, and a runtime that ticks a
// state as Timed demands. The device measures every second, give or take. Its
// phases last minutes; between them it is healthy.
type link struct {
	state  anomaly.Timed
	now    int64 // processing time
	clock  int64 // how far the device's clock is ahead, for one value
	newest edged.Timestamp
	heard  int64 // processing time of the last value
	kept   []edged.Timestamp
	raised bool
	said   int // alarms that were raised
}

const measure = 1000 // milliseconds between values

// say takes the verdict that the state gave last.
func (l *link) say(v anomaly.Verdict) {
	if v.Alarm && !l.raised {
		l.said++
	}
	l.raised = v.Alarm
}

// hear delivers a value.
func (l *link) hear(t edged.Timestamp, frozen bool) {
	if frozen {
		l.say(anomaly.Judge(l.state, t, 1))
	} else {
		l.say(l.state.Observe(t, 1))
	}
	l.newest, l.heard = max(l.newest, t), l.now
}

// pass lets processing time pass. Ticks come late by a little.
func (l *link) pass(ms int64) {
	for end := l.now + ms; l.now < end; {
		l.now = min(l.now+100, end)
		if t := l.newest.Add(l.now - l.heard); l.heard > 0 && l.state.Due() <= t {
			l.say(l.state.Tick(t))
		}
	}
}

// play runs one phase of n measurements. Values that the link holds back come in
// order when it is up again.
func (l *link) play(phase string, n int) {
	for i := range n {
		l.pass(measure + int64(i%3-1)*150)
		t := edged.Timestamp(1e12 + l.now)
		switch phase {
		case "dead":
			continue
		case "link down":
			l.kept = append(l.kept, t)
			continue
		case "ahead":
			if i == 0 {
				t += 10 * 365 * 24 * 3_600_000
			}
		case "repeated":
			l.hear(t, false)
			l.hear(t, false)
		}
		l.hear(t, phase == "frozen")
	}
	for _, t := range l.kept {
		l.pass(2)
		l.hear(t, false)
	}
	l.kept = nil
}

// TestLiveness plays random phases to the detectors of silence. Whatever was
// before: healthy devices raise nothing, silent ones do, and that ends with what
// they kept meanwhile.
func TestLiveness(t *testing.T) {
	r := random(t)
	for name, spec := range map[string]anomaly.Spec{
		"dead_man, fixed":   &anomaly.DeadMan{Interval: measure, Factor: 4, Warmup: 1},
		"dead_man, learned": &anomaly.DeadMan{Factor: 4, Warmup: 20},
		"missing":           &anomaly.Missing{Interval: measure, Window: 64 * measure, Share: 0.3},
	} {
		for range 20 {
			l := &link{state: state(t, spec).(anomaly.Timed)}
			if r.IntN(2) == 0 {
				l.play("ahead", 150) // with its first value
			}
			l.play("healthy", 150)
			for range 12 {
				phase := []string{"healthy", "dead", "link down", "ahead", "repeated", "frozen"}[r.IntN(6)]
				before := l.said
				l.play(phase, 100)
				silent := phase == "dead" || phase == "link down"
				least, most := 0, 0
				if silent {
					least, most = 1, 1
				} else if phase == "ahead" {
					most = 1 // it looks like a hole, once
				}
				if said := l.said - before; said < least || said > most {
					t.Fatalf("%s: %d alarms while %s", name, said, phase)
				}
				if l.raised != (phase == "dead") && name != "missing" {
					t.Fatalf("%s: raised is %v after %s", name, l.raised, phase)
				}
				l.play("healthy", 3)
				if due := l.state.Due().Sub(l.newest); name != "missing" && (due < 3*measure || due > 6*measure) {
					t.Errorf("%s: after %s an interval of about %d has become %d / 4", name, phase, measure, due)
				}
				l.play("healthy", 150)
				if l.raised {
					t.Fatalf("%s: still raised after %s", name, phase)
				}
			}
		}
	}
}

// TestSilence lists which specs need time, and compares what is known of them in
// advance with what their states say.
func TestSilence(t *testing.T) {
	dead := &anomaly.DeadMan{Interval: 1000, Factor: 2.5, Warmup: 1}
	missing := &anomaly.Missing{Interval: 1000, Window: 32_000, Share: 0.5}
	z := &anomaly.ZScore{Threshold: 3, Warmup: 2}
	for _, c := range []struct {
		spec  anomaly.Spec
		after int64
		timed bool
	}{
		{dead, 2501, true},
		{&anomaly.DeadMan{Factor: 3, Warmup: 10}, 0, true},
		{missing, 2000, true},
		{anomaly.NewAuto(), 0, false}, {z, 0, false}, {&anomaly.Stuck{Window: 10}, 0, false},
		{&anomaly.Plausible{Low: 0, High: 1}, 0, false},
		{&anomaly.Plausible{Low: 0, High: 1, Of: dead}, 2501, true},
		{&anomaly.Likelihood{Of: dead, Short: 1, Long: 9, Threshold: 3, Warmup: 2}, 2501, true},
		{&anomaly.Vote{K: 1, Of: []anomaly.Spec{z, dead, missing}}, 2000, true},
		{&anomaly.Vote{K: 1, Of: []anomaly.Spec{z, z}}, 0, false},
	} {
		after, timed := anomaly.Silence(c.spec)
		if after != c.after || timed != c.timed {
			t.Errorf("%T: %d, %v; want %d, %v", c.spec, after, timed, c.after, c.timed)
		}
	}
	for name, spec := range menu(t) {
		_, timed := anomaly.Silence(spec)
		s := spec.New()
		for i := range 50 {
			s.Observe(edged.Timestamp(i*1000), 0.5)
		}
		w, ok := s.(anomaly.Timed)
		if has := ok && w.Due() != edged.MaxTimestamp; has != timed {
			t.Errorf("%s: timed is %v, a state is due: %v", name, timed, has)
		}
	}
	s := state(t, dead).(anomaly.Timed)
	s.Observe(77_000, 1)
	if due := s.Due(); due != 77_000+2501 || s.Tick(due-1).Alarm || !s.Tick(due).Alarm {
		t.Errorf("due %d", due)
	}
}

// TestExpectWithin: detectors within others can be told that values are due.
func TestExpectWithin(t *testing.T) {
	dead := &anomaly.DeadMan{Interval: 10, Factor: 2, Warmup: 1}
	for _, spec := range []anomaly.Spec{
		&anomaly.Plausible{Low: 0, High: 1, Of: dead}, &anomaly.Vote{K: 1, Of: []anomaly.Spec{anomaly.NewAuto(), dead}},
	} {
		s := state(t, spec).(anomaly.Expecting)
		s.Expect(1000)
		if s.Due() != 1021 || !s.Tick(1021).Alarm {
			t.Errorf("%T: due %d", spec, s.Due())
		}
	}
}
