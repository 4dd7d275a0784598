package operator

import (
	"errors"
	"fmt"
	"slices"

	"edged/fleet/protocol"
	"edged/fleet/strict"
	"edged/fleet/trust"
)

// SnapshotBytesMax is how large the snapshot of a rollout may be.
const SnapshotBytesMax = 16 << 20

const snapshotSchema = 1

// ErrSnapshot says that bytes are not the snapshot of a rollout.
var ErrSnapshot = errors.New("operator: not the snapshot of a rollout")

// The phases of a rollout.
const (
	PhaseRunning = "running"
	PhaseStopped = "stopped" // by its policy, or by somebody; nothing new is released
	PhaseDone    = "done"    // all waves are through; who was offline may still catch up
)

// The statuses of a member.
const (
	MemberWaiting   = "waiting"
	MemberReleased  = "released"
	MemberTaken     = "taken"
	MemberDone      = "done"
	MemberFailed    = "failed"
	MemberWithdrawn = "withdrawn"
)

var (
	rolloutPhases  = []string{PhaseRunning, PhaseStopped, PhaseDone}
	memberStatuses = []string{MemberWaiting, MemberReleased, MemberTaken, MemberDone, MemberFailed, MemberWithdrawn}
)

// Document is what a rollout brings: all that the desired documents of its members
// are made from, apart from the configuration itself.
type Document struct {
	Version uint64         `json:"version"`
	Epoch   uint64         `json:"epoch"`
	Keyring uint64         `json:"keyring"`
	Issuer  trust.KeyID    `json:"iss"`
	Hash    string         `json:"hash"`                // sha256:HEX64 of the configuration
	Refresh uint64         `json:"refresh,omitempty"`   // 0: it promises no fresher ones
	Signed  int64          `json:"signed_ms,omitempty"` // when it got that
	Apply   protocol.Apply `json:"apply"`
}

// Member is one gateway of a rollout. Its wave follows from its place in the list.
type Member struct {
	Gateway   string        `json:"gw"`
	Status    string        `json:"status"`
	Code      protocol.Code `json:"code,omitempty"` // why it failed
	Message   string        `json:"msg,omitempty"`
	Released  int64         `json:"released_ms,omitempty"`
	Reached   int64         `json:"reached_ms,omitempty"` // when it was online first since then
	Settled   int64         `json:"settled_ms,omitempty"` // when it became done or failed
	Gone      bool          `json:"gone,omitempty"`       // it failed because it went away once it ran the document
	Withdrawn bool          `json:"withdrawn,omitempty"`  // its document was taken off the broker again
}

// open reports whether it is not known yet what becomes of the member.
func (m *Member) open() bool { return m.Status == MemberReleased || m.Status == MemberTaken }

// Snapshot is the durable state of a rollout.
type Snapshot struct {
	V        int      `json:"v"`
	ID       string   `json:"id"`
	Fleet    string   `json:"fleet"`
	RetryOf  string   `json:"retry_of,omitempty"`
	Document Document `json:"document"`
	Policy   Policy   `json:"policy"`
	Phase    string   `json:"phase"`
	Paused   bool     `json:"paused,omitempty"`
	Reason   string   `json:"reason,omitempty"`    // why it stopped
	Waves    int      `json:"waves"`               // how many were released
	Baking   int64    `json:"baking_ms,omitempty"` // since when the last of them is watched
	Ends     []int    `json:"ends"`                // where each wave ends in members
	Members  []Member `json:"members"`
}

// Begin returns a rollout to gateways in the order given; see [Spread]. Nothing is
// released before the first Step.
func Begin(s Snapshot, gateways []string) (*Rollout, error) {
	s.V, s.Phase, s.Waves, s.Baking, s.Reason = snapshotSchema, PhaseRunning, 0, 0, ""
	s.Ends = Ends(s.Policy.Waves, len(gateways))
	s.Members = nil
	if len(s.Ends) > 0 {
		for _, name := range gateways[:s.Ends[len(s.Ends)-1]] {
			s.Members = append(s.Members, Member{Gateway: name, Status: MemberWaiting})
		}
	}
	return resume(s)
}

