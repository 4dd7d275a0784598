package main

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"edged/anomaly"
)

// The picture, in pixels: a heading and a legend, values with the alarms above,
// score below, a margin for the axes, and lines for what alarms say.
const (
	svgWidth              = 1000
	svgLeft, svgRight     = 80, 988
	svgTop, svgBottom     = 84, 330
	svgScoreTop, svgScore = 350, 410
	svgFoot, svgLine      = 460, 17
	svgReasons            = 6 // alarms that are explained below
)

const svgStyle = `text{font:12px system-ui,sans-serif;fill:#445}
.title{font-size:15px;font-weight:600;fill:#112}.small{font-size:10px}
.grid{stroke:#e3e6ea;stroke-width:1;fill:none}
.band{fill:#cfe3f5}
.value{fill:none;stroke:#1f5f99;stroke-width:1.2;stroke-linejoin:round}
.below{fill:#e9c693}.above{fill:#c2550a}
.line{stroke:currentColor;stroke-width:1;stroke-dasharray:3 2;fill:none}
.minor{color:#c98500;fill:#c98500}.major{color:#d9480f;fill:#d9480f}.critical{color:#b71c1c;fill:#b71c1c}
.minor text,.major text,.critical text{fill:currentColor}`

// drawSVG writes the picture as a file of its own.
func drawSVG(out io.Writer, d *detection) error {
	var b bytes.Buffer
	d.writeSVG(&b, svgReasons)
	_, err := out.Write(b.Bytes())
	return err
}

// escape makes text fit for XML and HTML, whatever bytes it has.
func escape(text string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(text)) // a buffer takes everything
	return b.String()
}

// writeSVG appends the picture, with what the worst alarms say, at most as many as
// reasons. It refers to nothing outside of it.
func (d *detection) writeSVG(b *bytes.Buffer, reasons int) {
	p := d.reduce(svgRight - svgLeft)
	hole := d.hole(len(p.columns))
	worst, lines := d.worst(reasons), 0
	if len(worst) > 0 {
		lines = len(worst) + 1 // the last one is for what is left out, or free
	}
	fmt.Fprintf(b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img">`+"\n<title>%s</title>\n<style>%s</style>\n",
		svgWidth, svgFoot+lines*svgLine, escape(d.title+", "+d.summary()), svgStyle)
	fmt.Fprintf(b, `<rect width="%d" height="%d" fill="#fff"/>`+"\n", svgWidth, svgFoot+lines*svgLine)
	fmt.Fprintf(b, `<text class="title" x="%d" y="20">%s</text><text x="%d" y="38">%s</text>`+"\n",
		svgLeft, escape(d.title), svgLeft, escape(d.detector+": "+d.summary()))
	d.svgAxes(b, p)
	p.svgBand(b, hole)
	fmt.Fprintf(b, `<path class="value" d="%s"/>`+"\n", p.svgLine(hole))
	p.svgScores(b)
	d.svgAlarms(b, p)
	d.svgLegend(b, p)
	d.svgReasons(b, worst)
	b.WriteString("</svg>\n")
}

// worst returns the indices of the worst alarms, at most n, in their order.
func (d *detection) worst(n int) []int {
	all := make([]int, len(d.alarms))
	for i := range all {
		all[i] = i
	}
	slices.SortStableFunc(all, func(i, j int) int {
		a, b := &d.alarms[i], &d.alarms[j]
		return cmp.Or(cmp.Compare(b.severity, a.severity), cmp.Compare(b.score, a.score))
	})
	all = all[:min(n, len(all))]
	slices.Sort(all)
	return all
}

// svgAlarms draws a mark for each alarm, with a number where there is room.
func (d *detection) svgAlarms(b *bytes.Buffer, p *plot) {
	const apart = 16
	free := float64(svgLeft)
	for i := range d.alarms {
		a := &d.alarms[i]
		x := svgLeft + float64(p.alarmed[i]) + 0.5
		fmt.Fprintf(b, `<g class="%s"><title>%d: %s</title><path class="line" d="M%g,%dV%d"/><path d="M%g,%dl-4,-8h8z"/>`,
			a.severity, i+1, escape(d.alarmTime(a)+" "+a.severity.String()+": "+a.sentence), x, svgTop, svgScore, x, svgTop)
		if x >= free {
			fmt.Fprintf(b, `<text class="small" x="%g" y="%d" text-anchor="middle">%d</text>`, x, svgTop-11, i+1)
			free = x + apart
		}
		b.WriteString("</g>\n")
	}
}

