package watermark_test

import (
	"bytes"
	"errors"
	"flag"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"edged"
	"edged/watermark"
)

var seed = flag.Uint64("seed", 1, "seed of the random tests")

func TestStrategies(t *testing.T) {
	const (
		lowest, highest = edged.MinTimestamp, edged.MaxTimestamp
		none            = watermark.None
	)
	bounded := watermark.Strategy{OutOfOrderness: 100}
	ascending := watermark.Strategy{Kind: watermark.KindAscending}
	punctuated := watermark.Strategy{Kind: watermark.KindPunctuated}
	manual := watermark.Strategy{Kind: watermark.KindManual}
	for _, test := range []struct {
		name             string
		s                watermark.Strategy
		w, t, mark, want edged.Timestamp
	}{
		{"bounded, first event", bounded, lowest, 1000, none, 900},
		{"bounded, older event", bounded, 900, 950, none, 900},
		{"bounded, negative times", bounded, lowest, -1000, none, -1100},
		{"bounded, start of time", bounded, lowest, lowest + 1, none, lowest},
		{"bounded, end of time", watermark.Strategy{}, lowest, highest, none, watermark.Limit},
		{"bounded, one before the end of time", watermark.Strategy{}, lowest, highest - 1, none, watermark.Limit},
		{"bounded, input has ended", bounded, highest, 3, none, highest},
		{"bounded, a mark says nothing", bounded, lowest, 1000, 5000, 900},
		{"ascending, first event", ascending, lowest, 1000, none, 1001},
		{"ascending, equal event", ascending, 1001, 1000, none, 1001},
		{"ascending, start of time", ascending, lowest, lowest, none, lowest + 1},
		{"ascending, end of time", ascending, 0, highest, none, watermark.Limit},
		{"punctuated, no mark", punctuated, 5, 1000, none, 5},
		{"punctuated, a mark", punctuated, 5, 1000, 70, 70},
		{"punctuated, a mark that goes back", punctuated, 70, 1000, 60, 70},
		{"punctuated, a mark at the end of time", punctuated, 70, 1000, highest, watermark.Limit},
		{"punctuated, a mark ahead of its event", punctuated, 70, 80, 900, 900},
		{"manual", manual, 5, 1000, 900, 5},
		{"manual, nothing yet", manual, lowest, highest, highest, lowest},
	} {
		var c watermark.Clock
		if got := test.s.Observe(&c, test.w, test.t, test.mark); got != test.want {
			t.Errorf("%s: watermark %d, want %d", test.name, got, test.want)
		}
		if b := c.AppendBinary(nil); !bytes.Equal(b, []byte{0}) {
			t.Errorf("%s: its clock is % x", test.name, b)
		}
	}
}

// No strategy goes back, or ends the input, whatever it is given.
func TestStrategiesAreMonotone(t *testing.T) {
	t.Logf("seed %d", *seed)
	r := rand.New(rand.NewPCG(*seed, 1))
	for _, s := range []watermark.Strategy{
		{OutOfOrderness: 7}, {Kind: watermark.KindAscending}, {Kind: watermark.KindPunctuated}, {Kind: watermark.KindManual},
		{Kind: watermark.KindQuantile, Quantile: 0.9, DelayMax: 1}, {Kind: watermark.KindQuantile, Quantile: 0.9, DelayMax: watermark.DelayLimit},
		{Kind: watermark.KindQuantile, Quantile: 0.5, DelayMax: 900, OutOfOrderness: 100},
	} {
		if err := s.Validate(); err != nil {
			t.Fatal(err)
		}
		var c watermark.Clock
		w := edged.MinTimestamp
		for range 5000 {
			next := s.Observe(&c, w, anyTime(r), anyTime(r))
			if next < w || next > watermark.Limit {
				t.Fatalf("%v: watermark went from %d to %d", s.Kind, w, next)
			}
			if w = next; r.IntN(50) == 0 {
				w = edged.MinTimestamp // so that it keeps moving
			}
		}
	}
}

// anyTime returns ordinary times and the ends of time.
func anyTime(r *rand.Rand) edged.Timestamp {
	switch r.IntN(6) {
	case 0:
		return edged.Timestamp(r.Uint64())
	case 1:
		return edged.MaxTimestamp - edged.Timestamp(r.IntN(3))
	case 2:
		return edged.MinTimestamp + edged.Timestamp(r.IntN(3))
	}
	return edged.Timestamp(r.Int64N(2000) - 1000)
}

