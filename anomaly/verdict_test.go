package anomaly_test

import (
	"math"
	"testing"

	"edged/anomaly"
)

func TestExplain(t *testing.T) {
	const hour = 3_600_000
	for _, c := range []struct {
		want string
		v    anomaly.Verdict
	}{
		{"", anomaly.Verdict{}},
		{"hourly residual 23 % above anything in 14 days; expected 18.2..21.7, got 23.1", anomaly.Verdict{
			HasRange: true, Low: 18.2, High: 21.7,
			Reason: anomaly.Reason{Cause: anomaly.CauseRecord, View: anomaly.ViewSeason, Excess: 0.2304, Span: 14 * 24 * hour}}},
		{"floor 14 % above anything in 13 hours; expected -22..-21, got -20.86 at value 23.1", anomaly.Verdict{
			HasRange: true, Low: -22, High: -21, Evidence: anomaly.Evidence{Above: 1 << anomaly.ViewFloor, Shown: [anomaly.Views]float32{anomaly.ViewFloor: -20.86}},
			Reason: anomaly.Reason{Cause: anomaly.CauseRecord, View: anomaly.ViewFloor, Excess: 0.14, Span: 13 * hour}}},
		{"trend 7.5 % below anything in 36 hours; got 23.1", anomaly.Verdict{
			Reason: anomaly.Reason{Cause: anomaly.CauseRecord, View: anomaly.ViewTrend, Excess: 0.075, Span: 36 * hour, Below: true}}},
		{"not a finite number; got 23.1", reason(anomaly.Reason{Cause: anomaly.CauseNotFinite})},
		{"physically implausible, below the limits; got 23.1", reason(anomaly.Reason{Cause: anomaly.CauseImplausible, Below: true})},
		{"HH: above 20 for 90 seconds; got 23.1", anomaly.Verdict{Level: anomaly.LevelHighHigh,
			Reason: anomaly.Reason{Cause: anomaly.CauseThreshold, Excess: 20, Span: 90_000}}},
		{"HH: above 20; expected at most 15, got 23.1", anomaly.Verdict{Level: anomaly.LevelHighHigh, HasRange: true, Low: -math.MaxFloat64, High: 15,
			Reason: anomaly.Reason{Cause: anomaly.CauseThreshold, Excess: 20}}},
		{"LL: below 2; expected at least 3, got 23.1", anomaly.Verdict{Level: anomaly.LevelLowLow, HasRange: true, Low: 3, High: math.MaxFloat64,
			Reason: anomaly.Reason{Cause: anomaly.CauseThreshold, Excess: 2, Below: true}}},
		{"falling by 0.25 a second over 500 ms; got 23.1", reason(anomaly.Reason{Cause: anomaly.CauseRate, Excess: -0.25, Span: 500, Below: true})},
		{"moved by no more than 0.1 in 3 hours; got 23.1", reason(anomaly.Reason{Cause: anomaly.CauseStuck, Excess: 0.1, Span: 3 * hour})},
		{"nothing received for 10 minutes", reason(anomaly.Reason{Cause: anomaly.CauseSilent, Span: 600_000})},
		{"40 % of the expected values missing in 2 hours", reason(anomaly.Reason{Cause: anomaly.CauseMissing, Excess: 0.4, Span: 2 * hour})},
		{"4.5 deviations below the expected value; got 23.1", reason(anomaly.Reason{Cause: anomaly.CauseDeviation, Excess: -4.5, Below: true})},
		{"drifted upwards: 5.25 deviations accumulated; got 23.1", reason(anomaly.Reason{Cause: anomaly.CauseDrift, Excess: 5.25})},
		{"mean shifted down by 1200 over the last 64 values; got 23.1", reason(anomaly.Reason{Cause: anomaly.CauseShift, Excess: -1200, Count: 64, Below: true})},
		{"unlike the last 256 values: score 0.8; got 23.1", reason(anomaly.Reason{Cause: anomaly.CauseIsolated, Excess: 0.8, Count: 256})},
		{"so many high scores are 1 in 10^5 by chance; got 23.1", reason(anomaly.Reason{Cause: anomaly.CauseUnlikely, Excess: 5})},
		{"6 deviations above the median of 12 peers; got 23.1", reason(anomaly.Reason{Cause: anomaly.CausePeers, Excess: 6, Count: 12})},
		{"3 detectors agree; got 23.1", reason(anomaly.Reason{Cause: anomaly.CauseVote, Count: 3})},
	} {
		if got := c.v.Explain(23.1); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

func reason(r anomaly.Reason) anomaly.Verdict { return anomaly.Verdict{Reason: r} }

func TestWords(t *testing.T) {
	for got, want := range map[string]string{
		anomaly.LevelLowLow.String(): "LL", anomaly.SeverityMajor.String(): "major", anomaly.Severity(9).String(): "?",
		anomaly.ViewSurprise.String(): "prediction error", anomaly.Views.String(): "?",
		anomaly.Grade(0.2, 0.07, 0.2, 0.5).String(): "major", anomaly.Grade(0.06, 0.07, 0.2, 0.5).String(): "none",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
