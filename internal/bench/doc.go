//go:build linux

// Command bench measures edged beside a stock subscriber on one machine: a real
// mosquitto on loopback, a publisher at QoS 1 in this process, and the engine in
// a process of its own.
//
//	bench ──sensors/#──▶ mosquitto ──▶ edged or yardstick
//	  ▲                      │
//	  └──────── agg/# ◀──────┘   results, for edged only
//
// A throughput run publishes as fast as the broker takes it. It ends, for the
// yardstick, when that has seen everything; for edged, when the counts of all
// results add up to what was published: each run also checks that nothing was
// lost and nothing counted twice. One closing reading per device, an hour ahead
// of the others, completes the last windows; both candidates get them.
//
// CPU is read from /proc before and after the load, so that start and end of a
// process do not count. Candidates take turns, so that a noisy machine disturbs
// both; best and median of all rounds are shown.
//
// A lateness run publishes at a fixed rate and measures, per window, the time
// from the publish of the reading that completed it to the arrival of its
// result back here. It includes two passes through the broker.
//
// # Caveats
//
//   - On two cores the broker limits the rate; compare CPU, not events per second.
//   - CPU has a resolution of 10 ms per run: below 100,000 events it is coarse.
//   - The broker runs with set_tcp_nodelay true, an in-flight window of 1,000 and
//     an unbounded queue. Its defaults add up to 40 ms to results and lose
//     messages.
//   - The publisher and the receiver of results share the machine.
package main