func TestStrategyIdle(t *testing.T) {
	s := watermark.Strategy{IdleTimeout: 30}
	for _, test := range []struct{ w, active, now, end, want edged.Timestamp }{
		{50, 1000, 1029, 70, 50},
		{50, 1000, 1030, 70, 70},
		{50, 1000, 2000, 40, 50},
		{50, 1000, edged.MaxTimestamp, edged.MaxTimestamp, 50}, // a window without end
		{edged.MinTimestamp, edged.MinTimestamp, edged.MaxTimestamp, 7, 7},
	} {
		if got := s.Idle(test.w, test.active, test.now, test.end); got != test.want {
			t.Errorf("Idle(%d, %d, %d, %d) = %d, want %d", test.w, test.active, test.now, test.end, got, test.want)
		}
	}
	if due := s.Due(1000); due != 1030 {
		t.Errorf("due at %d", due)
	}
	never := watermark.Strategy{}
	if due, w := never.Due(5), never.Idle(3, 5, edged.MaxTimestamp, 70); due != edged.MaxTimestamp || w != 3 {
		t.Errorf("without a timeout idle is due at %d and goes to %d", due, w)
	}
}

func TestStrategyValidate(t *testing.T) {
	for _, test := range []struct {
		s      watermark.Strategy
		faults int
	}{
		{watermark.Strategy{}, 0},
		{watermark.Strategy{OutOfOrderness: -1, IdleTimeout: -1}, 2},
		{watermark.Strategy{OutOfOrderness: watermark.DelayLimit + 1}, 1},
		{watermark.Strategy{Kind: 77}, 1},
		{watermark.Strategy{Kind: watermark.KindAscending, OutOfOrderness: 2000, Quantile: 0.99, DelayMax: 60_000}, 0}, // the defaults of documents
		{watermark.Strategy{Kind: watermark.KindQuantile, Quantile: 0.99, DelayMax: 60_000}, 0},
		{watermark.Strategy{Kind: watermark.KindQuantile, Quantile: 0.4999, DelayMax: 0}, 2},
		{watermark.Strategy{Kind: watermark.KindQuantile, Quantile: math.NaN(), DelayMax: math.MaxInt64}, 2},
		{watermark.Strategy{Kind: watermark.KindQuantile, Quantile: 0.9999, DelayMax: 10, OutOfOrderness: 11}, 2},
	} {
		if n := faults(t, test.s.Validate()); n != test.faults {
			t.Errorf("%+v: %d faults, want %d", test.s, n, test.faults)
		}
	}
}

