//go:build linux

package main

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"edged"
	"edged/internal/sim"
)

// latenessWindow is the size of windows in a lateness run, in milliseconds:
// EDGED_WINDOW below.
const latenessWindow = 1000

// settle is how long after the last publish results are still waited for.
const settle = 2 * time.Second

// lateness is what a lateness run measured, in milliseconds.
type lateness struct {
	Keys    int     `json:"keys"`
	Rate    float64 `json:"events_per_second"`
	Results int     `json:"results"`
	Missing int     `json:"missing"` // windows that were completed but had no result in time
	P50     float64 `json:"p50_ms"`
	P99     float64 `json:"p99_ms"`
	Max     float64 `json:"max_ms"`
	CPU     float64 `json:"cpu_us_per_event"`
}

// window names a window of a device.
type window struct {
	device string
	start  edged.Timestamp
}

// stopwatch times windows from their completion to their result.
type stopwatch struct {
	fleet *sim.Fleet

	mu        sync.Mutex
	open      map[int]edged.Timestamp // device: start of its newest window
	completed map[window]time.Time
	taken     []time.Duration
}

func newStopwatch(fleet *sim.Fleet) *stopwatch {
	return &stopwatch{fleet: fleet, open: map[int]edged.Timestamp{}, completed: map[window]time.Time{}}
}

// sent starts the clock of a window when the reading that completes it leaves.
func (s *stopwatch) sent(sample *sim.Sample) {
	s.mu.Lock()
	defer s.mu.Unlock()
	start := sample.EventTime.FloorTo(latenessWindow, 0)
	if open, ok := s.open[sample.Device]; ok && start > open {
		s.completed[window{s.fleet.Device(sample.Device), open}] = time.Now()
	}
	s.open[sample.Device] = start
}

// arrived stops the clock of a window.
func (s *stopwatch) arrived(a arrival) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := window{a.device, a.start}
	if at, ok := s.completed[w]; ok {
		s.taken = append(s.taken, a.at.Sub(at))
		delete(s.completed, w)
	}
}

func (s *stopwatch) left() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.completed)
}

// report sums up what was timed.
func (s *stopwatch) report(r *lateness) {
	s.mu.Lock()
	defer s.mu.Unlock()
	slices.Sort(s.taken)
	r.Results, r.Missing = len(s.taken), len(s.completed)
	r.P50, r.P99, r.Max = quantile(s.taken, 0.5), quantile(s.taken, 0.99), quantile(s.taken, 1)
}

// quantile returns the q-th part of sorted durations in milliseconds, 0 of none.
func quantile(sorted []time.Duration, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return micros(sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]) / 1000
}

// measureLateness runs edged at a fixed rate with windows of a second, readings
// in order and clocks that are right.
func measureLateness(ctx context.Context, dir string, e engine, keys int, rate float64, lasting time.Duration) (r lateness, err error) {
	fleet, err := sim.NewFleet(sim.Config{
		Seed: 1, Devices: keys, Rate: rate, Events: int(rate * lasting.Seconds()), Start: edged.Timestamp(time.Now().UnixMilli()),
	})
	if err != nil {
		return r, err
	}
	watch := newStopwatch(fleet)
	w, err := newWorld(ctx, dir, -1, watch.arrived) // our own pace would be measured, too
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	e.env = []string{"EDGED_WINDOW=1s", "EDGED_OUT_OF_ORDERNESS=0s"}
	process, err := e.start(ctx, w, 0)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, process.end()) }()
	before, err := readCPU(process.pid())
	if err != nil {
		return r, err
	}
	total, err := w.publish(ctx, fleet, sim.DriverConfig{Rate: rate, Sent: watch.sent})
	if err != nil {
		return r, err
	}
	after, err := readCPU(process.pid())
	if err != nil {
		return r, err
	}
	awaitResults(ctx, watch)
	r = lateness{Keys: keys, Rate: total.Rate, CPU: micros(after-before) / float64(total.Sent)}
	watch.report(&r)
	_, _, fault := w.up.state()
	return r, fault
}

// awaitResults waits until no completed window lacks its result, or for settle.
func awaitResults(ctx context.Context, watch *stopwatch) {
	ctx, cancel := context.WithTimeout(ctx, settle)
	defer cancel()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for watch.left() > 0 {
		select {
		case <-poll.C:
		case <-ctx.Done():
			return
		}
	}
}
