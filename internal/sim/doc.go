// Package sim is a fleet of sensors that can be had again: the same seed gives
// the same readings, in the same order, on every platform.
//
//	Config ─▶ Fleet ─┐                      ┌─▶ Publisher ─▶ broker
//	                 ├─▶ Sample ─▶ Drive ───┤
//	files  ─▶ Trace ─┘             │        └─▶ Acked: the ledger
//	                               └─ WriteNDJSON: the same payloads as a file
//
// [Fleet] invents readings with the faults that real fleets have: disorder,
// late readings, repeated publishes, devices that go silent and later send
// their history at once, and clocks that are wrong. [Trace] replays recorded
// series instead. [Drive] publishes either of them at QoS 1 with a bounded
// window, at a given rate or as fast as the broker acknowledges.
//
// # Guarantees
//
//   - A Fleet uses integers and a PCG generator only; equal Configs yield equal
//     samples and equal payload bytes everywhere.
//   - Temperatures are whole hundredths, carried as an integer beside the float,
//     so that sums can be checked exactly.
//   - Two readings of a device that are not repeats differ in their payload as
//     long as fewer than 1,000 readings separate them, even at equal time.
//   - Drive reports a sample to Acked once, and only after the broker took it.
//
// # Caveats
//
//   - After a reconnect Drive sends again what was not acknowledged, as a real
//     publisher does: the broker may pass such readings on twice (see Resent).
//   - A rate is kept on average: after a stall Drive catches up at full speed.
package sim
