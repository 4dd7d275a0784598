// Package windows cuts the events of a key into windows of event time and says
// when and with what contents each of them fires.
//
//	        ┌─ type: which windows?            ┌─ Trigger: does a pane fire?
//	event ──┴─▶ State (one key) ──── contents ─┴─▶ edged.Output: panes, late events
//	                 ▲                  └─ agg.Layout: what is remembered
//	   watermark, processing time
//
// A [State] is the windows of one key. What all keys of a pipeline have in common,
// the type of the windows, the [Trigger], the columns and the limits, is in a
// [Spec] that they share; [Spec.New] makes the state of a new key. A [Window] is
// half-open, [Start, End), and complete when the watermark has reached End. Its
// state is kept until the watermark has reached End plus the allowed lateness, and
// a late event that comes before that makes it fire once more.
//
// An [Operator] is the state of windows that an [Assigner] cuts regardless of the
// events ([Tumbling], [Hopping], [Cumulate], [Calendar], [Global]) and of
// [Session] windows, which merge. [Hopping] windows that overlap are kept in
// slices instead where that makes no difference. [Count], [Sliding],
// [StateWindow] and [Capped] windows have states of their own, and so has a
// [Group], whose events are the results of other windows.
//
// # A window's life
//
//	first event        watermark = End          End + lateness
//	     │  early panes       │    late panes         │
//	─────┼────────────────────┼───────────────────────┼────▶ watermark
//	     └ opens              └ on time               └ fires what has not; gone
//
// Events are added as of the watermark before them. Every pane says its timing, its
// index among the panes of the window, and whether it is the last. Panes replace
// the one before, follow it, or follow after it has been taken back: see
// [Accumulation]. When sessions that have fired become part of another, what they
// have said is taken back before that one speaks, unless panes are discarding.
//
// # Guarantees
//
//   - Lateness is per window: an event behind the watermark whose window has
//     not ended is on time.
//   - Every event is counted in all its windows, or the others are listed in
//     Output.Missed. One that no window takes is reported as too late (Output.Late)
//     or as refused by a limit (Output.Overflow), in both cases with an
//     edged.LateResult that carries its values; one that belongs to no window is
//     counted in Output.Unassigned.
//   - A window fires on time at most once: if it has an event by then, or if empty
//     panes are asked for. A discarding one with nothing new keeps silent. Panes are
//     numbered from 0 without holes, and none comes after the last.
//   - What a window has taken fires before the window goes, whatever its trigger.
//   - Panes that fire together come in the order of their windows' starts, then ends.
//   - Each pane is taken back at most once.
//   - Equal histories give equal state, equal outputs and equal bytes.
//   - Adding an event to an open window does not allocate. State is bounded by
//     [Spec.OpenMax] windows, as many retractions (and 1024 in any case), and [Spec.ElementsMax] events.
//   - A restored state goes on as the stored one would have. Restore accepts any
//     bytes and never panics.
//
// # Caveats
//
//   - Time saturates at its ends. A window reaching past the last millisecond
//     ends there and does not contain it: with no out-of-orderness an event at
//     that very millisecond is late.
//   - Delays of a trigger are looked at when an event or a tick comes, so panes are
//     late by up to the distance of ticks. See [Trigger.Pulse].
//   - A window whose final pane alone is wanted does not count as open longer than
//     its end: closing a key that has gone silent does not fire it, time has to pass
//     its lateness.
//   - Of a session's retractions beyond the limit, and of the empty windows of a
//     long jump of time, no more is known than that there were some.
//   - The columns of a merged session are those of merged states: sums of
//     fractions may differ in the last bit from adding the events in turn.
//   - Memory taken for many open windows is kept until the key is passivated.
package windows
