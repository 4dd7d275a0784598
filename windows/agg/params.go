package agg

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"edged"
)

// Params are the parameters of functions, as pipeline documents give them. Zero
// means not given: the function's default applies. A function refuses parameters
// that mean nothing to it.
type Params struct {
	Quantile      float64 // percentile: above 0, at most 1
	RelativeError float64 // median, percentile: of the result
	K             int     // top_k: how many values are listed
	Max           int     // how much is kept: samples, elements, counters or bins
	Precision     int     // distinct: 2^Precision registers
	Interval      int64   // coverage: how long a sample counts, in milliseconds
	Per           int64   // integral, rate, slope: the unit of time, in milliseconds
	Interpolation string  // time_weighted_avg, integral: [Step] or [Linear]
}

// The interpolations: what lies between two samples.
const (
	Step   = "step"   // a sample holds until the next; the default
	Linear = "linear" // samples are joined by lines
)

// Param describes one parameter of a function.
type Param struct {
	Name     string // as documents say it
	Min, Max float64
	Default  float64 // 0: it must be given
}

// number returns the parameter of that name, and sets it when set is not nil.
func (p *Params) number(name string, set *float64) float64 {
	whole := func(field *int) float64 {
		if set != nil {
			*field = int(*set)
		}
		return float64(*field)
	}
	long := func(field *int64) float64 {
		if set != nil {
			*field = int64(*set)
		}
		return float64(*field)
	}
	real := func(field *float64) float64 {
		if set != nil {
			*field = *set
		}
		return *field
	}
	switch name {
	case "quantile":
		return real(&p.Quantile)
	case "relative_error":
		return real(&p.RelativeError)
	case "k":
		return whole(&p.K)
	case "max":
		return whole(&p.Max)
	case "precision":
		return whole(&p.Precision)
	case "interval":
		return long(&p.Interval)
	}
	return long(&p.Per)
}

// numbers are the parameters that are numbers.
var numbers = [...]string{"quantile", "relative_error", "k", "max", "precision", "interval", "per"}

// resolve fills in the defaults and joins all faults.
func (d *Description) resolve(p *Params) error {
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("%s: %w: "+format, append([]any{d.Name, ErrParams}, args...)...))
	}
	for _, name := range numbers {
		given := p.number(name, nil)
		i := slices.IndexFunc(d.Params, func(q Param) bool { return q.Name == name })
		switch {
		case i < 0 && given != 0:
			fault("it has no parameter %s; leave it out", name)
		case i < 0:
		case given == 0 && d.Params[i].Default == 0:
			fault("it needs %s, %v to %v", name, d.Params[i].Min, d.Params[i].Max)
		case given == 0:
			p.number(name, &d.Params[i].Default)
		case !(given >= d.Params[i].Min && given <= d.Params[i].Max): // NaN is in no range
			fault("%s is %v; it must be %v to %v", name, given, d.Params[i].Min, d.Params[i].Max)
		}
	}
	switch {
	case p.Interpolation != "" && p.Interpolation != Step && p.Interpolation != Linear:
		fault("interpolation is %q; use %s or %s", p.Interpolation, Step, Linear)
	case p.Interpolation == Linear && !d.Interpolates:
		fault("it has no interpolation; leave it out")
	}
	return errors.Join(faults...)
}

// accepts returns why the function cannot work on such a field.
func (d *Description) accepts(kind edged.Kind) error {
	if slices.Contains(d.Kinds, kind) {
		return nil
	}
	names := make([]string, len(d.Kinds))
	for i, k := range d.Kinds {
		names[i] = k.String()
		if k == edged.Null {
			names[i] = "none at all"
		}
	}
	field := "a field of type " + kind.String()
	if kind == edged.Null {
		field = "no field"
	}
	return fmt.Errorf("%s: %w: it has %s; it can work on: %s", d.Name, ErrParams, field, strings.Join(names, ", "))
}
