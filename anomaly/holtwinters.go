package anomaly

import (
	"math"
	"unsafe"

	"edged"
)

// HoltWinters predicts a value as level + trend + season and judges what is left,
// e: with weights a, b, g in error form, level += trend + a e, trend += a b e,
// season += g (1-a) e. The season has Bins bins over Period of event time, so that
// holes do not shift it; the trend is per value. e is divided by its deviation,
// which forgets with weight 0.01. Until a whole Period has been seen it is
// learning. A state takes 8 bytes a bin and 96. Source: Holt 1957, Winters 1960;
// bands after Brutlag 2000.
type HoltWinters struct {
	Period             int64   // of the season, milliseconds
	Offset             int64   // where the period starts, milliseconds after the Unix epoch
	Bins               int     // 1 to 1024
	Alpha, Beta, Gamma float64 // weights of level, trend and season, 0 to 1
	Threshold          float64 // deviations
	Floor              float64 // smallest deviation, in units of the value
	Warmup             int     // values before the first alarm
}

// Validate returns what is wrong with the configuration.
func (h *HoltWinters) Validate() error {
	f := faults{name: "holt_winters"}
	f.within("period", float64(h.Period), 1, 1<<45)
	f.within("bins", float64(h.Bins), 1, 1024)
	f.that(h.Period >= int64(h.Bins), "period is %d; it must be at least as many milliseconds as there are bins, %d", h.Period, h.Bins)
	f.within("alpha", h.Alpha, 0, 1)
	f.within("beta", h.Beta, 0, 1)
	f.within("gamma", h.Gamma, 0, 1)
	common(&f, h.Threshold, h.Floor, h.Warmup)
	return f.err()
}

// New returns the state of a new series.
func (h *HoltWinters) New() State {
	return &winterState{spec: h, season: make([]float64, h.Bins)}
}

type winterState struct {
	spec         *HoltWinters
	season       []float64
	first        edged.Timestamp
	level, trend float64
	rest         fading // what the prediction left
	seen         int
	round        bool // a whole period has been seen
}

func (s *winterState) Observe(t edged.Timestamp, x float64) Verdict {
	season := s.bin(t)
	v := s.judge(t, x, *season)
	if finite(x) {
		s.learn(t, clip(x), season)
	}
	return v
}

// Judge leaves the state as it is: level, trend and season stand still.
func (s *winterState) Judge(t edged.Timestamp, x float64) Verdict { return s.judge(t, x, *s.bin(t)) }

// bin returns the place of t in the season.
func (s *winterState) bin(t edged.Timestamp) *float64 {
	h := s.spec
	into := t.Sub(t.FloorTo(h.Period, h.Offset))
	return &s.season[min(int(max(0, into)/((h.Period-1)/int64(h.Bins)+1)), h.Bins-1)]
}

// whole reports whether by t a whole period has been seen.
func (s *winterState) whole(t edged.Timestamp) bool {
	return s.round || s.seen > 0 && t.Sub(s.first) >= s.spec.Period
}

func (s *winterState) judge(t edged.Timestamp, x, season float64) Verdict {
	warm := s.whole(t) && s.seen >= s.spec.Warmup
	if !finite(x) {
		return refuse(warm)
	}
	if s.seen == 0 {
		return Verdict{}
	}
	want := clip(s.level + s.trend + season)
	e := clip(x) - want
	sd := deviation(math.Sqrt(s.rest.vrn), want, s.spec.Floor)
	v := judge(math.Abs(e)/sd, s.spec.Threshold, warm)
	v.around(want, s.spec.Threshold*sd)
	v.because(CauseDeviation, e/sd)
	return v
}

func (s *winterState) learn(t edged.Timestamp, x float64, season *float64) {
	if s.seen == 0 {
		s.level, s.first, s.seen = x, t, 1
		return
	}
	h := s.spec
	s.round = s.whole(t)
	e := x - clip(s.level+s.trend+*season)
	s.level = clip(s.level + s.trend + h.Alpha*e)
	s.trend = clip(s.trend + h.Alpha*h.Beta*e)
	*season = clip(*season + h.Gamma*(1-h.Alpha)*e)
	s.rest.n = min(s.rest.n+1, countMax)
	a := max(0.01, 1/float64(s.rest.n))
	s.rest.vrn = min(squareMax, s.rest.vrn+a*(e*e-s.rest.vrn))
	s.seen = min(s.seen+1, countMax)
}

func (s *winterState) Bytes() int                     { return int(unsafe.Sizeof(*s)) + 8*len(s.season) }
func (s *winterState) AppendBinary(dst []byte) []byte { return appendState(dst, s) }
func (s *winterState) Restore(data []byte) ([]byte, error) {
	return restoreState(s, s.spec.New().(*winterState), data)
}

func (s *winterState) code(c *coder) {
	c.tag('w')
	c.values(s.season)
	c.time(&s.first)
	c.value(&s.level)
	c.value(&s.trend)
	s.rest.code(c)
	c.count(&s.seen, countMax)
	c.flag(&s.round)
}
