//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// metric is one line of the table.
type metric struct {
	name   string
	digits int
	most   bool // the highest value is the best, not the lowest
	of     func(run) float64
}

var metrics = [...]metric{
	{"CPU, us per event", 2, false, func(r run) float64 { return r.CPU }},
	{"events per second", 0, true, func(r run) float64 { return r.Rate }},
	{"peak RSS, MiB", 1, false, func(r run) float64 { return r.RSSPeak }},
	{"anonymous RSS, MiB", 1, false, func(r run) float64 { return r.RSSAnon }},
	{"written bytes per event byte", 2, false, func(r run) float64 { return r.Written }},
	{"broker CPU, us per event", 2, false, func(r run) float64 { return r.BrokerCPU }},
	{"results", 0, true, func(r run) float64 { return r.Results }},
}

// comparison is what all rounds of one load gave, per candidate.
type comparison struct {
	Load load             `json:"load"`
	Runs map[string][]run `json:"runs"`
}

// report is the whole outcome. Its JSON holds every run.
type report struct {
	Machine     string       `json:"machine"`
	Comparisons []comparison `json:"comparisons"`
	Lateness    []lateness   `json:"lateness"`
}

func (r *report) writeJSON(out io.Writer) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}

func (r *report) writeTable(out io.Writer) error {
	fmt.Fprintln(out, r.Machine)
	for _, c := range r.Comparisons {
		c.write(out)
	}
	for _, l := range r.Lateness {
		fmt.Fprintf(out, "\nlateness of results, %d keys at %.0f events/s: p50 %.1f ms, p99 %.1f ms, max %.1f ms (%d results, %d missing, %.2f us of CPU per event)\n",
			l.Keys, l.Rate, l.P50, l.P99, l.Max, l.Results, l.Missing, l.CPU)
	}
	_, err := fmt.Fprintln(out)
	return err
}

// write prints median and best of every metric side by side, and the ratio of
// the first candidate's median to the second's.
func (c *comparison) write(out io.Writer) {
	names := candidateNames(c.Runs)
	fmt.Fprintf(out, "\n%d keys, %d events, %d rounds: median (best)\n", c.Load.Keys, c.Load.Events, len(c.Runs[names[0]]))
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "\t")
	for _, name := range names {
		fmt.Fprint(t, name, "\t")
	}
	if len(names) == 2 {
		fmt.Fprintf(t, "%s/%s\t", names[0], names[1])
	}
	fmt.Fprintln(t)
	for _, m := range metrics {
		m.write(t, names, c.Runs)
	}
	t.Flush()
}

func (m *metric) write(t io.Writer, names []string, runs map[string][]run) {
	fmt.Fprint(t, m.name, "\t")
	var medians []float64
	for _, name := range names {
		middle, best := m.summary(runs[name])
		medians = append(medians, middle)
		fmt.Fprintf(t, "%.*f (%.*f)\t", m.digits, middle, m.digits, best)
	}
	if len(medians) == 2 && medians[1] != 0 {
		fmt.Fprintf(t, "%.2f\t", medians[0]/medians[1])
	}
	fmt.Fprintln(t)
}

// summary returns the median (the lower one of an even number) and the best.
func (m *metric) summary(runs []run) (median, best float64) {
	var values []float64
	for _, r := range runs {
		values = append(values, m.of(r))
	}
	slices.Sort(values)
	best = values[0]
	if m.most {
		best = values[len(values)-1]
	}
	return values[(len(values)-1)/2], best
}

// candidateNames returns edged before stock.
func candidateNames(runs map[string][]run) []string {
	var names []string
	for name := range runs {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
