package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"
)

// The picture, in pixels: values above, score below, a margin for the axes.
const (
	svgWidth, svgHeight   = 1000, 440
	svgLeft, svgRight     = 70, 990
	svgTop, svgBottom     = 44, 320
	svgScoreTop, svgScore = 340, 410
)

const svgStyle = `text{font:12px system-ui,sans-serif;fill:#445}
.title{font-size:15px;font-weight:600;fill:#112}
.grid{stroke:#e3e6ea;stroke-width:1}
.band{fill:#cfe3f5}
.value{fill:none;stroke:#1f5f99;stroke-width:1.2;stroke-linejoin:round}
.score{fill:#e0a458}
.alarm{stroke:#c62828;stroke-width:1;stroke-dasharray:3 2}
.mark{fill:#c62828}`

// drawSVG writes the picture as a file of its own.
func drawSVG(out io.Writer, d *detection) error {
	var b bytes.Buffer
	d.writeSVG(&b)
	_, err := out.Write(b.Bytes())
	return err
}

// escape makes text fit for XML and HTML, whatever bytes it has.
func escape(text string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(text)) // a buffer takes everything
	return b.String()
}

// writeSVG appends the picture. It refers to nothing outside of it.
func (d *detection) writeSVG(b *bytes.Buffer) {
	p := d.reduce(svgRight - svgLeft)
	hole := d.hole(len(p.columns))
	fmt.Fprintf(b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img">`+"\n<title>%s</title>\n<style>%s</style>\n",
		svgWidth, svgHeight, escape(d.title+", "+d.summary()), svgStyle)
	fmt.Fprintf(b, `<rect width="%d" height="%d" fill="#fff"/>`+"\n", svgWidth, svgHeight)
	fmt.Fprintf(b, `<text class="title" x="%d" y="20">%s</text><text x="%d" y="36">%s</text>`+"\n",
		svgLeft, escape(d.title), svgLeft, escape(d.detector+": "+d.summary()))
	d.svgAxes(b, p)
	p.svgBand(b, hole)
	fmt.Fprintf(b, `<path class="value" d="%s"/>`+"\n", p.svgLine(hole))
	p.svgScores(b)
	for i := range d.alarms {
		a := &d.alarms[i]
		x := svgLeft + float64(p.alarmed[i]) + 0.5
		fmt.Fprintf(b, `<g><title>%s</title><path class="alarm" d="M%g,%dV%d"/><path class="mark" d="M%g,%dl-5,-9h10z"/></g>`+"\n",
			escape(d.alarmTime(a)+" "+a.severity.String()+": "+a.sentence), x, svgTop, svgScore, x, svgTop)
	}
	b.WriteString("</svg>\n")
}

// svgY returns the height of a value in the picture.
func (p *plot) svgY(x float64) string {
	return strconv.FormatFloat(svgBottom-p.height(x)*(svgBottom-svgTop), 'f', 1, 64)
}

// svgAxes draws grid and labels.
func (d *detection) svgAxes(b *bytes.Buffer, p *plot) {
	for _, v := range p.axisValues(5) {
		y := p.svgY(v)
		fmt.Fprintf(b, `<path class="grid" d="M%d,%sH%d"/><text x="%d" y="%s" dy="4" text-anchor="end">%s</text>`+"\n",
			svgLeft, y, svgRight, svgLeft-8, y, number(v))
	}
	times, layout := p.axisTimes(7, d.zone)
	for _, t := range times {
		x := svgLeft + p.at(t)
		anchor := "middle"
		if x > svgRight-40 {
			anchor = "end"
		}
		fmt.Fprintf(b, `<path class="grid" d="M%d,%dV%d"/><text x="%d" y="%d" text-anchor="%s">%s</text>`+"\n",
			x, svgTop, svgScore, x, svgScore+18, anchor, d.clock(t, layout))
	}
	fmt.Fprintf(b, `<path class="grid" d="M%d,%dH%d"/><text x="%d" y="%d" text-anchor="end">score</text><text x="%d" y="%d" text-anchor="end">%s</text>`+"\n",
		svgLeft, svgScore, svgRight, svgLeft-8, svgScore, svgLeft-8, svgScoreTop+8, number(p.score))
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
	b.WriteString(`<path class="score" d="`)
	for i := range p.columns {
		if h := p.columns[i].score / p.score * (svgScore - svgScoreTop); h >= 0.05 {
			fmt.Fprintf(b, "M%d,%dv%.1fh1v%.1fz", svgLeft+i, svgScore, -h, h)
		}
	}
	b.WriteString(`"/>` + "\n")
}

const htmlStyle = `body{font:15px system-ui,sans-serif;color:#223;max-width:1040px;margin:2rem auto;padding:0 1rem}
svg{width:100%;height:auto;border:1px solid #e3e6ea}
table{border-collapse:collapse;width:100%;margin-top:1rem}
td,th{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #e3e6ea;vertical-align:top}
.critical{color:#b71c1c;font-weight:600}.major{color:#bf6000;font-weight:600}`

// drawHTML writes a page with the picture and a table of the alarms. It loads
// nothing and runs nothing.
func drawHTML(out io.Writer, d *detection) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>%s</title>\n<style>%s</style>\n</head>\n<body>\n",
		escape(d.title), htmlStyle)
	d.writeSVG(&b)
	if len(d.alarms) > 0 {
		b.WriteString("<table>\n<tr><th>raised</th><th>value</th><th>score</th><th>severity</th><th>why</th></tr>\n")
	}
	for i := range d.alarms {
		a := &d.alarms[i]
		value := ""
		if !math.IsNaN(a.x) {
			value = d.rows[a.row].text
		}
		fmt.Fprintf(&b, "<tr><td>%s</td><td>%s</td><td>%s</td><td class=\"%s\">%s</td><td>%s</td></tr>\n", escape(d.alarmTime(a)),
			escape(value), number(a.score), a.severity, a.severity, escape(a.sentence))
	}
	if len(d.alarms) > 0 {
		b.WriteString("</table>\n")
	}
	fmt.Fprintf(&b, "<p>%s to %s (%s)</p>\n</body>\n</html>\n", d.clock(d.rows[0].t, time.DateTime), d.clock(d.rows[len(d.rows)-1].t, time.DateTime),
		escape(d.zone.String()))
	_, err := out.Write(b.Bytes())
	return err
}
