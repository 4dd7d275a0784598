package query

import (
	"slices"
	"strings"
)

// firesOnce reports whether a window says one thing and then nothing more: no late
// event comes in, or nothing is said until none can.
func (w *WindowSpec) firesOnce() bool {
	return w.FinalOnly || w.Early == nil && w.AllowedLateness == 0
}

// capped reports whether the windows are sessions that last only so long.
func (w *WindowSpec) capped() bool { return w.Type == WindowSession && w.MaxDuration > 0 }

// limited reports whether a key may have many windows, so that windows_max is read.
func (w *WindowSpec) limited() bool {
	return !w.capped() && !slices.Contains([]string{WindowGlobal, WindowState, WindowSliding}, w.Type)
}

// needless reports the members of a window that its type reads, but that change
// nothing because of what else it has.
func (c *compiler) needless(w *WindowSpec) {
	const global = "has no meaning for global windows: they end with the input"
	for _, one := range []struct {
		name     string
		needless bool
		why      string
		hint     string
	}{
		{"allowed_lateness", w.Type == WindowGlobal, global, "leave it out"},
		{"trigger.late", w.Type == WindowGlobal, global, "leave it out"},
		{"trigger.final_only", w.Type == WindowGlobal, global, "leave it out"},
		{"trigger", w.Early == nil && w.Late == nil && !w.FinalOnly, "is empty", "give early, late or final_only"},
		{"trigger.late", w.Type != WindowGlobal && w.AllowedLateness == 0, "has no effect: without allowed_lateness no late event comes in", ""},
		{"accumulation", w.FinalOnly, "has no meaning with final_only: a window fires once", "leave it out"},
		{"accumulation", !w.FinalOnly && w.firesOnce() && w.Accumulation != "accumulating", "has no effect: a window fires once", "give trigger.early or allowed_lateness"},
		{"windows_max", !w.limited() && !w.capped(), "has no effect for " + w.Type + " windows", "leave it out"},
		{"windows_max", w.capped(), "has no effect for session windows with max_duration", "leave it out"},
		{"gap", w.capped() && w.Gap >= w.MaxDuration, "has no effect: max_duration, " + millis(w.MaxDuration) + ", always comes first", ""},
		{"week_start", w.Unit != "week", "belongs to unit week, not " + w.Unit, "leave it out"},
		{"shifts", w.Unit != "shift", "belongs to unit shift, not " + w.Unit, "leave it out"},
		{"at", w.Unit == "shift", "has no meaning for shifts", "make it a shift"},
		{"count_step", w.CountStep == 0, "must be at least 1", ""},
	} {
		member, _, _ := strings.Cut(one.name, ".")
		if one.needless && c.given("window."+one.name) && slices.Contains(windowMembers()[member], w.Type) {
			c.fault("window."+one.name, one.hint, "%s", one.why)
		}
	}
}

// crowded reports windows of which more are open at a time than may be.
func (c *compiler) crowded(w *WindowSpec) {
	open := int64(0)
	switch {
	case w.Type == WindowCount && w.Count > 0 && w.CountStep > 0:
		open = (w.Count-1)/w.CountStep + 1
	case w.Type == WindowCumulate && w.Step > 0:
		open = w.Size / w.Step
	}
	if open > int64(w.WindowsMax) {
		c.fault("window.windows_max", "", "%d windows are open at a time, more than windows_max, %d", open, w.WindowsMax)
	}
}
