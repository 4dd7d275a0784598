package anomaly_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"edged"
	"edged/anomaly"
)

// numbers is a shorthand for parameters.
type numbers = map[string]float64

// menu returns every detector that Find knows, with settings small enough for
// tests to reach every corner.
func menu(t testing.TB) map[string]anomaly.Spec {
	t.Helper()
	z := anomaly.Choice{Name: "zscore", Params: anomaly.Params{Numbers: numbers{"window": 20, "warmup": 5}}}
	dead := anomaly.Choice{Name: "dead_man", Params: anomaly.Params{Numbers: numbers{"interval": 1000}}}
	params := map[string]anomaly.Params{
		"threshold":         {Numbers: numbers{"low_low": -3, "low": -2, "high": 2, "high_high": 3, "hysteresis": 0.5, "on_delay": 1500}},
		"range":             {Numbers: numbers{"low": -1e6, "high": 1e6}, Of: []anomaly.Choice{z}},
		"rate_of_change":    {Numbers: numbers{"limit": 1, "window": 10000}},
		"stuck":             {Numbers: numbers{"window": 5000, "quantum": 0.1}},
		"missing":           {Numbers: numbers{"interval": 1000, "window": 32000}},
		"zscore":            z.Params,
		"mad":               {Numbers: numbers{"window": 11, "warmup": 5}},
		"adwin":             {Numbers: numbers{"warmup": 20}},
		"cusum":             {Numbers: numbers{"warmup": 20}},
		"half_space_trees":  {Numbers: numbers{"window": 32, "trees": 3, "depth": 4, "threshold": 3}},
		"random_cut_forest": {Numbers: numbers{"window": 16, "trees": 3, "shingle": 2, "threshold": 8}},
		"likelihood":        {Numbers: numbers{"short": 3, "warmup": 10}, Of: []anomaly.Choice{z}},
		"vote":              {Numbers: numbers{"k": 2}, Of: []anomaly.Choice{z, dead, {Name: "mad"}}},
		"auto":              {Numbers: numbers{"epoch": 0, "epoch_rows": 100, "warmup": 20}},
	}
	all := map[string]anomaly.Spec{}
	for _, name := range anomaly.Names() {
		spec, err := anomaly.Find(name, params[name])
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all[name] = spec
	}
	return all
}

// sound fails the test if a verdict breaks a promise that all make.
func sound(t *testing.T, name string, v anomaly.Verdict) {
	t.Helper()
	for _, x := range []float64{v.Score, v.Low, v.High, v.Reason.Excess} {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			t.Fatalf("%s: %+v", name, v)
		}
	}
	if v.Score < 0 || v.HasRange && v.Low > v.High || v.Alarm && v.Severity == anomaly.SeverityNone {
		t.Fatalf("%s: %+v", name, v)
	}
	if v.Alarm && v.Explain(1) == "" {
		t.Fatalf("%s: an alarm without a sentence: %+v", name, v)
	}
}

// odd returns a value, now and then one that breaks what is not careful.
func odd(r *rand.Rand) float64 {
	hard := []float64{math.NaN(), math.Inf(1), math.Inf(-1), 1e308, -1e308, 0, math.Copysign(0, -1), 5e-324, 1e100, 7, 7}
	if r.IntN(8) == 0 {
		return hard[r.IntN(len(hard))]
	}
	return math.Round(8*r.NormFloat64()) / 8
}

// TestRestoreAnywhere stores every detector at random points, restores it, and
// demands the same verdicts and bytes from both, over values of every kind.
func TestRestoreAnywhere(t *testing.T) {
	t.Logf("-seed %d", *seed)
	for name, spec := range menu(t) {
		r := rand.New(rand.NewPCG(*seed, 7))
		a, b := spec.New(), spec.New()
		var evidence anomaly.Evidence
		now := edged.Timestamp(1.7e12)
		for i := range 3000 {
			now = now.Add(int64(r.IntN(4)-1) * 700)
			if r.IntN(200) == 0 {
				now = now.Add(r.Int64N(1e8))
			}
			if r.IntN(20) == 0 {
				stored := a.AppendBinary(nil)
				b = spec.New()
				if rest, err := b.Restore(append(stored, 1, 2)); err != nil || !bytes.Equal(rest, []byte{1, 2}) {
					t.Fatalf("%s at %d: %v, %d bytes left", name, i, err, len(rest))
				}
				if ta, ok := a.(anomaly.Timed); ok && ta.Due() != b.(anomaly.Timed).Due() {
					t.Fatalf("%s at %d: due %d, restored %d", name, i, ta.Due(), b.(anomaly.Timed).Due())
				}
				if again := b.AppendBinary(nil); !bytes.Equal(again, stored) {
					t.Fatalf("%s at %d: stored, restored and stored differs", name, i)
				}
			}
			if timed, ok := a.(anomaly.Timed); ok && r.IntN(5) == 0 {
				other := b.(anomaly.Timed)
				if timed.Due() != other.Due() {
					t.Fatalf("%s at %d: due %d and %d", name, i, timed.Due(), other.Due())
				}
				va, vb := timed.Tick(now), other.Tick(now)
				sound(t, name, va)
				if va != vb {
					t.Fatalf("%s at %d: tick %+v and %+v", name, i, va, vb)
				}
				continue
			}
			x := odd(r)
			if i%300 < 60 {
				x = 3 // a flat stretch
			}
			if r.IntN(5) == 0 {
				if va, vb := anomaly.Judge(a, now, x), anomaly.Judge(b, now, x); va != vb {
					t.Fatalf("%s at %d: judged %+v and %+v", name, i, va, vb)
				}
			}
			if r.IntN(50) == 0 {
				l := anomaly.Label(1 + r.IntN(3))
				if anomaly.Teach(a, l, evidence) != anomaly.Teach(b, l, evidence) {
					t.Fatalf("%s at %d: only one is taught", name, i)
				}
				evidence = anomaly.Evidence{}
			}
			va, vb := a.Observe(now, x), b.Observe(now, x)
			sound(t, name, va)
			if va != vb {
				t.Fatalf("%s at %d: %+v and %+v", name, i, va, vb)
			}
			evidence.Add(va.Evidence)
		}
	}
}

