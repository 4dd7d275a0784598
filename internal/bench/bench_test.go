//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"edged/fleet"
	"edged/internal/mosquitto"
)

// quick returns options for a small run in which this binary plays edged.
func quick(t *testing.T) *options {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return &options{
		keys: "20", events: 4000, repeat: 2, step: time.Second, rate: 500, lasting: 3 * time.Second,
		edged: self, config: "unused.yaml",
	}
}

func runBench(t *testing.T, o *options) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out bytes.Buffer
	err := o.run(ctx, &out, io.Discard)
	if errors.Is(err, mosquitto.ErrNotInstalled) {
		t.Skip(err)
	}
	return out.String(), err
}

// TestBench runs everything once, with a stand-in for edged.
func TestBench(t *testing.T) {
	got, err := runBench(t, quick(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"20 keys, 4000 events, 2 rounds", "edged/stock", "CPU, us per event", "400 (400)", " 0 missing", "p99"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
}

// TestBenchNoticesWrongResults breaks the stand-in: the bench must not give
// numbers of an engine that loses or repeats.
func TestBenchNoticesWrongResults(t *testing.T) {
	for fault, want := range map[string]string{
		"double":  "readings, but only 4000 were published",
		"reissue": "reissue: seq 2",
	} {
		t.Run(fault, func(t *testing.T) {
			t.Setenv("FAKE_FAULT", fault)
			o := quick(t)
			o.only = "edged"
			if got, err := runBench(t, o); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("error %v, want %s\n%s", err, want, got)
			}
		})
	}
}

// TestBenchNoticesLoss checks the other direction without waiting in real time.
func TestBenchNoticesLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{receiver: fleet.NewReceiver(fleet.Config{}), warm: make(chan struct{}), changed: make(chan struct{}, 1)}
		began := time.Now()
		time.AfterFunc(time.Second, func() {
			u.message([]byte(`{"device":"d1","start":0,"count":9,"id":"a","seq":1,"gateway":"g"}`), time.Now())
			u.message([]byte(`{"device":"d1","start":0,"count":9,"id":"a","seq":1,"gateway":"g"}`), time.Now())
		})
		err := u.await(t.Context(), 10)
		if err == nil || !strings.Contains(err.Error(), "1 results count 9 of 10") || time.Since(began) < stall {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
	})
}

func TestParseCPU(t *testing.T) {
	got, err := parseCPU([]byte("12 (a) b (c)) S 1 2 3 4 5 6 7 8 9 10 123 45 0 0 20"))
	if err != nil || got != 1680*time.Millisecond {
		t.Errorf("%v, %v, want 1.68s", got, err)
	}
	for _, bad := range []string{"", "12 (x) S", "12 (x) S 1 2 3 4 5 6 7 8 9 10 x 45 0"} {
		if _, err := parseCPU([]byte(bad)); err == nil {
			t.Errorf("%q: accepted", bad)
		}
	}
}

func TestReadUsageOfOurselves(t *testing.T) {
	u, err := readUsage(os.Getpid())
	if err != nil || u.peak < 1<<20 || u.anon < 1<<16 || u.anon > u.peak {
		t.Errorf("%+v, %v", u, err)
	}
	if _, err := readUsage(-1); err == nil {
		t.Error("a process that is none: accepted")
	}
}

func TestSummary(t *testing.T) {
	runs := []run{{CPU: 3, Rate: 10}, {CPU: 1, Rate: 30}, {CPU: 2, Rate: 20}, {CPU: 9, Rate: 5}}
	if median, best := metrics[0].summary(runs); median != 2 || best != 1 {
		t.Errorf("CPU: %v, %v", median, best)
	}
	if median, best := metrics[1].summary(runs); median != 10 || best != 30 {
		t.Errorf("rate: %v, %v", median, best)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for _, args := range [][]string{{"-keys", "0"}, {"-keys", "1,x"}, {"-events", "0"}, {"-only", "else"}, {"-step", "0s"}} {
		if err := parseOptions(args).run(t.Context(), io.Discard, io.Discard); err == nil {
			t.Errorf("%v: accepted", args)
		}
	}
}
