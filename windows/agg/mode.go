package agg

import "edged"

// mode is the most frequent value, and of several the smallest: numbers by size,
// texts by their bytes, false before true. For its cell see [counters].
type mode struct{ counters }

// Name implements [Function].
func (mode) Name() string { return "mode" }

// Result implements [Growing].
func (f mode) Result(cell []byte, _ Span) edged.Value {
	if len(cell) == 0 {
		return edged.Value{}
	}
	return f.value(f.ranking(cell)[0])
}
