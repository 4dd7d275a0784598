package operator

import (
	"fmt"
	"slices"
	"time"

	"edged/fleet/protocol"
	"edged/fleet/strict"
)

// The pauses before a document is published again to a gateway that is online and has
// not taken it, in milliseconds. The broker keeps it, so this is for one that lost it.
const (
	RepublishMin = 30_000
	RepublishMax = 300_000
)

// Effects are what a controller must do, in this order: if Changed, store the
// snapshot so that it survives the machine; then publish and withdraw; Events are for
// people. What could not be sent is named to [Rollout.Unsent].
type Effects struct {
	Changed  bool
	Publish  []string // gateways that get the document, retained
	Withdraw []string // gateways whose retained document is deleted
	Events   []Event
}

// The kinds of an [Event].
const (
	EventWave    = "wave"    // a wave was released
	EventGateway = "gateway" // a member has another status
	EventBake    = "bake"    // a wave has answered and is watched
	EventPaused  = "paused"
	EventResumed = "resumed"
	EventStopped = "stopped"
	EventDone    = "done"
	EventClosed  = "closed" // outside the maintenance windows; the message says until when
	EventOpen    = "open"   // a maintenance window has opened
)

// Event is something that has happened in a rollout.
type Event struct {
	Time    int64         `json:"ts_ms"`
	Kind    string        `json:"event"`
	Wave    int           `json:"wave,omitempty"` // from 1
	Gateway string        `json:"gw,omitempty"`
	Status  string        `json:"status,omitempty"`
	Code    protocol.Code `json:"code,omitempty"`
	Message string        `json:"msg,omitempty"`
}

// Rollout is the state machine of a rollout. See the package comment.
type Rollout struct {
	state   Snapshot // durable
	windows []Window // of its policy
	byName  map[string]int

	// Derived state: what gateways said since this life began.
	seen    []sight
	events  []Event
	changed bool
	outside bool // it was told that no maintenance window is open
}

// sight is what this life of the controller knows of a member.
type sight struct {
	facts Facts
	told  bool  // facts are set
	sent  bool  // published, or withdrawn, in this life
	next  int64 // when to publish again
	pause int64
}

// Snapshot returns the durable state. It shares nothing with the rollout.
func (r *Rollout) Snapshot() Snapshot {
	s := r.state
	s.Ends, s.Members, s.Policy.Windows = slices.Clone(s.Ends), slices.Clone(s.Members), slices.Clone(s.Policy.Windows)
	return s
}

// Document returns what the rollout brings.
func (r *Rollout) Document() Document { return r.state.Document }

// Encode returns the snapshot as JSON, as [Restore] reads it.
func (r *Rollout) Encode() ([]byte, error) {
	data, err := strict.Encode(r.state)
	if err != nil {
		return nil, fmt.Errorf("encode rollout: %w", err)
	}
	return data, nil
}

// Pause keeps new waves from being released, or lets them again.
func (r *Rollout) Pause(paused bool, now int64) {
	if r.state.Paused == paused || r.state.Phase != PhaseRunning {
		return
	}
	r.state.Paused, r.changed = paused, true
	kind := EventResumed
	if paused {
		kind = EventPaused
	}
	r.tell(Event{Time: now, Kind: kind})
}

// Stop ends the rollout: what was not taken yet is withdrawn.
func (r *Rollout) Stop(reason string, now int64) {
	if r.state.Phase != PhaseRunning {
		return
	}
	r.state.Phase, r.state.Reason, r.state.Paused, r.changed = PhaseStopped, reason, false, true
	for i := range r.state.Members[:r.state.released()] {
		m, s := &r.state.Members[i], &r.seen[i]
		if m.Status != MemberReleased && (m.Status != MemberFailed || m.Code != protocol.CodeTimeout || s.facts.Seen >= r.state.Document.Version) {
			continue
		}
		m.Withdrawn, s.sent = true, false
		if m.Status == MemberReleased {
			m.Status = MemberWithdrawn
		}
	}
	r.tell(Event{Time: now, Kind: EventStopped, Message: reason})
}

func (r *Rollout) tell(e Event) { r.events = append(r.events, e) }

// Unsent says that what Effects asked for a gateway could not be handed to the broker.
func (r *Rollout) Unsent(gateway string) {
	if i, ok := r.byName[gateway]; ok {
		r.seen[i].sent = false
	}
}

