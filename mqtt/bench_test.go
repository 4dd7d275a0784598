package mqtt_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"

	"edged"
	"edged/mqtt"
)

// flood is a broker in memory that answers CONNECT and SUBSCRIBE and then sends
// QoS 1 messages of 90 bytes as fast as they are taken, at most window ahead of
// the PUBACKs. Bursts are prepared beforehand, so that it costs little itself.
type flood struct {
	listener net.Listener
	window   int64
	acked    atomic.Int64
	total    int64
}

const floodBurst = 500

func startFlood(b *testing.B, total int64) *flood {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	f := &flood{listener: l, window: 20_000, total: total}
	b.Cleanup(func() { l.Close() })
	go func() {
		conn, err := l.Accept()
		if err == nil {
			f.serve(conn)
		}
	}()
	return f
}

func (f *flood) serve(conn net.Conn) {
	in := bufio.NewReaderSize(conn, 64<<10)
	for {
		cp, err := packets.ReadPacket(in)
		if err != nil {
			return
		}
		switch p := cp.(type) {
		case *packets.ConnectPacket:
			_, _ = conn.Write([]byte{0x20, 2, 0, 0})
		case *packets.SubscribePacket:
			_, _ = conn.Write([]byte{0x90, 3, byte(p.MessageID >> 8), byte(p.MessageID), 1})
			go f.send(conn)
			f.countAcks(in)
			return
		}
	}
}

// countAcks skips over packets of four bytes, and PINGREQs of two.
func (f *flood) countAcks(in *bufio.Reader) {
	var p [4]byte
	for {
		if _, err := io.ReadFull(in, p[:2]); err != nil {
			return
		}
		if p[0]>>4 == packets.Puback {
			if _, err := io.ReadFull(in, p[2:]); err != nil {
				return
			}
			f.acked.Add(1)
		}
	}
}

func (f *flood) send(conn net.Conn) {
	bursts := make([][]byte, 0, 65_000/floodBurst)
	for id := 1; id+floodBurst <= 65_536; id += floodBurst {
		var b []byte
		for i := range floodBurst {
			payload := fmt.Sprintf(`{"device":"d%05d","ts":17000000%05d,"temperature":21.%02d,"pad":"................."}`, i, i, i%100)
			b = append(b, 0x32, byte(2+10+2+len(payload)), 0, 10)
			b = append(append(b, "in/sensors"...), byte((id+i)>>8), byte(id+i))
			b = append(b, payload...)
		}
		bursts = append(bursts, b)
	}
	for sent := int64(0); sent < f.total; sent += floodBurst {
		for sent-f.acked.Load() > f.window {
			<-time.After(50 * time.Microsecond)
		}
		if _, err := conn.Write(bursts[int(sent/floodBurst)%len(bursts)]); err != nil {
			return
		}
	}
}

// measure reports the CPU of the whole process, flood included, per message.
func measure(b *testing.B, run func(f *flood)) {
	f := startFlood(b, int64(b.N)+2*floodBurst)
	var before, after syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	b.ReportAllocs()
	b.ResetTimer()
	run(f)
	b.StopTimer()
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	used := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
	b.ReportMetric(float64(used)/float64(b.N)/1000, "µs-cpu/msg")
}

// BenchmarkReceive is the cost of a QoS 1 message from the socket to deliver and
// back to the PUBACK.
func BenchmarkReceive(b *testing.B) {
	measure(b, func(f *flood) {
		cfg := mqtt.Config{URL: "tcp://" + f.listener.Addr().String(), ClientID: "bench"}
		src, err := mqtt.NewSource(cfg, []mqtt.Subscription{{Filter: "in/#", QoS: 1}})
		if err != nil {
			b.Fatal(err)
		}
		ctx, cancel := context.WithCancel(b.Context())
		defer cancel()
		n := 0
		var ids []uint64
		err = src.Run(ctx, func(_ context.Context, batch edged.Batch) error {
			ids = ids[:0]
			for _, m := range batch.Messages {
				ids = append(ids, m.Ack)
			}
			src.Ack(ids)
			if n += len(batch.Messages); n >= b.N {
				cancel()
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	})
}

// BenchmarkReceiveStock is the yardstick: the stock client of the paho module,
// doing the same.
func BenchmarkReceiveStock(b *testing.B) {
	measure(b, func(f *flood) {
		done := make(chan struct{})
		n := 0
		c := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + f.listener.Addr().String()).
			SetClientID("bench").SetProtocolVersion(4).SetCleanSession(false).SetAutoAckDisabled(true).
			SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) {
				m.Ack()
				if n++; n == b.N {
					close(done)
				}
			}))
		if token := c.Connect(); token.Wait() && token.Error() != nil {
			b.Fatal(token.Error())
		}
		c.Subscribe("in/#", 1, nil)
		<-done
		go c.Disconnect(0)
	})
}
