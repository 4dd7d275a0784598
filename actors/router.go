package actors

import (
	"cmp"
	"slices"

	"github.com/asynkron/protoactor-go/actor"

	"edged"
)

// keyRef is the sequencer's knowledge of one key. Only the sequencer touches
// it; actors read router and key, which never change.
type keyRef struct {
	router *router
	key    string

	pid    *actor.PID      // nil: no actor, the state is in the store
	active edged.Timestamp // processing time of the last event
	stored edged.Seq       // the snapshot that all this is known from; 0: none
	epoch  uint64          // number of the last epoch in which it has a turn
	turn   int32           // its place there

	// changed counts the generations of snapshots that do not hold the latest
	// state: 2 after an event, 1 after one sweep, 0 after two.
	changed     uint8
	rung        uint16 // how many of the router's silences were noticed since the last event; all: it waits for none
	open        bool   // time may change the state, as far as epochs are committed
	passivating bool
	forked      bool // the state is stored under the name of its router, or will be with the open epoch
	gone        bool // no longer in the router

	timed refLinks // in the router's timed or stored list
	beat  refLinks // in the router's beating or storedBeat list
	live  refLinks // in the router's live list: the key has an actor
}

// refLinks is a key's place in a list.
type refLinks struct {
	list       *refList
	prev, next *keyRef
}

// refList is a list of keys, the one longest without an event first. links
// tells which of a key's places belongs to it.
type refList struct {
	front, back *keyRef
	links       func(*keyRef) *refLinks
}

func timedLinks(ref *keyRef) *refLinks { return &ref.timed }
func beatLinks(ref *keyRef) *refLinks  { return &ref.beat }
func liveLinks(ref *keyRef) *refLinks  { return &ref.live }

// push puts the key last, wherever it was before.
func (l *refList) push(ref *keyRef) {
	l.remove(ref)
	at := l.links(ref)
	at.list, at.prev = l, l.back
	if l.back != nil {
		l.links(l.back).next = ref
	} else {
		l.front = ref
	}
	l.back = ref
}

// remove takes the key out of the list that its place is in, if any.
func (l *refList) remove(ref *keyRef) {
	at := l.links(ref)
	in := at.list
	if in == nil {
		return
	}
	if at.prev != nil {
		in.links(at.prev).next = at.next
	} else {
		in.front = at.next
	}
	if at.next != nil {
		in.links(at.next).prev = at.prev
	} else {
		in.back = at.prev
	}
	*at = refLinks{}
}

// router knows the keys of one pipeline that matter now: those with an actor,
// those that wait for time, and those that the next sweep must visit.
//
// Invariant: each list of timed and of stored is ordered by active, so that looking
// at their fronts finds every key that is due.
// Invariant: a tick that no snapshot of a key holds reaches that key when it is replayed if
// it did before, and only then.
type router struct {
	index    int
	pipeline Pipeline
	upstream string  // the pipeline whose results it takes, "" for messages
	stage    int     // see stagesOf
	flows    bool    // other pipelines take its results
	silences []int64 // ms, ascending; each is noticed once
	every    int64   // ms: how often keys that are not silent want a tick, 0: never
	pulse    int64   // ms after its last event in which a key gets every tick, and then one more
	bounded  bool
	since    edged.Seq // records up to here are not for this pipeline
	refs     map[string]*keyRef
	expected expectation
	hold     hold
	pins     int // why no key may be forgotten now

	// How it stands to the others that run, see sequencer.relate.
	muted  bool      // it is a shadow
	events int       // offered to keys and not yet counted
	origin *router   // whose states it continues
	forks  []*router // those that continue its states

	timed  []refList // by rung: had an event, and no tick that noticed the next silence
	stored []refList // the same, known from snapshots, which replay comes to later; no event or tick since the start
	live   refList   // has an actor

	beating    refList // had an event, and no tick since that came later than pulse
	storedBeat refList // the same, perhaps: known from snapshots, no event since the start
}

func newRouter(index int, p Pipeline, bounded bool, since edged.Seq) *router {
	r := &router{
		index: index, pipeline: p, upstream: p.Upstream(), silences: p.Silences(), bounded: bounded, since: since, refs: map[string]*keyRef{},
		live:    refList{links: liveLinks},
		beating: refList{links: beatLinks}, storedBeat: refList{links: beatLinks},
	}
	r.timed, r.stored = timedLists(len(r.silences)), timedLists(len(r.silences))
	if every, span := p.Pulse(); every > 0 {
		r.every, r.pulse = every, int64(edged.Timestamp(max(span, 0)).Add(every))
	}
	return r
}

// ticks reports whether time matters to the keys at all.
func (r *router) ticks() bool { return len(r.silences) > 0 || r.every > 0 }

// all is how many silences there are: a key of which all are noticed waits for none.
func (r *router) all() uint16 { return uint16(len(r.silences)) }

// timedLists returns lists by rung; one for the end of a bounded input if there are no silences.
func timedLists(silences int) []refList {
	lists := make([]refList, max(silences, 1))
	for i := range lists {
		lists[i].links = timedLinks
	}
	return lists
}

// lookup returns the ref of a key, making one if needed.
func (r *router) lookup(key string) *keyRef {
	ref := r.refs[key]
	if ref == nil {
		ref = &keyRef{router: r, key: key, rung: r.all()}
		r.refs[key] = ref
	}
	return ref
}

