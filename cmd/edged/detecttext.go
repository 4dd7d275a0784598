package main

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
)

// The picture in the terminal fits 80 columns: the axis takes the first twelve.
const (
	textAxis   = 12
	textWidth  = 66
	textHeight = 12
)

// sheet is a drawing of Braille characters, two by four dots each.
type sheet struct {
	cells [textHeight][textWidth]byte
}

// dotBits are the dots of a Braille character, by row and column.
var dotBits = [4][2]byte{{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}}

// dots fills column x from height low to high, both 0 to 1.
func (s *sheet) dots(x int, low, high float64) {
	const top = textHeight*4 - 1
	for y := int(math.Round(low * top)); y <= int(math.Round(high*top)); y++ {
		row := top - y
		s.cells[row/4][x/2] |= dotBits[row%4][x%2]
	}
}

// line draws the values: columns that follow each other are joined.
func (s *sheet) line(p *plot, hole int) {
	last, lastLow, lastHigh := -1, 0.0, 0.0
	for x := range p.columns {
		c := &p.columns[x]
		if math.IsNaN(c.low) {
			continue
		}
		low, high := p.height(c.low), p.height(c.high)
		if gap := x - last; last >= 0 && gap <= hole {
			from, to := (lastLow+lastHigh)/2, (low+high)/2
			for i := 1; i <= gap; i++ {
				a := from + (to-from)*float64(i-1)/float64(gap)
				b := from + (to-from)*float64(i)/float64(gap)
				s.dots(last+i, min(a, b), max(a, b))
			}
		}
		s.dots(x, low, high)
		last, lastLow, lastHigh = x, low, high
	}
}

// drawText draws the series for a terminal, and says why there was each alarm.
func drawText(out io.Writer, d *detection) error {
	p := d.reduce(2 * textWidth)
	var s sheet
	s.line(p, d.hole(len(p.columns)))
	var b bytes.Buffer
	d.writeSummary(&b)
	b.WriteByte('\n')
	labels := map[int]float64{}
	for _, v := range p.axisValues(4) {
		labels[textHeight-1-int(math.Round(p.height(v)*(textHeight-1)))] = v
	}
	for y := range s.cells {
		label, tick := "", "│"
		if v, ok := labels[y]; ok {
			label, tick = number(v), "┤"
		}
		var line strings.Builder
		for x, bits := range s.cells[y] {
			line.WriteString(p.cell(x, y, bits))
		}
		writeTextLine(&b, label, tick, line.String())
	}
	writeTextLine(&b, "score "+brief(p.score), "│", p.bars())
	writeTextLine(&b, "alarms", "│", p.marks())
	writeTextLine(&b, "", "└", d.textTimes(p))
	legend := "⣿ " + d.label()
	if p.hasBand {
		legend += "  ░ expected"
	}
	fmt.Fprintf(&b, "%*s%s  time: %s\n", textAxis+1, "", legend, d.period())
	if len(d.alarms) > 0 {
		b.WriteByte('\n')
	}
	for _, a := range d.alarms {
		fmt.Fprintf(&b, "▲ %s  %-8s %s  %s\n", d.alarmTime(&a), a.severity, number(a.score), a.sentence)
	}
	_, err := out.Write(b.Bytes())
	return err
}

// writeTextLine writes a line of the picture, without blanks at its end.
func writeTextLine(b *bytes.Buffer, label, tick, line string) {
	fmt.Fprintf(b, "%s\n", strings.TrimRight(fmt.Sprintf("%*s %s%s", textAxis-1, label, tick, line), " "))
}

// writeSummary says what was scored.
func (d *detection) writeSummary(b *bytes.Buffer) {
	fmt.Fprintf(b, "%s\n%s: %s\n", d.title, d.detector, d.summary())
}

// summary says in one line how the series and its alarms are.
func (d *detection) summary() string {
	days := 0.0
	if len(d.order) > 0 {
		days = (float64(d.to()) - float64(d.from())) / (24 * float64(time.Hour.Milliseconds()))
	}
	text := fmt.Sprintf("%s in %s", plural(len(d.alarms), "alarm"), plural(len(d.rows), "row"))
	if days >= 1 {
		text += fmt.Sprintf(" of %s days", number(days))
	}
	if d.learned > 0 {
		text += fmt.Sprintf(", %d of them only learned from", d.learned)
	}
	if n := d.missing(); n > 0 {
		text += fmt.Sprintf(", %s missing", plural(n, "value"))
	}
	return text
}

// plural counts things.
func plural(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return strconv.Itoa(n) + " " + thing
}

// number writes four digits.
func number(x float64) string {
	if a := math.Abs(x); a >= 1000 && a < 1e7 {
		return strconv.FormatFloat(x, 'f', 0, 64)
	}
	return strconv.FormatFloat(x, 'g', 4, 64)
}

// brief writes two digits.
func brief(x float64) string { return strconv.FormatFloat(x, 'g', 2, 64) }

// period says from when to when the series is.
func (d *detection) period() string {
	if len(d.order) == 0 {
		return d.zone.String()
	}
	const layout = "2006-01-02 15:04"
	return d.clock(d.from(), layout) + " to " + d.clock(d.to(), layout) + " " + d.zone.String()
}

// cell returns a character of the picture: dots, or the shade of what is expected.
func (p *plot) cell(x, y int, bits byte) string {
	if bits != 0 {
		return string(rune(0x2800 + int(bits)))
	}
	middle := 1 - (float64(y)+0.5)/textHeight
	for _, c := range p.columns[2*x : 2*x+2] {
		known := !math.IsNaN(c.bandLow) || !math.IsNaN(c.bandHigh)
		if known && !(p.height(c.bandLow) > middle) && !(p.height(c.bandHigh) < middle) {
			return "░"
		}
	}
	return " "
}

// bars draws the scores, in eighths of the highest.
func (p *plot) bars() string {
	blocks := []rune(" ▁▂▃▄▅▆▇█")
	var b strings.Builder
	for x := 0; x < len(p.columns); x += 2 {
		score := max(p.columns[x].score, p.columns[x+1].score)
		if p.score > 0 {
			b.WriteRune(blocks[int(math.Ceil(score/p.score*8))])
		}
	}
	return b.String()
}

// marks draws the alarms.
func (p *plot) marks() string {
	line := []rune(strings.Repeat(" ", len(p.columns)/2))
	for _, x := range p.alarmed {
		line[x/2] = '▲'
	}
	return string(line)
}

// textTimes draws the time axis.
func (d *detection) textTimes(p *plot) string {
	times, layout := p.axisTimes(4, d.zone)
	line := []rune(strings.Repeat("─", textWidth))
	for _, t := range times {
		label := []rune("┬" + d.clock(t, layout) + " ")
		at := p.at(t) / 2
		if at+len(label) <= textWidth && line[at] == '─' {
			copy(line[at:], label)
		}
	}
	return string(line)
}

// alarmTime writes the time of an alarm as the series does, if a row has it.
func (d *detection) alarmTime(a *raised) string {
	if math.IsNaN(a.x) {
		return d.clock(a.t, time.DateTime)
	}
	if text := d.rows[a.row].time; len(text) >= len(time.DateTime) {
		return text
	}
	return d.clock(a.t, time.DateTime)
}
