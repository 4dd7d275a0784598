package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"edged/fleet/agent"
	"edged/fleet/protocol"
)

// TestProfileCapture runs in a process of its own: there is one CPU profile in a process at a
// time, and the heap profile of one that has run all other tests is larger than an answer.
func TestProfileCapture(t *testing.T) {
	const alone = "EDGED_TEST_ALONE"
	if os.Getenv(alone) == "" {
		t.Parallel()
		c := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^"+t.Name()+"$", "-test.v")
		c.Env = append(os.Environ(), alone+"=1")
		if out, err := c.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	m := &managed{}
	for _, args := range []profileArgs{{Kind: profileCPU, Seconds: 1}, {Kind: profileHeap}, {Kind: profileGoroutine}} {
		result, err := m.captureProfile(t.Context(), nil, args)
		if err != nil {
			t.Fatalf("%+v: %v", args, err)
		}
		r := result.(profileResult)
		data, err := base64.StdEncoding.DecodeString(r.Profile)
		if err != nil {
			t.Fatal(err)
		}
		z, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(z)
		unit := map[string]string{profileCPU: "nanoseconds", profileHeap: "inuse_space", profileGoroutine: "goroutine"}[args.Kind]
		if err != nil || !bytes.Contains(text, []byte(unit)) || r.Seconds != args.Seconds {
			t.Errorf("%+v: %v, %d bytes without %s", args, err, len(text), unit)
		}
	}
	ended, cancel := context.WithCancelCause(t.Context())
	cancel(errEnough)
	if _, err := m.captureProfile(ended, nil, profileArgs{Kind: profileCPU}); !errors.Is(err, errEnough) {
		t.Errorf("cancelled: %v", err)
	}
	m.profiling.Lock()
	_, err := m.captureProfile(t.Context(), nil, profileArgs{Kind: profileHeap})
	if fault, ok := errors.AsType[*agent.Fault](err); !ok || fault.Code != protocol.CodeBusy {
		t.Errorf("while another one runs: %v", err)
	}
	m.profiling.Unlock()
	for _, args := range []profileArgs{{}, {Kind: "trace"}, {Kind: profileHeap, Seconds: 1}, {Kind: profileCPU, Seconds: profileSecondsMax + 1}, {Kind: profileCPU, Seconds: -1}} {
		if args.Check() == nil {
			t.Errorf("%+v is taken", args)
		}
	}
	for kind, says := range map[string]string{profileCPU: "take fewer seconds", profileHeap: "on the gateway"} {
		large := profileResult{Kind: kind, Profile: strings.Repeat("A", profileBytesMax+1)}
		fault, ok := errors.AsType[*agent.Fault](large.check())
		if !ok || fault.Code != protocol.CodeSize || !strings.Contains(fault.Error(), says) {
			t.Errorf("a large %s profile: %v", kind, fault)
		}
	}
}
