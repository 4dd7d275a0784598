package sim

// repeatSlots bounds how many publishes may lie between a sample and its repeat.
const repeatSlots = 128

// repeats holds samples that are to be published again: a wheel with one slot
// per coming publish.
type repeats struct {
	slots   [repeatSlots]Sample // Duplicate set: occupied
	now     uint                // the slot of this publish
	pending int
}

// take moves to the next publish and yields the sample that is due, if any.
func (r *repeats) take(s *Sample) bool {
	r.now = (r.now + 1) % repeatSlots
	slot := &r.slots[r.now]
	if !slot.Duplicate {
		return false
	}
	*s = *slot
	slot.Duplicate = false
	r.pending--
	return true
}

// drain yields what is left, in order.
func (r *repeats) drain(s *Sample) bool {
	for r.pending > 0 {
		if r.take(s) {
			return true
		}
	}
	return false
}

// put makes s due after about delay other publishes, in the first free slot.
// With all slots taken, which needs 127 repeats in a row, there is no repeat.
func (r *repeats) put(s *Sample, delay int64) {
	for i := range uint(repeatSlots - 1) {
		slot := &r.slots[(r.now+1+(uint(delay)+i)%(repeatSlots-1))%repeatSlots]
		if !slot.Duplicate {
			*slot = *s
			slot.Duplicate = true
			r.pending++
			return
		}
	}
}
