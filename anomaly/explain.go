package anomaly

import (
	"math"
	"strconv"
	"time"
)

// Explain says in one sentence why the verdict about the value x is what it is.
// It is empty if there is nothing unusual.
func (v *Verdict) Explain(x float64) string {
	b := v.Reason.appendSentence(make([]byte, 0, 96), v)
	if len(b) == 0 {
		return ""
	}
	if v.HasRange {
		b = v.appendRange(append(b, "; expected "...))
	}
	if v.Reason.Cause != CauseSilent && v.Reason.Cause != CauseMissing {
		if b = append(b, ", got "...); !v.HasRange {
			b = append(b[:len(b)-len(", got ")], "; got "...)
		}
		if shown, other := v.showed(); other && shown != float32(x) {
			b = append(appendNumber(b, float64(shown)), " at value "...)
		}
		b = appendNumber(b, x)
	}
	return string(b)
}

// appendRange appends what was expected. A side as far away as numbers go is none.
func (v *Verdict) appendRange(b []byte) []byte {
	const far = 1e300
	switch {
	case v.Low <= -far:
		return appendNumber(append(b, "at most "...), v.High)
	case v.High >= far:
		return appendNumber(append(b, "at least "...), v.Low)
	}
	return appendNumber(append(appendNumber(b, v.Low), ".."...), v.High)
}

// showed returns what the view that spoke showed, if that has the unit of the value
// and is of several: the range is expected of that, then.
func (v *Verdict) showed() (shown float32, ok bool) {
	const ofSeveral ViewSet = 1<<ViewFloor | 1<<ViewCeiling | 1<<ViewLevel
	k := v.Reason.View
	return v.Evidence.Shown[k%Views], v.Reason.Cause == CauseRecord && ofSeveral.Has(k) && (v.Evidence.Above | v.Evidence.Below).Has(k)
}

// appendSentence appends what the cause says, without range and value.
func (r *Reason) appendSentence(b []byte, v *Verdict) []byte {
	switch r.Cause {
	case CauseNotFinite:
		return append(b, "not a finite number"...)
	case CauseImplausible:
		return append(append(b, "physically implausible, "...), r.side("above", "below")+" the limits"...)
	case CauseRecord:
		b = append(b, r.View.String()...)
		b = append(b, ' ')
		b = appendPercent(b, r.Excess)
		b = append(append(b, ' '), r.side("above", "below")...)
		return appendSpan(append(b, " anything in "...), r.Span)
	case CauseThreshold:
		b = append(append(b, v.Level.String()...), ": "...)
		b = append(append(b, r.side("above", "below")...), ' ')
		return r.appendFor(appendNumber(b, r.Excess))
	case CauseRate:
		b = append(append(b, r.side("rising", "falling")...), " by "...)
		b = append(appendNumber(b, math.Abs(r.Excess)), " a second"...)
		return r.appendOver(b)
	case CauseStuck:
		b = append(b, "moved by no more than "...)
		return appendSpan(append(appendNumber(b, r.Excess), " in "...), r.Span)
	case CauseSilent:
		return appendSpan(append(b, "nothing received for "...), r.Span)
	case CauseMissing:
		b = appendPercent(b, r.Excess)
		return appendSpan(append(b, " of the expected values missing in "...), r.Span)
	}
	return r.appendStatistic(b)
}

// appendStatistic is appendSentence for the causes that come of statistics.
func (r *Reason) appendStatistic(b []byte) []byte {
	side := r.side("above", "below")
	switch r.Cause {
	case CauseDeviation:
		b = append(appendNumber(b, math.Abs(r.Excess)), " deviations "...)
		return append(append(b, side...), " the expected value"...)
	case CauseDrift:
		b = append(append(b, "drifted "...), r.side("upwards", "downwards")...)
		return append(appendNumber(append(b, ": "...), math.Abs(r.Excess)), " deviations accumulated"...)
	case CauseShift:
		b = append(append(b, "mean shifted "...), r.side("up", "down")...)
		b = appendNumber(append(b, " by "...), math.Abs(r.Excess))
		return append(r.appendCount(append(b, " over the last "...)), " values"...)
	case CauseIsolated:
		b = append(r.appendCount(append(b, "unlike the last "...)), " values: score "...)
		return appendNumber(b, r.Excess)
	case CauseUnlikely:
		b = appendNumber(append(b, "so many high scores are 1 in 10^"...), r.Excess)
		return append(b, " by chance"...)
	case CausePeers:
		b = append(appendNumber(b, math.Abs(r.Excess)), " deviations "...)
		b = append(append(b, side...), " the median of "...)
		return append(r.appendCount(b), " peers"...)
	case CauseVote:
		return append(r.appendCount(b), " detectors agree"...)
	}
	return b
}

// side returns one of two words by the direction of the reason.
func (r *Reason) side(above, below string) string {
	if r.Below {
		return below
	}
	return above
}

func (r *Reason) appendCount(b []byte) []byte { return strconv.AppendInt(b, int64(r.Count), 10) }

// appendFor appends how long the reason holds, if it is known.
func (r *Reason) appendFor(b []byte) []byte {
	if r.Span <= 0 {
		return b
	}
	return appendSpan(append(b, " for "...), r.Span)
}

// appendOver appends over which time the reason was seen, if it is known.
func (r *Reason) appendOver(b []byte) []byte {
	if r.Span <= 0 {
		return b
	}
	return appendSpan(append(b, " over "...), r.Span)
}

// appendNumber appends four significant digits: enough for a reader.
func appendNumber(b []byte, x float64) []byte {
	if a := math.Abs(x); a >= 1e3 && a < 1e9 {
		return strconv.AppendFloat(b, math.Round(x), 'f', -1, 64)
	}
	start := len(b)
	b = strconv.AppendFloat(b, x, 'g', 4, 64)
	if string(b[start:]) == "-0" {
		return append(b[:start], '0')
	}
	return b
}

// appendPercent appends a share as percent.
func appendPercent(b []byte, share float64) []byte {
	percent := share * 100
	if percent >= 9.95 {
		return append(appendNumber(b, math.Round(percent)), " %"...)
	}
	return append(strconv.AppendFloat(b, percent, 'g', 2, 64), " %"...)
}

// appendSpan appends milliseconds in the largest unit that leaves at least two,
// rounded: "14 days", "36 hours", "90 seconds".
func appendSpan(b []byte, ms int64) []byte {
	units := [...]struct {
		size int64
		name string
	}{{24 * time.Hour.Milliseconds(), " days"}, {time.Hour.Milliseconds(), " hours"},
		{time.Minute.Milliseconds(), " minutes"}, {time.Second.Milliseconds(), " seconds"}}
	for _, u := range units {
		if ms >= 2*u.size {
			n := ms / u.size
			if ms%u.size >= u.size/2 {
				n++
			}
			return append(strconv.AppendInt(b, n, 10), u.name...)
		}
	}
	return append(strconv.AppendInt(b, ms, 10), " ms"...)
}
