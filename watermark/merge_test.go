package watermark_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"edged"
	"edged/watermark"
)

// mergeModel is the rules of a merged watermark over a map, all of it computed anew each time.
type mergeModel struct {
	most    int
	current edged.Timestamp
	sources map[string]*modelSource
}

type modelSource struct {
	own, since edged.Timestamp
	idle       bool
}

func (m *mergeModel) settle() {
	w, any := edged.MaxTimestamp, false
	for _, s := range m.sources {
		if !s.idle && s.own != edged.MaxTimestamp {
			w, any = min(w, s.own), true
		}
	}
	if any {
		m.current = max(m.current, w)
	}
}

func (m *mergeModel) hear(name string, own, now edged.Timestamp) bool {
	s := m.sources[name]
	if s == nil {
		if len(m.sources) == m.most && !m.forget() {
			return false
		}
		s = &modelSource{own: edged.MinTimestamp, since: now}
		m.sources[name] = s
	}
	s.own, s.since = max(s.own, own), max(s.since, now)
	if s.own >= m.current {
		s.idle = false
	}
	m.settle()
	return true
}

func (m *mergeModel) forget() bool {
	oldest := ""
	for _, name := range m.names() {
		if s := m.sources[name]; s.idle && (oldest == "" || s.since < m.sources[oldest].since) {
			oldest = name
		}
	}
	delete(m.sources, oldest)
	return oldest != ""
}

