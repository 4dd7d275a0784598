package codec

// interner gives equal bytes the same string, so that what repeats is allocated
// once. Every text has one place in its table, where it displaces what was there
// before: with many texts an allocation comes back now and then, and the memory
// taken stays what it is. It is empty until it is used.
type interner struct {
	size  int // a power of two
	table []string
}

func newInterner(size int) interner { return interner{size: size} }

func (t *interner) get(b []byte) string {
	if t.table == nil {
		t.table = make([]string, t.size)
	}
	place := &t.table[hash(b)&uint32(t.size-1)]
	if *place != string(b) {
		*place = string(b)
	}
	return *place
}

// hash is FNV-1a, with its high bits folded in, because the place is made of the
// low ones. Whoever makes texts collide only costs himself an allocation.
func hash(b []byte) uint32 {
	h := uint32(2166136261)
	for _, c := range b {
		h = (h ^ uint32(c)) * 16777619
	}
	return h ^ h>>15
}