// faults returns how many errors are joined in err, all of ErrConfig.
func faults(t *testing.T, err error) int {
	t.Helper()
	if err == nil {
		return 0
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok || !errors.Is(err, watermark.ErrConfig) {
		t.Fatalf("%v is not a joined ErrConfig", err)
	}
	n := 0
	for _, e := range joined.Unwrap() {
		if _, ok := e.(interface{ Unwrap() []error }); ok {
			n += faults(t, e)
		} else {
			n++
		}
	}
	return n
}

func TestWords(t *testing.T) {
	for k := watermark.KindBounded; k <= watermark.KindManual; k++ {
		if got, err := watermark.ParseKind(k.String()); got != k || err != nil {
			t.Errorf("%v is read as %v, %v", k, got, err)
		}
	}
	for p := watermark.Accept; p <= watermark.DeadLetter; p++ {
		if got, err := watermark.ParsePolicy(p.String()); got != p || err != nil {
			t.Errorf("%v is read as %v, %v", p, got, err)
		}
	}
	if _, err := watermark.ParseKind("kind 5"); !errors.Is(err, watermark.ErrConfig) {
		t.Error(err)
	}
	if _, err := watermark.ParsePolicy("policy 3"); !errors.Is(err, watermark.ErrConfig) {
		t.Error(err)
	}
}

func TestGuard(t *testing.T) {
	const trusted = 1_700_000_000_000
	for _, test := range []struct {
		name       string
		g          watermark.Guard
		t, arrival edged.Timestamp
		want       edged.Timestamp
		verdict    watermark.Verdict
	}{
		{"off", watermark.Guard{}, edged.MaxTimestamp, trusted, edged.MaxTimestamp, watermark.Plausible},
		{"clock not trusted", watermark.Guard{AheadMax: 10, Policy: watermark.DeadLetter}, edged.MaxTimestamp, 0, edged.MaxTimestamp, watermark.Plausible},
		{"at the limit", watermark.Guard{AheadMax: 10, Policy: watermark.DeadLetter}, trusted + 10, trusted, trusted + 10, watermark.Plausible},
		{"long ago", watermark.Guard{AheadMax: 10, Policy: watermark.DeadLetter}, edged.MinTimestamp, trusted, edged.MinTimestamp, watermark.Plausible},
		{"ahead", watermark.Guard{AheadMax: 10}, trusted + 11, trusted, trusted + 11, watermark.Ahead},
		{"clamped", watermark.Guard{AheadMax: 10, Policy: watermark.Clamp}, edged.MaxTimestamp, trusted, trusted + 10, watermark.Clamped},
		{"refused", watermark.Guard{AheadMax: 10, Policy: watermark.DeadLetter}, trusted + 11, trusted, trusted + 11, watermark.Refused},
		{"arrival at the end of time", watermark.Guard{AheadMax: 10, Policy: watermark.Clamp}, edged.MaxTimestamp, edged.MaxTimestamp - 3, edged.MaxTimestamp, watermark.Plausible},
	} {
		got, verdict := test.g.Check(test.t, test.arrival)
		if got != test.want || verdict != test.verdict {
			t.Errorf("%s: %d, %d; want %d, %d", test.name, got, verdict, test.want, test.verdict)
		}
		var c watermark.Clock
		s := watermark.Strategy{Kind: watermark.KindAscending}
		until := test.g.Until(test.arrival)
		if w := s.Observe(&c, edged.MinTimestamp, min(got, until), watermark.None); w > until.Add(1) {
			t.Errorf("%s: the watermark is at %d", test.name, w)
		}
	}
	for g, want := range map[watermark.Guard]int{
		{}: 0, {AheadMax: 5, Policy: watermark.Clamp}: 0, {AheadMax: -1}: 1, {Policy: watermark.Clamp}: 1,
		{AheadMax: watermark.DelayLimit + 1, Policy: 9}: 2,
	} {
		if n := faults(t, g.Validate()); n != want {
			t.Errorf("%+v: %d faults, want %d", g, n, want)
		}
	}
}

// delayModel computes learned delays the dumb way: a list of the buckets'
// ceilings, searched from the start, and the counts beside it.
type delayModel struct {
	s        watermark.Strategy
	ceilings []int64 // in units
	counts   []int64
	newest   edged.Timestamp
	seen     bool
}

func newDelayModel(s watermark.Strategy) *delayModel {
	m := &delayModel{s: s}
	for u := int64(0); u < 8; u++ {
		m.ceilings = append(m.ceilings, u)
	}
	for size := int64(8); size <= 1<<16; size *= 2 {
		for q := int64(1); q <= 4; q++ {
			m.ceilings = append(m.ceilings, size+q*size/4-1)
		}
	}
	m.counts = make([]int64, len(m.ceilings))
	return m
}

func (m *delayModel) unit() int64 {
	return int64(math.Ceil(float64(m.s.DelayMax) / 65536)) // exact for what the test uses
}

func (m *delayModel) observe(w, t edged.Timestamp) edged.Timestamp {
	if !m.seen || t > m.newest {
		m.newest, m.seen = t, true
	}
	units := (min(int64(m.newest-t), m.s.DelayMax) + m.unit() - 1) / m.unit()
	at, _ := slices.BinarySearch(m.ceilings, units)
	m.counts[at]++
	total := int64(0)
	for _, n := range m.counts {
		total += n
	}
	if total == 4096 {
		total = 0
		for i := range m.counts {
			m.counts[i] /= 2
			total += m.counts[i]
		}
	}
	delay := m.s.DelayMax
	if total >= watermark.LearnedAfter {
		needed := total - total*(1000-int64(math.Round(m.s.Quantile*1000)))/1000
		at, below := 0, m.counts[0]
		for below < needed {
			at++
			below += m.counts[at]
		}
		delay = min(max(m.ceilings[at]*m.unit(), m.s.OutOfOrderness), m.s.DelayMax)
	}
	return max(w, m.newest-edged.Timestamp(delay))
}

func TestQuantileAgainstModel(t *testing.T) {
	t.Logf("seed %d", *seed)
	r := rand.New(rand.NewPCG(*seed, 2))
	for _, s := range []watermark.Strategy{
		{Kind: watermark.KindQuantile, Quantile: 0.99, DelayMax: 60_000},
		{Kind: watermark.KindQuantile, Quantile: 0.5, DelayMax: 7},
		{Kind: watermark.KindQuantile, Quantile: 0.999, DelayMax: 3_600_000, OutOfOrderness: 2_000},
		{Kind: watermark.KindQuantile, Quantile: 0.95, DelayMax: 1 << 20},
	} {
		m := newDelayModel(s)
		var c watermark.Clock
		w := edged.MinTimestamp
		now := edged.Timestamp(r.Int64N(1000) - 500)
		for step := range 12_000 {
			now += edged.Timestamp(r.Int64N(1 + s.DelayMax/20))
			spread := int64(math.Exp(r.Float64() * math.Log(2*float64(s.DelayMax)+1)))
			at := now - edged.Timestamp(r.Int64N(spread+1))
			want := m.observe(w, at)
			if got := s.Observe(&c, w, at, watermark.None); got != want {
				t.Fatalf("%+v: step %d, event at %d: watermark %d, want %d", s, step, at, got, want)
			}
			w = want
			if r.IntN(100) == 0 {
				c = restored(t, &c)
			}
		}
	}
}

// restored returns the clock as it is after it was stored and restored.
func restored(t *testing.T, c *watermark.Clock) watermark.Clock {
	t.Helper()
	data := c.AppendBinary(nil)
	var back watermark.Clock
	rest, err := back.Restore(append(data, 7))
	if err != nil || !bytes.Equal(rest, []byte{7}) || !bytes.Equal(back.AppendBinary(nil), data) {
		t.Fatalf("restore % x: %v, rest % x, again % x", data, err, rest, back.AppendBinary(nil))
	}
	return back
}

// The share of events in time is what was asked for, and the delay is learned
// anew when the network changes.
func TestQuantileAdapts(t *testing.T) {
	t.Logf("seed %d", *seed)
	r := rand.New(rand.NewPCG(*seed, 3))
	s := watermark.Strategy{Kind: watermark.KindQuantile, Quantile: 0.95, DelayMax: 600_000}
	var c watermark.Clock
	w, now := edged.MinTimestamp, edged.Timestamp(0)
	for _, mean := range []float64{1_000, 50_000, 200} {
		inTime, trail, events := 0, 0.0, 0
		for i := range 40_000 {
			now += 100
			at := now - edged.Timestamp(min(r.ExpFloat64()*mean, 599_000))
			if i >= 20_000 { // it had time to learn
				events++
				trail += float64(now - w)
				if at >= w {
					inTime++
				}
			}
			w = s.Observe(&c, w, at, watermark.None)
		}
		if share := float64(inTime) / float64(events); share < 0.94 {
			t.Errorf("mean delay %v: %.3f of the events are in time", mean, share)
		}
		if got, most := trail/float64(events), 3*mean*1.35+500; got > most {
			t.Errorf("mean delay %v: the watermark trails by %.0f, want at most %.0f", mean, got, most)
		}
	}
}

func FuzzClockRestore(f *testing.F) {
	s := watermark.Strategy{Kind: watermark.KindQuantile, Quantile: 0.9, DelayMax: 1000}
	var c watermark.Clock
	f.Add([]byte{0})
	for i := range edged.Timestamp(200) {
		s.Observe(&c, 0, i*7%100*10, watermark.None)
		if i%50 == 0 {
			f.Add(c.AppendBinary(nil))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var c watermark.Clock
		if _, err := c.Restore(data); err != nil {
			if !errors.Is(err, watermark.ErrState) || c != (watermark.Clock{}) {
				t.Fatalf("error %v, clock %v", err, c)
			}
			return
		}
		d := restored(t, &c)
		w, v := edged.MinTimestamp, edged.MinTimestamp
		for i := range 200 {
			at := edged.Timestamp(i*i) + edged.Timestamp(len(data))<<40
			w, v = s.Observe(&c, w, at, 0), s.Observe(&d, v, at, 0)
		}
		if w != v || !bytes.Equal(c.AppendBinary(nil), d.AppendBinary(nil)) {
			t.Fatalf("a restored clock goes on to %d, the other to %d", v, w)
		}
	})
}

func BenchmarkObserveBounded(b *testing.B) {
	s := watermark.Strategy{OutOfOrderness: 100}
	benchmarkStrategy(b, s)
}

func BenchmarkObserveQuantile(b *testing.B) {
	benchmarkStrategy(b, watermark.Strategy{Kind: watermark.KindQuantile, Quantile: 0.99, DelayMax: 60_000})
}

func benchmarkStrategy(b *testing.B, s watermark.Strategy) {
	b.ReportAllocs()
	var c watermark.Clock
	w, at := edged.MinTimestamp, edged.Timestamp(0)
	s.Observe(&c, w, 0, 0)
	for b.Loop() {
		at += 100
		w = s.Observe(&c, w, at-at%7*64, watermark.None)
	}
}