func (m *mergeModel) names() []string {
	var names []string
	for name := range m.sources {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (m *mergeModel) due(timeout int64) edged.Timestamp {
	due := edged.MaxTimestamp
	for _, s := range m.sources {
		if !s.idle && timeout > 0 {
			due = min(due, s.since.Add(timeout))
		}
	}
	return due
}

func (m *mergeModel) allIdle() bool {
	for _, s := range m.sources {
		if !s.idle {
			return false
		}
	}
	return true
}

// step does one random thing to both and returns what it was.
func (m *mergeModel) step(r *rand.Rand, real *watermark.Merge, now edged.Timestamp, names int) (done string, same bool) {
	name := fmt.Sprintf("s%d", r.IntN(names))
	s := m.sources[name]
	switch r.IntN(12) {
	default:
		at := edged.Timestamp(now) + edged.Timestamp(r.Int64N(60)-30)
		if r.IntN(40) == 0 {
			at = anyTime(r)
		}
		own := min(at.Add(-5), watermark.Limit)
		return fmt.Sprintf("observe %s %d", name, at), real.Observe(name, at, watermark.None, now) == m.hear(name, own, now)
	case 0:
		at := edged.Timestamp(r.Int64N(100) + int64(now) - 50)
		if r.IntN(10) == 0 {
			at = edged.MaxTimestamp
		}
		return fmt.Sprintf("tell %s %d", name, at), real.Tell(name, at, now) == m.hear(name, at, now)
	case 1:
		real.Idle(name)
		if s != nil {
			s.idle = true
			m.settle()
		}
		return "idle " + name, true
	case 2:
		return "active " + name, real.Active(name, now) == m.hear(name, edged.MinTimestamp, now)
	case 3:
		real.Remove(name)
		delete(m.sources, name)
		m.settle()
		return "remove " + name, true
	case 4:
		timeout := r.Int64N(80)
		same = real.Due(timeout) == m.due(timeout)
		real.Expire(now, timeout)
		for _, s := range m.sources {
			s.idle = s.idle || timeout > 0 && int64(now-s.since) >= timeout
		}
		m.settle()
		return fmt.Sprintf("expire %d at %d", timeout, now), same
	case 5:
		if r.IntN(5) > 0 {
			return "nothing", true
		}
		to := max(m.current, min(m.current.Add(r.Int64N(20)), watermark.Limit))
		real.Raise(to)
		m.current = to
		return fmt.Sprintf("raise %d", to), true
	}
}

func TestMergeAgainstModel(t *testing.T) {
	t.Logf("seed %d", *seed)
	r := rand.New(rand.NewPCG(*seed, 4))
	for range 600 {
		names := 1 + r.IntN(12)
		spec := watermark.Sources{Strategy: watermark.Strategy{OutOfOrderness: 5}, Max: 1 + r.IntN(8)}
		m := &mergeModel{most: spec.Max, current: edged.MinTimestamp, sources: map[string]*modelSource{}}
		real := watermark.NewMerge(&spec)
		now := edged.Timestamp(0)
		var history []string
		for range 120 {
			now += edged.Timestamp(r.Int64N(12))
			before := real.Current()
			done, same := m.step(r, &real, now, names)
			history = append(history, done)
			if !same || real.Current() != m.current || real.Len() != len(m.sources) || real.AllIdle() != m.allIdle() || real.Due(33) != m.due(33) {
				t.Fatalf("after %s\nwatermark %d of %d sources, idle %v, due %d; want %d of %d, %v, %d",
					strings.Join(history, "\n"), real.Current(), real.Len(), real.AllIdle(), real.Due(33), m.current, len(m.sources), m.allIdle(), m.due(33))
			}
			if real.Current() < before || real.Current() == edged.MaxTimestamp {
				t.Fatalf("after %s\nfrom %d to %d", strings.Join(history, "\n"), before, real.Current())
			}
			if r.IntN(15) == 0 {
				real = reread(t, &spec, &real)
			}
		}
	}
}

// reread returns the state as it is after it was stored and restored.
func reread(t *testing.T, spec *watermark.Sources, m *watermark.Merge) watermark.Merge {
	t.Helper()
	data := m.AppendBinary(nil)
	back := watermark.NewMerge(spec)
	back.Raise(3)
	rest, err := back.Restore(append(data, 9))
	if err != nil || !bytes.Equal(rest, []byte{9}) {
		t.Fatalf("restore % x: %v, rest % x", data, err, rest)
	}
	if again := back.AppendBinary(nil); !bytes.Equal(again, data) {
		t.Fatalf("restored % x, and it is % x", data, again)
	}
	return back
}

// What users of other engines have stumbled over.
func TestMergeIdleness(t *testing.T) {
	type does = func(m *watermark.Merge)
	tell := func(s string, w edged.Timestamp) does { return func(m *watermark.Merge) { m.Tell(s, w, 0) } }
	at := func(s string, w, now edged.Timestamp) does { return func(m *watermark.Merge) { m.Tell(s, w, now) } }
	idle := func(s string) does { return func(m *watermark.Merge) { m.Idle(s) } }
	active := func(s string, now edged.Timestamp) does { return func(m *watermark.Merge) { m.Active(s, now) } }
	expire := func(now edged.Timestamp) does { return func(m *watermark.Merge) { m.Expire(now, 100) } }
	remove := func(s string) does { return func(m *watermark.Merge) { m.Remove(s) } }
	for _, test := range []struct {
		name string
		do   []does
		want edged.Timestamp
	}{
		{"the slowest holds the others", []does{tell("a", 100), tell("b", 40), tell("a", 200)}, 100},
		{"a source that never spoke is waited for once it is announced", []does{active("b", 0), tell("a", 100)}, edged.MinTimestamp},
		{"an idle partition does not hold the others (Flink, withIdleness)", []does{active("b", 0), tell("a", 100), idle("b")}, 100},
		{"an announced source that stays silent times out", []does{active("b", 0), at("a", 100, 90), expire(100)}, 100},
		{"just before the timeout it holds", []does{active("b", 0), at("a", 100, 90), expire(99)}, edged.MinTimestamp},
		{"all idle: it holds, although one was ahead", []does{active("b", 0), tell("a", 50), tell("b", 80), idle("b"), idle("a")}, 50},
		{"all time out at once: it holds", []does{active("b", 0), tell("a", 50), tell("b", 80), expire(100)}, 50},
		{"the end of one source is not the end of all", []does{active("b", 0), tell("a", 50), tell("b", edged.MaxTimestamp), tell("a", 60)}, 60},
		{"the end of all sources is not the end of the input", []does{tell("a", 50), tell("a", edged.MaxTimestamp)}, 50},
		{"nobody left: it holds", []does{tell("a", 50), remove("a")}, 50},
		{"removing the slowest lets go at once", []does{active("b", 0), tell("a", 70), tell("b", 10), remove("b")}, 70},
		{"a source that is back and behind does not hold", []does{active("b", 0), tell("a", 50), idle("b"), tell("b", 30), tell("a", 90)}, 90},
		{"nor does it move time", []does{tell("a", 50), idle("a"), tell("a", 40)}, 50},
		{"one that is back and level counts", []does{active("b", 0), tell("a", 50), idle("b"), tell("b", 50), tell("a", 90)}, 50},
		{"one that catches up counts from then on", []does{active("b", 0), tell("a", 50), idle("b"), tell("b", 30), tell("b", 60), tell("a", 90)}, 60},
		{"a sign of life without an event does not make it count when it is behind", []does{active("b", 0), tell("a", 50), idle("b"), active("b", 5), tell("a", 90)}, 90},
		{"a sign of life puts off the timeout", []does{active("b", 0), at("a", 100, 90), active("b", 60), expire(150)}, edged.MinTimestamp},
		{"a new source holds time where it is", []does{tell("a", 50), tell("b", 20), tell("a", 90)}, 50},
		{"and lets go when it has caught up", []does{tell("a", 50), tell("b", 20), tell("a", 90), tell("b", 70)}, 70},
		{"a lone source that returns behind waits for itself", []does{tell("a", 50), idle("a"), func(m *watermark.Merge) { m.Raise(80) }, tell("a", 60), tell("a", 79)}, 80},
		{"a removed source that returns is new", []does{tell("a", 50), tell("b", 60), remove("b"), tell("a", 70), tell("b", 5), tell("a", 90)}, 70},
		{"nor somebody who was heard of silent", []does{active("b", 1000), at("a", 50, 1000), active("b", 5), expire(1050)}, edged.MinTimestamp},
		{"processing time that goes back makes nobody idle", []does{at("a", 50, 1000), active("b", 1000), expire(-5000)}, 50},
	} {
		m := watermark.NewMerge(&watermark.Sources{})
		for _, do := range test.do {
			do(&m)
		}
		if got := m.Current(); got != test.want {
			t.Errorf("%s: watermark %d, want %d", test.name, got, test.want)
		}
	}
}

// A group whose members come and go under ever new names does not come to a halt.
func TestMergeMakesRoom(t *testing.T) {
	m := watermark.NewMerge(&watermark.Sources{Max: 3})
	for i := range edged.Timestamp(100) {
		if !m.Tell(fmt.Sprint("device-", i), i, i*10) {
			t.Fatalf("device %d is refused", i)
		}
		m.Expire(i*10+5, 20)
	}
	if m.Len() != 3 || m.Current() < 96 {
		t.Errorf("%d sources at %d", m.Len(), m.Current())
	}
	if m.Tell("a", 0, 2000); m.Tell("b", 0, 2000) && m.Tell("c", 0, 2000) && m.Tell("d", 0, 2000) {
		t.Error("a fourth source that is not idle found room")
	}
	if over := (watermark.Sources{Max: watermark.SourcesLimit + 1}); faults(t, over.Validate()) != 1 {
		t.Error(over.Validate())
	}
	if bad := (watermark.Sources{Max: -1, Strategy: watermark.Strategy{Kind: 9}}); faults(t, bad.Validate()) != 2 {
		t.Error(bad.Validate())
	}
}

// Each source learns for itself, and what it learned survives.
func TestMergeLearnsPerSource(t *testing.T) {
	spec := watermark.Sources{Strategy: watermark.Strategy{Kind: watermark.KindQuantile, Quantile: 0.9, DelayMax: 1000}}
	m, again := watermark.NewMerge(&spec), watermark.NewMerge(&spec)
	var a, b watermark.Clock
	wa, wb := edged.MinTimestamp, edged.MinTimestamp
	for i := range edged.Timestamp(500) {
		ta, tb := i*50, i*50-i%5*100
		wa, wb = spec.Strategy.Observe(&a, wa, ta, 0), spec.Strategy.Observe(&b, wb, tb, 0)
		for _, each := range []*watermark.Merge{&m, &again} {
			each.Observe("a", ta, 0, 0)
			each.Observe("b", tb, 0, 0)
		}
		again = reread(t, &spec, &again)
		if want := min(wa, wb); m.Current() != want || again.Current() != want {
			t.Fatalf("event %d: watermarks %d and %d, want %d", i, m.Current(), again.Current(), want)
		}
	}
	if wa == wb || m.Bytes() < 300 {
		t.Errorf("watermarks %d and %d, %d bytes", wa, wb, m.Bytes())
	}
}

func FuzzMerge(f *testing.F) {
	spec := watermark.Sources{Strategy: watermark.Strategy{Kind: watermark.KindQuantile, Quantile: 0.9, DelayMax: 100}, Max: 5}
	m := watermark.NewMerge(&spec)
	f.Add([]byte{}, []byte{1, 2, 3})
	for i := range edged.Timestamp(8) {
		m.Observe(fmt.Sprint(i%6), i*100, 0, i)
		m.Expire(i, 3)
		f.Add(m.AppendBinary(nil), []byte{0, 1, 200, 15, 16, 17, byte(i)})
	}
	f.Fuzz(func(t *testing.T, data, steps []byte) {
		m := watermark.NewMerge(&spec)
		m.Raise(7)
		before := m.AppendBinary(nil)
		if _, err := m.Restore(data); err != nil && (!errors.Is(err, watermark.ErrState) || !bytes.Equal(m.AppendBinary(nil), before)) {
			t.Fatalf("error %v, state % x", err, m.AppendBinary(nil))
		}
		twin := reread(t, &spec, &m)
		var now edged.Timestamp
		for i, b := range steps {
			w := m.Current()
			for _, each := range []*watermark.Merge{&m, &twin} {
				name := fmt.Sprint(b % 7)
				switch b / 7 % 6 {
				case 0:
					each.Idle(name)
				case 1:
					each.Remove(name)
				case 2:
					each.Expire(now, int64(b))
				case 3:
					each.Tell(name, edged.MaxTimestamp-edged.Timestamp(b), now)
				default:
					each.Observe(name, edged.Timestamp(i*int(b)), 0, now)
				}
			}
			now += edged.Timestamp(b)
			if m.Current() < w || m.Current() == edged.MaxTimestamp && w != edged.MaxTimestamp {
				t.Fatalf("from %d to %d", w, m.Current())
			}
			if !bytes.Equal(m.AppendBinary(nil), twin.AppendBinary(nil)) || m.Due(50) != twin.Due(50) {
				t.Fatalf("step %d: the restored state goes another way", i)
			}
		}
	})
}

func BenchmarkMergeObserve(b *testing.B) {
	for _, n := range []int{2, 64, 4096} {
		names := make([]string, n)
		for i := range names {
			names[i] = fmt.Sprintf("device-%05d", i)
		}
		for _, order := range []string{"in turn", "the slowest rests"} {
			b.Run(fmt.Sprintf("%d sources, %s", n, order), func(b *testing.B) {
				b.ReportAllocs()
				spec := watermark.Sources{Max: n}
				m := watermark.NewMerge(&spec)
				for i, name := range names {
					m.Observe(name, edged.Timestamp(i), 0, 0)
				}
				i, t := 0, edged.Timestamp(n)
				for b.Loop() {
					i = (i + 1) % n
					if i == 0 && order == "the slowest rests" {
						i = 1
					}
					t++
					m.Observe(names[i], t, 0, t)
				}
			})
		}
	}
}
