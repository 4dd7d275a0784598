//go:build unix

package yardstick_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"edged/internal/mosquitto"
	"edged/internal/sim"
	"edged/internal/yardstick"
	"edged/mqtt"
)

// TestRunReceivesAll compares the yardstick's sums with what was published.
func TestRunReceivesAll(t *testing.T) {
	broker, err := mosquitto.Launch(t.TempDir(), "max_queued_messages 0")
	if errors.Is(err, mosquitto.ErrNotInstalled) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer broker.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	fleet, err := sim.NewFleet(sim.Config{Seed: 1, Devices: 7, Rate: 100, Events: 2000})
	if err != nil {
		t.Fatal(err)
	}
	pub, err := mqtt.NewPublisher(mqtt.Config{URL: broker.URL()})
	if err != nil {
		t.Fatal(err)
	}
	centi := int64(0)
	ledger := sim.DriverConfig{Acked: func(s *sim.Sample) { centi += s.Centi }}
	drove := make(chan error, 1)
	report, err := yardstick.Run(ctx, yardstick.Config{URL: broker.URL(), Filter: "sensors/+/data", Events: 2000}, func() {
		go func() {
			_, err := sim.Drive(ctx, pub, fleet, ledger)
			drove <- err
		}()
	})
	if err := errors.Join(err, <-drove); err != nil {
		t.Fatal(err)
	}
	if report.Events != 2000 || report.Keys != 7 || report.Bad != 0 || math.Round(report.Checksum*100) != float64(centi) {
		t.Errorf("%+v, want 2000 events of 7 keys with a sum of %d hundredths", report, centi)
	}
	if report.CPU <= 0 || report.RSSMax < 1<<20 || report.WallTime <= 0 {
		t.Errorf("%+v: nothing measured", report)
	}
}

func TestRunErrors(t *testing.T) {
	if _, err := yardstick.Run(t.Context(), yardstick.Config{}, nil); err == nil || !strings.Contains(err.Error(), "0 events") {
		t.Errorf("no events: %v", err)
	}
	cfg := yardstick.Config{URL: "tcp://127.0.0.1:1", Filter: "x", Events: 1}
	if _, err := yardstick.Run(t.Context(), cfg, nil); err == nil || !strings.Contains(err.Error(), cfg.URL) {
		t.Errorf("no broker: %v", err)
	}
}
