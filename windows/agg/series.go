package agg

import (
	"math"

	"edged"
)

// Bounds of the samples that a series keeps.
const (
	samplesMin     = 16
	samplesDefault = 1024
	samplesMost    = 4096 - 4 // a cell holds them
)

// sample is a number at a time.
type sample struct {
	t edged.Timestamp
	v float64
}

// measure says what lies between two samples that follow each other. It is a
// comparable value.
type measure interface {
	between(a, b sample) float64
}

// series gathers samples in the order of (event time, arrival) for the functions
// that depend on it, and sums up what its measure finds between neighbours.
//
// It keeps at most max samples. When there is one more, the older half is folded:
// what remains of it is the sum, the first sample and the last. That changes no
// result, but a sample from before the last folded one can then no longer take its
// place; it is left out and counted as refused. Results that end early (see [Span])
// cannot look behind the fold either. So max must cover the samples of the time by
// which events are out of order, not those of the window.
//
// The cell, integers being little-endian:
//
//	0  uint32  folded samples         4  uint32  refused ones
//	8  if there are folded ones, 48 bytes: the first and the last of them, the
//	   sum and what it has lost to rounding
//	   samples of 16 bytes: int64 event time, float64
type series struct {
	measure measure
	kind    edged.Kind // of the values that it takes; null: every value counts as 0
	max     int
}

const (
	seriesHead = 8
	foldBytes  = 48
	sampleSize = 16
)

// fold is what remains of folded samples.
type fold struct {
	folded, refused uint32
	first, last     sample
	sum             [2]uint64 // see accumulate
}

// Add implements [Growing].
func (s series) Add(cell []byte, v edged.Value, t edged.Timestamp) []byte {
	x := 0.0
	switch s.kind {
	case edged.Null:
		if v.Kind == edged.Null {
			return cell
		}
	case edged.Bool:
		x = truth(v.Bool())
		fallthrough
	default:
		if v.Kind != s.kind {
			return cell
		}
		x += v.Float()
	}
	return s.insert(cell, sample{t, x})
}

func (s series) insert(cell []byte, x sample) []byte {
	if len(cell) == 0 {
		cell = gap(cell, 0, seriesHead)
	}
	body := bodyOf(cell)
	if body > seriesHead && x.t < timeAt(cell, seriesHead+sampleSize) {
		le.PutUint32(cell[4:], addSaturating(le.Uint32(cell[4:]), 1))
		return cell
	}
	at := len(cell)
	if at > body && timeAt(cell, at-sampleSize) > x.t {
		low, high := 0, (at-body)/sampleSize
		for low < high {
			if mid := (low + high) / 2; timeAt(cell, body+sampleSize*mid) > x.t {
				high = mid
			} else {
				low = mid + 1
			}
		}
		at = body + sampleSize*low
		cell = gap(cell, at, sampleSize)
		putSample(cell[at:], x)
	} else {
		cell = appendSample(cell, x)
	}
	if n := (len(cell) - body) / sampleSize; n > s.max {
		return s.foldHalf(cell)
	}
	return cell
}

// foldHalf folds the older half of the samples.
func (s series) foldHalf(cell []byte) []byte {
	body := bodyOf(cell)
	half := (len(cell) - body) / sampleSize / 2
	f := foldOf(cell)
	for i := range half {
		f.extend(s.measure, sampleAt(cell, body+sampleSize*i))
	}
	rest := cell[body+sampleSize*half:]
	cell = cell[:seriesHead+foldBytes+copy(cell[seriesHead+foldBytes:], rest)]
	f.store(cell)
	return cell
}

// Merge implements [Growing].
func (s series) Merge(dst, src []byte) []byte {
	switch body := bodyOf(src); {
	case len(src) == 0:
		return dst
	case len(dst) == 0:
		return append(dst, src...)
	case body > seriesHead:
		return s.mergeFolds(dst, src)
	default:
		le.PutUint32(dst[4:], addSaturating(le.Uint32(dst[4:]), le.Uint32(src[4:])))
		for at := body; at < len(src); at += sampleSize {
			dst = s.insert(dst, sampleAt(src, at))
		}
		return dst
	}
}

// mergeFolds merges a src that has folded samples. The two folds must not overlap
// in time, or that of src is refused.
func (s series) mergeFolds(dst, src []byte) []byte {
	a, b := foldOf(dst), foldOf(src)
	mine, theirs := samplesOf(dst), samplesOf(src)
	switch {
	case a.folded > 0 && b.last.t < a.first.t:
		a, b, mine, theirs = b, a, theirs, mine
	case a.folded > 0 && a.last.t > b.first.t:
		a.refused = addSaturating(a.refused, b.folded)
		b.folded = 0
	}
	kept := mine
	if b.folded > 0 {
		for len(kept) > 0 && kept[0].t <= b.first.t {
			a.extend(s.measure, kept[0])
			kept = kept[1:]
		}
		a.join(s.measure, b)
	}
	a.refused = addSaturating(a.refused, b.refused)
	cell := gap(nil, 0, seriesHead+foldBytes)
	a.store(cell)
	for _, part := range [...][]sample{kept, theirs} {
		for _, x := range part {
			cell = s.insert(cell, x)
		}
	}
	return cell
}

// walk folds all samples before the end, and returns the result. A fold of nothing
// has no folded samples.
func (s series) walk(cell []byte, end edged.Timestamp) fold {
	if len(cell) == 0 {
		return fold{}
	}
	f := foldOf(cell)
	for at := bodyOf(cell); at < len(cell); at += sampleSize {
		x := sampleAt(cell, at)
		if x.t >= end && end != edged.MaxTimestamp {
			break
		}
		f.extend(s.measure, x)
	}
	return f
}

// refused returns how many samples came too late to be taken.
func (s series) refused(cell []byte) uint32 {
	if len(cell) == 0 {
		return 0
	}
	return le.Uint32(cell[4:])
}

// Check implements [Growing].
func (s series) Check(cell []byte) bool {
	if len(cell) == 0 {
		return true
	}
	if len(cell) < seriesHead || len(cell) < bodyOf(cell) {
		return false
	}
	body := bodyOf(cell)
	n := (len(cell) - body) / sampleSize
	if (len(cell)-body)%sampleSize != 0 || n > s.max || n == 0 {
		return false
	}
	before := sampleAt(cell, body).t
	if body > seriesHead {
		f := foldOf(cell)
		sum, some := load(f.sum[0])
		if !finite(f.first.v) || !finite(f.last.v) || f.first.t > f.last.t ||
			!some || math.IsInf(sum, -1) || !finite(math.Float64frombits(f.sum[1])) {
			return false
		}
		before = f.last.t
	}
	for at := body; at < len(cell); at += sampleSize {
		x := sampleAt(cell, at)
		if x.t < before || !finite(x.v) {
			return false
		}
		before = x.t
	}
	return true
}
