package query

import (
	"encoding/binary"
	"fmt"

	"edged"
	"edged/windows"
)

// passing stands where the windows are in a pipeline that has none: every event
// is a result as soon as it comes.
type passing struct {
	fold      *fold
	watermark edged.Timestamp
}

var _ windows.State = (*passing)(nil)

// Add implements windows.State.
func (p *passing) Add(out *edged.Output, ev *edged.Event, by windows.Moment) {
	p.row(out, ev, ev.EventTime, ev.EventTime.Add(1), by)
}

// row appends a result. One record may make several of a key alike; their index
// tells them apart.
func (p *passing) row(out *edged.Output, ev *edged.Event, start, end edged.Timestamp, by windows.Moment) {
	index := uint32(0)
	for i := len(out.Results) - 1; i >= 0 && out.Results[i].Trigger == by.Trigger; i-- {
		if out.Results[i].Kind == edged.RowResult {
			index = out.Results[i].Index + 1
			break
		}
	}
	emit := p.fold.plan.emit
	values := out.Columns(len(emit))
	for i, slot := range emit {
		values[i] = ev.Values[slot]
	}
	out.Results = append(out.Results, edged.Result{
		Kind: edged.RowResult, Cause: by.Cause, Last: true, Index: index, Trigger: by.Trigger, Key: by.Key,
		Start: start, End: end, Watermark: p.watermark, Values: values,
	})
}

// Advance implements windows.State.
func (p *passing) Advance(_ *edged.Output, to edged.Timestamp, _ windows.Moment) {
	p.watermark = max(p.watermark, to)
}

// Tick implements windows.State.
func (*passing) Tick(*edged.Output, windows.Moment) {}

// Watermark implements windows.State.
func (p *passing) Watermark() edged.Timestamp { return p.watermark }

// Open implements windows.State.
func (*passing) Open() int { return 0 }

// Pending implements windows.State.
func (*passing) Pending() (edged.Timestamp, bool) { return 0, false }

// Bytes implements windows.State.
func (*passing) Bytes() int { return 16 }

// AppendBinary implements windows.State.
func (p *passing) AppendBinary(dst []byte) []byte {
	return binary.AppendVarint(dst, int64(p.watermark))
}

// Restore implements windows.State.
func (p *passing) Restore(data []byte) ([]byte, error) {
	w, n := binary.Varint(data)
	if n <= 0 {
		return nil, fmt.Errorf("restore the watermark: %w", windows.ErrState)
	}
	p.watermark = edged.Timestamp(w)
	return data[n:], nil
}
