//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/valyala/fastjson"

	"edged"
	"edged/fleet"
	"edged/mqtt"
)

// arrival is one result as it came back.
type arrival struct {
	device string
	start  edged.Timestamp
	count  int
	at     time.Time
}

// upstream receives results, counts each once and hands it on.
type upstream struct {
	source   *mqtt.Source
	take     func(arrival) // may be nil; never for the warm-up device
	parser   fastjson.Parser
	receiver *fleet.Receiver
	warm     chan struct{} // closed by the first result of the warm-up device

	mu      sync.Mutex
	isWarm  bool
	counted int // sum of count over all results but the warm-up's
	results int
	fault   error
	changed chan struct{} // capacity 1
}

// upstreamIDs bounds how many ids the check of repeats remembers.
const upstreamIDs = 1_000_000

func newUpstream(url string, pace time.Duration, take func(arrival)) (*upstream, error) {
	cfg := mqtt.Config{URL: url, ClientID: "bench-upstream", Pace: pace}
	source, err := mqtt.NewSource(cfg, []mqtt.Subscription{{Filter: "agg/#", QoS: 1}})
	if err != nil {
		return nil, err
	}
	return &upstream{
		source: source, take: take, receiver: fleet.NewReceiver(fleet.Config{IDsMax: upstreamIDs}),
		warm: make(chan struct{}), changed: make(chan struct{}, 1),
	}, nil
}

// run receives until ctx ends.
func (u *upstream) run(ctx context.Context) error {
	err := u.source.Run(ctx, func(_ context.Context, b edged.Batch) error {
		now := time.Now()
		acks := make([]uint64, 0, len(b.Messages))
		for i := range b.Messages {
			u.message(b.Messages[i].Payload, now)
			acks = append(acks, b.Messages[i].Ack)
		}
		u.source.Ack(acks)
		return nil
	})
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (u *upstream) message(payload []byte, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	receipt, err := u.receiver.Take("agg", payload)
	if err != nil || receipt.Verdict > fleet.Repeat {
		u.fault = errors.Join(u.fault, err, u.receiver.Check())
	}
	if err == nil && receipt.Verdict == fleet.Applied {
		u.result(payload, now)
	}
	select {
	case u.changed <- struct{}{}:
	default:
	}
}

func (u *upstream) result(payload []byte, now time.Time) {
	object, err := u.parser.ParseBytes(payload)
	if err != nil {
		u.fault = errors.Join(u.fault, err)
		return
	}
	device := object.GetStringBytes("device")
	if string(device) == warmupDevice {
		if !u.isWarm {
			close(u.warm)
		}
		u.isWarm = true
		return
	}
	count := object.GetInt("count")
	u.counted += count
	u.results++
	if u.take != nil {
		u.take(arrival{device: string(device), start: edged.Timestamp(object.GetInt64("start")), count: count, at: now})
	}
}

func (u *upstream) fail(err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.fault = errors.Join(u.fault, err)
}

// awaitConnected waits for the subscription.
func (u *upstream) awaitConnected(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyWait)
	defer cancel()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for !u.source.Connected() {
		select {
		case <-poll.C:
		case <-ctx.Done():
			return fmt.Errorf("subscribe to results: %w: %s", context.Cause(ctx), u.source.Stats().LastError)
		}
	}
	return nil
}

// state returns what has arrived so far.
func (u *upstream) state() (counted, results int, fault error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.counted, u.results, u.fault
}

// stall is how long nothing may arrive before we give up.
const stall = 60 * time.Second

// await waits until the results count events readings, each once.
func (u *upstream) await(ctx context.Context, events int) error {
	for {
		counted, results, fault := u.state()
		switch {
		case fault != nil:
			return fault
		case counted == events:
			return nil
		case counted > events:
			return fmt.Errorf("the results count %d readings, but only %d were published", counted, events)
		}
		select {
		case <-u.changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(stall):
			return fmt.Errorf("no result for %v: %d results count %d of %d readings", stall, results, counted, events)
		}
	}
}