// TestDamaged writes NaN and infinities over every place of a stored state: what is
// accepted must still give sound verdicts.
func TestDamaged(t *testing.T) {
	for name, spec := range menu(t) {
		s := spec.New()
		for i := range 100 {
			s.Observe(edged.Timestamp(i*1000), float64(i%5))
		}
		stored := s.AppendBinary(nil)
		for at := 0; at+8 <= len(stored); at++ {
			for _, bad := range []float64{math.NaN(), math.Inf(1), -math.MaxFloat64} {
				data := bytes.Clone(stored)
				binary.LittleEndian.PutUint64(data[at:], math.Float64bits(bad))
				other := spec.New()
				if _, err := other.Restore(data); err != nil {
					continue
				}
				for i := range 20 {
					sound(t, name, other.Observe(edged.Timestamp((100+i)*1000), float64(i%5)))
				}
			}
		}
	}
}

// TestNotFinite checks that a value that is not finite changes nothing.
func TestNotFinite(t *testing.T) {
	for name, spec := range menu(t) {
		r := rand.New(rand.NewPCG(*seed, 8))
		s := spec.New()
		for i := range 200 {
			s.Observe(edged.Timestamp(i*1000), r.NormFloat64())
			before := s.AppendBinary(nil)
			v := s.Observe(edged.Timestamp(i*1000+500), math.NaN())
			if v.Alarm || v.Reason.Cause != anomaly.CauseNotFinite || !bytes.Equal(before, s.AppendBinary(nil)) {
				t.Fatalf("%s: NaN is learned, or not refused: %+v", name, v)
			}
		}
	}
}

// TestConstant checks that a constant alarms nobody but the flatline, and that the
// detectors that compare with a level see a step after it.
func TestConstant(t *testing.T) {
	for name, spec := range menu(t) {
		s := spec.New()
		for i := range 2000 {
			v := s.Observe(edged.Timestamp(i*1000), 1.7)
			if v.Alarm != (name == "stuck" && i >= 5) {
				t.Fatalf("%s at %d: %+v", name, i, v)
			}
		}
		seen := false
		for i := range 64 {
			v := s.Observe(edged.Timestamp((2000+i)*1000), 170)
			seen = seen || v.Alarm
		}
		wants := name != "dead_man" && name != "missing" && name != "clock_bins" && name != "vote" && name != "stuck" && name != "holt_winters"
		if wants && !seen {
			t.Errorf("%s: does not see a step", name)
		}
	}
}

// TestFind checks what Find refuses.
func TestFind(t *testing.T) {
	deep := anomaly.Choice{Name: "zscore"}
	for range 5 {
		deep = anomaly.Choice{Name: "likelihood", Params: anomaly.Params{Of: []anomaly.Choice{deep}}}
	}
	for _, c := range []struct {
		name string
		p    anomaly.Params
		want error
	}{
		{"nonsense", anomaly.Params{}, anomaly.ErrUnknown},
		{"zscore", anomaly.Params{Numbers: numbers{"nonsense": 1}}, anomaly.ErrParams},
		{"zscore", anomaly.Params{Numbers: numbers{"threshold": math.NaN()}}, anomaly.ErrParams},
		{"zscore", anomaly.Params{Numbers: numbers{"window": 2.5}}, anomaly.ErrParams},
		{"zscore", anomaly.Params{Of: []anomaly.Choice{{Name: "mad"}}}, anomaly.ErrParams},
		{"stuck", anomaly.Params{}, anomaly.ErrParams},
		{"threshold", anomaly.Params{}, anomaly.ErrParams},
		{"threshold", anomaly.Params{Numbers: numbers{"high": 2, "low": 3}}, anomaly.ErrParams},
		{"vote", anomaly.Params{Numbers: numbers{"k": 2}, Of: []anomaly.Choice{{Name: "mad"}}}, anomaly.ErrParams},
		{"likelihood", anomaly.Params{Of: []anomaly.Choice{{Name: "nonsense"}}}, anomaly.ErrUnknown},
		{"likelihood", deep.Params, anomaly.ErrParams},
	} {
		if spec, err := anomaly.Find(c.name, c.p); !errors.Is(err, c.want) || spec != nil {
			t.Errorf("%s %v: %v", c.name, c.p, err)
		}
	}
	for _, d := range anomaly.Describe() {
		if d.Doc == "" || d.Formula == "" || d.Source == "" {
			t.Errorf("%s is not described", d.Name)
		}
		for _, p := range d.Params {
			if p.Doc == "" || !p.Required && !math.IsNaN(p.Default) && !(p.Default >= p.Min && p.Default <= p.Max) {
				t.Errorf("%s: parameter %+v", d.Name, p)
			}
		}
	}
}