// Observe takes into account what is known of a gateway now. In a new life, say it of
// every member once all that the broker had kept has come, also if nothing is known:
// until then, no time is over and no wave is.
func (r *Rollout) Observe(gateway string, f Facts, now int64) {
	i, ok := r.byName[gateway]
	if !ok {
		return
	}
	m, s := &r.state.Members[i], &r.seen[i]
	if cameBack := s.told && f.Online && !s.facts.Online; cameBack {
		// The broker gives it what it has kept; this is for a broker that has forgotten.
		s.next, s.pause = now+RepublishMin/6, RepublishMin
	}
	s.facts, s.told = f, true
	if m.Status != MemberWaiting {
		r.judge(i, now)
	}
}

// judge gives a member the status that its facts call for.
func (r *Rollout) judge(i int, now int64) {
	m, s := &r.state.Members[i], &r.seen[i]
	if s.facts.Online && m.Reached == 0 {
		m.Reached, r.changed = now, true
	}
	status, code, message := r.state.Document.verdict(s.facts)
	switch {
	case m.Status == MemberDone && code == protocol.CodeStale:
		return // somebody has published the next one since
	case m.Status == MemberWithdrawn && status == MemberReleased:
		return
	case m.Status == MemberFailed && m.Code == protocol.CodeTimeout && (status == MemberReleased || status == MemberTaken):
		return // time was up, and that it is still on its way is no news
	case m.Gone && !s.facts.Online:
		return
	}
	r.settle(i, status, code, message, now)
}

// settle sets the status of a member.
func (r *Rollout) settle(i int, status string, code protocol.Code, message string, now int64) {
	m := &r.state.Members[i]
	if m.Status == status && m.Code == code {
		return
	}
	m.Status, m.Code, m.Message, m.Gone, m.Settled = status, code, message, false, 0
	if status == MemberDone || status == MemberFailed {
		m.Settled = now
	}
	r.changed = true
	r.tell(Event{Time: now, Kind: EventGateway, Wave: r.waveOf(i), Gateway: m.Gateway, Status: status, Code: code, Message: message})
}

// waveOf returns the wave of a member, from 1.
func (r *Rollout) waveOf(i int) int {
	n, _ := slices.BinarySearch(r.state.Ends, i+1)
	return n + 1
}

// verdict returns what the facts say about the document.
func (d *Document) verdict(f Facts) (status string, code protocol.Code, message string) {
	switch {
	case f.Epoch > d.Epoch:
		return MemberFailed, protocol.CodeEpoch, fmt.Sprintf("its keyring is of epoch %d, the document of %d", f.Epoch, d.Epoch)
	case f.Epoch < d.Epoch || f.Seen < d.Version:
		return MemberReleased, "", ""
	case f.Seen > d.Version:
		return MemberFailed, protocol.CodeStale, fmt.Sprintf("somebody has published version %d", f.Seen)
	case f.Status == protocol.StatusApplied && f.Applied == d.Version && f.Hash != "" && f.Hash != d.Hash:
		return MemberFailed, protocol.CodeReplay, fmt.Sprintf("it runs version %d with another content: somebody else has used the number", d.Version)
	case f.Status == protocol.StatusApplied && f.Applied == d.Version:
		return MemberDone, "", ""
	case !slices.Contains(f.Failed, d.Version): // the status may be that of the version before, until it has ended there
	case f.Status == protocol.StatusFailed || f.Status == protocol.StatusRolledBack || f.Status == protocol.StatusRejected:
		return failure(f)
	}
	return MemberTaken, "", ""
}

// failure returns why a gateway did not keep the document.
func failure(f Facts) (status string, code protocol.Code, message string) {
	code, message = protocol.CodeRolledBack, f.Status
	if f.Fault != nil {
		code, message = f.Fault.Code, f.Fault.Message
		if f.Fault.Path != "" {
			message = f.Fault.Path + ": " + message
		}
	}
	return MemberFailed, code, message
}

// Step decides what follows from all that was observed, and from the time.
func (r *Rollout) Step(now int64) Effects {
	r.notBefore(now)
	if r.state.Phase != PhaseStopped {
		r.expire(now)
	}
	if r.state.Phase == PhaseRunning {
		if reason := r.bad(); reason != "" {
			r.Stop(reason, now)
		} else {
			r.advance(now)
		}
	}
	again := r.renew(now)
	e := Effects{Changed: r.changed, Events: r.events, Publish: again}
	for i := range r.state.Members[:r.state.released()] {
		m, s := &r.state.Members[i], &r.seen[i]
		switch {
		case m.Withdrawn && !s.sent:
			s.sent = true
			e.Withdraw = append(e.Withdraw, m.Gateway)
		case r.wants(m, s, now):
			s.pause = min(max(2*s.pause, RepublishMin), RepublishMax)
			s.sent, s.next = true, now+s.pause
			e.Publish = append(e.Publish, m.Gateway)
		}
	}
	r.changed, r.events = false, nil
	return e
}

