package mqtt_test

import (
	"testing"
	"time"

	"edged/internal/mosquitto"
	"edged/mqtt"
)

// A source that asks for other topics gets them at once and after the next connection,
// does not get those that are gone, and gets nothing again that was retained for those
// that stay.
func TestResubscribe(t *testing.T) {
	b := mosquitto.Start(t)
	w := newWire(t, b.URL())
	pub := stock(t, b.URL())
	if token := pub.Publish("in/kept", 1, true, "retained"); !token.WaitTimeout(5*time.Second) || token.Error() != nil {
		t.Fatal(token.Error())
	}
	c := newClient(t, mqtt.Config{URL: w.url(), ClientID: "gw"})
	c.ackAll = true
	c.start()
	c.awaitMessages(1)
	for _, bad := range [][]mqtt.Subscription{nil, {{Filter: "a/#/b"}}} {
		if c.Resubscribe(bad) == nil {
			t.Errorf("%v is taken", bad)
		}
	}
	subs := []mqtt.Subscription{{Filter: "in/#", QoS: 1}, {Filter: "other/+", QoS: 1}}
	if err := c.Resubscribe(subs); err != nil {
		t.Fatal(err)
	}
	// The broker works on one client's packets in order: the answer to a message that is
	// sent after SUBSCRIBE comes after SUBACK.
	c.await("other topics arrive", func() bool {
		pub.Publish("other/a", 1, false, "x")
		return len(c.got()) > 1
	})
	for _, m := range c.got()[1:] {
		if m.Topic != "other/a" {
			t.Errorf("%s came again", m.Topic)
		}
	}
	if err := c.Resubscribe([]mqtt.Subscription{{Filter: "other/+", QoS: 1}}); err != nil {
		t.Fatal(err)
	}
	w.cut()
	before := c.Stats().Connects
	c.await("connected again", func() bool { return c.Connected() && c.Stats().Connects > before })
	n := len(c.got())
	pub.Publish("in/a", 1, false, "gone")
	pub.Publish("other/a", 1, false, "y").Wait()
	c.await("the rest arrives", func() bool { return len(c.got()) > n })
	for _, m := range c.got()[n:] {
		if m.Topic == "in/a" {
			t.Error("a filter that is gone is still served")
		}
	}
}
