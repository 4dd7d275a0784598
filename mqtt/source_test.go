package mqtt_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"edged"
	"edged/internal/mosquitto"
	"edged/mqtt"
)

// TestOrderAndAck lets a stock client publish 5000 messages and acknowledges all.
func TestOrderAndAck(t *testing.T) {
	b := mosquitto.Start(t)
	c := newClient(t, mqtt.Config{URL: b.URL(), ClientID: "gw"})
	c.ackAll = true
	c.start()
	publish(t, stock(t, b.URL()), "in/a", 0, 5000)
	messages := c.awaitMessages(5000)
	numbers(t, messages, 0, 5000)
	for _, m := range messages {
		if m.Topic != "in/a" || m.Dup || m.PacketID == 0 || m.Ack == 0 {
			t.Fatalf("message %+v", m)
		}
	}
	if c.fresh != 1 {
		t.Errorf("%d Fresh batches on a new session", c.fresh)
	}
	c.stop()
	again := newClient(t, mqtt.Config{URL: b.URL(), ClientID: "gw"})
	again.start()
	again.quiet(50 * time.Millisecond)
	if again.fresh != 0 {
		t.Error("Fresh although the broker kept the session")
	}
}

// TestRedelivery acknowledges a part, loses the connection in several ways, and
// expects the rest again: same order, same packet ids, DUP.
func TestRedelivery(t *testing.T) {
	const acked, all = 50, 200
	for name, lose := range map[string]func(*mosquitto.Broker, *wire, *client){
		"client stopped": func(_ *mosquitto.Broker, _ *wire, c *client) { c.stop() },
		"socket cut":     func(_ *mosquitto.Broker, w *wire, _ *client) { w.cut() },
		"broker restart": func(b *mosquitto.Broker, w *wire, _ *client) { b.Restart() },
	} {
		t.Run(name, func(t *testing.T) {
			b := mosquitto.Start(t, mosquitto.Persistent())
			w := newWire(t, b.URL())
			cfg := mqtt.Config{URL: w.url(), ClientID: "gw"}
			c := startClient(t, cfg)
			publish(t, stock(t, b.URL()), "in/a", 0, all)
			first := c.awaitMessages(all)
			c.ack(first[:acked])
			c.await("acked", func() bool { return c.Stats().Unacked == all-acked })
			<-time.After(20 * time.Millisecond) // for the broker to read the PUBACKs
			lose(b, w, c)
			var rest []edged.Message
			if name == "client stopped" {
				c = startClient(t, cfg)
				rest = c.awaitMessages(all - acked)
			} else {
				rest = c.awaitMessages(all + all - acked)[all:]
			}
			numbers(t, rest, acked, all)
			for i, m := range rest {
				if !m.Dup || m.PacketID != first[acked+i].PacketID {
					t.Fatalf("message %d: %+v, was %+v", i, m, first[acked+i])
				}
			}
			if name != "client stopped" { // acks of the dead connection must not count
				c.ack(first[acked:])
			}
			if st := c.Stats(); st.Unacked != all-acked || st.Redelivered != all-acked {
				t.Errorf("stats %+v", st)
			}
		})
	}
}

// TestInflightWindow withholds acks from a broker that sends 20 messages ahead.
func TestInflightWindow(t *testing.T) {
	b := mosquitto.Start(t, mosquitto.Line("max_inflight_messages 20"))
	c := startClient(t, mqtt.Config{URL: b.URL(), ClientID: "gw"})
	publish(t, stock(t, b.URL()), "in/a", 0, 300)
	c.awaitMessages(20)
	c.quiet(30 * time.Millisecond)
	for done := 0; done < 300; {
		c.await("more", func() bool { return len(c.got()) > done })
		got := c.got()
		c.ack(got[done:])
		done = len(got)
	}
	numbers(t, c.got(), 0, 300)
}

// TestBlockedDeliverCost blocks deliver for five keep-alives with input waiting:
// the connection survives, and the process is idle.
func TestBlockedDeliverCost(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 5 s")
	}
	b := mosquitto.Start(t)
	c := newClient(t, mqtt.Config{URL: b.URL(), ClientID: "gw", KeepAlive: time.Second})
	c.hold = make(chan struct{})
	c.start()
	other := stock(t, b.URL())
	publish(t, other, "in/a", 0, 3000)
	c.await("blocked", func() bool { return len(c.got()) > 0 })
	before := cpu(t)
	<-time.After(5 * time.Second)
	used := cpu(t) - before
	t.Logf("%v of CPU in 5 s", used)
	if used > 250*time.Millisecond {
		t.Errorf("%v of CPU in 5 s while blocked", used)
	}
	close(c.hold)
	numbers(t, c.awaitMessages(3000), 0, 3000)
	if st := c.Stats(); st.Connects != 1 || st.LastError != "" {
		t.Errorf("the connection was lost: %+v", st)
	}
}

