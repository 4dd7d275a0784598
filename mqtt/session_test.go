package mqtt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"edged"
)

func TestConnectDeliverAckStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t)
		r := startRig(t, s, nil)
		<-s.up
		var out []byte
		for id := uint16(1); id <= 300; id++ {
			out = appendPublish(out, id, "q1/a", fmt.Append(nil, id))
		}
		out = append(out, 0x30, 4, 0, 2, 'q', '0') // QoS 0
		s.send(out)
		synctest.Wait()
		if !r.Connected() {
			t.Error("not connected after SUBACK")
		}
		msgs := r.messages()
		if len(msgs) != 301 || msgs[300].Ack != 0 || msgs[300].PacketID != 0 || msgs[300].Topic != "q0" {
			t.Fatalf("%d messages, last %+v", len(msgs), msgs[len(msgs)-1])
		}
		var acks []uint64
		for i, m := range msgs[:300] {
			if int(m.PacketID) != i+1 || string(m.Payload) != fmt.Sprint(i+1) || m.Topic != "q1/a" {
				t.Fatalf("message %d: %+v", i, m)
			}
			acks = append(acks, m.Ack)
		}
		first, last := r.seen()[0], r.last()
		if !first.Fresh || !first.More || len(first.Messages) != 0 {
			t.Errorf("first batch %+v", first)
		}
		if last.More || last.Fresh {
			t.Errorf("last batch has More %t, Fresh %t", last.More, last.Fresh)
		}
		r.Ack(acks[:200])
		r.Ack(acks[:200]) // again: must not be sent
		r.Ack(acks[200:])
		r.stop(t) // at once: what was acknowledged must still leave
		synctest.Wait()
		puback := s.heard("PUBACK")
		if len(puback) != 300 || puback[0] != "PUBACK 1" || puback[299] != "PUBACK 300" || !slices.IsSortedFunc(puback, byNumber) {
			t.Errorf("%d PUBACKs: %v", len(puback), puback)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.got[0] != "CONNECT gw clean=false keepalive=4" || s.got[1] != "SUBSCRIBE [q0 q1/#] [0 1]" || s.got[len(s.got)-1] != "DISCONNECT" {
			t.Errorf("conversation: %v ... %v", s.got[:2], s.got[len(s.got)-1])
		}
		st := r.Stats()
		if st.Received != 301 || st.Acked != 300 || st.AcksStale != 200 || st.Unacked != 0 || st.Connected {
			t.Errorf("stats %+v", st)
		}
	})
}

func byNumber(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

// TestBlockedDeliver holds deliver for ten keep-alives: PINGREQs go on, the
// connection survives, and no answer is missed afterwards.
func TestBlockedDeliver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t)
		s.mute = true // nobody reads answers meanwhile, and over a pipe writing them would block
		r := startRig(t, s, nil)
		r.set(func() { r.hold = make(chan struct{}) })
		<-s.up
		s.send(appendPublish(nil, 1, "q1", nil))
		time.Sleep(40 * time.Second)
		synctest.Wait()
		if n := len(s.heard("PINGREQ")); n < 19 || n > 21 {
			t.Errorf("%d PINGREQs in 10 keep-alives", n)
		}
		if st := r.Stats(); st.Connects != 1 || !st.Connected && st.LastError != "" {
			t.Errorf("lost while blocked: %+v", st)
		}
		r.Ack([]uint64{r.messages()[0].Ack})
		synctest.Wait()
		if got := s.heard("PUBACK"); len(got) != 1 {
			t.Errorf("while blocked: %v", got)
		}
		close(r.hold)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		s.send(appendPublish(nil, 2, "q1", nil))
		synctest.Wait()
		if n := len(r.messages()); n != 2 {
			t.Errorf("%d messages after the block", n)
		}
		r.stop(t)
	})
}

func TestSilentBrokerIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t)
		r := startRig(t, s, nil)
		<-s.up
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := len(s.dials); n != 1 {
			t.Fatalf("%d connections to a broker that answers", n)
		}
		s.set(func() { s.mute = true })
		start := time.Now()
		<-s.up
		if d := time.Since(start); d < 4*time.Second || d > 9*time.Second {
			t.Errorf("given up and connected again after %v; keep-alive is 4s", d)
		}
		if st := r.Stats(); !strings.Contains(st.LastError, "no answer from the broker for 6s") {
			t.Errorf("last error %q", st.LastError)
		}
		r.stop(t)
	})
}

