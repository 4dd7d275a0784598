package windows

import "edged"

// Global is one window for all of time. It ends with time itself, so without a
// trigger for early panes it fires only when the input ends.
type Global struct{}

// Assign implements [Assigner]. There is exactly one window for every t.
func (Global) Assign(_ edged.Timestamp, i int) (Window, bool) {
	return Window{Start: edged.MinTimestamp, End: edged.MaxTimestamp}, i == 0
}

// Validate implements [Assigner].
func (Global) Validate() error { return nil }
