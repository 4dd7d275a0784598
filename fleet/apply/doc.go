// Package apply puts the configurations that a gateway is told to run into effect, in
// stages, and takes back what does not do.
//
//	desired ─▶ verify ─▶ plan ─▶ dry_run ─▶ checkpoint ─▶ shadow ─▶ confirm ─▶ switch ─▶ health_gate ─▶ committed
//	              └────────┴─────────┴──────────┴── refused   └─────────┴─────────┴──────────┴──▶ rollback
//
// The first three look at the configuration without touching anything. The checkpoint
// writes down that the version is on trial: a process that ends during a trial finds it
// when it starts ([Begin]), tries once more, and goes back at the second time. Then the
// version runs beside the one in effect, on the same input and with states of its own, and
// says nothing. Only when it has proved itself do the two change roles, and the version is
// watched once more. So what a bad version does, it does to nobody: a rollback while it
// listens leaves the version before as if nothing had been. The health gate compares what
// is counted during the trial with what was counted before. See [Limits].
//
// # Guarantees
//
//   - At every moment, and after a crash at every moment, one version speaks: the last that
//     was committed, or the one on trial, and a trial ends.
//   - A version that failed is not tried again, unless [Applier.Retry] asks for it.
//   - What becomes of the newest version is reported with its phase, and with the place
//     in the document if it has one.
//   - Nothing here asks the time of day.
//
// # Caveats
//
//   - In the health gate, after the switch, a version is heard, and it folds what comes into
//     the states that both share. What it sends and refuses there stays so after a rollback.
//   - A version that arrives while another one is on trial ends that trial: the one before
//     is brought back, and the newer one begins at its beginning.
package apply
