package fleet

// issue is under which number and with which bytes an id was applied.
type issue struct {
	seq uint64
	sum uint64 // of the whole payload
}

// memory knows the ids that were applied: all of them, or the newest few.
//
// Invariant: with max > 0, ids, numbers and ring speak of the same results.
type memory struct {
	max     int // 0: all
	ids     map[string]issue
	numbers map[uint64]struct{} // the seqs in ids
	ring    []string            // the ids in order of arrival; only with max > 0
	oldest  int                 // in ring
}

func newMemory(limit int) memory {
	return memory{max: max(0, limit), ids: map[string]issue{}, numbers: map[uint64]struct{}{}}
}

func (m *memory) get(id string) (issue, bool) {
	known, ok := m.ids[id]
	return known, ok
}

// holds reports whether the id that was applied under seq, which was seen, is
// still known.
func (m *memory) holds(seq uint64) bool {
	if m.max == 0 {
		return true
	}
	_, ok := m.numbers[seq]
	return ok
}

// put remembers an id that is not known.
func (m *memory) put(id string, now issue) {
	m.ids[id] = now
	if m.max == 0 {
		return
	}
	m.numbers[now.seq] = struct{}{}
	if len(m.ring) < m.max {
		m.ring = append(m.ring, id)
		return
	}
	delete(m.numbers, m.ids[m.ring[m.oldest]].seq)
	delete(m.ids, m.ring[m.oldest])
	m.ring[m.oldest] = id
	m.oldest = (m.oldest + 1) % m.max
}
