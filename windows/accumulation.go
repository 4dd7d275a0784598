package windows

// Accumulation says how the panes of one window relate to each other.
type Accumulation uint8

// The ways of accumulating.
const (
	// Accumulating panes hold all contents so far: each replaces the one before.
	Accumulating Accumulation = iota

	// Discarding panes hold what came since the one before: their sum is the window.
	Discarding

	// Retracting panes hold all contents so far, and the pane before is taken back
	// by value first, for receivers that add up what they get.
	Retracting
)

// String returns the word that pipeline documents use.
func (a Accumulation) String() string {
	switch a {
	case Discarding:
		return "discarding"
	case Retracting:
		return "retracting"
	}
	return "accumulating"
}
