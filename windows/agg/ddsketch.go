package agg

import (
	"math"

	"edged"
)

// Bounds of the bins that a percentile keeps for each sign.
const (
	binsMin     = 16
	binsDefault = 1024
	binsMost    = 4096
)

// quantile is a percentile of the numbers, by DDSketch (Masson, Rim and Lee, VLDB
// 12(12), 2019): counters of logarithmic bins. The result is within the relative
// error of the number of rank floor(q(n-1)), counted from 0.
//
// There are at most max bins for each sign. When more are needed, those nearest to
// 0 become one, so the error bound holds for the numbers within max bins of the
// largest magnitude: at 1 % and 1,024 bins that is a ratio of 600 million to 1. The
// state depends on the set of numbers only, not on their order or how it was merged.
//
// The cell, integers being little-endian:
//
//	0   uint32  how many numbers count as 0
//	4   int32   first positive bin       8  int32  first negative bin
//	12  uint16  number of positive bins  14 uint16 number of negative bins
//	16  uint32  one counter for each bin, positive ones first
//
// It takes 16 bytes and 4 for each bin between the smallest and the largest: at 1 %
// there are 35 for each doubling. A counter that is full stays full.
type quantile struct {
	median bool // the name only
	q      float64
	scale  scale
	max    int
}

// The places in the cell.
const (
	binsZero  = 0
	binsFirst = 4 // of a sign: + 4*sign
	binsCount = 12
	binsHead  = 16
)

// binMost is more than any bin's number.
const binMost = 1 << 20

// Name implements [Function].
func (f quantile) Name() string {
	if f.median {
		return "median"
	}
	return "percentile"
}

// bins is the part of a cell that belongs to one sign.
type bins struct {
	sign  int // 0: positive, 1: negative
	first int32
	n     int
	at    int // place of the first counter
}

func binsOf(cell []byte, sign int) bins {
	b := bins{sign: sign, at: binsHead}
	b.first = int32(le.Uint32(cell[binsFirst+4*sign:]))
	b.n = int(le.Uint16(cell[binsCount+2*sign:]))
	if sign == 1 {
		b.at += 4 * int(le.Uint16(cell[binsCount:]))
	}
	return b
}

func (b bins) store(cell []byte) {
	le.PutUint32(cell[binsFirst+4*b.sign:], uint32(b.first))
	le.PutUint16(cell[binsCount+2*b.sign:], uint16(b.n))
}

// Add implements [Growing].
func (f quantile) Add(cell []byte, v edged.Value, _ edged.Timestamp) []byte {
	if v.Kind != edged.Number {
		return cell
	}
	x := v.Float()
	switch {
	case x >= tiny:
		return f.count(cell, 0, f.scale.bin(x), 1)
	case x <= -tiny:
		return f.count(cell, 1, f.scale.bin(-x), 1)
	}
	return countZeros(cell, 1)
}

func countZeros(cell []byte, times uint32) []byte {
	if len(cell) == 0 {
		cell = gap(cell, 0, binsHead)
	}
	le.PutUint32(cell, addSaturating(le.Uint32(cell), times))
	return cell
}

// count adds to the counter of a bin.
func (f quantile) count(cell []byte, sign int, bin int32, times uint32) []byte {
	if len(cell) == 0 {
		cell = gap(cell, 0, binsHead)
	}
	b := binsOf(cell, sign)
	if i := int(bin - b.first); uint(i) >= uint(b.n) {
		cell, b = f.extend(cell, b, bin)
		bin = max(bin, b.first)
	}
	at := b.at + 4*int(bin-b.first)
	le.PutUint32(cell[at:], addSaturating(le.Uint32(cell[at:]), times))
	return cell
}

