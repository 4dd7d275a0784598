package anomaly

import (
	"math"
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
	Of []Spec // 1 to voteMax
}

// voteMax is how many detectors may vote, and voteBits what their number takes.
const (
	voteMax  = 1 << voteBits
	voteBits = 5
)

// Validate returns what is wrong with the configuration.
func (v *Vote) Validate() error {
	f := faults{name: "vote"}
	f.within("the number of detectors", float64(len(v.Of)), 1, voteMax)
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
	return s.poll(t, x, State.Observe)
}

// Judge lets the detectors judge.
func (s *voteState) Judge(t edged.Timestamp, x float64) Verdict { return s.poll(t, x, Judge) }

// Teach teaches the detector that the evidence is from.
func (s *voteState) Teach(l Label, e Evidence) bool {
	i := e.Of & (voteMax - 1)
	e.Of >>= voteBits
	return int(i) < len(s.of) && Teach(s.of[i], l, e)
}

// poll asks every detector about a value.
func (s *voteState) poll(t edged.Timestamp, x float64, ask func(State, edged.Timestamp, float64) Verdict) Verdict {
	var first Verdict
	var evidence Evidence
	warm, refused := 0, false
	voices := uint32(0)
	for i, of := range s.of {
		v := ask(of, t, x)
		if v.Warm {
			warm++
		}
		if v.Alarm {
			if voices == 0 {
				first = v
			}
			voices |= 1 << i
			if evidence.Empty() {
				evidence = v.Evidence
				evidence.Of = evidence.Of<<voteBits | uint32(i)
			}
		}
		refused = refused || v.Reason.Cause == CauseNotFinite
	}
	if refused && voices == 0 {
		return refuse(warm >= s.spec.K)
	}
	s.voices = voices
	v := s.judge(first, warm >= s.spec.K)
	if !evidence.Empty() {
		v.Evidence = evidence
	}
	return v
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

// Expect passes on that values are due.
func (s *voteState) Expect(since edged.Timestamp) {
	for _, of := range s.of {
		expect(of, since)
	}
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

// silence is the shortest of the detectors.
func (v *Vote) silence() (after int64, timed bool) {
	after = math.MaxInt64
	for _, spec := range v.Of {
		if a, t := Silence(spec); t {
			after, timed = min(after, a), true
		}
	}
	if !timed {
		return 0, false
	}
	return after, true
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
