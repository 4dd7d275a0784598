package watermark

import (
	"edged/stored"
	"encoding/binary"
	"errors"
	"fmt"
	"sort"

	"edged"
)

// SourcesMaxDefault is the number of sources of one key unless the [Sources] say
// otherwise, and SourcesLimit the largest number that they may say.
const (
	SourcesMaxDefault = 1024
	SourcesLimit      = 4096
)

// Sources is what the merged watermarks of all keys share. It must not change
// once a [Merge] uses it.
type Sources struct {
	// Strategy makes the watermark of each source. Its idle timeout is not used
	// here: see [Merge.Expire].
	Strategy Strategy

	// Max is the largest number of sources of one key, at most [SourcesLimit]. 0
	// means [SourcesMaxDefault]. Beyond it the source that has been idle for the
	// longest makes room, and if none is idle the new one is refused.
	Max int
}

// Validate joins everything that is wrong with the sources. The errors wrap [ErrConfig].
func (s *Sources) Validate() error {
	var fault error
	if s.Max < 0 || s.Max > SourcesLimit {
		fault = fmt.Errorf("%w: at most %d sources per key; it must be 1 to %d, and 0 means %d", ErrConfig, s.Max, SourcesLimit, SourcesMaxDefault)
	}
	return errors.Join(s.Strategy.Validate(), fault)
}

// max returns the limit with its default.
func (s *Sources) max() int {
	if s.Max == 0 {
		return SourcesMaxDefault
	}
	return s.Max
}

// Merge is the watermark of a key that hears from several sources: the minimum
// over theirs. See the package's comment for the rules. The zero value is not
// usable; see [NewMerge]. It is not safe for concurrent use.
//
// Invariant: sources are ordered by name, no name twice.
// Invariant: current is not below the minimum over the sources that count.
type Merge struct {
	spec *Sources

	// Durable state.
	current edged.Timestamp
	sources []source

	// The sources that count, by the same places; derived. A source that does not
	// count is at MaxTimestamp in both, and so is one that has ended in marks.
	marks  lowest // their watermarks
	spoken lowest // when they were last heard of, by processing time
}

// source is one source of a key.
type source struct {
	name   string
	own    edged.Timestamp // its watermark
	since  edged.Timestamp // the processing time at which it was last heard of
	counts bool            // it is part of the minimum
	clock  Clock
}

// NewMerge returns the watermark of a key that has heard of no source. The
// sources must be valid.
func NewMerge(spec *Sources) Merge {
	return Merge{spec: spec, current: edged.MinTimestamp}
}

// Current returns the merged watermark.
func (m *Merge) Current() edged.Timestamp { return m.current }

// Len returns the number of sources that are known, idle ones among them.
func (m *Merge) Len() int { return len(m.sources) }

// AllIdle reports whether no source counts: the watermark stands still until one
// does, or something else moves it.
func (m *Merge) AllIdle() bool {
	for i := range m.sources {
		if m.sources[i].counts {
			return false
		}
	}
	return true
}

// Observe notes an event of a source with event time t and, for punctuated
// watermarks, the given mark. It came at processing time now. False means that
// there are too many sources for this one to be known; its event then moves nothing.
func (m *Merge) Observe(name string, t, mark, now edged.Timestamp) bool {
	i, ok := m.place(name, now)
	if ok {
		s := &m.sources[i]
		m.heard(i, m.spec.Strategy.Observe(&s.clock, s.own, t, mark), now)
	}
	return ok
}

// Tell notes that a source says what its watermark is, at processing time now.
// [edged.MaxTimestamp] says that it has ended: it holds nobody up any more, and
// moves nobody to the end of time. False is as in [Merge.Observe].
func (m *Merge) Tell(name string, w, now edged.Timestamp) bool {
	i, ok := m.place(name, now)
	if ok {
		m.heard(i, max(m.sources[i].own, w), now)
	}
	return ok
}

// Active notes a sign of life of a source at processing time now, without an
// event. A source that was not known is waited for from now on. False is as in
// [Merge.Observe].
func (m *Merge) Active(name string, now edged.Timestamp) bool {
	i, ok := m.place(name, now)
	if ok {
		m.heard(i, m.sources[i].own, now)
	}
	return ok
}

// Idle takes a source out of the minimum until it is back. One that is not known
// is not in it.
func (m *Merge) Idle(name string) {
	if i, ok := m.find(name); ok && m.sources[i].counts {
		m.sources[i].counts = false
		m.show(i)
		m.settle()
	}
}

// Remove forgets a source.
func (m *Merge) Remove(name string) {
	if i, ok := m.find(name); ok {
		m.cut(i)
		m.index()
		m.settle()
	}
}

// Expire takes out all sources that have been silent for the timeout, or longer,
// at processing time now. A timeout of 0 means never.
func (m *Merge) Expire(now edged.Timestamp, timeout int64) {
	if timeout <= 0 {
		return
	}
	for len(m.sources) > 0 {
		i := m.spoken.at()
		if s := &m.sources[i]; !s.counts || now.Sub(s.since) < timeout {
			break
		}
		m.sources[i].counts = false
		m.show(i)
	}
	m.settle()
}

// Due returns the processing time from which on [Merge.Expire] takes a source
// out, and [edged.MaxTimestamp] when it does not.
func (m *Merge) Due(timeout int64) edged.Timestamp {
	if timeout <= 0 {
		return edged.MaxTimestamp
	}
	return m.spoken.least().Add(timeout)
}

