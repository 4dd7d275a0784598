// Package windows cuts the events of a key into windows of event time and says
// when and with what contents each of them fires.
//
//	        ┌─ Assigner: which windows?        ┌─ Trigger: does a pane fire?
//	event ──┴─▶ Operator (one key) ── state ───┴─▶ edged.Output: panes, late events
//	                 ▲                  └─ agg.Layout: what is remembered
//	             watermark
//
// An [Operator] is the window state of one key. What all keys of a pipeline
// have in common, the [Assigner], the [Trigger], the columns and the limits,
// is in a [Spec] that they share. A [Window] is half-open, [Start, End), and
// complete when the watermark has reached End. Its state is kept until the
// watermark has reached End plus the allowed lateness, and a late event that
// comes before that makes it fire once more.
//
// # Guarantees
//
//   - Lateness is per window: an event behind the watermark whose window has
//     not ended is on time.
//   - Every event is counted in all its windows, or reported: as too late
//     (Output.Late) or as refused by a limit (Output.Overflow), in both cases
//     with an edged.LateResult that carries its values.
//   - A window fires on time exactly once if it has an event by then, and never
//     when it has none. Panes accumulate: each stands on its own and replaces
//     the one before. They are numbered from 0 without holes.
//   - Panes that fire together come in the order of their windows' starts.
//   - Equal histories give equal state, equal outputs and equal bytes.
//   - Adding an event to an open window does not allocate. State is bounded by
//     [Spec.OpenMax] windows.
//   - [Operator.Restore] accepts any bytes and never panics.
//
// # Caveats
//
//   - Time saturates at its ends. A window reaching past the last millisecond
//     ends there and does not contain it: with no out-of-orderness an event at
//     that very millisecond is late.
//   - Memory taken for many open windows is kept until the key is passivated.
package windows
