//go:build unix

// Package yardstick is what people run today where edged could run: a
// subscriber on the stock paho client with its default options, encoding/json
// into a struct, and a map of counters. It exists to be measured beside edged.
//
// It keeps nothing: what it was sent and had not shown is lost with the
// process, and its sums know no event time, no window and no duplicate.
//
// # Guarantees
//
//   - It does what an ordinary program of thirty lines does, no less cleverly:
//     nothing in it is slowed down for the comparison.
//
// # Caveats
//
//   - It does less than edged: no windows, no results, no durability. A ratio
//     near 1 means that all of those come for the price of the stock client.
package yardstick
