package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime/pprof"
	"time"

	"edged/fleet/agent"
	"edged/fleet/protocol"
)

// The bounds of profile.capture.
const (
	profileSecondsDefault = 10
	profileSecondsMax     = 30
	profileBytesMax       = protocol.ResultBytesMax - 1<<10 // as text; the rest is for what stands around it
)

// The kinds of profiles.
const (
	profileCPU       = "cpu"
	profileHeap      = "heap"
	profileGoroutine = "goroutine"
)

// profileArgs are the arguments of profile.capture.
type profileArgs struct {
	Kind    string `json:"kind"`
	Seconds int    `json:"seconds"` // cpu only
}

// Check returns what is wrong with them.
func (a profileArgs) Check() error {
	switch a.Kind {
	case profileCPU:
		return bounded("seconds", a.Seconds, profileSecondsMax)
	case profileHeap, profileGoroutine:
		if a.Seconds != 0 {
			return fmt.Errorf("seconds: a profile of kind %s is of one moment; leave it out", a.Kind)
		}
		return nil
	}
	return fmt.Errorf("kind: %q is none of %s, %s and %s", a.Kind, profileCPU, profileHeap, profileGoroutine)
}

// profileResult is the result of profile.capture.
type profileResult struct {
	Kind    string `json:"kind"`
	Seconds int    `json:"seconds,omitempty"`
	Profile string `json:"profile"` // base64 of what go tool pprof reads
}

// captureProfile says where the process spends its time or its memory. There is one CPU
// profile in a process at a time.
func (m *managed) captureProfile(ctx context.Context, _ *agent.Call, args profileArgs) (any, error) {
	if !m.profiling.TryLock() {
		return nil, agent.Failed(protocol.CodeBusy, errors.New("another profile is being taken: try again when it is done"))
	}
	defer m.profiling.Unlock()
	var b bytes.Buffer
	r := profileResult{Kind: args.Kind}
	if args.Kind == profileCPU {
		r.Seconds = cmp.Or(args.Seconds, profileSecondsDefault)
		if err := profileTime(ctx, &b, time.Duration(r.Seconds)*time.Second); err != nil {
			return nil, err
		}
	} else if err := pprof.Lookup(args.Kind).WriteTo(&b, 0); err != nil {
		return nil, err
	}
	r.Profile = base64.StdEncoding.EncodeToString(b.Bytes())
	return r, r.check()
}

// check refuses what an answer cannot hold.
func (r *profileResult) check() error {
	if len(r.Profile) <= profileBytesMax {
		return nil
	}
	hint := "it cannot be sent; take it on the gateway"
	if r.Kind == profileCPU {
		hint = "take fewer seconds"
	}
	return agent.Failed(protocol.CodeSize, fmt.Errorf("the %s profile has %d bytes as text, at most %d can be sent: %s", r.Kind, len(r.Profile), profileBytesMax, hint))
}

// profileTime writes where processors are for so long.
func profileTime(ctx context.Context, b *bytes.Buffer, d time.Duration) error {
	if err := pprof.StartCPUProfile(b); err != nil {
		return agent.Failed(protocol.CodeBusy, err)
	}
	defer pprof.StopCPUProfile()
	return passes(ctx, d)
}
