// Package apply puts the configurations that a gateway is told to run into effect, in
// stages, and takes back what does not do.
//
//	desired ─▶ verify ─▶ plan ─▶ dry_run ─▶ checkpoint ─▶ switch ─▶ health_gate ─▶ confirm ─▶ committed
//	              └────────┴─────────┴──────────┴── refused, nothing has changed
//	                                                        └───────────┴────────────┴─────▶ rollback
//
// The first three look at the configuration without touching anything. The checkpoint
// writes down that the version is on trial, before the switch: a process that ends
// during a trial finds it when it starts ([Begin]), tries once more, and goes back to the
// version before at the second time. The health gate compares what is counted during the
// trial with what was counted before it. See [Limits].
//
// # Guarantees
//
//   - At every moment, and after a crash at every moment, one version is in effect: the
//     last that was committed, or the one on trial, and a trial ends.
//   - A version that failed is not tried again, unless [Applier.Retry] asks for it.
//   - What becomes of the newest version is reported with its phase, and with the place
//     in the document if it has one.
//   - Nothing here asks the time of day.
//
// # Caveats
//
//   - A rollback brings the old configuration back, not the old state. The pipelines keep
//     what they have folded, so only configurations that can read the same state are taken
//     at all.
//   - A version that arrives while another one is on trial ends that trial: the one before
//     is brought back, and the newer one begins at its beginning.
package apply
