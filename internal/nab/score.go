package nab

import "math"

// Profile weighs what a user wants. Windows that are found earn one.
type Profile struct {
	Name           string
	Missed, Wasted float64 // what a missed window and a false detection cost
}

// Profiles returns the three profiles of the benchmark: standard, few false
// detections, few missed windows.
func Profiles() []Profile {
	return []Profile{{"standard", 1, 0.11}, {"low FP", 1, 0.22}, {"low FN", 2, 0.11}}
}

// Outcome is what the detections of some series are worth, before it is weighed.
type Outcome struct {
	Windows int     // that are labelled
	Found   int     // windows with a detection
	Missed  int     // windows that could be found and were not
	Earned  float64 // the credits of the windows that were found, each in (0,1]
	False   int     // detections outside of all windows
	Wasted  float64 // what they cost, each in (0,1]
}

// Add adds the outcome of further series.
func (o *Outcome) Add(p Outcome) {
	o.Windows += p.Windows
	o.Found += p.Found
	o.Missed += p.Missed
	o.Earned += p.Earned
	o.False += p.False
	o.Wasted += p.Wasted
}

// Score weighs the outcome: 0 is who detects nothing, 100 perfect, and below zero
// is worse than nothing. It is NaN if there is no window.
func (o *Outcome) Score(p Profile) float64 {
	raw := o.Earned - p.Missed*float64(o.Missed) - p.Wasted*o.Wasted
	null := -p.Missed * float64(o.Windows)
	return 100 * (raw - null) / (float64(o.Windows) - null)
}

// Probation returns how many rows at the start of a series of n rows are not scored.
func Probation(n int) int { return min(n*15/100, 750) }

// worth is the benchmark's sigmoid: near 1 far to the left of zero, -1 from 3 on.
func worth(p float64) float64 {
	if p > 3 {
		return -1
	}
	return 2/(1+math.Exp(5*p)) - 1
}

// Judge scores the detections of one series: detected says for each row whether
// there is one. Rows beyond its end have none.
func Judge(s *Series, detected []bool) Outcome {
	o := Outcome{Windows: len(s.Windows)}
	rows := min(len(detected), len(s.Times))
	next := Probation(len(s.Times)) // first row that is not judged yet
	before := Window{-1, -1}        // the last window that was passed
	for _, w := range s.Windows {
		o.waste(detected, next, min(w.From, rows), before)
		found := false
		for i := max(next, w.From); i <= w.To && i < rows && !found; i++ {
			if found = detected[i]; found {
				width := float64(w.To - w.From + 1)
				o.Earned += worth(-float64(w.To-i+1)/width) / worth(-1)
				o.Found++
			}
		}
		if !found && w.To >= next {
			o.Missed++
		}
		next, before = max(next, w.To+1), w
	}
	o.waste(detected, next, rows, before)
	return o
}

// waste counts the detections of the rows from..to-1, which are in no window.
func (o *Outcome) waste(detected []bool, from, to int, before Window) {
	for i := from; i < to; i++ {
		if !detected[i] {
			continue
		}
		o.False++
		if before.To < 0 {
			o.Wasted++
			continue
		}
		// A window of one row makes this infinite, which costs the full weight.
		o.Wasted -= worth(float64(i-before.To) / float64(before.To-before.From))
	}
}