// FuzzMenu gives any bytes to every detector, as a state and as values.
func FuzzMenu(f *testing.F) {
	names, all := anomaly.Names(), menu(f)
	for i, name := range names {
		s := all[name].New()
		f.Add(uint8(i), s.AppendBinary(nil), []byte("values of any kind"))
		for j := range 70 {
			s.Observe(edged.Timestamp(j*900), float64(j%7))
		}
		f.Add(uint8(i), s.AppendBinary(nil), []byte{0x7f, 0xf0, 0, 0, 0, 0, 0, 1, 9, 0xff})
	}
	f.Fuzz(func(t *testing.T, which uint8, data, input []byte) {
		name := names[int(which)%len(names)]
		s := all[name].New()
		fresh := s.AppendBinary(nil)
		if rest, err := s.Restore(data); err != nil {
			if !errors.Is(err, anomaly.ErrState) || !bytes.Equal(fresh, s.AppendBinary(nil)) {
				t.Fatalf("%s: %v, or the state has changed", name, err)
			}
		} else if stored := s.AppendBinary(nil); len(stored) > len(data)-len(rest) {
			t.Fatalf("%s: %d bytes read, %d stored", name, len(data)-len(rest), len(stored))
		}
		now := edged.Timestamp(0)
		for i := 0; i+2 < len(input) && i < 3000; i += 3 {
			now = now.Add(int64(int8(input[i])) << (input[i+1] % 56))
			x := math.Float64frombits(uint64(input[i+1])<<56 | uint64(input[i+2])<<48)
			sound(t, name, s.Observe(now, x))
			if timed, ok := s.(anomaly.Timed); ok && input[i]%4 == 0 {
				sound(t, name, timed.Tick(now.Add(int64(input[i+2])*1000)))
				timed.Due()
			}
		}
	})
}

// TestNoAllocations checks that warm states do not allocate.
func TestNoAllocations(t *testing.T) {
	for name, spec := range menu(t) {
		s, now := spec.New(), edged.Timestamp(0)
		step := func() {
			now = now.Add(1000)
			s.Observe(now, float64(now%7000))
		}
		for range 300 {
			step()
		}
		if n := testing.AllocsPerRun(200, step); n > 0 {
			t.Errorf("%s: %v allocations a value", name, n)
		}
	}
}

// BenchmarkMenu measures every detector with its defaults on noise.
func BenchmarkMenu(b *testing.B) {
	needed := map[string]anomaly.Params{
		"threshold":      {Numbers: numbers{"high": 2, "high_high": 3}},
		"range":          {Numbers: numbers{"low": -5, "high": 5}},
		"rate_of_change": {Numbers: numbers{"limit": 5}},
		"stuck":          {Numbers: numbers{"window": 60000}},
		"missing":        {Numbers: numbers{"interval": 1000, "window": 600000}},
		"likelihood":     {Of: []anomaly.Choice{{Name: "zscore"}}},
		"vote":           {Numbers: numbers{"k": 2}, Of: []anomaly.Choice{{Name: "zscore"}, {Name: "ewma"}}},
	}
	r := rand.New(rand.NewPCG(1, 1))
	noise := make([]float64, 1<<12)
	for i := range noise {
		noise[i] = r.NormFloat64()
	}
	for _, name := range anomaly.Names() {
		spec, err := anomaly.Find(name, needed[name])
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			s := spec.New()
			for i := range 4000 {
				s.Observe(edged.Timestamp(i*1000), noise[i%len(noise)])
			}
			alarms, i := 0, 4000
			b.ReportAllocs()
			for b.Loop() {
				if s.Observe(edged.Timestamp(i*1000), noise[i%len(noise)]).Alarm {
					alarms++
				}
				i++
			}
			b.ReportMetric(float64(s.Bytes()), "bytes")
			b.ReportMetric(1e4*float64(alarms)/float64(b.N), "alarms/10k")
		})
	}
}