// touch notes an event of the key, unless it is known from a snapshot that holds it.
func (r *router) touch(ref *keyRef, seq edged.Seq, now edged.Timestamp) {
	if seq <= ref.stored {
		return
	}
	ref.active, ref.changed, ref.rung = now, 2, 0
	if len(r.silences) > 0 || r.bounded {
		r.timed[0].push(ref)
	}
	if r.every > 0 {
		r.beating.push(ref)
	}
	if ref.pid != nil {
		r.live.push(ref)
	}
}

// begins reports whether the silence of a key of which so much was noticed begins with a
// record that says that it is to have events. Where that is only said once more, a silence
// that goes on goes on.
func (r *router) begins(rec *edged.Record, rung uint16) bool {
	return rec.Kind == edged.TableRecord || rung == r.all()
}

// due returns of the keys that have been silent for long enough for a tick at now
// the one that has been silent the longest, otherwise nil.
func (r *router) due(now edged.Timestamp) *keyRef {
	var due *keyRef
	look := func(ref *keyRef, silence int64) {
		if ref != nil && now.Sub(ref.active) >= silence && (due == nil || ref.active < due.active) {
			due = ref
		}
	}
	for i, silence := range r.silences {
		look(r.timed[i].front, silence)
		look(r.stored[i].front, silence)
	}
	return due
}

// recall returns how the clock stands to a key of which there is a snapshot. What another
// version of the pipeline has noticed says nothing.
func (r *router) recall(snap *edged.Snapshot) (rung uint16, beats bool) {
	if snap.Beats == edged.Unknown || snap.Seq <= r.since || snap.Pipeline != r.pipeline.Name() {
		return r.anew(snap.Open > 0)
	}
	return min(snap.Rung, r.all()), r.every > 0 && snap.Beats == edged.Yes
}

// anew is how the clock stands to a key with whose state the pipeline begins: it tells it
// of all silences, and of the pulse, if that can change the state.
func (r *router) anew(open bool) (rung uint16, beats bool) {
	if !open {
		return r.all(), false
	}
	return 0, r.every > 0
}

// await lists keys that are known from snapshots and wait for time.
func (r *router) await(waiting, beating []*keyRef) {
	order := func(a, b *keyRef) int { return cmp.Or(cmp.Compare(a.active, b.active), cmp.Compare(a.key, b.key)) }
	slices.SortFunc(waiting, order)
	for _, ref := range waiting {
		r.stored[ref.rung].push(ref)
	}
	slices.SortFunc(beating, order)
	for _, ref := range beating {
		r.storedBeat.push(ref)
	}
}

// rise moves a key that is due behind the silences that a tick at now notices.
func (r *router) rise(ref *keyRef, now edged.Timestamp) {
	ref.rung = passed(r.silences, ref.rung, now.Sub(ref.active))
	if int(ref.rung) < len(r.silences) {
		r.timed[ref.rung].push(ref)
	} else {
		r.timed[0].remove(ref) // from whatever list it is in
	}
}

// passed returns how many silences have been noticed after a key, of which from were
// noticed before, has been quiet for so long.
func passed(silences []int64, from uint16, quiet int64) uint16 {
	for int(from) < len(silences) && quiet >= silences[from] {
		from++
	}
	return from
}

// beats reports whether a key that was active then gets the ticks after now, too.
func (r *router) beats(active, now edged.Timestamp) bool {
	return r.every > 0 && now.Sub(active) < r.pulse
}

// pulses reports whether processing time, coming from before to now, has passed a
// multiple of every that some key may wait for.
func (r *router) pulses(before, now edged.Timestamp) bool {
	if r.every == 0 || before.FloorTo(r.every, 0) == now.FloorTo(r.every, 0) {
		return false
	}
	for _, l := range []*refList{&r.beating, &r.storedBeat} {
		if l.front != nil {
			return true
		}
	}
	return false
}

// wake appends the keys that a tick at now is for: those whose silence has become
// long enough to be noticed, and those that want every tick. They come in the order
// of their names, which is the same in a run that was interrupted.
func (r *router) wake(now edged.Timestamp, refs []*keyRef) []*keyRef {
	from := len(refs)
	for ref := r.due(now); ref != nil; ref = r.due(now) {
		r.rise(ref, now)
		ref.changed = 2
		refs = append(refs, ref)
	}
	for _, l := range []*refList{&r.beating, &r.storedBeat} {
		for ref := l.front; ref != nil; {
			next := ref.beat.next
			ref.changed = 2
			refs = append(refs, ref)
			if !r.beats(ref.active, now) {
				l.remove(ref) // whatever it waited for is due by this tick
			}
			ref = next
		}
	}
	slices.SortFunc(refs[from:], func(a, b *keyRef) int { return cmp.Compare(a.key, b.key) })
	return refs[:from+len(slices.Compact(refs[from:]))]
}

// rest forgets a key that has no actor, unless time or a sweep must reach it.
func (r *router) rest(ref *keyRef) {
	if r.pins == 0 && ref.pid == nil && ref.timed.list == nil && ref.beat.list == nil && ref.changed == 0 {
		ref.gone = true
		delete(r.refs, ref.key)
	}
}

// changedKeys returns the keys whose state is not stored in both generations,
// sorted, because neighbours share pages.
func (r *router) changedKeys() []*keyRef {
	refs := r.appendChanged(nil)
	slices.SortFunc(refs, func(a, b *keyRef) int { return cmp.Compare(a.key, b.key) })
	return refs
}

// appendChanged appends these keys in no order.
func (r *router) appendChanged(refs []*keyRef) []*keyRef {
	for _, ref := range r.refs {
		if ref.changed > 0 {
			refs = append(refs, ref)
		}
	}
	return refs
}
