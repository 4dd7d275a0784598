package anomaly

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"
)

// Errors of Find; it wraps them.
var (
	ErrUnknown = errors.New("anomaly: no such detector")
	ErrParams  = errors.New("anomaly: wrong parameters")
)

// Params are the parameters of a detector, as documents give them.
type Params struct {
	Numbers map[string]float64 // by name; what is not given has its default; a switch is 0 or 1
	Zone    *time.Location     // of clocks; nil: UTC
	Of      []Choice           // the detectors that a composed one works on
}

// Choice is a detector by name, with its parameters.
type Choice struct {
	Name   string
	Params Params
}

// Param describes one number among the parameters of a detector.
type Param struct {
	Name     string
	Unit     string  // "": a plain number; "ms"; "value": that of the series; "values": a count of them
	Min, Max float64 // both are allowed
	Default  float64 // NaN: none
	Required bool    // it must be given
	Whole    bool    // no fractions
	Doc      string
}

// Description is what users need to know of a detector.
type Description struct {
	Name    string
	Doc     string // when to use it, in one sentence
	Formula string
	Source  string // who described it
	Params  []Param
	Zone    bool // it accepts Params.Zone
	OfMin   int  // how many detectors it works on, at least
	OfMax   int  // and at most
	Timed   bool // time alone can raise it

	build func(a args) Spec
}

// args are resolved parameters.
type args struct {
	numbers map[string]float64
	zone    *time.Location
	of      []Spec
}

func (a args) f(name string) float64 { return a.numbers[name] }
func (a args) i(name string) int     { return int(a.numbers[name]) }
func (a args) ms(name string) int64  { return int64(a.numbers[name]) }
func (a args) on(name string) bool   { return a.numbers[name] != 0 }

// depthMax is how deep detectors may stand inside one another.
const depthMax = 4

// Names lists the detectors that Find knows, in the order of Describe.
func Names() []string {
	all := catalogue()
	names := make([]string, len(all))
	for i := range all {
		names[i] = all[i].Name
	}
	return names
}

// Describe lists what there is to know of all detectors that Find knows.
func Describe() []Description { return catalogue() }

// Find returns the detector of that name with the parameters, valid and ready for
// New. The error is ErrUnknown, or joins all faults, which are ErrParams.
func Find(name string, p Params) (Spec, error) { return find(name, p, depthMax) }

func find(name string, p Params, depth int) (Spec, error) {
	all := catalogue()
	at := slices.IndexFunc(all, func(d Description) bool { return d.Name == name })
	if at < 0 {
		return nil, fmt.Errorf("find detector %q: %w; use one of %v", name, ErrUnknown, Names())
	}
	d := &all[at]
	a, faults := d.resolve(p)
	if depth == 0 {
		return nil, fmt.Errorf("%s: %w: detectors stand more than %d deep in one another", name, ErrParams, depthMax)
	}
	for i, choice := range p.Of {
		if i >= d.OfMax {
			break
		}
		of, err := find(choice.Name, choice.Params, depth-1)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: of %d: %w", name, i, err))
			continue
		}
		a.of = append(a.of, of)
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	spec := d.build(a)
	if err := spec.Validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrParams, err)
	}
	return spec, nil
}

// resolve fills in the defaults and collects all faults.
func (d *Description) resolve(p Params) (args, []error) {
	var faults []error
	fault := func(format string, a ...any) {
		faults = append(faults, fmt.Errorf("%s: %w: "+format, append([]any{d.Name, ErrParams}, a...)...))
	}
	a := args{numbers: make(map[string]float64, len(d.Params)), zone: p.Zone}
	for _, q := range d.Params {
		x, given := p.Numbers[q.Name]
		switch {
		case !given && q.Required:
			fault("it needs %s, %v to %v", q.Name, q.Min, q.Max)
		case !given:
			x = q.Default
		case !(x >= q.Min && x <= q.Max): // NaN is in no range
			fault("%s is %v; it must be %v to %v", q.Name, x, q.Min, q.Max)
		case q.Whole && x != math.Trunc(x):
			fault("%s is %v; it must be a whole number", q.Name, x)
		}
		a.numbers[q.Name] = x
	}
	for _, name := range slices.Sorted(maps.Keys(p.Numbers)) {
		if !slices.ContainsFunc(d.Params, func(q Param) bool { return q.Name == name }) {
			fault("it has no parameter %s; leave it out", name)
		}
	}
	if p.Zone != nil && !d.Zone {
		fault("it has no zone; leave it out")
	}
	if n := len(p.Of); n < d.OfMin || n > d.OfMax {
		fault("it is given %d detectors; it works on %d to %d", n, d.OfMin, d.OfMax)
	}
	return a, faults
}
