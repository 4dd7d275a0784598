//go:build linux

package main

import (
	"strconv"

	"edged"
	"edged/internal/sim"
)

// loadStart is the event time of the first reading of a throughput run.
const loadStart edged.Timestamp = 1_700_000_000_000

// hour is how far ahead closing and warm-up readings are, in milliseconds: more
// than any window and disorder that is measured.
const hour = 3_600_000

// closed is a fleet followed by one reading per device, an hour after the last,
// that completes all windows.
type closed struct {
	*sim.Fleet
	devices int
	newest  edged.Timestamp
	next    int
}

// Next implements sim.Source.
func (c *closed) Next(s *sim.Sample) bool {
	if c.Fleet.Next(s) {
		c.newest = max(c.newest, s.EventTime)
		return true
	}
	if c.next == c.devices {
		return false
	}
	*s = sim.Sample{Device: c.next, EventTime: c.newest.Add(hour)}
	c.next++
	return true
}

// warmup is a device of its own that completes a window with every reading. Its
// first result proves that the engine is up and connected both ways.
type warmup struct{ now edged.Timestamp }

const warmupDevice = "warmup"

// Next implements sim.Source.
func (w *warmup) Next(s *sim.Sample) bool {
	w.now = w.now.Add(hour)
	*s = sim.Sample{EventTime: w.now}
	return true
}

// Err implements sim.Source.
func (w *warmup) Err() error { return nil }

// Topic implements sim.Source.
func (w *warmup) Topic(int) string { return "sensors/" + warmupDevice + "/data" }

// AppendPayload implements sim.Source.
func (w *warmup) AppendPayload(dst []byte, s *sim.Sample) []byte {
	dst = append(dst, `{"device":"`+warmupDevice+`","temp":0,"hum":0,"ts":`...)
	return append(strconv.AppendInt(dst, int64(s.EventTime), 10), '}')
}
