package agg

import (
	"errors"
	"math"

	"edged"
)

// Errors of this package.
var (
	// ErrUnknown says that no function has the given name.
	ErrUnknown = errors.New("unknown aggregate function")

	// ErrParams says that a function cannot work on such a field or with such
	// parameters.
	ErrParams = errors.New("invalid aggregate parameters")

	// ErrLayout says that a column cannot be computed as declared.
	ErrLayout = errors.New("invalid aggregate column")

	// ErrState says that stored bytes are not the state of this layout.
	ErrState = errors.New("malformed aggregate state")
)

// Word is the type of one 64-bit word of a state. It decides how the word is
// stored, not what it means.
type Word uint8

// The types of words.
const (
	Counter Word = iota // a small non-negative integer; stored in 1 to 10 bytes
	Float               // the bits of a float64; stored in 8 bytes
	Time                // a timestamp near the window's start; stored as the distance
)

// Span is the interval of event time that a result speaks about, [Start, End).
// Only functions that weigh values by time look at it.
type Span struct {
	Start edged.Timestamp
	End   edged.Timestamp // [edged.MaxTimestamp]: no end, so nothing holds until then
}

// Function is one aggregate function: a stateless, comparable value that is
// either a [Fixed] or a [Growing]. Equal functions have states that merge.
type Function interface {
	// Name is what [Find] knows the function by.
	Name() string
}

// Fixed is a function whose state is as many words as Words lists, kept by the
// caller. Init must be called before anything else touches them. Merge folds src,
// whose events arrived after those of dst, into dst and leaves src alone.
type Fixed interface {
	Function
	Words() []Word
	Init(state []uint64)
	Add(state []uint64, v edged.Value, t edged.Timestamp)
	Merge(dst, src []uint64)
	Result(state []uint64) edged.Value
}

// Growing is a function whose state grows with its input, up to a bound: a cell
// of bytes, kept by the caller, which is its own canonical stored form. An empty
// cell has seen nothing. Add and Merge work like append: they may change the
// bytes of the first argument, and return it anew. Merge leaves src alone.
//
// Add, Merge and Result may only be called with cells that Check accepts.
type Growing interface {
	Function
	Add(cell []byte, v edged.Value, t edged.Timestamp) []byte
	Merge(dst, src []byte) []byte
	Result(cell []byte, span Span) edged.Value
	Check(cell []byte) bool
}

// none is the bit pattern of a Float word that holds no value yet. Inputs are
// finite, so every NaN is free to mean absence.
const none uint64 = 0x7FF8000000000001

// load reads a Float word and reports whether it holds a value.
func load(word uint64) (float64, bool) {
	f := math.Float64frombits(word)
	return f, f == f
}

// optional returns the value of a Float word, null when it holds none.
func optional(word uint64) edged.Value {
	return edged.NumberValue(math.Float64frombits(word))
}
