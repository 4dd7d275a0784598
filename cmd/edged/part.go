package main

import (
	"context"
	"errors"
	"time"
)

// part is something that runs until it is ended.
type part struct {
	cancel context.CancelFunc
	done   chan struct{}
	err    error // when done is closed
}

func start(ctx context.Context, run func(context.Context) error) *part {
	ctx, cancel := context.WithCancel(ctx)
	p := &part{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		if err := run(ctx); err != nil && !errors.Is(err, context.Canceled) {
			p.err = err
		}
	}()
	return p
}

// end ends the part and waits for it. It may be called again.
func (p *part) end() error {
	p.cancel()
	<-p.done
	return p.err
}

// passes waits until some time has passed.
func passes(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// await waits until ok holds, and reports whether it did in time.
func await(limit time.Duration, ok func() bool) bool {
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	deadline := time.After(limit)
	for !ok() {
		select {
		case <-poll.C:
		case <-deadline:
			return ok()
		}
	}
	return true
}
