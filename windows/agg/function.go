package agg

import (
	"errors"
	"fmt"
	"math"

	"edged"
)

// Errors of this package.
var (
	// ErrUnknown says that no function has the given name.
	ErrUnknown = errors.New("unknown aggregate function")

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

// Function is one aggregate function. It is a stateless value: all methods work
// on a state of as many words as Words lists, kept by the caller.
//
// Init must be called before anything else touches the state. Merge folds src,
// whose events arrived after those of dst, into dst and leaves src alone.
type Function interface {
	Words() []Word
	Init(state []uint64)
	Add(state []uint64, v edged.Value, t edged.Timestamp)
	Merge(dst, src []uint64)
	Result(state []uint64) edged.Value
}

// Names lists the functions that [Find] knows.
func Names() []string {
	return []string{"count", "sum", "avg", "min", "max", "first", "last"}
}

// Find returns the function of that name, or [ErrUnknown].
func Find(name string) (Function, error) {
	switch name {
	case "count":
		return Count{}, nil
	case "sum":
		return Sum{}, nil
	case "avg":
		return Avg{}, nil
	case "min":
		return Min{}, nil
	case "max":
		return Max{}, nil
	case "first":
		return First{}, nil
	case "last":
		return Last{}, nil
	}
	return nil, fmt.Errorf("find function %q: %w; use one of %v", name, ErrUnknown, Names())
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
	f, ok := load(word)
	if !ok {
		return edged.Value{}
	}
	return edged.NumberValue(f)
}
