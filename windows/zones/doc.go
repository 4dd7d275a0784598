// Package zones knows the time zones of the world: which offset from UTC applied,
// or will apply, in each place at each moment.
//
//	zoneinfo.zip (IANA release, inside the binary) ──Load(name)──▶ *time.Location
//
// The rules are part of the binary. What a host has installed, and its environment,
// change nothing: a window of a local day has the same bounds on a gateway, in a
// replay of its journal and on the desk of whoever looks into it later.
//
// The archive is the file lib/time/zoneinfo.zip of the Go distribution as it is.
// It holds the IANA Time Zone Database, https://www.iana.org/time-zones, which is
// in the public domain. To update it, copy the file of a newer Go release and
// change [Version] and the checksum in the test.
//
// # Guarantees
//
//   - One binary has one set of rules, on every machine and for ever.
//   - [Load] reads no file, no environment and no clock that would change its result.
//
// # Caveats
//
//   - Governments change rules. A gateway learns of it with a newer binary, and
//     windows that are open across the update end as the newer rules say.
//   - Names that are no place, "" and "Local", are unknown here.
//   - The archive takes 400 KiB of the binary.
package zones
