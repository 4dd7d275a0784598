package main

import (
	"context"
	"math"
	"strings"

	"edged/fleet/agent"
	"edged/fleet/protocol"
)

// metricsMax is how many samples metrics.snapshot returns.
const metricsMax = 1500

// metricsArgs are the arguments of metrics.snapshot.
type metricsArgs struct {
	Prefix string `json:"prefix"` // of the names; empty: edged_
}

// metricsResult is the result of metrics.snapshot: name{label="value"} and its number.
type metricsResult struct {
	Samples map[string]float64 `json:"samples"`
	Left    int                `json:"left"` // more than were returned
}

func (m *managed) snapshotMetrics(_ context.Context, _ *agent.Call, args metricsArgs) (any, error) {
	prefix := args.Prefix
	if prefix == "" {
		prefix = "edged_"
	}
	families, err := m.daemon.registry().Gather()
	if err != nil {
		return nil, agent.Failed(protocol.CodeInternal, err)
	}
	r := metricsResult{Samples: map[string]float64{}}
	add := func(name string, value float64) {
		switch {
		case math.IsNaN(value) || math.IsInf(value, 0): // JSON has no word for it
		case len(r.Samples) >= metricsMax:
			r.Left++
		default:
			r.Samples[name] = value
		}
	}
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), prefix) {
			continue
		}
		for _, s := range f.GetMetric() {
			var labels []string
			for _, l := range s.GetLabel() {
				labels = append(labels, l.GetName()+`="`+l.GetValue()+`"`)
			}
			name := f.GetName()
			if len(labels) > 0 {
				name += "{" + strings.Join(labels, ",") + "}"
			}
			switch {
			case s.GetHistogram() != nil:
				add(name+"_count", float64(s.GetHistogram().GetSampleCount()))
				add(name+"_sum", s.GetHistogram().GetSampleSum())
			case s.GetSummary() != nil:
				add(name+"_count", float64(s.GetSummary().GetSampleCount()))
				add(name+"_sum", s.GetSummary().GetSampleSum())
			default: // one of the three is there, the others are 0
				add(name, s.GetCounter().GetValue()+s.GetGauge().GetValue()+s.GetUntyped().GetValue())
			}
		}
	}
	return r, nil
}
