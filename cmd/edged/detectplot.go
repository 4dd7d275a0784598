package main

import (
	"math"
	"slices"
	"time"

	"edged"
	"edged/anomaly"
)

// plot is a detection reduced to the columns of a picture.
type plot struct {
	columns    []column
	from, to   edged.Timestamp
	low, high  float64 // the value axis
	score      float64 // the top of the score axis
	alarmed    []int   // the column of each alarm
	hasBand    bool
	minX, maxX float64 // the values themselves
}

// column is what the rows of one column of a picture have in common.
type column struct {
	low, high         float64 // of the values; NaN if there are none
	bandLow, bandHigh float64 // of the expected ranges, in the mean; NaN if none is known
	lows, highs       int     // how many ranges have that end
	odd               bool    // the ranges are those of unusual values
	score             float64
	severity          anomaly.Severity
}

// expect takes an expected range in. That of an unusual value is what one view
// makes of it, and is drawn only where there is no other.
func (c *column) expect(s *scored) {
	odd := s.severity > anomaly.SeverityNone
	switch {
	case odd && !c.odd && c.lows+c.highs > 0:
		return
	case !odd && c.odd:
		c.bandLow, c.bandHigh, c.lows, c.highs = math.NaN(), math.NaN(), 0, 0
	}
	c.odd = odd
	c.bandLow, c.lows = mean(c.bandLow, c.lows, s.low)
	c.bandHigh, c.highs = mean(c.bandHigh, c.highs, s.high)
}

// mean returns the mean of x and n numbers with the mean m. NaN is no number.
func mean(m float64, n int, x float64) (float64, int) {
	switch {
	case math.IsNaN(x):
		return m, n
	case n == 0:
		return x, 1
	}
	return m + (x-m)/float64(n+1), n + 1
}

// reduce makes a plot of width columns. Columns are spans of time, so that holes
// in the series show.
func (d *detection) reduce(width int) *plot {
	p := &plot{columns: make([]column, width), from: edged.MaxTimestamp, to: edged.MinTimestamp, minX: math.Inf(1), maxX: math.Inf(-1)}
	nan := math.NaN()
	for i := range p.columns {
		p.columns[i] = column{low: nan, high: nan, bandLow: nan, bandHigh: nan}
	}
	if len(d.order) > 0 {
		p.from, p.to = d.from(), d.to()
	}
	for _, i := range d.order {
		c := &p.columns[p.at(d.rows[i].t)]
		if x := d.rows[i].x; !math.IsNaN(x) {
			p.minX, p.maxX = min(p.minX, x), max(p.maxX, x)
			c.low, c.high = least(c.low, x), most(c.high, x)
		}
		s := &d.scored[i]
		c.expect(s)
		p.hasBand = p.hasBand || c.lows+c.highs > 0
		if s.warm {
			c.score, c.severity = max(c.score, s.score), max(c.severity, s.severity)
			p.score = max(p.score, s.score)
		}
	}
	for _, a := range d.alarms {
		p.alarmed = append(p.alarmed, p.at(a.t))
	}
	p.scale()
	return p
}

// least returns the smaller of two; NaN stands for none yet.
func least(a, b float64) float64 {
	if a <= b {
		return a
	}
	return b
}

// most returns the larger of two; NaN stands for none yet.
func most(a, b float64) float64 {
	if a >= b {
		return a
	}
	return b
}

// scale chooses the value axis: all values, and of the expected ranges what fits
// a quarter of that above and below.
func (p *plot) scale() {
	p.low, p.high = p.minX, p.maxX
	room := (p.maxX/4 - p.minX/4)
	for i := range p.columns {
		c := &p.columns[i]
		if c.bandLow < p.low {
			p.low = max(c.bandLow, p.minX-room)
		}
		if c.bandHigh > p.high {
			p.high = min(c.bandHigh, p.maxX+room)
		}
	}
	if !(p.high > p.low) { // a constant: give it a middle
		d := max(math.Abs(p.low)*0.01, 1)
		p.low, p.high = p.low-d, p.high+d
	}
}

// at returns the column of a time.
func (p *plot) at(t edged.Timestamp) int {
	span := float64(p.to) - float64(p.from)
	if span <= 0 {
		return 0
	}
	n := float64(len(p.columns))
	return min(max(int((float64(t)-float64(p.from))/span*n), 0), len(p.columns)-1)
}

// height returns where a value is between the bottom, 0, and the top, 1.
func (p *plot) height(x float64) float64 {
	// Halves keep the difference of two huge numbers finite.
	h := (x/2 - p.low/2) / (p.high/2 - p.low/2)
	return min(max(h, 0), 1)
}

// clock writes a time for a reader, in the zone of the series.
func (s *series) clock(t edged.Timestamp, layout string) string {
	return time.UnixMilli(int64(t)).In(s.zone).Format(layout)
}

// hole returns how many empty columns in a row are a hole in the series, rather
// than there being more columns than rows.
func (d *detection) hole(columns int) int { return 1 + 4*columns/max(len(d.rows), 1) }

// axisTimes returns about n round times between from and to.
func (p *plot) axisTimes(n int64, zone *time.Location) (times []edged.Timestamp, layout string) {
	const second, minute, hour, day = int64(1000), int64(60_000), int64(3_600_000), int64(86_400_000)
	steps := []int64{second, 2 * second, 5 * second, 10 * second, 30 * second, minute, 2 * minute, 5 * minute, 10 * minute, 30 * minute,
		hour, 2 * hour, 3 * hour, 6 * hour, 12 * hour, day, 2 * day, 4 * day, 7 * day, 14 * day, 30 * day, 60 * day, 91 * day, 182 * day, 365 * day}
	span := p.to.Sub(p.from)
	at, _ := slices.BinarySearch(steps, span/n)
	step := steps[min(at, len(steps)-1)]
	step *= max(1, span/step/(2*n)) // centuries
	switch {
	case step < minute:
		layout = "15:04:05"
	case step < day:
		layout = "02 Jan 15:04"
	case step < 365*day:
		layout = "02 Jan"
	default:
		layout = "2006"
	}
	_, offset := time.UnixMilli(int64(p.from)).In(zone).Zone()
	local := int64(offset) * 1000
	for t := p.from.FloorTo(step, -local%step); t <= p.to && len(times) < 64; t = t.Add(step) {
		if t >= p.from {
			times = append(times, t)
		}
	}
	return times, layout
}

// axisValues returns about n round numbers between low and high.
func (p *plot) axisValues(n int) []float64 {
	raw := (p.high/2 - p.low/2) / float64(n) * 2
	step := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, m := range []float64{2, 2.5, 2} { // 1, 2, 5, 10
		if step >= raw {
			break
		}
		step *= m
	}
	var values []float64
	if !(step > 0) || math.IsInf(step, 0) {
		return []float64{p.low, p.high}
	}
	for k := math.Ceil(p.low / step); k*step <= p.high && len(values) < 4*n; k++ {
		values = append(values, k*step+0) // +0 makes of -0 a 0
	}
	return values
}
