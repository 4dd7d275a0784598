//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"edged/internal/sim"
)

// readyWait is how long a candidate may take until it is subscribed.
const readyWait = 30 * time.Second

// candidate is a program to be measured.
type candidate interface {
	name() string

	// start runs the program against the world's broker and returns when it is
	// subscribed. events is how many messages the load will have.
	start(ctx context.Context, w *world, events int) (*child, error)

	// finish waits until the program has done all its work for a load of that
	// many readings, closing ones not counted.
	finish(ctx context.Context, w *world, c *child, readings int) error
}

// stock is the yardstick.
type stock struct{ program string }

func (stock) name() string { return "stock" }

func (s stock) start(_ context.Context, w *world, events int) (*child, error) {
	c, err := startChild(w.dir, s.name(), nil, s.program, "-url", w.url(), "-events", fmt.Sprint(events), "-linger")
	if err != nil {
		return nil, err
	}
	var said struct{ Ready bool }
	if err := c.line(&said); err != nil || !said.Ready {
		return nil, errors.Join(fmt.Errorf("start the yardstick: ready is %v", said.Ready), err, c.end())
	}
	return c, nil
}

func (s stock) finish(_ context.Context, _ *world, c *child, _ int) error {
	var report struct{ Events, Bad int }
	if err := c.line(&report); err != nil {
		return err
	}
	if report.Bad > 0 {
		return fmt.Errorf("the yardstick could not read %d of %d events", report.Bad, report.Events)
	}
	return nil
}

// engine is edged itself.
type engine struct {
	program string
	config  string
	env     []string // on top of what start sets
}

func (engine) name() string { return "edged" }

func (e engine) start(ctx context.Context, w *world, _ int) (*child, error) {
	env := append([]string{
		"EDGED_MQTT_URL=" + w.url(),
		"EDGED_DATA_DIR=" + filepath.Join(w.dir, "data"),
		"EDGED_GATEWAY_ID=bench",
		"EDGED_HTTP_LISTEN=",
		"EDGED_IDLE_TIMEOUT=1h",
	}, e.env...)
	c, err := startChild(w.dir, e.name(), env, e.program, "run", "--config", e.config)
	if err != nil {
		return nil, err
	}
	c.discard()
	if err := e.awaitReady(ctx, w, c); err != nil {
		return nil, errors.Join(fmt.Errorf("start edged: %w", err), c.end())
	}
	return c, nil
}

// awaitReady publishes warm-up readings until a result of theirs comes back.
func (e engine) awaitReady(ctx context.Context, w *world, c *child) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyWait, fmt.Errorf("no result for %v; its log: %s", readyWait, c.log))
	defer cancel()
	driving, stop := context.WithCancel(ctx)
	drove := make(chan error, 1)
	go func() {
		_, err := w.publish(driving, &warmup{now: loadStart}, sim.DriverConfig{Rate: 10})
		drove <- err
	}()
	var err error
	select {
	case <-w.up.warm:
	case err = <-c.ended:
		c.ended <- err
		err = fmt.Errorf("the process ended: %w; its log: %s", err, c.tail())
	case <-ctx.Done():
		err = fmt.Errorf("%w: %s", context.Cause(ctx), c.tail())
	}
	stop()
	<-drove
	return err
}

func (engine) finish(ctx context.Context, w *world, _ *child, readings int) error {
	return w.up.await(ctx, readings)
}

// moduleRoot finds the folder of go.mod, from the working directory upwards.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no go.mod here or above: run it inside the checkout, or give --edged, --yardstick and --config")
		}
		dir = parent
	}
}
