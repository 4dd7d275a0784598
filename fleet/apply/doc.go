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
// says nothing. Only when it has proved itself do the two change roles, and now the one
// before runs on without a voice until the new one has proved itself again. So a rollback
// at any time gives back the version before with the states that it would have had. The
// health gate compares what is counted during the trial with what was counted before. See
// [Limits].
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
//   - Results that a version has sent before it was taken back stay sent. That can only
//     happen in the health gate, to what has kept well without a voice.
//   - A version that arrives while another one is on trial ends that trial: the one before
//     is brought back, and the newer one begins at its beginning.
package apply
