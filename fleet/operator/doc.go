// Package operator is what the operator's side of a fleet knows and decides: a view
// of all gateways, commands until they are answered, and rollouts. It sends nothing
// and asks no clock.
//
//	message ─▶ View.Observe ─▶ Gateway ─▶ Facts ─▶ Rollout.Observe ┐
//	    │                                   time ─▶ Rollout.Step ──┴▶ Effects
//	    │                                            1 save the snapshot, if Changed
//	    │                                            2 publish or withdraw  3 tell Events
//	    └─ answers ─▶ Sender.Observe      time ─▶ Sender.Step ─▶ bytes to publish, again
//
// Times are milliseconds since the Unix epoch on the operator's machine. They only
// decide how long to wait; nothing a gateway does depends on them.
//
// # Rollout
//
// A rollout brings one desired document, of one version, to a list of gateways, wave
// by wave. Its snapshot has everything that it decides by, so that a controller may
// end anywhere and another one goes on. The life of a member:
//
//	waiting ─▶ released ─▶ taken ─▶ done         its wave began · it was told · it says it has the
//	               │         │       │           document · it says that it runs it
//	               ├─────────┴───────┴─▶ failed  it says so, or Policy.Answer has passed since it
//	               │                             could be reached, or Policy.Offline since release
//	               └─▶ withdrawn                 the rollout stopped before it had taken it
//
// A member that failed by time alone is done when it says so later. A wave is over
// when no member that could be reached is open, at least one is done, and Policy.Bake
// has passed since; members that were never online do not hold it up, and find the
// document on the broker when they return.
//
// The members of a wave are released at once, or with Policy.Rate so many per minute, and
// with Policy.Windows only while one of these is open by the controller's clock. What the
// broker keeps for a member that is offline, it finds whenever it returns.
//
// A document with a refresh promises fresher ones: Step signs it again every
// [RefreshEvery], for the members that have it; Refresh does so when nothing else is to
// be done. See [protocol.Desired].
//
// A rollout stops when too many have failed (Policy.Failures)
// or when a wave cannot reach Policy.Success any more. What was released and not taken
// is then withdrawn; what runs, stays: a gateway undoes by itself what it finds bad.
//
// # Guarantees
//
//   - A member of a wave is released only after all waves before have succeeded and
//     baked, and never while paused or stopped, outside the windows, or faster than the
//     rate.
//   - Effects.Publish names only members whose release is in the snapshot that was
//     returned before or with it. What is published for one member in one rollout
//     follows from the snapshot alone: the same bytes, however often it is resumed, until
//     it is refreshed.
//   - A Sender publishes the bytes it was given, until an answer is final or the time
//     is over; a denial ends nothing.
//   - A View has, of each gateway, what is newest of its present instance, in whatever
//     order the broker delivers.
//   - All state is bounded: GatewaysMax, AlarmsMax, OrdersMax.
//   - Equal calls give equal results.
//
// # Caveats
//
//   - What gateways say is as credible as the broker's access control, unless the keyring
//     has a key of them: then only what they have signed is believed (View.Trust). A broker
//     that lies about others can stop a rollout, or keep it going; it cannot make a gateway
//     do anything.
//   - A gateway that was replaced while it was watched is shown as foreign until the
//     view begins anew; a rollout then takes what it says as said by the new one.
//   - If the operator's clock is set back, a bake takes longer, never shorter; set
//     forward, it is shorter by as much. The same is true of a rate.
package operator