// svgLegend says what the colours mean, of those that there are.
func (d *detection) svgLegend(b *bytes.Buffer, p *plot) {
	x := svgLeft
	item := func(shape, text string) {
		fmt.Fprintf(b, `<g transform="translate(%d,60)">%s<text x="18">%s</text></g>`+"\n", x, shape, escape(text))
		x += 32 + 7*len([]rune(text))
	}
	item(`<path class="value" d="M0,-4h14"/>`, d.label())
	if p.hasBand {
		item(`<path class="band" d="M0,-9h14v10h-14z"/>`, "expected")
	}
	if p.score > 0 {
		item(`<path class="below" d="M2,-6h4v7h-4z"/><path class="above" d="M8,-10h4v11h-4z"/>`, "score below, above the threshold")
	}
	for _, s := range [...]anomaly.Severity{anomaly.SeverityMinor, anomaly.SeverityMajor, anomaly.SeverityCritical} {
		if slices.ContainsFunc(d.alarms, func(a raised) bool { return a.severity == s }) {
			item(fmt.Sprintf(`<path class="%s" d="M7,0l-4,-8h8z"/>`, s), s.String()+" alarm")
		}
	}
}

// svgReasons lists what alarms say.
func (d *detection) svgReasons(b *bytes.Buffer, which []int) {
	for line, i := range which {
		a := &d.alarms[i]
		fmt.Fprintf(b, `<text x="%d" y="%d"><tspan class="%s">%d %s</tspan> %s: %s</text>`+"\n", svgLeft, svgFoot+line*svgLine,
			a.severity, i+1, a.severity, escape(d.alarmTime(a)), escape(a.sentence))
	}
	if more := len(d.alarms) - len(which); more > 0 && len(which) > 0 {
		fmt.Fprintf(b, `<text x="%d" y="%d">and %s</text>`+"\n", svgLeft, svgFoot+len(which)*svgLine, plural(more, "lesser alarm"))
	}
}

// label is the name of the values, cut to what an axis has room for.
func (d *detection) label() string {
	const most = 32
	if name := []rune(d.column); len(name) > most {
		return string(name[:most-1]) + "…"
	}
	return d.column
}

// pixel writes a coordinate.
func pixel(x float64) string {
	return strings.TrimSuffix(strconv.FormatFloat(x, 'f', 1, 64), ".0")
}

// svgY returns the height of a value in the picture.
func (p *plot) svgY(x float64) string { return pixel(svgBottom - p.height(x)*(svgBottom-svgTop)) }

// svgAxes draws grid and labels.
func (d *detection) svgAxes(b *bytes.Buffer, p *plot) {
	for _, v := range p.axisValues(5) {
		y := p.svgY(v)
		fmt.Fprintf(b, `<path class="grid" d="M%d,%sH%d"/><text x="%d" y="%s" dy="4" text-anchor="end">%s</text>`+"\n",
			svgLeft, y, svgRight, svgLeft-6, y, number(v))
	}
	times, layout := p.axisTimes(7, d.zone)
	for _, t := range times {
		x := svgLeft + p.at(t)
		anchor := "middle"
		if x > svgRight-40 {
			anchor = "end"
		}
		fmt.Fprintf(b, `<path class="grid" d="M%d,%dV%d"/><text x="%d" y="%d" text-anchor="%s">%s</text>`+"\n",
			x, svgTop, svgScore, x, svgScore+16, anchor, d.clock(t, layout))
	}
	fmt.Fprintf(b, `<path class="grid" d="M%d,%dH%dM%d,%dV%d"/>`+"\n", svgLeft, svgScore, svgRight, svgLeft, svgTop, svgScore)
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="end">%s</text><text x="%d" y="%d" text-anchor="end">0</text>`+"\n",
		svgLeft-6, svgScoreTop+8, brief(p.score), svgLeft-6, svgScore)
	fmt.Fprintf(b, `<text text-anchor="middle" transform="translate(16,%d) rotate(-90)">%s</text>`+"\n", (svgTop+svgBottom)/2, escape(d.label()))
	fmt.Fprintf(b, `<text text-anchor="middle" transform="translate(16,%d) rotate(-90)">score</text>`+"\n", (svgScoreTop+svgScore)/2)
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="middle">%s</text>`+"\n", (svgLeft+svgRight)/2, svgScore+32, escape(d.period()))
}

