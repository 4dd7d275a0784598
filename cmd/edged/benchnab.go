package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"edged/anomaly"
	"edged/internal/nab"
)

const benchNABLong = `Run a detector over the Numenta Anomaly Benchmark and score its alarms by the
benchmark's rules, in its three profiles.

Every series is judged with the same parameters and the threshold that the detector
ships with, row by row, by the rows before alone. The published scores of other
detectors are those of the threshold that is best for the labels, and most of those
detectors were told the smallest and the largest value of each series in advance.

--data is a folder with the benchmark's data, gzipped or not, and its file
combined_windows.json; both are in github.com/numenta/NAB.`

const benchNABExample = `  edged bench nab --data NAB

  # is the cool-down worth it?
  edged bench nab --data NAB --param cooldown=0`

const nabData = "../shared/data/nab"

func newBenchCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "bench", Short: "measure detectors on published data", Long: "Measure what is shipped on data that others have published."}
	cmd.AddCommand(newBenchNABCmd())
	return cmd
}

func newBenchNABCmd() *cobra.Command {
	var f detectorFlags
	data := nabData
	cmd := &cobra.Command{
		Use: "nab", Short: "score a detector by the Numenta Anomaly Benchmark", Long: benchNABLong, Example: benchNABExample, Args: noArgs,
	}
	f.register(cmd)
	cmd.Flags().StringVar(&data, "data", nabData, "folder with the data of the benchmark")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		spec, err := f.spec(time.UTC)
		if err != nil {
			return failed(exitUsage, err)
		}
		all, err := nab.Load(data)
		if err != nil {
			return failed(exitUsage, fmt.Errorf("--data: %w", err))
		}
		if len(all) == 0 {
			return failed(exitUsage, errors.New("--data: the labels name no series"))
		}
		return runNAB(spec, all).print(cmd.OutOrStdout(), f.name)
	}
	return cmd
}

// nabReport is what a run over the benchmark gave.
type nabReport struct {
	series, rows int
	total        nab.Outcome
	categories   []nabCategory
	took         time.Duration
	memory       int // the largest state, in bytes
	encoded      int
}

type nabCategory struct {
	name    string
	outcome nab.Outcome
}

// runNAB runs the detector over every series, each with a state of its own.
func runNAB(spec anomaly.Spec, all []*nab.Series) *nabReport {
	r := &nabReport{series: len(all)}
	for _, s := range all {
		w := lookout{state: spec.New()}
		alarms := make([]bool, len(s.Times))
		start := time.Now()
		for i, t := range s.Times {
			_, alarms[i] = w.observe(i, t, s.Values[i])
		}
		r.took += time.Since(start)
		r.rows += len(s.Times)
		r.memory = max(r.memory, w.state.Bytes())
		r.encoded = max(r.encoded, len(w.state.AppendBinary(nil)))
		if n := len(r.categories); n == 0 || r.categories[n-1].name != s.Category() {
			r.categories = append(r.categories, nabCategory{name: s.Category()})
		}
		outcome := nab.Judge(s, alarms)
		r.categories[len(r.categories)-1].outcome.Add(outcome)
		r.total.Add(outcome)
	}
	return r
}

// print writes the report. All of it but the time repeats exactly.
func (r *nabReport) print(out io.Writer, detector string) error {
	profiles := nab.Profiles()
	fmt.Fprintf(out, "%s, %d series, %d rows, %d windows, threshold as shipped, no look-ahead\n\n", detector, r.series, r.rows, r.total.Windows)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(table, "category\twindows\tfound\tfalse\t")
	for _, p := range profiles {
		fmt.Fprint(table, p.Name, "\t")
	}
	fmt.Fprintln(table)
	for _, c := range append(r.categories, nabCategory{"all", r.total}) {
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t", c.name, c.outcome.Windows, c.outcome.Found, c.outcome.False)
		for _, p := range profiles {
			if c.outcome.Windows == 0 {
				fmt.Fprint(table, "-\t")
			} else {
				fmt.Fprintf(table, "%.1f\t", c.outcome.Score(p))
			}
		}
		fmt.Fprintln(table)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(out, strings.Repeat("-", 72))
	_, err := fmt.Fprintf(out, "%d ns a point; %d bytes a series in memory, %d encoded\n", r.took.Nanoseconds()/int64(max(r.rows, 1)), r.memory, r.encoded)
	return err
}