// wants reports whether the document is to be published to a member now.
func (r *Rollout) wants(m *Member, s *sight, now int64) bool {
	expired := m.Status == MemberFailed && m.Code == protocol.CodeTimeout && !m.Gone // it may still come
	if r.state.Phase == PhaseStopped || m.Status != MemberReleased && !expired || s.facts.Seen >= r.state.Document.Version {
		return false
	}
	return !s.sent || s.facts.Online && now >= s.next
}

// notBefore keeps the time of releases behind a clock that was set back: a rate and
// what is waited for then take longer, never shorter.
func (r *Rollout) notBefore(now int64) {
	for i := range r.state.Members[:r.state.released()] {
		if m := &r.state.Members[i]; m.Released > now {
			m.Released, r.changed = now, true
		}
	}
}

// expire fails members whose time is over.
func (r *Rollout) expire(now int64) {
	p := &r.state.Policy
	for i := range r.state.Members[:r.state.released()] {
		m, s := &r.state.Members[i], &r.seen[i]
		if !m.open() || !s.told { // it may have come to an end while nobody listened
			continue
		}
		switch {
		case m.Reached == 0 && m.Status == MemberReleased:
			if now >= m.Released+p.Offline {
				r.settle(i, MemberFailed, protocol.CodeTimeout, "it was never online"+s.doubts(), now)
			}
		case now < max(m.Reached, m.Released)+p.Answer:
		case m.Status == MemberTaken:
			r.settle(i, MemberFailed, protocol.CodeTimeout, "it has taken the document and says nothing of its end; phase "+s.facts.Phase+s.doubts(), now)
		default:
			r.settle(i, MemberFailed, protocol.CodeTimeout, "it was online and has not taken the document; see its audit log"+s.doubts(), now)
		}
	}
}

// doubts says how much was said in the member's name that it has not signed.
func (s *sight) doubts() string {
	if s.facts.Unverified == 0 {
		return ""
	}
	return fmt.Sprintf("; %d messages in its name are not signed with its key in the keyring", s.facts.Unverified)
}

// bad returns why the rollout must stop; nothing if it may go on.
func (r *Rollout) bad() string {
	p, released := &r.state.Policy, r.state.released()
	if failed := count(r.state.Members[:released], MemberFailed); p.Failures != nil && failed > 0 && failed >= p.Failures.of(released) {
		return fmt.Sprintf("%d of %d gateways failed, %s may not", failed, released, p.Failures)
	}
	for w := range r.state.Waves {
		members := r.state.wave(w)
		if failed := count(members, MemberFailed); (len(members)-failed)*100 < p.Success*len(members) {
			return fmt.Sprintf("%d of the %d gateways of wave %d failed, %d%% must succeed", failed, len(members), w+1, p.Success)
		}
	}
	return ""
}

func count(members []Member, status string) (n int) {
	for i := range members {
		if members[i].Status == status {
			n++
		}
	}
	return n
}

// advance releases more of the present wave, or the next one if the present one allows
// it.
func (r *Rollout) advance(now int64) {
	wave := r.state.Waves - 1
	if _, end := r.state.span(wave); wave < 0 || r.state.released() < end {
		r.release(now)
		return
	}
	if r.held(wave) {
		return
	}
	s := &r.state
	if s.Baking == 0 || s.Baking > now { // the clock was set back
		if s.Baking == 0 {
			r.tell(Event{Time: now, Kind: EventBake, Wave: s.Waves})
		}
		s.Baking, r.changed = now, true
	}
	if now < s.Baking+s.Policy.Bake || r.gone(wave, now) {
		return
	}
	members := s.wave(wave)
	done, failed := count(members, MemberDone), count(members, MemberFailed)
	switch {
	case done*100 < s.Policy.Success*(done+failed):
		r.Stop(fmt.Sprintf("%d of the %d gateways of wave %d that answered failed, %d%% must succeed", failed, done+failed, s.Waves, s.Policy.Success), now)
	case s.Waves == len(s.Ends):
		s.Phase, s.Paused, r.changed = PhaseDone, false, true
		r.tell(Event{Time: now, Kind: EventDone, Message: r.Progress().String()})
	default:
		r.release(now)
	}
}