// svgBand draws what was expected. A side that is not known reaches to the edge.
func (p *plot) svgBand(b *bytes.Buffer, hole int) {
	last := 0
	var low, high []string
	flush := func() {
		if len(low) > 0 {
			b.WriteString(`<path class="band" d="M`)
			for _, at := range high {
				b.WriteString(at + " ")
			}
			for i := len(low) - 1; i >= 0; i-- {
				b.WriteString(low[i] + " ")
			}
			b.WriteString(`z"/>` + "\n")
		}
		low, high = low[:0], high[:0]
	}
	for i := range p.columns {
		c := &p.columns[i]
		from, to := c.bandLow, c.bandHigh
		if math.IsNaN(from) && math.IsNaN(to) {
			if i-last > hole {
				flush()
			}
			continue // a few empty columns are in the band of their neighbours
		}
		last = i
		if math.IsNaN(from) {
			from = p.low
		}
		if math.IsNaN(to) {
			to = p.high
		}
		x := strconv.Itoa(svgLeft+i) + ","
		low, high = append(low, x+p.svgY(from)), append(high, x+p.svgY(to))
	}
	flush()
}

// svgLine returns the path of the values, with a gap where the series has a hole.
func (p *plot) svgLine(hole int) string {
	var b []byte
	last := -1
	for i := range p.columns {
		c := &p.columns[i]
		if math.IsNaN(c.low) {
			continue
		}
		x := strconv.Itoa(svgLeft + i)
		if last < 0 || i-last > hole {
			b = append(b, 'M')
		} else {
			b = append(b, 'L')
		}
		b = append(b, x+","+p.svgY(c.low)...)
		if c.high > c.low {
			b = append(b, "V"+p.svgY(c.high)...)
		} else if last < 0 || i-last > hole {
			b = append(b, "h1"...) // a lone point is to be seen
		}
		last = i
	}
	return string(b)
}

// svgScores draws the score of every column as a bar.
func (p *plot) svgScores(b *bytes.Buffer) {
	if p.score <= 0 {
		return
	}
	var below, above strings.Builder
	for i := range p.columns {
		c, to := &p.columns[i], &below
		if c.severity > anomaly.SeverityNone {
			to = &above
		}
		if h := c.score / p.score * (svgScore - svgScoreTop); h >= 0.05 {
			fmt.Fprintf(to, "M%d,%dv-%sh1V%dz", svgLeft+i, svgScore, pixel(h), svgScore)
		}
	}
	fmt.Fprintf(b, `<path class="below" d="%s"/><path class="above" d="%s"/>`+"\n", below.String(), above.String())
}

const htmlStyle = `body{font:15px system-ui,sans-serif;color:#223;max-width:1040px;margin:2rem auto;padding:0 1rem}
svg{width:100%;height:auto;border:1px solid #e3e6ea}
table{border-collapse:collapse;width:100%;margin-top:1rem}
td,th{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #e3e6ea;vertical-align:top}
td.critical{color:#b71c1c;font-weight:600}td.major{color:#d9480f;font-weight:600}`

// drawHTML writes a page with the picture and a table of the alarms. It loads
// nothing and runs nothing.
func drawHTML(out io.Writer, d *detection) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>%s</title>\n<style>%s</style>\n</head>\n<body>\n",
		escape(d.title), htmlStyle)
	d.writeSVG(&b, 0)
	if len(d.alarms) > 0 {
		b.WriteString("<table>\n<tr><th></th><th>raised</th><th>value</th><th>score</th><th>severity</th><th>why</th></tr>\n")
	}
	for i := range d.alarms {
		a := &d.alarms[i]
		value := ""
		if !math.IsNaN(a.x) {
			value = d.rows[a.row].text
		}
		fmt.Fprintf(&b, "<tr><td>%d</td><td>%s</td><td>%s</td><td>%s</td><td class=\"%s\">%s</td><td>%s</td></tr>\n", i+1, escape(d.alarmTime(a)),
			escape(value), number(a.score), a.severity, a.severity, escape(a.sentence))
	}
	if len(d.alarms) > 0 {
		b.WriteString("</table>\n")
	}
	b.WriteString("</body>\n</html>\n")
	_, err := out.Write(b.Bytes())
	return err
}
