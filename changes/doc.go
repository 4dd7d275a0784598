// Package changes looks at each event of a key beside the ones before it: what a
// field was, whether it changed, by how much, and whether the change is worth
// passing on.
//
//	event ──Step──▶ lag ──▶ had_changed ──▶ ... ──▶ swinging_door ──▶ emit
//	                 │            │                      │
//	                 └────────────┴── the key's memory ──┴── holds one event back
//
// A [Spec] is a list of functions, which all keys share; a [Chain] is what one key
// remembers. Each function reads one field and writes its finding into another
// one, so that later functions, filters and windows can use it. Two of them also
// thin the stream out: [Deadband] and [SwingingDoor].
//
// The swinging door keeps the corners of a signal: straight lines between the
// events that it lets pass come within the deviation of all those that it does
// not. It is after E. H. Bristol, Swinging Door Trending: Adaptive Trend
// Recording? (ISA National Conference, 1990), with one change. Bristol's doors
// close when they are parallel, and a sample in between may then be off by up to
// twice the deviation, because the event that is kept need not lie between the
// doors itself. Here the doors also close when it would not, which costs a few more
// events and makes the deviation a bound.
//
// # Guarantees
//
//   - Events leave in the order in which they come. Each leaves once or is counted
//     as suppressed, as soon as that is known; a swinging door knows one event later.
//   - Linear interpolation between the events that a swinging door lets pass is
//     within the deviation of every number that it suppressed, but for the
//     rounding of floating point. The dead-band does the same for holding the
//     last value that passed.
//   - No key waits for ever: events that come at least a maximal interval after the
//     last one that passed, pass.
//   - Equal histories give equal state, equal events and equal bytes. Restoring
//     accepts any bytes and never panics.
//   - State is bounded: [LagMax] values for a lag, one event for a swinging door.
//
// # Caveats
//
//   - Events must come in order of their time. One that does not is handled as if
//     it had the time of the one before it.
//   - An event held by a swinging door leaves with or before the next one or by
//     [Chain.Flush]. Until then the time of the key's windows must not pass it: see
//     [Chain.Held]. It leaves with its Seq, EventTime, Stream and Values; what else
//     belongs to an event is that of the one that freed it.
//   - Where several functions thin out, each sees what the one before let pass,
//     and the deviations add up.
//   - A deviation is a bound for the field it is configured for. Other fields of
//     suppressed events are gone.
package changes
