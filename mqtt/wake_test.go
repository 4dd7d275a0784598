package mqtt

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// TestPublisherWake ends a pause of days at once; waking one that is connected is not
// saved up for the next pause.
func TestPublisherWake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t)
		s.refuse = 1
		const days = 10_000 * time.Hour
		p, err := NewPublisher(Config{URL: "tcp://script", KeepAlive: time.Minute, ReconnectMin: days, ReconnectMax: days, dial: s.dial})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- p.Run(ctx, func() {}, func(error) {}, func([]uint64) {}) }()
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if n := len(s.dials); n != 1 {
			t.Fatalf("%d attempts before it was woken", n)
		}
		s.mu.Lock()
		s.refuse = 0
		s.mu.Unlock()
		p.Wake()
		synctest.Wait()
		if n := len(s.dials); n != 2 || !p.Stats().Connected || time.Since(s.dials[1]) != 0 {
			t.Fatalf("%d attempts when it was woken, %+v", n, p.Stats())
		}
		p.Wake()
		s.cut()
		time.Sleep(time.Minute) // the loss is noticed
		synctest.Wait()
		if n := len(s.dials); n != 2 || p.Stats().Connected {
			t.Errorf("%d attempts after it was woken while connected, %+v", n, p.Stats())
		}
		p.Wake()
		synctest.Wait()
		if n := len(s.dials); n != 3 || !p.Stats().Connected {
			t.Errorf("%d attempts when it was woken again, %+v", n, p.Stats())
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
