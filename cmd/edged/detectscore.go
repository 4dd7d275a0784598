package main

import (
	"encoding/csv"
	"io"
	"math"
	"strconv"

	"edged"
	"edged/anomaly"
)

// detection is a series and what a detector said about it.
type detection struct {
	*series
	title, detector string
	scored          []scored
	alarms          []raised
	learned         int // values before the detector was warm
}

// scored is what a detector said about one row.
type scored struct {
	score     float64
	low, high float64          // what was expected; NaN if that is not known
	severity  anomaly.Severity // of the score
	warm      bool             // the detector has learned enough for the score to mean something
	alarm     bool             // an alarm was raised at this row, or since the row before
}

// raised is an alarm.
type raised struct {
	row      int // that raised it; the first row after it if time did
	t        edged.Timestamp
	x        float64 // NaN if time raised it
	score    float64
	severity anomaly.Severity
	sentence string
}

// detect runs a detector over a series, as it would have run live.
func detect(s *series, spec anomaly.Spec) *detection {
	d := &detection{series: s, scored: make([]scored, len(s.rows))}
	w := lookout{state: spec.New(), said: func(r raised) { d.alarms = append(d.alarms, r) }}
	for i := range d.scored {
		d.scored[i] = scored{low: math.NaN(), high: math.NaN()}
	}
	for _, i := range s.order {
		v, alarm := w.observe(i, s.rows[i].t, s.rows[i].x)
		d.scored[i] = scored{score: v.Score, low: bound(v.Low, v.HasRange), high: bound(v.High, v.HasRange), severity: v.Severity, warm: v.Warm, alarm: alarm}
		if !v.Warm && !math.IsNaN(s.rows[i].x) {
			d.learned++
		}
	}
	return d
}

// boundMax is the bound of a range from which on it says nothing.
const boundMax = 1e300

// bound returns the bound of a range, NaN if there is none.
func bound(x float64, known bool) float64 {
	if !known || math.Abs(x) >= boundMax {
		return math.NaN()
	}
	return x
}

// lookout follows the state of one series. A detector alarms for as long as it
// sees reason to; the lookout tells when an alarm is raised.
type lookout struct {
	state    anomaly.State
	alarming bool
	said     func(raised) // is told of every alarm; may be nil
}

// observe judges a row, after what time alone has had to say. It reports whether
// an alarm was raised since the row before.
func (w *lookout) observe(i int, t edged.Timestamp, x float64) (anomaly.Verdict, bool) {
	silent := w.tick(i, t)
	v := w.state.Observe(t, x)
	if v.Reason.Cause == anomaly.CauseNotFinite {
		return v, silent // it says nothing of what goes on
	}
	return v, w.judge(&v, i, t, x) || silent
}

// ticksMax bounds how often time may speak between two rows.
const ticksMax = 100

// tick lets time come to t for a detector that waits for it.
func (w *lookout) tick(i int, t edged.Timestamp) (alarm bool) {
	timed, ok := w.state.(anomaly.Timed)
	if !ok {
		return false
	}
	last := edged.MinTimestamp
	for range ticksMax {
		due := timed.Due()
		if due <= last || due >= t {
			break
		}
		v := timed.Tick(due)
		alarm = w.judge(&v, i, due, math.NaN()) || alarm
		last = due
	}
	return alarm
}

// judge reports whether the verdict raises an alarm.
func (w *lookout) judge(v *anomaly.Verdict, i int, t edged.Timestamp, x float64) bool {
	rises := v.Alarm && !w.alarming
	w.alarming = v.Alarm
	if rises && w.said != nil {
		w.said(raised{row: i, t: t, x: x, score: v.Score, severity: v.Severity, sentence: v.Explain(x)})
	}
	return rises
}

// writeDetectCSV writes every row as it was given, with its score.
func writeDetectCSV(out io.Writer, d *detection) error {
	w := csv.NewWriter(out)
	_ = w.Write([]string{"timestamp", "value", "anomaly_score", "alarm"})
	for i := range d.rows {
		alarm := "0"
		if d.scored[i].alarm {
			alarm = "1"
		}
		_ = w.Write([]string{d.rows[i].time, d.rows[i].text, strconv.FormatFloat(d.scored[i].score, 'g', -1, 64), alarm})
	}
	w.Flush()
	return w.Error()
}
