// Package campaign puts the daemon through what a gateway goes through, and
// counts what it got wrong: kill -9 under load, an uplink that is away, overload,
// poisonous input, restarts, recorded data. Everything is real: the daemon's
// binary, mosquitto, files, signals.
//
//	          ┌──────── Ledger: what was sent ────────▶ oracle ──┐
//	sim ──▶ Load ──▶ mosquitto ──▶ Daemon ──▶ mosquitto ──▶ Collector ──▶ Judge
//	                              ▲ SIGKILL
//
// [Load] publishes a source and keeps the [Ledger]; [Daemon] runs the binary;
// [Wire] stands between the daemon and its brokers and loses what is on the way;
// [Collector] keeps everything that the upstream broker passes on, in order;
// [Judge] compares that with a recomputation of the whole input. Where windows are put
// right and sessions taken back, a [Board] is what the upstream knows in the end; each
// stage is judged by the board of the one before it.
//
// # Guarantees
//
//   - Judge compares every window of every key in every column, and every number
//     of the stream; nothing is sampled.
//   - A Board compares every window, the numbers of its panes and what is taken back.
//   - A window that is missing, doubled or wrong is described with its key, its
//     start and the difference.
//   - The package's own tests show that each kind of damage is seen: damage to the
//     results in every run, defects planted into the daemon with -broken.
//
// # Caveats
//
//   - Expected are the windows of an input without late events: the load's
//     disorder must stay below the pipeline's, and a device must not be silent
//     for the idle timeout while it has windows open.
//   - A Board follows the order of one stream. What stages say at different moments on
//     the way is not compared, only where they end.
//   - The same goes for a machine that stands still for that long. The ledger
//     knows the longest pause of the load; a failed test prints it.
package campaign