// TestIdleDoesNotWake counts the batches and reads of an idle hour.
func TestIdleDoesNotWake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t)
		reads := 0
		r := startRig(t, s, func(c *Config) {
			c.KeepAlive = time.Minute
			c.dial = func(ctx context.Context) (net.Conn, error) {
				conn, err := s.dial(ctx)
				return &countingConn{conn, &reads}, err
			}
		})
		<-s.up
		s.send(appendPublish(nil, 1, "q1", nil))
		time.Sleep(time.Hour)
		synctest.Wait()
		if reads < 120 || reads > 140 { // one per PINGRESP
			t.Errorf("%d reads in an idle hour", reads)
		}
		if n := len(r.seen()); n > 3 {
			t.Errorf("%d batches for one message", n)
		}
		r.stop(t)
	})
}

type countingConn struct {
	net.Conn
	reads *int
}

func (c *countingConn) Read(p []byte) (int, error) { *c.reads++; return c.Conn.Read(p) }

// TestPace sends a packet every 100 µs and expects reads, and so batches, every
// 2 ms, with no delay for the first.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t)
		r := startRig(t, s, func(c *Config) {
			c.Pace = 2 * time.Millisecond
			c.dial = func(ctx context.Context) (net.Conn, error) {
				conn, err := s.dial(ctx)
				return newKernel(conn), err
			}
		})
		<-s.up
		time.Sleep(time.Second)
		synctest.Wait()
		before := len(r.seen())
		s.send(appendPublish(nil, 1, "q1", nil))
		synctest.Wait()
		if n := len(r.messages()); n != 1 {
			t.Fatalf("%d messages at once after silence", n)
		}
		for id := uint16(2); id <= 1000; id++ {
			time.Sleep(100 * time.Microsecond)
			synctest.Wait()
			s.send(appendPublish(nil, id, "q1", nil))
		}
		time.Sleep(10 * time.Millisecond)
		synctest.Wait()
		if n := len(r.seen()) - before; n < 40 || n > 55 || len(r.messages()) != 1000 {
			t.Errorf("%d batches for %d messages in 100 ms", n, len(r.messages()))
		}
		r.stop(t)
	})
}

// kernel gives a pipe a receive buffer, as a socket has one.
type kernel struct {
	net.Conn
	mu    sync.Mutex
	buf   bytes.Buffer
	err   error
	wake  chan struct{}
	until time.Time
}

func newKernel(conn net.Conn) *kernel {
	k := &kernel{Conn: conn, wake: make(chan struct{}, 1)}
	go func() {
		p := make([]byte, 4096)
		for {
			n, err := conn.Read(p)
			k.mu.Lock()
			k.buf.Write(p[:n])
			k.err = err
			k.mu.Unlock()
			select {
			case k.wake <- struct{}{}:
			default:
			}
			if err != nil {
				return
			}
		}
	}()
	return k
}

func (k *kernel) SetReadDeadline(t time.Time) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.until = t; time.Now().After(t) {
		select {
		case k.wake <- struct{}{}:
		default:
		}
	}
	return nil
}

func (k *kernel) Read(p []byte) (int, error) {
	for {
		k.mu.Lock()
		until, err, n := k.until, k.err, 0
		if k.buf.Len() > 0 {
			n, _ = k.buf.Read(p)
		}
		k.mu.Unlock()
		if n > 0 || err != nil {
			return n, err
		}
		d := time.Until(until)
		if d <= 0 {
			return 0, timeoutError{}
		}
		timer := time.NewTimer(d)
		select {
		case <-k.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

type timeoutError struct{ dryError }

func (timeoutError) Is(err error) bool { return err == os.ErrDeadlineExceeded }

func TestReconnectBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t)
		s.refuse = 5
		var log bytes.Buffer
		r := startRig(t, s, func(c *Config) {
			c.Username, c.Password = "u", "secret"
			c.Logger = slog.New(slog.NewTextHandler(&log, nil))
		})
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		n := len(s.dials)
		if n < 60 || n > 400 { // 4 s on average, once the ceiling of 8 s is reached
			t.Errorf("%d attempts in 10 minutes", n)
		}
		for i := 1; i < n; i++ {
			ceiling := time.Second << min(i-1, 3)
			if d := s.dials[i].Sub(s.dials[i-1]); d > ceiling+time.Millisecond {
				t.Errorf("pause %d is %v, more than %v", i, d, ceiling)
			}
		}
		if st := r.Stats(); st.Connects != 0 || !strings.Contains(st.LastError, "not authorised; check username") {
			t.Errorf("stats %+v", st)
		}
		r.stop(t)
		if strings.Contains(log.String(), "secret") {
			t.Error("the log shows the password")
		}
	})
}

func TestRefusals(t *testing.T) {
	for code := byte(1); code <= 6; code++ {
		if err := refusal(code); !errors.Is(err, ErrRefused) {
			t.Errorf("code %d: %v", code, err)
		}
	}
}

