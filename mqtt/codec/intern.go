package codec

// interner gives equal bytes the same string, so that what repeats is allocated
// once. It holds at most max strings; then it forgets all of them, which costs
// one allocation per string that still occurs.
type interner struct {
	max   int
	table map[string]string
}

func newInterner(max int) interner {
	return interner{max: max, table: make(map[string]string)}
}

func (t *interner) get(b []byte) string {
	if s, ok := t.table[string(b)]; ok {
		return s
	}
	if len(t.table) >= t.max {
		clear(t.table)
	}
	s := string(b)
	t.table[s] = s
	return s
}
