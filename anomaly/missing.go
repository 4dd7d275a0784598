package anomaly

import (
	"unsafe"

	"edged"
)

// missingParts is into how many parts a Missing window is divided.
const missingParts = 16

// Missing compares how many values came within a window with how many were
// expected: 1 - count/(Window/Interval). The window is 16 parts long, moves part
// by part, and leaves the open part out; a part that ends makes a new judgement,
// which stands until the next one. It learns nothing.
//
// A value with the time of the one before counts once. An older one counts in its
// part, so that what was kept while a link was down fills the hole. One
// from before the window is passed over; when a second follows it within the length of
// a window, the clock has been ahead, and the window starts anew. A state takes
// 144 bytes.
type Missing struct {
	Interval int64   // expected between values, milliseconds
	Window   int64   // milliseconds, at least 16 intervals
	Share    float64 // alarm from this missing share on, above 0, at most 1
}

// Validate returns what is wrong with the configuration.
func (m *Missing) Validate() error {
	f := faults{name: "missing"}
	f.within("interval", float64(m.Interval), 1, 1<<40)
	f.within("share", m.Share, 1e-6, 1)
	f.within("window", float64(m.Window), missingParts, 1<<45)
	f.that(m.Window/missingParts >= m.Interval, "window is %d; it must be at least %d times the interval, %d", m.Window, missingParts, m.Interval)
	return f.err()
}

// New returns the state of a new series.
func (m *Missing) New() State { return &missingState{spec: m} }

type missingState struct {
	spec   *Missing
	heard  heard
	start  edged.Timestamp // of the open part
	stray  edged.Timestamp // of a value from before the window
	counts [missingParts + 1]uint32
	at     int // the open part
	parts  int // complete ones so far, at most missingParts
	share  float64
	any    bool
	lost   bool // stray is of the last value
}

func (s *missingState) width() int64 { return s.spec.Window / missingParts }

func (s *missingState) Observe(t edged.Timestamp, x float64) Verdict {
	if !finite(x) {
		return refuse(s.parts >= missingParts)
	}
	if !s.any {
		s.begin(t)
		s.heard = heard{t, t}
		return s.verdict()
	}
	s.advance(t)
	repeated := t == s.heard.last
	s.heard.at(t)
	back := int64(0)
	if t < s.start {
		back = (s.start.Sub(t)-1)/s.width() + 1
	}
	switch before := back > missingParts; {
	case before && s.lost && max(t.Sub(s.stray), s.stray.Sub(t)) <= s.spec.Window:
		s.begin(t)
	case before:
		s.stray, s.lost = t, true
		return s.verdict()
	case !repeated && back <= int64(s.parts):
		c := &s.counts[(s.at+missingParts+1-int(back))%(missingParts+1)]
		*c = min(*c+1, countMax)
	}
	s.stray, s.lost = 0, false
	return s.verdict()
}

// begin starts a window with a value at t.
func (s *missingState) begin(t edged.Timestamp) {
	s.counts = [missingParts + 1]uint32{1}
	s.at, s.parts, s.share, s.any = 0, 0, 0, true
	s.start = t.FloorTo(s.width(), 0)
}

// advance closes the parts that end by now, and judges if there are any.
func (s *missingState) advance(now edged.Timestamp) {
	steps := int64(0)
	if now > s.start {
		steps = now.Sub(s.start) / s.width()
	}
	if steps == 0 {
		return
	}
	s.start = now.FloorTo(s.width(), 0)
	s.parts = int(min(int64(s.parts)+steps, missingParts))
	for range min(steps, missingParts+1) {
		s.at = (s.at + 1) % (missingParts + 1)
		s.counts[s.at] = 0
	}
	count := 0.0
	for i, c := range s.counts {
		if i != s.at {
			count += float64(c)
		}
	}
	s.share = max(0, 1-count*float64(s.spec.Interval)/float64(s.span()))
}

// span is the length of the window in whole parts.
func (s *missingState) span() int64 { return s.width() * missingParts }

// verdict repeats the last judgement.
func (s *missingState) verdict() Verdict {
	v := judge(s.share, s.spec.Share, s.parts >= missingParts)
	if v.Alarm {
		v.Severity = Grade(s.share, s.spec.Share, (1+s.spec.Share)/2, 1)
		v.Reason = Reason{Cause: CauseMissing, Excess: s.share, Span: s.span()}
	}
	return v
}

// empty reports whether nothing has come within the window and since.
func (s *missingState) empty() bool { return s.counts == [missingParts + 1]uint32{} }

// Due is the end of the open part; never, once all parts are empty and that has
// been said.
func (s *missingState) Due() edged.Timestamp {
	if !s.any || s.empty() {
		return edged.MaxTimestamp
	}
	return s.heard.tick(s.start.Add(s.width()))
}

func (m *Missing) silence() (after int64, timed bool) { return m.Window / missingParts, true }

// Tick closes the parts that end by now.
func (s *missingState) Tick(now edged.Timestamp) Verdict {
	if !s.any {
		return Verdict{}
	}
	s.advance(s.heard.local(now))
	return s.verdict()
}

func (s *missingState) Bytes() int                     { return int(unsafe.Sizeof(*s)) }
func (s *missingState) AppendBinary(dst []byte) []byte { return appendState(dst, s) }
func (s *missingState) Restore(data []byte) ([]byte, error) {
	return restoreState(s, s.spec.New().(*missingState), data)
}

func (s *missingState) code(c *coder) {
	c.tag('m')
	s.heard.code(c)
	c.time(&s.start)
	c.time(&s.stray)
	for i := range s.counts {
		n := int(s.counts[i])
		c.count(&n, countMax)
		s.counts[i] = uint32(n)
	}
	c.count(&s.at, missingParts)
	c.count(&s.parts, missingParts)
	c.float(&s.share, 0, 1)
	c.flag(&s.any)
	c.flag(&s.lost)
}
