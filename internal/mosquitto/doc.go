// Package mosquitto runs real mosquitto brokers for tests and benchmarks. It
// looks for the binary on the PATH and in /usr/sbin; scripts/install-test-deps
// installs it.
//
// # Guarantees
//
//   - A broker that was returned accepts connections.
//   - Restart keeps the port and, with [Persistent], the stored sessions.
//   - Brokers end with their test, and on Linux with the test process, even when
//     that is killed.
//
// # Caveats
//
//   - The port is chosen before mosquitto binds it; another process may snatch it
//     in between. Launch tries again with another port.
package mosquitto
