package mqtt

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"edged"
)

func TestPublisherWindowAndLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t)
		p, err := NewPublisher(Config{URL: "tcp://script", KeepAlive: time.Minute, dial: s.dial})
		if err != nil {
			t.Fatal(err)
		}
		var confirmed []uint64
		downs := 0
		ctx, cancel := context.WithCancel(t.Context())
		result := make(chan error, 1)
		go func() {
			result <- p.Run(ctx, func() {}, func(error) { downs++ }, func(seqs []uint64) { confirmed = append(confirmed, seqs...) })
		}()
		<-s.up
		synctest.Wait()
		rows := make([]edged.Row, Window+1)
		for i := range rows {
			rows[i] = edged.Row{Seq: uint64(1e12) + uint64(i), Topic: "out", Payload: []byte("x")}
		}
		if err := p.Send(rows); !errors.Is(err, ErrWindow) || p.Stats().Sent != 0 {
			t.Errorf("window + 1: %v", err)
		}
		if err := p.Send(rows[:Window]); err != nil {
			t.Fatal(err)
		}
		if err := p.Send(rows[Window:]); !errors.Is(err, ErrWindow) {
			t.Errorf("one more: %v", err)
		}
		synctest.Wait()
		// Out of order, once twice, and once for nothing.
		s.send(appendPuback(appendPuback(appendPuback(appendPuback(nil, 2), 1), 1), 5000))
		time.Sleep(time.Second)
		synctest.Wait()
		if fmt.Sprint(confirmed) != "[1000000000001 1000000000000]" || p.Stats().Unknown != 2 || p.Stats().Unconfirmed != Window-2 {
			t.Errorf("confirmed %v, stats %+v", confirmed, p.Stats())
		}
		s.cut()
		<-s.up
		synctest.Wait()
		if downs != 1 || p.Stats().Unconfirmed != 0 {
			t.Errorf("%d downs, stats %+v", downs, p.Stats())
		}
		confirmed = nil
		for range 140 { // ids roll over 65,535
			sendAndConfirm(t, s, p, rows[:500])
		}
		if len(confirmed) != 70_000 || p.Stats().Unconfirmed != 0 || p.Stats().Unknown != 2 {
			t.Errorf("%d confirmed, stats %+v", len(confirmed), p.Stats())
		}
		cancel()
		if err := <-result; err != nil || downs != 2 {
			t.Errorf("Run: %v, %d downs", err, downs)
		}
		if err := p.Send(rows[:1]); !errors.Is(err, ErrDown) {
			t.Errorf("after the end: %v", err)
		}
	})
}

// sendAndConfirm sends rows and acknowledges the PUBLISHes that arrive.
func sendAndConfirm(t *testing.T, s *script, p *Publisher, rows []edged.Row) {
	s.set(func() { s.got = nil })
	if err := p.Send(rows); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	var acks []byte
	for _, words := range s.heard("PUBLISH") {
		var id uint16
		if _, err := fmt.Sscanf(words, "PUBLISH %d", &id); err != nil || id == 0 {
			t.Fatal(words, err)
		}
		acks = appendPuback(acks, id)
	}
	s.send(acks)
	time.Sleep(time.Second)
	synctest.Wait()
}
