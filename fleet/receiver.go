package fleet

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/cespare/xxhash/v2"
	"github.com/valyala/fastjson"
)

// The defaults and limits of a [Config].
const (
	DefaultStreamsMax = 10_000
	DefaultGapsMax    = 10_000

	// DefectsKept is how many defects [Receiver.Check] describes; all are counted.
	DefectsKept = 20
)

// ErrLimit says that taking a result would exceed a limit of the [Config]. It
// was not taken: the sender may try again.
var ErrLimit = errors.New("fleet: receiver limit reached")

// Config bounds a [Receiver].
type Config struct {
	// IDsMax is how many ids are remembered per stream, the newest first. 0 means
	// all of them, about 150 bytes each, which is right for tests.
	IDsMax int

	// StreamsMax is how many streams, of all gateways together, are followed. 0
	// means [DefaultStreamsMax].
	StreamsMax int

	// GapsMax is how many gaps a stream may have at a time. 0 means
	// [DefaultGapsMax].
	GapsMax int
}

// Verdict says what a received result is.
type Verdict uint8

// The verdicts. Conflict and Reissue are defects of the sender.
const (
	Applied  Verdict = iota // seen for the first time: use it
	Repeat                  // the same bytes have been applied before: ignore it
	Conflict                // its seq or its id has been applied with other content
	Reissue                 // its id has been applied under another seq
)

// String returns the verdict as a word.
func (v Verdict) String() string {
	return [...]string{"applied", "repeat", "conflict", "reissue"}[v]
}

// Receipt is the answer to one payload.
type Receipt struct {
	Envelope
	Verdict Verdict
}

// Receiver follows the streams of many gateways. See [NewReceiver].
type Receiver struct {
	cfg     Config
	parser  fastjson.Parser
	streams map[address]*stream
	defects []string // the first DefectsKept
	broken  int      // all of them
}

// address names a stream at the upstream.
type address struct{ gateway, stream string }

// stream is what is known of one stream.
type stream struct {
	seen    sequence
	ids     memory
	repeats uint64
	strays  uint64
	defects uint64
	applied uint64
}

// NewReceiver returns a receiver that has seen nothing.
func NewReceiver(cfg Config) *Receiver {
	cfg.StreamsMax = cmp.Or(cfg.StreamsMax, DefaultStreamsMax)
	cfg.GapsMax = cmp.Or(cfg.GapsMax, DefaultGapsMax)
	return &Receiver{cfg: cfg, streams: map[address]*stream{}}
}

// Take looks at one payload of a stream and remembers it. The stream's name is
// the caller's: what the rows of one numbering have in common, as a topic's
// prefix. An error wraps [ErrEnvelope] or [ErrLimit], and nothing is remembered.
func (r *Receiver) Take(name string, payload []byte) (Receipt, error) {
	e, err := parseEnvelope(&r.parser, payload)
	if err != nil {
		return Receipt{}, err
	}
	at := address{gateway: e.Gateway, stream: name}
	s, known := r.streams[at]
	if !known {
		if len(r.streams) >= r.cfg.StreamsMax {
			return Receipt{}, fmt.Errorf("%w: stream %q of gateway %q would be number %d", ErrLimit, name, e.Gateway, len(r.streams)+1)
		}
		s = &stream{ids: newMemory(r.cfg.IDsMax)}
	}
	now := issue{seq: e.Seq, sum: xxhash.Sum64(payload)}
	verdict := s.judge(e.ID, now)
	if verdict == Applied && s.seen.opens(e.Seq) && len(s.seen.islands) >= r.cfg.GapsMax {
		return Receipt{}, fmt.Errorf("%w: stream %q of gateway %q has %d gaps, the first after %d", ErrLimit, name, e.Gateway, len(s.seen.islands), s.seen.upto)
	}
	r.streams[at] = s
	s.note(verdict, e.ID, now)
	if verdict >= Conflict {
		r.defect("stream %q of gateway %q: %s: seq %d, id %s", name, e.Gateway, verdict, e.Seq, e.ID)
	}
	return Receipt{Envelope: e, Verdict: verdict}, nil
}

// judge compares a result with what was applied before. A result under a known
// number whose id is forgotten can only be taken for a repeat.
func (s *stream) judge(id string, now issue) Verdict {
	before, known := s.ids.get(id)
	switch {
	case known && before.seq != now.seq:
		return Reissue
	case known && before.sum != now.sum:
		return Conflict
	case known:
		return Repeat
	case !s.seen.has(now.seq):
		return Applied
	case s.ids.holds(now.seq):
		return Conflict
	}
	return Repeat
}

// note updates the stream. A reissued number counts as seen, so that it is not
// reported as a gap as well.
func (s *stream) note(verdict Verdict, id string, now issue) {
	switch verdict {
	case Repeat:
		s.repeats++
		return
	case Conflict, Reissue:
		s.defects++
		if !s.seen.has(now.seq) {
			s.seen.add(now.seq)
		}
		return
	}
	s.applied++
	if now.seq < s.seen.highest() {
		s.strays++
	}
	s.seen.add(now.seq)
	s.ids.put(id, now)
}

func (r *Receiver) defect(format string, args ...any) {
	r.broken++
	if len(r.defects) < DefectsKept {
		r.defects = append(r.defects, fmt.Sprintf(format, args...))
	}
}

// StreamReport is where a stream stands.
type StreamReport struct {
	Gateway    string  `json:"gateway"`
	Stream     string  `json:"stream"`
	Upto       uint64  `json:"upto"`         // all numbers from 1 to this one have arrived
	Highest    uint64  `json:"highest"`      // the highest that has arrived
	Gaps       []Range `json:"gaps"`         // what is missing in between
	Applied    uint64  `json:"applied"`      // results
	Repeats    uint64  `json:"repeats"`      // ignored, as they should be
	OutOfOrder uint64  `json:"out_of_order"` // applied after one with a higher number
	Defects    uint64  `json:"defects"`      // conflicts and reissues
}

// Streams returns where all streams stand, sorted by gateway and stream.
func (r *Receiver) Streams() []StreamReport {
	reports := make([]StreamReport, 0, len(r.streams))
	for at, s := range r.streams {
		reports = append(reports, StreamReport{
			Gateway: at.gateway, Stream: at.stream,
			Upto: s.seen.upto, Highest: s.seen.highest(), Gaps: s.seen.gaps(),
			Applied: s.applied, Repeats: s.repeats, OutOfOrder: s.strays, Defects: s.defects,
		})
	}
	slices.SortFunc(reports, func(a, b StreamReport) int {
		return cmp.Or(cmp.Compare(a.Gateway, b.Gateway), cmp.Compare(a.Stream, b.Stream))
	})
	return reports
}

// Check returns nil when every stream is whole: no gap, no conflict, no reissue.
// Otherwise the error lists what is wrong. Repeats and results out of order are
// in order.
func (r *Receiver) Check() error {
	var errs []error
	for _, s := range r.Streams() {
		for i, gap := range s.Gaps {
			if i == DefectsKept {
				errs = append(errs, fmt.Errorf("stream %q of gateway %q: %d more gaps", s.Stream, s.Gateway, len(s.Gaps)-i))
				break
			}
			errs = append(errs, fmt.Errorf("stream %q of gateway %q: %d to %d are missing", s.Stream, s.Gateway, gap.First, gap.Last))
		}
	}
	for _, defect := range r.defects {
		errs = append(errs, errors.New(defect))
	}
	if more := r.broken - len(r.defects); more > 0 {
		errs = append(errs, fmt.Errorf("%d more defects", more))
	}
	return errors.Join(errs...)
}