func cpu(t *testing.T) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func TestOversizeOverMosquitto(t *testing.T) {
	b := mosquitto.Start(t)
	cfg := mqtt.Config{URL: b.URL(), ClientID: "gw", PacketBytesMax: 10_000,
		Oversize: func(size int, sample []byte) []byte { return fmt.Appendf(nil, "%d %s", size, sample) }}
	c := startClient(t, cfg)
	other := stock(t, b.URL())
	publish(t, other, "in/a", 0, 1)
	wait(t, other.Publish("in/big", 1, false, bytes.Repeat([]byte("z"), 5<<20)))
	publish(t, other, "in/a", 1, 2)
	first := slices.Clone(c.awaitMessages(3))
	numbers(t, []edged.Message{first[0], first[2]}, 0, 2)
	big := first[1]
	if want := "5242880 " + strings.Repeat("z", 4096); big.Topic != "in/big" || string(big.Payload) != want || big.Ack == 0 || big.Dup {
		t.Errorf("oversize message on %s with %.20q, %d bytes", big.Topic, big.Payload, len(big.Payload))
	}
	c.stop() // nothing was acknowledged

	c = startClient(t, cfg)
	again := c.awaitMessages(3)
	if m := again[1]; !m.Dup || m.PacketID != big.PacketID || !bytes.Equal(m.Payload, big.Payload) {
		t.Errorf("redelivered with dup %t, id %d, %.20q, %d bytes", m.Dup, m.PacketID, m.Payload, len(m.Payload))
	}
	if st := c.Stats(); st.Oversize != 1 || st.Received != 3 || st.Redelivered != 3 || st.Unacked != 3 || st.Acked != 0 {
		t.Errorf("stats %+v", st)
	}
	c.ack(again)
	c.stop()
	startClient(t, cfg).quiet(30 * time.Millisecond)
}

// TestStockLimitsLose documents why BrokerAdvice exists: with its own limits
// mosquitto confirms 3000 messages to their publisher and keeps 1000 for us.
func TestStockLimitsLose(t *testing.T) {
	b := mosquitto.Start(t, mosquitto.Stock())
	cfg := mqtt.Config{URL: b.URL(), ClientID: "gw"}
	startClient(t, cfg).stop()
	publish(t, stock(t, b.URL()), "in/a", 0, 3000)
	c := newClient(t, cfg)
	c.ackAll = true
	c.start()
	c.await("1000 messages", func() bool { return len(c.got()) >= 1000 })
	c.quiet(50 * time.Millisecond)
	if n := len(c.got()); n > 1100 {
		t.Errorf("%d of 3000 messages arrived: mosquitto's default is better than we say", n)
	}
}

func TestUnlimitedKeepsAll(t *testing.T) {
	b := mosquitto.Start(t)
	cfg := mqtt.Config{URL: b.URL(), ClientID: "gw"}
	startClient(t, cfg).stop()
	publish(t, stock(t, b.URL()), "in/a", 0, 3000)
	numbers(t, startClient(t, cfg).awaitMessages(3000), 0, 3000)
}

// TestRestoredSessionACL: after a restart mosquitto does not know the users of the sessions
// that it has restored. What access rules give to users, or to those without a name, is
// taken from these until they are back, and what comes in the meantime is confirmed and
// dropped. Patterns are for all.
func TestRestoredSessionACL(t *testing.T) {
	t.Parallel()
	for rule, want := range map[string]int{"topic readwrite #": 0, "pattern readwrite #": 50} {
		acl := filepath.Join(t.TempDir(), "acl")
		if err := os.WriteFile(acl, []byte(rule+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		b := mosquitto.Start(t, mosquitto.Persistent(), mosquitto.Line("acl_file "+acl))
		cfg := mqtt.Config{URL: b.URL(), ClientID: "gw"}
		startClient(t, cfg).stop()
		b.Stop()
		b.Restart()
		devices := stock(t, b.URL())
		publish(t, devices, "in/a", 0, 50)
		c := startClient(t, cfg)
		publish(t, devices, "in/a", 50, 51)
		c.await("the last message with "+rule, func() bool { return len(c.got()) > want })
		c.quiet(50 * time.Millisecond)
		if n := len(c.got()); n != want+1 {
			t.Errorf("%s: %d of 51 messages arrived, want %d", rule, n, want+1)
		}
	}
}

func TestRefusedByMosquitto(t *testing.T) {
	b := mosquitto.Start(t, mosquitto.Line("allow_anonymous false"))
	c := newClient(t, mqtt.Config{URL: b.URL(), ClientID: "gw"})
	ctx := t.Context()
	go c.Run(ctx, c.deliver)
	c.await("refused", func() bool { return strings.Contains(c.Stats().LastError, "not authorised") })
}

func TestProbeBroker(t *testing.T) {
	b := mosquitto.Start(t)
	version, err := mqtt.ProbeBroker(t.Context(), mqtt.Config{URL: b.URL(), ClientID: "gw"})
	if err != nil || !strings.HasPrefix(version, "mosquitto version ") {
		t.Fatalf("%q, %v", version, err)
	}
	if mqtt.BrokerAdvice(version) == "" {
		t.Error("no advice for mosquitto")
	}
	b.Kill()
	if _, err := mqtt.ProbeBroker(t.Context(), mqtt.Config{URL: b.URL()}); err == nil {
		t.Error("no error from a dead broker")
	}
}