// held reports whether a wave waits for somebody: for all who could be reached, for at
// least one that succeeds, and in a new life for what all of them are now.
func (r *Rollout) held(wave int) bool {
	done := 0
	begin, end := r.state.span(wave)
	for i := begin; i < end; i++ {
		m := &r.state.Members[i]
		if m.Status == MemberDone {
			done++
		}
		if m.Status == MemberTaken || m.Status == MemberReleased && m.Reached != 0 || !r.seen[i].told {
			return true
		}
	}
	return done == 0
}

// gone looks at the end of a bake for members that ran the document and went away. It
// reports whether they are waited for. One whose time is over has failed.
func (r *Rollout) gone(wave int, now int64) bool {
	waiting := false
	begin, end := r.state.span(wave)
	for i := begin; i < end; i++ {
		m := &r.state.Members[i]
		if m.Status != MemberDone || r.seen[i].facts.Online {
			continue
		}
		waiting = true
		if now >= r.state.Baking+r.state.Policy.Bake+r.state.Policy.Answer {
			r.settle(i, MemberFailed, protocol.CodeTimeout, "it ran the document and went away", now)
			m.Gone = true
		}
	}
	return waiting
}

// release lets members go, of the present wave or, if all of it are out, of the next
// one: as many as the policy allows at this time.
func (r *Rollout) release(now int64) {
	s := &r.state
	if s.Paused || !r.open(now) {
		return
	}
	begin, wave := s.released(), s.Waves-1
	if _, end := s.span(wave); begin == end {
		wave++
	}
	end := min(s.Ends[wave], begin+r.allowance(wave, now))
	if begin == end {
		return
	}
	r.changed = true
	if wave == s.Waves {
		s.Waves, s.Baking = wave+1, 0
		r.tell(Event{Time: now, Kind: EventWave, Wave: s.Waves, Message: gateways(s.Ends[wave] - begin)})
	}
	for i := begin; i < end; i++ {
		s.Members[i].Status, s.Members[i].Released = MemberReleased, now
		r.judge(i, now)
	}
}

// open reports whether a maintenance window is open, and tells when that changes.
func (r *Rollout) open(now int64) bool {
	open := anyOpen(r.windows, now)
	switch {
	case open && r.outside:
		r.tell(Event{Time: now, Kind: EventOpen})
	case !open && !r.outside:
		r.tell(Event{Time: now, Kind: EventClosed, Message: describeTime(nextOpen(r.windows, now))})
	}
	r.outside = !open
	return open
}

// describeTime writes a time down for people of all places.
func describeTime(at int64) string {
	return time.UnixMilli(at).UTC().Format("Mon 2006-01-02 15:04 UTC")
}

// allowance returns how many of a wave the rate allows to be released now.
func (r *Rollout) allowance(wave int, now int64) int {
	rate := r.state.Policy.Rate
	if rate == nil {
		return GatewaysMax
	}
	recent := 0
	for i := r.state.released() - 1; i >= 0 && r.state.Members[i].Released > now-minute; i-- {
		recent++
	}
	return max(0, rate.of(wave)-recent)
}

func gateways(n int) string {
	if n == 1 {
		return "1 gateway"
	}
	return fmt.Sprintf("%d gateways", n)
}

// Progress counts members.
type Progress struct {
	Members   int `json:"members"`
	Waiting   int `json:"waiting"`
	Open      int `json:"open"`    // released or taken
	Offline   int `json:"offline"` // of them: never online since release
	Done      int `json:"done"`
	Failed    int `json:"failed"`
	Withdrawn int `json:"withdrawn"`
}

// Progress returns how far the rollout is.
func (r *Rollout) Progress() Progress { return r.state.Progress() }

// Progress returns how far the rollout is.
func (s *Snapshot) Progress() Progress {
	p := Progress{Members: len(s.Members)}
	for i := range s.Members {
		m := &s.Members[i]
		switch m.Status {
		case MemberWaiting:
			p.Waiting++
		case MemberDone:
			p.Done++
		case MemberFailed:
			p.Failed++
		case MemberWithdrawn:
			p.Withdrawn++
		default:
			p.Open++
			if m.Reached == 0 {
				p.Offline++
			}
		}
	}
	return p
}

// String returns the numbers that are not zero.
func (p Progress) String() string {
	text := fmt.Sprintf("%d of %d gateways run it", p.Done, p.Members)
	for _, n := range []struct {
		n    int
		what string
	}{{p.Failed, "failed"}, {p.Open - p.Offline, "on the way"}, {p.Offline, "not online yet"}, {p.Waiting, "waiting"}, {p.Withdrawn, "withdrawn"}} {
		if n.n > 0 {
			text += fmt.Sprintf(", %d %s", n.n, n.what)
		}
	}
	return text
}