// extend makes room for a bin. If that takes more than max, the bins nearest to 0
// are collapsed, and the bin may be among them: it is then below b.first.
func (f quantile) extend(cell []byte, b bins, bin int32) ([]byte, bins) {
	if b.n == 0 {
		b.first = bin
	}
	last := max(bin, b.first+int32(b.n)-1)
	lowest := last - int32(f.max) + 1
	if b.n > 0 && lowest > b.first {
		collapsed := uint32(0)
		drop := int(min(lowest-b.first, int32(b.n)))
		for i := range drop {
			collapsed = addSaturating(collapsed, le.Uint32(cell[b.at+4*i:]))
		}
		if drop == b.n {
			drop-- // this place is for the sum
			le.PutUint32(cell[b.at+4*drop:], 0)
		}
		cell = cut(cell, b.at, 4*drop)
		b.first, b.n = lowest, b.n-drop
		le.PutUint32(cell[b.at:], addSaturating(collapsed, le.Uint32(cell[b.at:])))
	}
	if below := int(b.first - max(bin, lowest)); below > 0 {
		cell = gap(cell, b.at, 4*below)
		b.first, b.n = b.first-int32(below), b.n+below
	}
	if above := int(bin-b.first) + 1 - b.n; above > 0 {
		cell = gap(cell, b.at+4*b.n, 4*above)
		b.n += above
	}
	b.store(cell)
	return cell, b
}

// Merge implements [Growing].
func (f quantile) Merge(dst, src []byte) []byte {
	if len(src) == 0 {
		return dst
	}
	dst = countZeros(dst, le.Uint32(src[binsZero:]))
	for sign := range 2 {
		b := binsOf(src, sign)
		for i := range b.n {
			i = (i + b.n - 1) % b.n // the last one first: it says what collapses
			if times := le.Uint32(src[b.at+4*i:]); times > 0 {
				dst = f.count(dst, sign, b.first+int32(i), times)
			}
		}
	}
	return dst
}

// Result implements [Growing].
func (f quantile) Result(cell []byte, _ Span) edged.Value {
	if len(cell) == 0 {
		return edged.Value{}
	}
	negative, positive := binsOf(cell, 1), binsOf(cell, 0)
	zeros := uint64(le.Uint32(cell[binsZero:]))
	below, total := negative.total(cell), zeros+positive.total(cell)
	total += below
	rank := uint64(math.Floor(f.q * float64(total-1)))
	switch {
	case rank < below: // the largest magnitude is the smallest number
		return edged.NumberValue(-f.scale.value(negative.ranked(cell, below-1-rank)))
	case rank < below+zeros:
		return edged.NumberValue(0)
	}
	return edged.NumberValue(f.scale.value(positive.ranked(cell, rank-below-zeros)))
}

func (b bins) total(cell []byte) (n uint64) {
	for i := range b.n {
		n += uint64(le.Uint32(cell[b.at+4*i:]))
	}
	return n
}

// ranked returns the bin that holds the number of that rank, from 0 at the bin
// nearest to 0.
func (b bins) ranked(cell []byte, rank uint64) int32 {
	for i := range b.n {
		n := uint64(le.Uint32(cell[b.at+4*i:]))
		if rank < n {
			return b.first + int32(i)
		}
		rank -= n
	}
	return b.first + int32(b.n) - 1
}

// Check implements [Growing].
func (f quantile) Check(cell []byte) bool {
	if len(cell) == 0 {
		return true
	}
	if len(cell) < binsHead {
		return false
	}
	size, any := binsHead, le.Uint32(cell[binsZero:]) > 0
	for sign := range 2 {
		b := binsOf(cell, sign)
		size += 4 * b.n
		switch {
		case len(cell) < size || b.n > f.max:
			return false
		case b.n == 0 && b.first != 0:
			return false
		case b.n == 0:
			continue
		case b.first < -binMost || b.first > binMost-binsMost:
			return false
		case le.Uint32(cell[b.at:]) == 0 || le.Uint32(cell[b.at+4*b.n-4:]) == 0:
			return false // neither end is ever empty
		}
		any = true
	}
	return any && len(cell) == size
}
