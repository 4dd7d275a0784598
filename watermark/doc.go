// Package watermark decides how far event time has come.
//
// A watermark w says that no event with time < w is expected any more. Here it
// is per key: the devices of a gateway have clocks of their own, and one of
// them must not make the readings of another late.
//
//	event time  ──●──●────●─●──────▶ newest
//	watermark   ────────┤            newest - OutOfOrderness
//	            silence ≥ IdleTimeout: on to the end of the last open window
//
// A [Strategy] is a rule; what it works on is the watermark itself, one
// [edged.Timestamp] kept by the caller, and a [Clock], which is empty unless the
// rule learns. A [Guard] stands before it and keeps times from the future out.
//
// # Several sources
//
// A key that hears from several sources, such as the inputs of a join or the
// members of a group, has the minimum of their watermarks. [Merge] keeps it:
//
//		source    own watermark
//		press-1   ────────────────┤ 120
//		press-2   ─────────┤ 80         merged: 80
//		press-3   ────┤ idle            not in the minimum
//
//	  - A source that is told to be idle, is silent for a timeout, has ended, or is
//	    removed leaves the minimum, and the merged watermark moves at once.
//	  - An idle source that speaks again counts from when its own watermark has
//	    reached the merged one. Until then it neither holds time up nor moves it.
//	  - A new source counts at once: the watermark stands until it has caught up.
//	  - When nobody counts the merged watermark stands still.
//
// # Guarantees
//
//   - A watermark never goes back, whatever the events and clocks say.
//   - No event, mark, silence or end of a source moves a strategy or a merge to
//     [edged.MaxTimestamp], which says that the whole input has ended. They stop
//     at [Limit].
//   - Arithmetic saturates: no event time and no bound can wrap it around.
//   - No clock is read. Processing time is an argument, so that a replay of the
//     journal comes to the same watermarks. What is learned is learned in
//     integers: the same events give the same bits on every machine.
//   - Equal states give equal bytes, and a restored state goes on as the one that
//     was stored. [Merge.Restore] and [Clock.Restore] accept any bytes and never
//     panic.
//   - An event moves a merged watermark in the logarithm of the number of sources,
//     without allocating. Their number is bounded.
//
// # Caveats
//
//   - Without a guard the newest event time is believed. A device whose clock is
//     ahead moves its watermark ahead, and its later, correct events are late.
//     Other keys do not suffer. A guard needs a clock of ours that is trusted.
//   - After an idle close the watermark is ahead of the newest event. An event
//     that belongs to a window closed so is late.
//   - A source that always trails the others, and was idle once, may never catch
//     up with them; all it sends is then judged by their time. An allowed lateness
//     covers it.
//   - A source that was silent before it was ever heard of holds nobody up: nobody
//     knows of it. Announce it with [Merge.Active].
//   - A source that made room for another is new when it returns.
//   - A learned delay is of the last few thousand events, and up to a quarter too
//     long. Half of a change is learned after about 2,000 events.
package watermark
