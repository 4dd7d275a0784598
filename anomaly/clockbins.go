package anomaly

import (
	"math"
	"time"
	"unsafe"

	"edged"
)

// ClockBins compares a value with those of the same hour: of the day, or of the
// week. Each bin has a mean and a variance in which a value weighs 1/Memory once
// there are that many. The hours are those of Zone, so that a profile follows
// daylight saving time; holes and irregular sampling do not shift it. A bin with
// fewer than Warmup values gives no alarm. A state takes 24 bytes a bin and 40:
// 0.6 KB for a day, 4 KB for a week.
type ClockBins struct {
	Week      bool           // hours of the week rather than of the day
	Zone      *time.Location // nil: UTC
	Memory    int            // values
	Threshold float64        // deviations
	Floor     float64        // smallest deviation, in units of the value
	Warmup    int            // values in a bin before its first alarm
}

// Validate returns what is wrong with the configuration.
func (b *ClockBins) Validate() error {
	f := faults{name: "clock_bins"}
	f.within("memory", float64(b.Memory), 2, 1e6)
	common(&f, b.Threshold, b.Floor, b.Warmup)
	return f.err()
}

// New returns the state of a new series.
func (b *ClockBins) New() State {
	n := 24
	if b.Week {
		n = 168
	}
	return &binsState{spec: b, bins: make([]fading, n)}
}

type binsState struct {
	spec *ClockBins
	bins []fading
}

func (s *binsState) Observe(t edged.Timestamp, x float64) Verdict {
	bin := s.bin(t)
	v := s.judge(bin, x)
	if finite(x) {
		bin.add(clip(x), 1/float64(s.spec.Memory))
	}
	return v
}

// Judge leaves the state as it is.
func (s *binsState) Judge(t edged.Timestamp, x float64) Verdict { return s.judge(s.bin(t), x) }

func (s *binsState) bin(t edged.Timestamp) *fading {
	return &s.bins[hourOf(t, s.spec.Zone)%len(s.bins)]
}

func (s *binsState) judge(bin *fading, x float64) Verdict {
	warm := bin.n >= s.spec.Warmup
	if !finite(x) {
		return refuse(warm)
	}
	x = clip(x)
	var v Verdict
	if bin.n > 0 {
		sd := deviation(bin.sd(), bin.mean, s.spec.Floor)
		z := (x - bin.mean) / sd
		v = judge(math.Abs(z), s.spec.Threshold, warm)
		v.around(bin.mean, s.spec.Threshold*sd)
		v.because(CauseDeviation, z)
	}
	return v
}

// hourOf returns the hour of the week, from Sunday 0:00 on.
func hourOf(t edged.Timestamp, zone *time.Location) int {
	if zone == nil {
		zone = time.UTC
	}
	at := time.UnixMilli(int64(t)).In(zone)
	return (int(at.Weekday())*24 + at.Hour()) % 168
}

func (s *binsState) Bytes() int {
	return int(unsafe.Sizeof(*s)) + len(s.bins)*int(unsafe.Sizeof(fading{}))
}
func (s *binsState) AppendBinary(dst []byte) []byte { return appendState(dst, s) }
func (s *binsState) Restore(data []byte) ([]byte, error) {
	return restoreState(s, s.spec.New().(*binsState), data)
}

func (s *binsState) code(c *coder) {
	c.tag('b')
	for i := range s.bins {
		s.bins[i].code(c)
	}
}