// Restore returns the rollout of a snapshot. An error wraps [ErrSnapshot].
func Restore(data []byte) (*Rollout, error) {
	var s Snapshot
	if err := strict.Decode(data, &s, strict.Limits{Bytes: SnapshotBytesMax}); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSnapshot, err)
	}
	return resume(s)
}

func resume(s Snapshot) (*Rollout, error) {
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSnapshot, err)
	}
	windows, err := ParseWindows(s.Policy.Windows)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSnapshot, err)
	}
	r := &Rollout{state: s, windows: windows, byName: map[string]int{}, seen: make([]sight, len(s.Members))}
	for i, m := range s.Members {
		if _, twice := r.byName[m.Gateway]; twice {
			return nil, fmt.Errorf("%w: members[%d]: %s is there twice", ErrSnapshot, i, m.Gateway)
		}
		r.byName[m.Gateway] = i
	}
	return r, nil
}

// check returns what is wrong with a snapshot.
func (s *Snapshot) check() error {
	n := len(s.Members)
	switch {
	case s.V != snapshotSchema:
		return fmt.Errorf("v is %d, this program writes %d", s.V, snapshotSchema)
	case trust.CheckName(s.ID) != nil || trust.CheckName(s.Fleet) != nil:
		return errors.New("id or fleet is no name")
	case n == 0:
		return errors.New("it has no gateways")
	case n > GatewaysMax:
		return fmt.Errorf("%w: %d gateways are more than %d", ErrLimit, n, GatewaysMax)
	case !slices.Contains(rolloutPhases, s.Phase):
		return fmt.Errorf("phase %.40q is none of %v", s.Phase, rolloutPhases)
	case len(s.Ends) == 0 || !slices.IsSorted(s.Ends) || s.Ends[0] < 1 || s.Ends[len(s.Ends)-1] != n:
		return fmt.Errorf("waves end at %v with %d gateways", s.Ends, n)
	case s.Waves < 0 || s.Waves > len(s.Ends):
		return fmt.Errorf("%d of %d waves were released", s.Waves, len(s.Ends))
	case s.Document.Version < 1 || s.Document.Epoch < 1 || s.Document.Keyring < 1:
		return errors.New("document: version, epoch or keyring is missing")
	}
	released := s.released()
	if begin, end := s.span(s.Waves - 1); released > end || s.Waves > 0 && released <= begin {
		return fmt.Errorf("%d members were released with %d waves that end at %v", released, s.Waves, s.Ends)
	}
	for i := range s.Members {
		m := &s.Members[i]
		if err := trust.CheckName(m.Gateway); err != nil {
			return fmt.Errorf("members[%d]: %w", i, err)
		}
		if !slices.Contains(memberStatuses, m.Status) || (m.Status == MemberWaiting) != (i >= released) {
			return fmt.Errorf("members[%d] is %.40q with %d released", i, m.Status, released)
		}
	}
	return s.Policy.Check()
}

// released returns how many members were released: those before the first that waits.
func (s *Snapshot) released() int {
	for i := range s.Members {
		if s.Members[i].Status == MemberWaiting {
			return i
		}
	}
	return len(s.Members)
}

// span returns where a wave, from 0, begins and ends in members; that before the first
// is empty.
func (s *Snapshot) span(wave int) (begin, end int) {
	if wave > 0 {
		begin = s.Ends[wave-1]
	}
	if wave >= 0 {
		end = s.Ends[wave]
	}
	return begin, end
}

// wave returns the members of a wave, from 0.
func (s *Snapshot) wave(i int) []Member {
	begin, end := s.span(i)
	return s.Members[begin:end]
}

// Opens returns when the next maintenance window of a rollout opens that has something
// to release; 0: one is open, or it needs none.
func (s *Snapshot) Opens(now int64) int64 {
	windows, err := ParseWindows(s.Policy.Windows)
	if err != nil || s.Phase != PhaseRunning || s.released() == len(s.Members) || anyOpen(windows, now) {
		return 0
	}
	return nextOpen(windows, now)
}
