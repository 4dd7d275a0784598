package windows

import (
	"edged"
	"edged/windows/agg"
)

// firing is what a pane says of itself beside its values.
type firing struct {
	window    Window
	timing    edged.Timing
	index     uint32
	last      bool
	watermark edged.Timestamp
}

// report appends the pane of a state.
func (s *Spec) report(out *edged.Output, state []uint64, cells [][]byte, f firing, by Moment) {
	values := out.Columns(s.Layout.Columns())
	s.Layout.Results(values, state, cells, agg.Span{Start: f.window.Start, End: f.window.End})
	var partial []byte
	if s.Partials {
		partial = s.partial(out, state, cells, f.window.Start)
	}
	out.Results = append(out.Results, edged.Result{
		Kind: edged.PaneResult, Timing: f.timing, Cause: by.Cause, Last: f.last, Index: f.index,
		Trigger: by.Trigger, Key: by.Key,
		Start: f.window.Start, End: f.window.End, Watermark: f.watermark,
		Values: values, Partial: partial,
	})
}

// miss notes that a window did not take an event.
func miss(out *edged.Output, ev *edged.Event, w Window, limit bool) {
	out.Missed = append(out.Missed, edged.Miss{Trigger: ev.Seq, Time: ev.EventTime, Start: w.Start, End: w.End, Limit: limit})
}

// refuse appends an event that no window took. end is the end of the last window
// that it belongs to.
func refuse(out *edged.Output, ev *edged.Event, end, watermark edged.Timestamp) {
	values := out.Columns(len(ev.Values))
	copy(values, ev.Values)
	out.Results = append(out.Results, edged.Result{
		Kind: edged.LateResult, Timing: edged.Late,
		Trigger: ev.Seq, Key: ev.Key,
		Start: ev.EventTime, End: end, Watermark: watermark, Values: values,
	})
}

// late reports an event that is too late for all its windows, w being the only one
// or the last.
func late(out *edged.Output, ev *edged.Event, w Window, watermark edged.Timestamp) {
	miss(out, ev, w, false)
	out.Late++
	refuse(out, ev, w.End, watermark)
}

// behind reports whether an event is behind a watermark: of an input that has ended
// every event is, also one at the end of time.
func behind(t, watermark edged.Timestamp) bool {
	return t < watermark || watermark == edged.MaxTimestamp
}

// moment is the window of an event that has no other: its millisecond.
func moment(t edged.Timestamp) Window { return Window{Start: t, End: t.Add(1)} }

// truth returns the truth value in a slot of an event; none is not true.
func truth(ev *edged.Event, slot int) bool {
	return uint(slot) < uint(len(ev.Values)) && ev.Values[slot].Bool()
}
