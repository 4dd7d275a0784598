//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"edged/internal/mosquitto"
	"edged/internal/sim"
	"edged/mqtt"
)

// world is a fresh broker, a fresh folder and a receiver of results: every run
// has its own.
type world struct {
	dir    string
	pace   time.Duration
	broker *mosquitto.Process
	up     *upstream
	stop   context.CancelFunc
	wg     sync.WaitGroup
}

// newWorld starts a broker below dir. take is told of every result.
func newWorld(ctx context.Context, dir string, pace time.Duration, take func(arrival)) (*world, error) {
	dir, err := os.MkdirTemp(dir, "run")
	if err != nil {
		return nil, err
	}
	w := &world{dir: dir, pace: pace}
	w.broker, err = mosquitto.Launch(dir, "max_inflight_messages 1000", "max_queued_messages 0", "persistence false", "set_tcp_nodelay true")
	if err != nil {
		return nil, err
	}
	if w.up, err = newUpstream(w.url(), pace, take); err != nil {
		return nil, errors.Join(err, w.broker.Stop())
	}
	ctx, w.stop = context.WithCancel(ctx)
	w.wg.Go(func() {
		if err := w.up.run(ctx); err != nil {
			w.up.fail(err)
		}
	})
	if err := w.up.awaitConnected(ctx); err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

func (w *world) url() string { return w.broker.URL() }

// publish sends all of src at QoS 1.
func (w *world) publish(ctx context.Context, src sim.Source, cfg sim.DriverConfig) (sim.Summary, error) {
	pub, err := mqtt.NewPublisher(mqtt.Config{URL: w.url(), Pace: w.pace})
	if err != nil {
		return sim.Summary{}, err
	}
	total, err := sim.Drive(ctx, pub, src, cfg)
	if err == nil && total.Reconnects > 0 {
		err = fmt.Errorf("the publisher lost its connection %d times; readings may have been repeated", total.Reconnects)
	}
	return total, err
}

// close ends everything and removes the files.
func (w *world) close() error {
	w.stop()
	w.wg.Wait()
	return errors.Join(w.broker.Stop(), os.RemoveAll(w.dir))
}
