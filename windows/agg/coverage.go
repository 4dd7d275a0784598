package agg

import "edged"

// covered is the time that samples vouch for: each for an interval, or until the next.
type covered struct{ interval int64 }

func (m covered) between(a, b sample) float64 {
	return float64(min(m.interval, b.t.Sub(a.t)))
}

// coverage is what share of the span samples vouch for, in percent. Without samples
// it is 0, and null for a span without bounds or length. For its cell see [series].
type coverage struct{ series }

// Name implements [Function].
func (coverage) Name() string { return "coverage" }

// Result implements [Growing].
func (f coverage) Result(cell []byte, span Span) edged.Value {
	if span.Start >= span.End || span.Start == edged.MinTimestamp || span.End == edged.MaxTimestamp {
		return edged.Value{}
	}
	sum := f.walk(cell, span.End)
	if m, ok := f.measure.(covered); ok && sum.folded > 0 {
		sum.add(min(float64(m.interval), sum.until(span.End)))
	}
	return edged.NumberValue(min(1, sum.total()/float64(span.End.Sub(span.Start))) * 100)
}
