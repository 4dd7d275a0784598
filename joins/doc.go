// Package joins brings the events of two streams of one key together.
//
//	left  ──Add──▶ ┌───────┐
//	               │ State │──▶ Matches: rows, padded rows, what came too late
//	right ──Add──▶ └───────┘
//	                   ▲
//	        Advance: the watermark of both
//
// There are three ways to say which events belong together:
//
//	[Interval]  a right event from Lower before to Upper after the left one, both inclusive
//	[AsOf]      with each left event the newest right one at or before it
//	[Window]    every left with every right event of the same tumbling or hopping window
//
// A row has the values of the left event and those of the right one. A join of an
// outer [Kind] also gives rows for events without a partner; the other side's
// values are nil then. Such a row is padded. An event with Stream 0 is a left one,
// every other a right one.
//
// A watermark W says that no event with a time before W is expected. Each join keeps
// an event for as long as W leaves a partner possible, and no longer:
//
//	Interval  left event at t  until W > t+Upper    right event at u  until W > u-Lower
//	AsOf      left event at t  until W > t          right event: while it can be the newest of a left one to come
//	Window    until the last window of the event has ended, W >= End
//
// # Guarantees
//
//   - Each pair is given exactly once (per window, in a window join). An event is
//     padded at most once, only when no partner can come any more, and never when
//     it has had one.
//   - Interval pairs are given when the second event comes, in order of its
//     partners by (time, arrival). As-of rows come in order of the left events by
//     (time, arrival), rows of a window join when the window ends, in order of
//     windows, left events, right events.
//   - An event that can still have a partner is taken, also behind the watermark.
//     All others are reported, in Matches.Late and Matches.Missed.
//   - Rows do not depend on how the watermark gets somewhere, in one step or many,
//     nor, when no event is behind it, on the order in which events of different
//     times come.
//   - No row is earlier than [State.Watermark] was when the step began.
//   - State is bounded by EventsMax events per key; what does not fit is refused and
//     reported. A window gives at most [PairsMax] rows.
//   - Equal histories give equal state, equal rows and equal bytes. Restoring
//     accepts any bytes and never panics.
//
// # Caveats
//
//   - In an interval join an event behind the watermark is compared with what is
//     still kept. Partners whose own range had passed are gone; an outer join
//     then pads it although it would have had a partner in time.
//   - An as-of join takes no event behind the watermark, neither a left nor a right
//     one: what was given stays true.
//   - The last millisecond of time belongs to windows that time cuts short, and at
//     the end of the input (W = [edged.MaxTimestamp]) everything is given.
//   - A join by window or as-of gives nothing while the watermark stands still.
package joins