// Raise says that the key's time has come to w by other means: it was idle, or
// somebody said so. Sources that are behind hold it there.
func (m *Merge) Raise(w edged.Timestamp) { m.current = max(m.current, w) }

// Bytes returns about how much memory the state takes.
func (m *Merge) Bytes() int {
	n := 0
	for i := range m.sources {
		s := &m.sources[i]
		n += 56 + 32 + len(s.name) + s.clock.Bytes() // the source, its places in two trees
	}
	return n
}

// heard notes the watermark of a source that spoke. One that was idle counts
// again as soon as it does not hold up the others.
func (m *Merge) heard(i int, own, now edged.Timestamp) {
	s := &m.sources[i]
	s.own, s.since = own, max(s.since, now)
	s.counts = s.counts || own >= m.current
	m.show(i)
	m.settle()
}

// settle moves the merged watermark to the minimum. With nobody in it, it stays.
func (m *Merge) settle() {
	if w := m.marks.least(); w != edged.MaxTimestamp {
		m.current = max(m.current, w)
	}
}

// show tells the trees about a source.
func (m *Merge) show(i int) {
	own, since := m.sources[i].shown()
	m.marks.set(i, own)
	m.spoken.set(i, since)
}

// shown returns what the trees know of a source.
func (s *source) shown() (own, since edged.Timestamp) {
	if !s.counts {
		return edged.MaxTimestamp, edged.MaxTimestamp
	}
	return s.own, s.since
}

// index computes the trees anew, after places have changed.
func (m *Merge) index() {
	m.marks.leaves(len(m.sources))
	m.spoken.leaves(len(m.sources))
	for i := range m.sources {
		own, since := m.sources[i].shown()
		m.marks.put(i, own)
		m.spoken.put(i, since)
	}
	m.marks.build()
	m.spoken.build()
}

// find returns the place of a source and whether it is there.
func (m *Merge) find(name string) (int, bool) {
	i := sort.Search(len(m.sources), func(i int) bool { return m.sources[i].name >= name })
	return i, i < len(m.sources) && m.sources[i].name == name
}

// place returns the place of a source, which is made known if it is not, and
// whether there is room for it. A new source is part of the minimum at once:
// it holds the watermark where it is until it has caught up.
func (m *Merge) place(name string, now edged.Timestamp) (int, bool) {
	i, ok := m.find(name)
	if ok {
		return i, true
	}
	if len(m.sources) >= m.spec.max() {
		if !m.evict() {
			return 0, false
		}
		i, _ = m.find(name)
	}
	m.sources = append(m.sources, source{})
	copy(m.sources[i+1:], m.sources[i:])
	m.sources[i] = source{name: name, own: edged.MinTimestamp, since: now, counts: true}
	m.index()
	return i, true
}

// evict forgets the source that has been idle for the longest, the first of them
// by name, and reports whether there was one.
func (m *Merge) evict() bool {
	oldest := -1
	for i := range m.sources {
		if s := &m.sources[i]; !s.counts && (oldest < 0 || s.since < m.sources[oldest].since) {
			oldest = i
		}
	}
	if oldest >= 0 {
		m.cut(oldest)
	}
	return oldest >= 0
}

// cut takes a source out of the list.
func (m *Merge) cut(i int) {
	last := len(m.sources) - 1
	copy(m.sources[i:], m.sources[i+1:])
	m.sources[last] = source{} // for its name and what it learned
	m.sources = m.sources[:last]
}

// AppendBinary appends the state to dst: the merged watermark, the number of
// sources and, by name, each name, whether it counts (0 or 1), its watermark,
// when it was heard of and its [Clock]. Equal states give equal bytes.
func (m *Merge) AppendBinary(dst []byte) []byte {
	dst = binary.AppendVarint(dst, int64(m.current))
	dst = binary.AppendUvarint(dst, uint64(len(m.sources)))
	for i := range m.sources {
		s := &m.sources[i]
		dst = binary.AppendUvarint(dst, uint64(len(s.name)))
		dst = append(dst, s.name...)
		counts := byte(0)
		if s.counts {
			counts = 1
		}
		dst = append(dst, counts)
		dst = binary.AppendVarint(dst, int64(s.own))
		dst = binary.AppendVarint(dst, int64(s.since))
		dst = s.clock.AppendBinary(dst)
	}
	return dst
}

// Restore replaces the state by one that AppendBinary wrote, and returns the
// bytes behind it. On an error, which wraps [ErrState], the state is as it was.
func (m *Merge) Restore(data []byte) ([]byte, error) {
	d := stored.Reader{Data: data}
	r := NewMerge(m.spec)
	r.current = edged.Timestamp(d.Varint())
	n := d.Uvarint()
	if d.Bad || n > uint64(len(d.Data)) { // a source takes more than one byte
		return nil, fmt.Errorf("restore a merged watermark: %w", ErrState)
	}
	for i := range n {
		s := source{name: d.Text()}
		counts := d.Uvarint()
		s.counts = counts == 1
		s.own, s.since = edged.Timestamp(d.Varint()), edged.Timestamp(d.Varint())
		rest, err := s.clock.Restore(d.Data)
		if d.Bad || err != nil || counts > 1 || i > 0 && r.sources[i-1].name >= s.name {
			return nil, fmt.Errorf("restore source %d of %d: %w", i+1, n, ErrState)
		}
		d.Data = rest
		r.sources = append(r.sources, s)
	}
	r.index()
	r.settle()
	*m = r
	return d.Data, nil
}
