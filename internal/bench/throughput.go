//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"edged"
	"edged/internal/sim"
)

// load is one size of a throughput run.
type load struct {
	Keys   int `json:"keys"`
	Events int `json:"events"` // closing readings not counted

	step time.Duration // of event time, per device
	seed uint64
}

// run is what one throughput run measured.
type run struct {
	CPU       float64 `json:"cpu_us_per_event"`
	Rate      float64 `json:"events_per_second"`
	RSSPeak   float64 `json:"rss_peak_mib"`
	RSSAnon   float64 `json:"rss_anon_mib"` // at the end
	Written   float64 `json:"written_bytes_per_event_byte"`
	BrokerCPU float64 `json:"broker_cpu_us_per_event"`
	Results   float64 `json:"results"`
}

// measure runs one candidate once under a load.
func measure(ctx context.Context, dir string, c candidate, l load) (r run, err error) {
	w, err := newWorld(ctx, dir, 0, nil)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	fleet, err := sim.NewFleet(sim.Config{Seed: l.seed, Devices: l.Keys, Events: l.Events, Step: l.step, Start: loadStart})
	if err != nil {
		return r, err
	}
	process, err := c.start(ctx, w, l.Events+l.Keys)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, process.end()) }()
	r, err = underLoad(ctx, w, c, process, &closed{Fleet: fleet, devices: l.Keys, newest: edged.MinTimestamp}, l)
	if err != nil {
		return r, fmt.Errorf("%s, %d keys: %w; its log: %s", c.name(), l.Keys, err, process.tail())
	}
	return r, nil
}

func underLoad(ctx context.Context, w *world, c candidate, process *child, src sim.Source, l load) (run, error) {
	var r run
	before, err := readUsage(process.pid())
	if err != nil {
		return r, err
	}
	brokerBefore, err := readCPU(w.broker.PID())
	if err != nil {
		return r, err
	}
	began := time.Now()
	total, err := w.publish(ctx, src, sim.DriverConfig{})
	if err != nil {
		return r, err
	}
	if err := c.finish(ctx, w, process, l.Events); err != nil {
		return r, err
	}
	wall := time.Since(began)
	brokerAfter, err := readCPU(w.broker.PID())
	if err != nil {
		return r, err
	}
	after, err := readUsage(process.pid())
	if err != nil {
		return r, err
	}
	_, results, fault := w.up.state()
	const mib = 1 << 20
	events := float64(total.Sent)
	return run{
		CPU:       micros(after.cpu-before.cpu) / events,
		Rate:      events / wall.Seconds(),
		RSSPeak:   float64(after.peak) / mib,
		RSSAnon:   float64(after.anon) / mib,
		Written:   float64(after.written-before.written) / float64(total.PayloadBytes),
		BrokerCPU: micros(brokerAfter-brokerBefore) / events,
		Results:   float64(results),
	}, fault
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }
