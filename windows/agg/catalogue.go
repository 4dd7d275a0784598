package agg

import (
	"fmt"
	"slices"

	"edged"
)

// Description is what documents and their users need to know of a function.
type Description struct {
	Name         string
	Doc          string       // one sentence
	Kinds        []edged.Kind // of fields that it accepts; null: it can do without a field
	Params       []Param
	Interpolates bool       // it accepts Params.Interpolation
	Result       edged.Kind // null: that of the field

	build func(kind edged.Kind, p Params) Function
}

// ResultOf returns the kind of the result over a field of the given kind.
func (d Description) ResultOf(kind edged.Kind) edged.Kind {
	if d.Result == edged.Null {
		return kind
	}
	return d.Result
}

// The kinds of fields.
var (
	onNumbers = []edged.Kind{edged.Number}
	onTruth   = []edged.Kind{edged.Bool}
	onValues  = []edged.Kind{edged.Number, edged.Text, edged.Bool}
	onEvents  = []edged.Kind{edged.Null, edged.Number, edged.Text, edged.Bool}
)

// Parameters that several functions have.
var (
	relativeError = Param{"relative_error", 0.001, 0.2, 0.01}
	maxBins       = Param{"max", binsMin, binsMost, binsDefault}
	maxCounters   = Param{"max", 1, countersMost, countersDefault}
	maxSamples    = Param{"max", samplesMin, samplesMost, samplesDefault}
	perUnit       = Param{"per", 1, 1 << 40, 1000}
)

// simple returns the build of a function without variants.
func simple(f Function) func(edged.Kind, Params) Function {
	return func(edged.Kind, Params) Function { return f }
}

// shapeOf returns the series of an area function.
func shapeOf(kind edged.Kind, p Params) series {
	return series{area{p.Interpolation == Linear}, kind, p.Max}
}

