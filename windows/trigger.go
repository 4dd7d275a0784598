package windows

import "edged"

// Trigger decides when a window fires a pane. It is a stateless value: all it
// needs to know is where the watermark stands.
type Trigger interface {
	// OnEvent is asked after an event was added to w.
	OnEvent(w Window, watermark edged.Timestamp) (edged.Timing, bool)

	// OnWatermark is asked when the watermark moves from one point to a later one.
	OnWatermark(w Window, from, to edged.Timestamp) (edged.Timing, bool)
}

// AfterWatermark fires a window once on time, when the watermark reaches its
// end, and then once for every late event.
type AfterWatermark struct{}

// OnEvent implements [Trigger].
func (AfterWatermark) OnEvent(w Window, watermark edged.Timestamp) (edged.Timing, bool) {
	return edged.Late, watermark >= w.End
}

// OnWatermark implements [Trigger].
func (AfterWatermark) OnWatermark(w Window, from, to edged.Timestamp) (edged.Timing, bool) {
	return edged.OnTime, from < w.End && w.End <= to
}
