package agg

import (
	"math"

	"edged"
)

// bodyOf returns where the samples of a cell begin.
func bodyOf(cell []byte) int {
	if len(cell) == 0 || le.Uint32(cell) == 0 {
		return seriesHead
	}
	return seriesHead + foldBytes
}

func sampleAt(cell []byte, at int) sample {
	return sample{timeAt(cell, at), floatAt(cell, at+8)}
}

func appendSample(cell []byte, x sample) []byte {
	cell = le.AppendUint64(cell, uint64(x.t))
	return le.AppendUint64(cell, math.Float64bits(x.v))
}

func putSample(at []byte, x sample) {
	le.PutUint64(at, uint64(x.t))
	le.PutUint64(at[8:], math.Float64bits(x.v))
}

// samplesOf returns the samples of a cell that are not folded.
func samplesOf(cell []byte) []sample {
	var all []sample
	for at := bodyOf(cell); at < len(cell); at += sampleSize {
		all = append(all, sampleAt(cell, at))
	}
	return all
}

// foldOf reads the fold of a cell that is not empty.
func foldOf(cell []byte) fold {
	f := fold{folded: le.Uint32(cell), refused: le.Uint32(cell[4:])}
	if f.folded > 0 {
		c := cell[seriesHead:]
		f.first, f.last = sampleAt(c, 0), sampleAt(c, sampleSize)
		f.sum = [2]uint64{le.Uint64(c[2*sampleSize:]), le.Uint64(c[2*sampleSize+8:])}
	}
	return f
}

// store writes a fold of something to the head of a cell.
func (f *fold) store(cell []byte) {
	le.PutUint32(cell, f.folded)
	le.PutUint32(cell[4:], f.refused)
	c := cell[seriesHead:]
	putSample(c, f.first)
	putSample(c[sampleSize:], f.last)
	le.PutUint64(c[2*sampleSize:], f.sum[0])
	le.PutUint64(c[2*sampleSize+8:], f.sum[1])
}

// extend folds one more sample, which is not before the last one.
func (f *fold) extend(m measure, x sample) {
	if f.folded == 0 {
		f.first = x
		f.sum = [2]uint64{}
	} else {
		f.add(m.between(f.last, x))
	}
	f.last = x
	f.folded = addSaturating(f.folded, 1)
}

// join folds a fold, which does not begin before the end of this one.
func (f *fold) join(m measure, g fold) {
	if f.folded == 0 {
		g.refused = f.refused
		*f = g
		return
	}
	f.add(m.between(f.last, g.first))
	f.add(math.Float64frombits(g.sum[0]))
	f.add(math.Float64frombits(g.sum[1]))
	f.last = g.last
	f.folded = addSaturating(f.folded, g.folded)
}

// add adds to the sum. One pattern stands for every kind of overflow.
func (f *fold) add(x float64) {
	if !finite(x) {
		x = math.Inf(1)
	}
	accumulate(f.sum[:], x)
}

// total returns the sum.
func (f *fold) total() float64 { return total(f.sum[:]) }

// until returns how long the last sample holds, up to the end of a span: not at
// all if the span has none.
func (f *fold) until(end edged.Timestamp) float64 {
	if end == edged.MaxTimestamp || end <= f.last.t {
		return 0
	}
	return float64(end.Sub(f.last.t))
}

// area is the area under the samples, in units times milliseconds: each holds
// until the next, or they are joined by lines.
type area struct{ linear bool }

func (m area) between(a, b sample) float64 {
	v := a.v
	if m.linear {
		v = a.v/2 + b.v/2
	}
	return float64(v * float64(b.t.Sub(a.t))) // not to be fused into a sum
}

// underUntil returns the area under all samples before the end, with the last one held
// until then if samples hold.
func (s series) underUntil(f *fold, end edged.Timestamp) float64 {
	if m, ok := s.measure.(area); ok && !m.linear {
		f.add(float64(f.last.v * f.until(end)))
	}
	return f.total()
}
