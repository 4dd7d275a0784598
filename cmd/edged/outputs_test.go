package main

import (
	"context"
	"errors"
	"testing"

	"edged"
	"edged/actors"
	"edged/internal/mosquitto"
	"edged/mqtt"
)

// TestUnsendableRow: the runtime must hear in its own words that a row can never
// be sent, or it takes the link for broken and waits for ever.
func TestUnsendableRow(t *testing.T) {
	b := mosquitto.Start(t)
	pub, err := mqtt.NewPublisher(mqtt.Config{URL: b.URL(), ClientID: "edged-test-up"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	up, ended := make(chan struct{}, 1), make(chan error, 1)
	go func() { ended <- pub.Run(ctx, func() { up <- struct{}{} }, func(error) {}, func([]uint64) {}) }()
	<-up
	if err := (publisher{pub}).Send([]edged.Row{{Seq: 1, Topic: "a/#"}}); !errors.Is(err, actors.ErrUnsendable) {
		t.Errorf("got %v", err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
