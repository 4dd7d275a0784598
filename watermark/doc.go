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
// A [Bounded] is a stateless rule; the state it works on is the watermark
// itself, one [edged.Timestamp] kept by the caller.
//
// # Guarantees
//
//   - A watermark never goes back, whatever the events and clocks say.
//   - Arithmetic saturates: no event time and no bound can wrap it around.
//   - No clock is read. Processing time is an argument, so that a replay of the
//     journal comes to the same watermarks.
//
// # Caveats
//
//   - The newest event time is believed. A device whose clock is ahead moves
//     its watermark ahead, and its later, correct events are late. Other keys
//     do not suffer.
//   - After an idle close the watermark is ahead of the newest event. An event
//     that belongs to a window closed so is late.
package watermark
