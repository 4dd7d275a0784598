package main

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"edged/anomaly"
)

// detectorFlags choose a detector, for every command that runs one.
type detectorFlags struct {
	name   string
	params []string
}

func (f *detectorFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.name, "detector", "auto", "the detector; edged help detectors lists them")
	cmd.Flags().StringArrayVar(&f.params, "param", nil,
		"parameter of the detector, as name=value; repeat for more. A time takes a unit, as 15m; of=NAME or of=NAME:name=value,... is a detector that it works on")
}

// spec returns the detector that was asked for. A detector that goes by the clock
// goes by that of zone.
func (f *detectorFlags) spec(zone *time.Location) (anomaly.Spec, error) {
	choice, err := chooseDetector(f.name, f.params, zone)
	if err != nil {
		return nil, err
	}
	spec, err := anomaly.Find(choice.Name, choice.Params)
	if err != nil {
		return nil, fmt.Errorf("%w; see edged help detectors", err)
	}
	return spec, nil
}

// chooseDetector reads the parameters of a detector. What they may be, the catalogue
// checks.
func chooseDetector(name string, params []string, zone *time.Location) (anomaly.Choice, error) {
	c := anomaly.Choice{Name: name, Params: anomaly.Params{Numbers: map[string]float64{}}}
	all := anomaly.Describe()
	if at := slices.IndexFunc(all, func(d anomaly.Description) bool { return d.Name == name }); at >= 0 && all[at].Zone {
		c.Params.Zone = zone
	}
	for _, p := range params {
		key, text, ok := strings.Cut(p, "=")
		if !ok {
			return c, fmt.Errorf("--param %s: write name=value", p)
		}
		if key == "of" {
			of, list, _ := strings.Cut(text, ":")
			inner, err := chooseDetector(of, strings.FieldsFunc(list, func(r rune) bool { return r == ',' }), zone)
			if err != nil {
				return c, err
			}
			c.Params.Of = append(c.Params.Of, inner)
			continue
		}
		x, err := parseParam(text)
		if err != nil {
			return c, fmt.Errorf("--param %s: %w", p, err)
		}
		c.Params.Numbers[key] = x
	}
	return c, nil
}

// parseParam reads a number, a time, which becomes milliseconds, or a switch.
func parseParam(text string) (float64, error) {
	if x, err := strconv.ParseFloat(text, 64); err == nil {
		return x, nil
	}
	if d, err := time.ParseDuration(text); err == nil {
		return float64(d) / float64(time.Millisecond), nil
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if x, err := strconv.ParseFloat(days, 64); err == nil {
			return x * 24 * float64(time.Hour.Milliseconds()), nil
		}
	}
	switches := map[string]float64{"on": 1, "true": 1, "off": 0, "false": 0}
	if x, ok := switches[text]; ok {
		return x, nil
	}
	return 0, fmt.Errorf("%q is no number, no time such as 15m or 7d, and none of %s", text, strings.Join(slices.Sorted(maps.Keys(switches)), ", "))
}

// newDetectorsTopic makes "edged help detectors" work.
func newDetectorsTopic() *cobra.Command {
	return &cobra.Command{Use: "detectors", Short: "which detectors there are, and their parameters", Long: detectorsText()}
}

// detectorsText describes every detector of the catalogue.
func detectorsText() string {
	var b strings.Builder
	b.WriteString("Detectors of --detector, and what --param sets. Times are milliseconds, or have a unit as 15m.\n")
	for _, d := range anomaly.Describe() {
		fmt.Fprintf(&b, "\n%s\n  %s\n  %s\n  %s\n", d.Name, d.Doc, d.Formula, d.Source)
		for _, q := range d.Params {
			fmt.Fprintf(&b, "    %-14s %s (%s)\n", q.Name, q.Doc, paramText(&q))
		}
		if d.OfMax > 0 {
			fmt.Fprintf(&b, "    %-14s a detector that it works on, %d to %d of them\n", "of", d.OfMin, d.OfMax)
		}
	}
	return strings.TrimSpace(b.String())
}

// paramText says what a parameter may be.
func paramText(q *anomaly.Param) string {
	text := fmt.Sprintf("%v to %v", q.Min, q.Max)
	if q.Unit != "" {
		text = q.Unit + ", " + text
	}
	switch {
	case q.Required:
		return text + "; required"
	case math.IsNaN(q.Default):
		return text + "; off unless given"
	}
	return fmt.Sprintf("%s; default %v", text, q.Default)
}
