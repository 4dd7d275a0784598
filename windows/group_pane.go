package windows

import (
	"encoding/binary"
	"math"
	"slices"

	"edged"
)

// groupScratch is memory for computing panes, which is the same from pane to pane.
type groupScratch struct {
	state         []uint64
	cells         [][]byte
	upstream      []uint64
	upstreamCells [][]byte
	values        []edged.Value
	bytes         []byte
}

// contribution returns what an event contributes, and false if its partial state
// is missing or is none.
func (g *Group) contribution(ev *edged.Event) (contribution, bool) {
	from := ev.From
	c := contribution{member: from.Member, start: from.Start, end: from.End}
	if from.Retract {
		return c, true // of whatever there is
	}
	if g.merges && !g.readPartial(from.Partial, from.Start) {
		return c, false
	}
	g.scratch.bytes = appendBody(g.scratch.bytes[:0], ev.Values)
	if g.merges {
		g.scratch.bytes = append(g.scratch.bytes, from.Partial...)
	}
	c.body = string(g.scratch.bytes)
	return c, true
}

// readPartial reads a partial state into the scratch and reports whether it is one.
func (g *Group) readPartial(data []byte, origin edged.Timestamp) bool {
	s, l := &g.scratch, g.spec.Upstream
	if len(s.upstream) < l.Words() || len(s.upstreamCells) < l.Cells() {
		s.upstream, s.upstreamCells = make([]uint64, l.Words()), make([][]byte, l.Cells())
	}
	rest, err := l.Restore(s.upstream, s.upstreamCells, data, origin)
	return err == nil && len(rest) == 0
}

// fire appends the pane of a window and, if panes are retracted, the retraction of
// the one before.
func (g *Group) fire(out *edged.Output, w *groupWindow, timing edged.Timing, by Moment) {
	spec, s := &g.spec.Windows, &g.scratch
	last := edged.Result{
		Kind: edged.PaneResult, Timing: timing, Cause: by.Cause, Last: g.expired(w), Index: w.fired,
		Trigger: by.Trigger, Key: by.Key, Start: w.Start, End: w.End, Watermark: g.watermark,
	}
	if spec.Accumulation == Retracting && w.fired > 0 {
		back := last
		back.Kind, back.Index, back.Last = edged.RetractResult, w.fired-1, false
		back.Values = out.Columns(len(w.last))
		copy(back.Values, w.last)
		out.Results = append(out.Results, back)
	}
	g.compute(w)
	last.Values = out.Columns(spec.Layout.Columns())
	spec.Layout.Results(last.Values, s.state, s.cells, spec.span(w.Window, timing, g.watermark))
	if spec.Partials {
		last.Partial = spec.partial(out, s.state, s.cells, w.Start)
	}
	out.Results = append(out.Results, last)
	w.fired = min(w.fired, math.MaxUint32-1) + 1
	w.pace.since = tally{}
	if spec.Accumulation == Retracting {
		w.last = append(w.last[:0], last.Values...)
	}
}

// compute folds all contributions of a window into the scratch state.
func (g *Group) compute(w *groupWindow) {
	s, l := &g.scratch, g.spec.Windows.Layout
	if s.state == nil {
		s.state = make([]uint64, l.Words())
		if l.Cells() > 0 {
			s.cells = make([][]byte, l.Cells())
		}
	}
	l.Reset(s.state, s.cells)
	w.roll.each(func(c *contribution) {
		r := textReader{text: c.body}
		s.values = r.values(s.values[:0])
		l.Add(s.state, s.cells, s.values, c.time())
		if !g.merges {
			return
		}
		// It was read once before, when it came in.
		s.bytes = append(s.bytes[:0], r.text...)
		if g.readPartial(s.bytes, c.start) {
			for column, from := range g.spec.Merge {
				if from >= 0 {
					l.MergeColumn(s.state, s.cells, column, g.spec.Upstream, s.upstream, s.upstreamCells, from)
				}
			}
		}
	})
	clear(s.values) // for what they may hold beyond the state
}

// The kinds of values in the body of a contribution.
const (
	bodyNull   = iota
	bodyNumber // 8 bytes, little-endian
	bodyFalse
	bodyTrue
	bodyText // length, bytes
	bodyJSON // length, bytes
)

// appendBody appends the number of values, and the values, each a byte that says
// its kind and what belongs to it. The partial state comes behind it, up to
// the end.
func appendBody(dst []byte, values []edged.Value) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(values)))
	for _, v := range values {
		dst = appendValue(dst, v)
	}
	return dst
}

func appendValue(dst []byte, v edged.Value) []byte {
	switch v.Kind {
	case edged.Number:
		return binary.LittleEndian.AppendUint64(append(dst, bodyNumber), math.Float64bits(v.Float()))
	case edged.Bool:
		if v.Bool() {
			return append(dst, bodyTrue)
		}
		return append(dst, bodyFalse)
	case edged.Text, edged.JSON:
		kind := byte(bodyText)
		if v.Kind == edged.JSON {
			kind = bodyJSON
		}
		dst = binary.AppendUvarint(append(dst, kind), uint64(len(v.Text())))
		return append(dst, v.Text()...)
	}
	return append(dst, bodyNull)
}

// textReader reads a body. Texts are parts of it, so that reading allocates
// nothing. It is bad from the first thing on that is malformed.
type textReader struct {
	text string
	bad  bool
}

// values appends the values to dst.
func (r *textReader) values(dst []edged.Value) []edged.Value {
	n := r.uvarint()
	if n > uint64(len(r.text)) { // a value takes at least a byte
		r.bad = true
		return dst
	}
	dst = slices.Grow(dst, int(n))
	for range n {
		dst = append(dst, r.value())
	}
	return dst
}

func (r *textReader) value() edged.Value {
	kind := r.take(1)
	if r.bad {
		return edged.Value{}
	}
	switch kind[0] {
	case bodyNull:
		return edged.Value{}
	case bodyNumber:
		var bits uint64
		for i, b := range []byte(r.take(8)) {
			bits |= uint64(b) << (8 * i)
		}
		v := edged.NumberValue(math.Float64frombits(bits))
		r.bad = r.bad || v.Kind == edged.Null
		return v
	case bodyFalse, bodyTrue:
		return edged.BoolValue(kind[0] == bodyTrue)
	case bodyText:
		return edged.TextValue(r.take(r.uvarint()))
	case bodyJSON:
		return edged.JSONValue(r.take(r.uvarint()))
	}
	r.bad = true
	return edged.Value{}
}

// take returns the next n bytes.
func (r *textReader) take(n uint64) string {
	if n > uint64(len(r.text)) {
		r.bad, r.text = true, ""
		return ""
	}
	part := r.text[:n]
	r.text = r.text[n:]
	return part
}

// uvarint reads an unsigned varint in its shortest form.
func (r *textReader) uvarint() uint64 {
	var v uint64
	for i := 0; i < len(r.text) && i < binary.MaxVarintLen64; i++ {
		b := r.text[i]
		v |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			r.bad = r.bad || i > 0 && b == 0 || i == binary.MaxVarintLen64-1 && b > 1
			r.text = r.text[i+1:]
			return v
		}
	}
	r.bad, r.text = true, ""
	return 0
}
