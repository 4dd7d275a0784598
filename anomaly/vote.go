package anomaly

import (
	"math/bits"
	"unsafe"

	"edged"
)

// Vote is an alarm when at least K of several detectors alarm about the same
// value. The score is how many do. The verdict takes severity and range from the
// first that does; level too. A detector that time alone has alarmed keeps its
// voice until the next value. A state takes 64 bytes, 16 for each detector, and
// their states.
type Vote struct {
	K  int
	Of []Spec // 1 to 32
}

// Validate returns what is wrong with the configuration.
func (v *Vote) Validate() error {
	f := faults{name: "vote"}
	f.within("the number of detectors", float64(len(v.Of)), 1, 32)
	f.within("k", float64(v.K), 1, float64(max(1, len(v.Of))))
	for _, spec := range v.Of {
		f.spec(spec)
	}
	return f.err()
}

// New returns the state of a new series.
func (v *Vote) New() State {
	s := &voteState{spec: v, of: make([]State, len(v.Of))}
	for i, spec := range v.Of {
		s.of[i] = spec.New()
	}
	return s
}

type voteState struct {
	spec   *Vote
	of     []State
	voices uint32 // who alarms, by index
}

func (s *voteState) Observe(t edged.Timestamp, x float64) Verdict {
	var first Verdict
	warm, refused := 0, false
	voices := uint32(0)
	for i, of := range s.of {
		v := of.Observe(t, x)
		if v.Warm {
			warm++
		}
		if v.Alarm {
			if voices == 0 {
				first = v
			}
			voices |= 1 << i
		}
		refused = refused || v.Reason.Cause == CauseNotFinite
	}
	if refused && voices == 0 {
		return refuse(warm >= s.spec.K)
	}
	s.voices = voices
	return s.judge(first, warm >= s.spec.K)
}

// judge counts the voices; first is the verdict of one of them.
func (s *voteState) judge(first Verdict, warm bool) Verdict {
	count := bits.OnesCount32(s.voices)
	v := Verdict{Score: float64(count), Warm: warm, Low: first.Low, High: first.High, HasRange: first.HasRange}
	if count > 0 {
		v.Reason = Reason{Cause: CauseVote, Count: int32(count), Below: first.Reason.Below}
	}
	if v.Alarm = count >= s.spec.K; v.Alarm {
		v.Severity, v.Level, v.Warm = max(first.Severity, SeverityMinor), first.Level, true
	}
	return v
}

// Due is the earliest of the detectors.
func (s *voteState) Due() edged.Timestamp {
	due := edged.MaxTimestamp
	for _, of := range s.of {
		due = min(due, dueOf(of))
	}
	return due
}

// Tick asks the detectors that are due.
func (s *voteState) Tick(now edged.Timestamp) Verdict {
	var first Verdict
	for i, of := range s.of {
		if dueOf(of) > now {
			continue
		}
		if v := tickOf(of, now); v.Alarm {
			first = v
			s.voices |= 1 << i
		} else {
			s.voices &^= 1 << i
		}
	}
	return s.judge(first, false)
}

func (s *voteState) Bytes() int {
	size := int(unsafe.Sizeof(*s)) + 16*len(s.of)
	for _, of := range s.of {
		size += of.Bytes()
	}
	return size
}
func (s *voteState) AppendBinary(dst []byte) []byte { return appendState(dst, s) }
func (s *voteState) Restore(data []byte) ([]byte, error) {
	return restoreState(s, s.spec.New().(*voteState), data)
}

func (s *voteState) code(c *coder) {
	c.tag('v')
	w := c.word(uint64(s.voices))
	c.bad = c.bad || w>>len(s.of) != 0
	s.voices = uint32(w)
	for _, of := range s.of {
		c.inner(of)
	}
}
