// Package configs loads the one file that edged is configured by: the settings of
// the daemon and the pipelines.
//
//	defaults < settings section of the file < environment EDGED_* < flags
//
// One table declares every setting once: its name, default, bounds and meaning.
// The loader, the names of variables and flags, the validation and the reference
// page docs/configuration.md all come from it. viper keeps the layers; pipelines
// are read by package query.
//
// # Guarantees
//
//   - No key and no value is ignored: unknown keys, durations without a unit and
//     numbers out of bounds are errors that say where they stand.
//   - All faults are reported at once.
//   - A password can stand in the environment or in a file of its own, never in
//     the configuration file or on the command line.
//   - Load reads nothing but its arguments.
//
// # Caveats
//
//   - An environment variable that is set but empty counts as set. That turns
//     EDGED_HTTP_LISTEN off; for a duration it is an error.
//   - Environment variables that begin with EDGED_ but are no setting are not
//     reported: documents may use them.
package configs
