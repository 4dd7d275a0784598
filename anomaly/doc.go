// Package anomaly finds what is unusual in one series of measurements. A Spec is
// a detector as configured, a State what it remembers of one series, and a
// Verdict what it says about one value: a score, whether that is an alarm, the
// range that was expected, and a reason that makes one sentence.
//
//	value, event time ──▶ State.Observe ──▶ Verdict: score, alarm, range, reason ──▶ Explain: a sentence
//	                      Judge: without learning       │
//	  time alone ──▶ Timed.Tick                         └─ Evidence ──▶ Teach: a person's label on the alarm
//
// The detector for whoever does not want to choose is Auto. When a sensor is
// replaced, Spec.New makes the state that has seen nothing of the new one.
//
// # Guarantees
//
//   - A verdict depends on the spec and on the values observed so far, with their
//     event times, and on nothing else: no clock, no chance, and no value of the
//     future.
//   - No value, time or restored byte makes a detector panic, and no score or bound
//     is ever NaN or infinite. Values that are not finite are refused and never
//     learned.
//   - Judge learns nothing: what is usual stays as it is. States that learn are
//     Freezers.
//   - A state costs a bounded time per value and allocates nothing once it is warm.
//   - A state goes on bit by bit after AppendBinary and Restore, on the same
//     kind of processor.
//   - A state of Auto takes less than 2 KiB, in memory and encoded. On stationary
//     noise it raises less than one false alarm in 10,000 values, once an epoch of
//     16,000 is over.
//
// # Caveats
//
//   - A detector learns what is usual from what it sees first: an anomaly within
//     the warm-up becomes usual. Auto takes it back after two epochs.
//   - Auto keeps values as float32 and takes a millionth of a value for nothing. Give
//     it the difference of a counter that has grown large, not the counter.
//   - Auto alarms when something leaves what it has seen. A pattern that changes
//     within the known ranges, such as a missing beat, may go unseen; and with the
//     shortest epochs (4,000 values) quiet noise alarms several times as often.
//   - Labels teach Auto, alone or within another detector. The others learn nothing
//     from them.
//   - A range that is frozen as long as an alarm is open may keep it open for ever:
//     a level that has changed for good does not become usual by itself.
//   - Auto's score within a cool-down is as high as it is. Whoever counts alarms must
//     look at Alarm, and not compare scores with the threshold.
//   - Processors that fuse multiplication and addition may round the last bit of a
//     score otherwise than those that do not.
//   - A state belongs to one goroutine.
package anomaly
