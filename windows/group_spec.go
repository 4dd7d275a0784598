package windows

import (
	"errors"
	"fmt"
	"math"

	"edged"
	"edged/windows/agg"
)

// ContributionsMaxDefault is the number of contributions that one group keeps
// unless the [GroupSpec] says otherwise, and ContributionsLimit the largest number
// that it may say.
const (
	ContributionsMaxDefault = 1 << 16
	ContributionsLimit      = 1 << 20
)

// groupBytesMax bounds the memory of the contributions of one group, whatever
// their number: partial states and texts can be large.
const groupBytesMax = 64 << 20

// GroupSpec is what the groups of a second stage share: windows over the results
// of another pipeline, whose keys are the members of the groups. It must not
// change once a [Group] uses it.
type GroupSpec struct {
	// Windows says which windows, when they fire and what columns they have. It
	// needs an assigner; panes accumulate or retract, and there are no empty ones.
	Windows Spec

	// Upstream is the layout of the partial states that contributions carry. nil:
	// they carry none, and Merge is empty.
	Upstream *agg.Layout

	// Merge says for every column which column of Upstream is merged into it, and
	// -1 for those that are computed from the values of the contributions. Declare
	// a merged column by [Merged]. Empty means -1 for all.
	Merge []int

	// ContributionsMax is the largest number of contributions that a group keeps,
	// over all its windows, at most [ContributionsLimit]. A contribution beyond is
	// refused and reported. 0 means [ContributionsMaxDefault].
	ContributionsMax int
}

// Merged returns the column of a function that is not computed from values but
// merged from partial states: no event passes its filter.
func Merged(f agg.Function) agg.Column {
	return agg.Column{Function: f, Slot: math.MaxInt32, Where: agg.If(math.MaxInt32 - 1)}
}

// Validate joins everything that is wrong with the spec. The errors wrap [ErrSpec].
func (s *GroupSpec) Validate() error {
	faults := []error{s.Windows.Validate()}
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("%w: group: "+format, append([]any{ErrSpec}, args...)...))
	}
	if s.Windows.Assigner == nil {
		fault("it needs windows that do not depend on events: tumbling, hopping, cumulate, calendar or global")
	}
	if a := s.Windows.Accumulation; a != Accumulating && a != Retracting {
		fault("its panes are %v; a contribution replaces the one before, so use accumulating or retracting", a)
	}
	if s.Windows.Empty {
		fault("empty panes are not possible: nobody knows which groups there would be")
	}
	if s.ContributionsMax < 0 || s.ContributionsMax > ContributionsLimit {
		fault("at most %d contributions; it must be 1 to %d, and 0 means %d", s.ContributionsMax, ContributionsLimit, ContributionsMaxDefault)
	}
	if err := s.validateMerge(); err != nil {
		fault("%w", err)
	}
	return errors.Join(faults...)
}

// validateMerge checks that every column that is to be merged can be.
func (s *GroupSpec) validateMerge() error {
	own := s.Windows.Layout
	switch {
	case len(s.Merge) == 0 || own == nil:
		return nil
	case s.Upstream == nil:
		return errors.New("columns are to be merged, but the layout of the partial states is missing")
	case len(s.Merge) != own.Columns():
		return fmt.Errorf("it says of %d columns whether they are merged; there are %d", len(s.Merge), own.Columns())
	}
	var faults []error
	for column, from := range s.Merge {
		if from != -1 {
			faults = append(faults, own.Mergeable(column, s.Upstream, from))
		}
	}
	return errors.Join(faults...)
}

// merges reports whether contributions need a partial state.
func (s *GroupSpec) merges() bool {
	for _, from := range s.Merge {
		if from >= 0 {
			return true
		}
	}
	return false
}

// max returns the limit with its default.
func (s *GroupSpec) max() int {
	if s.ContributionsMax == 0 {
		return ContributionsMaxDefault
	}
	return s.ContributionsMax
}

// New returns the state of a group without contributions. The spec must be valid.
func (s *GroupSpec) New() *Group {
	return &Group{
		spec: s, merges: s.merges(), shape: s.Windows.panes(),
		watermark: edged.MinTimestamp, due: edged.MaxTimestamp,
	}
}