// catalogue lists all functions.
var catalogue = []Description{
	{"count", "How many values there are; without a field, how many events.", onEvents, nil, false, edged.Number, simple(Count{})},
	{"sum", "The sum, compensated for rounding.", onNumbers, nil, false, edged.Number, simple(Sum{})},
	{"avg", "The arithmetic mean.", onNumbers, nil, false, edged.Number, simple(Avg{})},
	{"min", "The smallest number.", onNumbers, nil, false, edged.Number, simple(Min{})},
	{"max", "The largest number.", onNumbers, nil, false, edged.Number, simple(Max{})},
	{"range", "The largest number less the smallest.", onNumbers, nil, false, edged.Number, simple(extent{})},
	{"variance_pop", "The variance: the mean of the squared distances from the mean.", onNumbers, nil, false, edged.Number, simple(spread{})},
	{"variance_sample", "The variance estimated from a sample: divided by n-1.", onNumbers, nil, false, edged.Number, simple(spread{sample: true})},
	{"stddev_pop", "The standard deviation: the root of variance_pop.", onNumbers, nil, false, edged.Number, simple(spread{root: true})},
	{"stddev_sample", "The root of variance_sample.", onNumbers, nil, false, edged.Number, simple(spread{sample: true, root: true})},
	{"first", "The value with the earliest event time.", onValues, nil, false, edged.Null, func(kind edged.Kind, _ Params) Function {
		if kind == edged.Text {
			return textAt{}
		}
		return First{Truth: kind == edged.Bool}
	}},
	{"last", "The value with the latest event time.", onValues, nil, false, edged.Null, func(kind edged.Kind, _ Params) Function {
		if kind == edged.Text {
			return textAt{latest: true}
		}
		return Last{Truth: kind == edged.Bool}
	}},
	{"median", "The number in the middle, within a relative error.", onNumbers, []Param{relativeError, maxBins}, false, edged.Number, func(_ edged.Kind, p Params) Function {
		return quantile{true, 0.5, newScale(p.RelativeError), p.Max}
	}},
	{"percentile", "The number that a share of the numbers, the quantile, does not exceed, within a relative error.", onNumbers, []Param{{"quantile", 1e-9, 1, 0}, relativeError, maxBins}, false, edged.Number, func(_ edged.Kind, p Params) Function {
		return quantile{false, p.Quantile, newScale(p.RelativeError), p.Max}
	}},
	{"distinct", "How many different values there are: exact while few, then estimated.", onValues, []Param{{"precision", precisionMin, precisionMax, precisionDefault}}, false, edged.Number, func(_ edged.Kind, p Params) Function {
		return distinct{uint8(p.Precision)}
	}},
	{"mode", "The most frequent value.", onValues, []Param{maxCounters}, false, edged.Null, func(kind edged.Kind, p Params) Function {
		return mode{counters{kind, p.Max}}
	}},
	{"top_k", "The k most frequent values with their counts.", onValues, []Param{{"k", 1, 100, 10}, maxCounters}, false, edged.JSON, func(kind edged.Kind, p Params) Function {
		return topK{counters{kind, max(p.Max, p.K)}, p.K}
	}},
	{"collect", "The list of the values in the order of event time, the earliest max of them.", onValues, []Param{{"max", 1, collectMost, collectDefault}}, false, edged.JSON, func(kind edged.Kind, p Params) Function {
		return collect{kind, p.Max}
	}},
	{"time_weighted_avg", "The average over time: every number counts for as long as it holds.", onNumbers, []Param{maxSamples}, true, edged.Number, func(kind edged.Kind, p Params) Function {
		return meanOverTime{shapeOf(kind, p)}
	}},
	{"integral", "The area under the numbers over time, in their unit times per.", onNumbers, []Param{perUnit, maxSamples}, true, edged.Number, func(kind edged.Kind, p Params) Function {
		return integral{shapeOf(kind, p), p.Per}
	}},
	{"increase", "By how much a counter rises; one that falls has restarted from 0.", onNumbers, []Param{maxSamples}, false, edged.Number, func(kind edged.Kind, p Params) Function {
		return increase{series{growth{}, kind, p.Max}}
	}},
	{"rate", "The increase of a counter per unit of time.", onNumbers, []Param{perUnit, maxSamples}, false, edged.Number, func(kind edged.Kind, p Params) Function {
		return rate{series{growth{}, kind, p.Max}, p.Per}
	}},
	{"duration", "For how many milliseconds the value is true.", onTruth, []Param{maxSamples}, false, edged.Number, func(kind edged.Kind, p Params) Function {
		return duration{shapeOf(kind, p)}
	}},
	{"coverage", "What share of the window has samples, in percent; each counts for interval.", onEvents, []Param{{"interval", 1, 1 << 40, 0}, maxSamples}, false, edged.Number, func(_ edged.Kind, p Params) Function {
		return coverage{series{covered{p.Interval}, edged.Null, p.Max}}
	}},
	{"delta", "The last number by event time less the first.", onNumbers, nil, false, edged.Number, simple(delta{})},
	{"slope", "By how much the numbers rise per unit of time, by least squares.", onNumbers, []Param{perUnit}, false, edged.Number, func(_ edged.Kind, p Params) Function {
		return slope{p.Per}
	}},
}

// Describe lists what there is to know of all functions.
func Describe() []Description {
	all := slices.Clone(catalogue)
	for i := range all {
		all[i].Kinds, all[i].Params = slices.Clone(all[i].Kinds), slices.Clone(all[i].Params)
	}
	return all
}

// Names lists the functions that [Find] knows.
func Names() []string {
	names := make([]string, len(catalogue))
	for i := range catalogue {
		names[i] = catalogue[i].Name
	}
	return names
}

// describe returns the description of that name, or nil.
func describe(name string) *Description {
	for i := range catalogue {
		if catalogue[i].Name == name {
			return &catalogue[i]
		}
	}
	return nil
}

// Find returns the function of that name for a field of that kind; null stands for
// no field. The error is [ErrUnknown], or joins all faults, which are [ErrParams].
func Find(name string, kind edged.Kind, p Params) (Function, error) {
	d := describe(name)
	if d == nil {
		return nil, fmt.Errorf("find function %q: %w; use one of %v", name, ErrUnknown, Names())
	}
	if err := d.accepts(kind); err != nil {
		return nil, err
	}
	if err := d.resolve(&p); err != nil {
		return nil, err
	}
	return d.build(kind, p), nil
}

// countsEvents reports whether the function can do without a field.
func countsEvents(f Function) bool {
	d := describe(f.Name())
	return d != nil && slices.Contains(d.Kinds, edged.Null)
}