func TestDeniedSubscription(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t)
		s.deny = true
		r := startRig(t, s, nil)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		st := r.Stats()
		if st.Connects < 10 || st.Connected || !strings.Contains(st.LastError, `"q1/#" refused`) {
			t.Errorf("stats %+v", st)
		}
		s.set(func() { s.deny = false })
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if !r.Connected() {
			t.Error("not connected although allowed now")
		}
		r.stop(t)
	})
}

// TestAckNeverHitsAnotherMessage goes through the ways in which an ack can be
// old: of an earlier connection, and of a repetition on the same one.
func TestAckNeverHitsAnotherMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t)
		r := startRig(t, s, nil)
		<-s.up
		s.send(appendPublish(nil, 7, "q1", []byte("first")))
		again := appendPublish(nil, 7, "q1", []byte("first"))
		again[0] |= 0x08
		s.send(again)
		synctest.Wait()
		m := r.messages()
		if len(m) != 2 || m[0].Ack == 0 || m[1].Ack != 0 || !m[1].Dup {
			t.Fatalf("repetition on one connection: %+v", m)
		}
		s.cut()
		<-s.up
		s.send(appendPublish(nil, 7, "q1", []byte("second")))
		synctest.Wait()
		r.Ack([]uint64{m[0].Ack, m[1].Ack})
		synctest.Wait()
		if got := s.heard("PUBACK"); len(got) != 0 {
			t.Errorf("an old ack was sent: %v", got)
		}
		m = r.messages()
		r.Ack([]uint64{m[2].Ack})
		synctest.Wait()
		if got := s.heard("PUBACK"); len(got) != 1 || r.Stats().AcksStale != 1 {
			t.Errorf("%v, stats %+v", got, r.Stats())
		}
		fresh := 0
		for _, b := range r.seen() {
			if b.Fresh {
				fresh++
			}
		}
		if fresh != 1 {
			t.Errorf("%d Fresh batches; the second connection found its session", fresh)
		}
		r.stop(t)
	})
}

// TestOversizeKeepsItsTurn mixes messages above the limit with others: they come
// in order, and none is acknowledged before Ack says so.
func TestOversizeKeepsItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t)
		r := startRig(t, s, func(c *Config) {
			c.PacketBytesMax = 8192
			c.Oversize = func(size int, sample []byte) []byte { return fmt.Appendf(nil, "%d of %d", len(sample), size) }
		})
		<-s.up
		big := bytes.Repeat([]byte("x"), 1<<20)
		out := appendPublish(nil, 1, "q1", []byte("small"))
		out = appendPublish(out, 2, "q1/big", big)
		out = appendPublish(out, 3, "q1/big", big[:8200])
		out = appendPublish(out, 4, "q1", []byte("small"))
		out = appendPublish(out, 5, "q1/big", big[:9000])
		s.send(out)
		synctest.Wait()
		var got []string
		var acks []uint64
		for _, m := range r.messages() {
			got = append(got, fmt.Sprint(m.PacketID, " ", m.Topic, " ", string(m.Payload)))
			acks = append(acks, m.Ack)
		}
		want := []string{"1 q1 small", "2 q1/big 4096 of 1048576", "3 q1/big 4096 of 8200", "4 q1 small", "5 q1/big 4096 of 9000"}
		if !slices.Equal(got, want) {
			t.Fatalf("messages %q", got)
		}
		r.Ack(acks[:1])
		synctest.Wait()
		if got := fmt.Sprint(s.heard("PUBACK")); got != "[PUBACK 1]" {
			t.Errorf("only the first was acknowledged: %s", got)
		}
		r.Ack(acks[1:])
		synctest.Wait()
		if got := fmt.Sprint(s.heard("PUBACK")); got != "[PUBACK 1 PUBACK 2 PUBACK 3 PUBACK 4 PUBACK 5]" {
			t.Error(got)
		}
		if st := r.Stats(); st.Oversize != 3 || st.Received != 5 || st.Acked != 5 {
			t.Errorf("stats %+v", st)
		}
		r.stop(t)
	})
}

// TestOversizeWithoutHook expects the sample in memory of its own.
func TestOversizeWithoutHook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t)
		var log bytes.Buffer
		r := startRig(t, s, func(c *Config) {
			c.PacketBytesMax = 8192
			c.Logger = slog.New(slog.NewTextHandler(&log, nil))
		})
		<-s.up
		s.send(appendPublish(nil, 1, "q1/big", bytes.Repeat([]byte("x"), 10_000)))
		synctest.Wait()
		m := r.messages()
		if len(m) != 1 || string(m[0].Payload) != strings.Repeat("x", sampleBytes) || m[0].Ack == 0 {
			t.Errorf("messages %.200v", m)
		}
		r.stop(t)
		body := []byte{0, 1, 'q', 'x', 'y'}
		got := (&flow{source: r.Source}).oversize(frame{body: body, size: 10_000}, publish{topic: body[2:3], payload: body[3:]})
		if body[3] = '!'; string(got) != "xy" {
			t.Errorf("the sample lies in the reader's chunk: %q", got)
		}
		if !strings.Contains(log.String(), "topic=q1/big bytes=10000 limit=8192") {
			t.Errorf("log %s", log.String())
		}
	})
}

func TestDeliverFailureEndsRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t)
		r := startRig(t, s, nil)
		<-s.up
		synctest.Wait()
		r.set(func() { r.fail = io.ErrClosedPipe })
		s.send(appendPublish(nil, 1, "q1", nil))
		if err := <-r.result; !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("Run returned %v", err)
		}
	})
}

// TestMoreIsTakenBack leaves a packet half sent: More may be set, but not for long.
func TestMoreIsTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t)
		r := startRig(t, s, func(c *Config) { c.KeepAlive = time.Hour }) // no PINGRESP within the packet
		<-s.up
		two := appendPublish(appendPublish(nil, 1, "q1", nil), 2, "q1", nil)
		s.send(two[:len(two)-1])
		synctest.Wait()
		if b := r.last(); !b.More || len(b.Messages) != 1 {
			t.Fatalf("with half a packet here: %+v", b)
		}
		time.Sleep(20 * time.Millisecond)
		synctest.Wait()
		if b := r.last(); b.More || len(b.Messages) != 0 {
			t.Fatalf("after silence: %+v", b)
		}
		n := len(r.seen())
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(r.seen()) != n {
			t.Errorf("%d batches without input", len(r.seen())-n)
		}
		s.send(two[len(two)-1:])
		synctest.Wait()
		if b := r.last(); b.More || len(b.Messages) != 1 || b.Messages[0].PacketID != 2 {
			t.Fatalf("after the other half: %+v", b)
		}
		r.stop(t)
	})
}

// TestMoreWhileBehind lets input pile up behind a blocked deliver: every batch but
// the last must say that there is more.
func TestMoreWhileBehind(t *testing.T) {
	const first = 100
	for name, sizes := range map[string][]int{
		"many reads":            slices.Repeat([]int{99}, 1600),
		"one read, two batches": slices.Repeat([]int{20}, 600),
		"read ends with packet": {(chunkBytes - first) / 2, (chunkBytes - first) / 2, 50},
	} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { pileUp(t, first, sizes) }) })
	}
}

func pileUp(t *testing.T, first int, sizes []int) {
	s := newScript(t)
	r := startRig(t, s, func(c *Config) {
		c.KeepAlive = time.Hour
		c.dial = func(ctx context.Context) (net.Conn, error) {
			conn, err := s.dial(ctx)
			return newKernel(conn), err
		}
	})
	r.set(func() { r.hold = make(chan struct{}) })
	<-s.up
	time.Sleep(time.Second)
	s.send(packetOf(t, 1, first))
	synctest.Wait()
	var out []byte
	for i, size := range sizes {
		out = append(out, packetOf(t, uint16(i+2), size)...)
	}
	s.send(out)
	close(r.hold)
	time.Sleep(time.Second)
	synctest.Wait()
	seen, more, all := 0, 0, len(sizes)+1
	for _, b := range r.seen() {
		seen += len(b.Messages)
		if b.More {
			more++
		} else if seen > 1 && seen < all {
			t.Errorf("no More after %d of %d messages", seen, all)
		}
	}
	if seen != all || more < 2 || r.last().More {
		t.Errorf("%d of %d messages, %d batches with More, last %t", seen, all, more, r.last().More)
	}
	r.stop(t)
}

// packetOf is a PUBLISH of size bytes altogether.
func packetOf(t *testing.T, id uint16, size int) []byte {
	for n := size; n >= 0; n-- {
		if b := appendPublish(nil, id, "q1", make([]byte, n)); len(b) == size {
			return b
		}
	}
	t.Fatalf("no packet has %d bytes", size)
	return nil
}

// TestBigPayloadsAreNotPinned receives 100 MB and keeps nothing.
func TestBigPayloadsAreNotPinned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t)
		src, err := NewSource(Config{URL: "tcp://script", ClientID: "gw", KeepAlive: time.Hour, dial: s.dial}, []Subscription{{"q1", 1}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		n := 0
		go func() {
			ended <- src.Run(ctx, func(_ context.Context, b edged.Batch) error { n += len(b.Messages); return nil })
		}()
		<-s.up
		big := make([]byte, 1<<20)
		heap := func() int64 {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			return int64(m.HeapAlloc)
		}
		before := heap()
		for id := uint16(1); id <= 100; id++ {
			s.send(appendPublish(nil, id, "q1", big))
		}
		synctest.Wait()
		if grown := heap() - before; n != 100 || grown > 10<<20 {
			t.Errorf("%d messages of 1 MiB, of which %d MiB are still held", n, grown>>20)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
