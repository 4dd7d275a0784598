package campaign

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"edged"
	"edged/fleet"
	"edged/mqtt"
)

// Delivery is one message that the upstream broker passed on.
type Delivery struct {
	Topic   string
	Payload []byte
}

// Stream is the first level of the topic: the campaigns' pipelines publish under
// topics that begin with their own.
func (d Delivery) Stream() string {
	first, _, _ := strings.Cut(d.Topic, "/")
	return first
}

// markTopic carries marks; see [Collector.Mark].
const markTopic = "campaign/mark"

// Collector keeps everything that a broker passes on. It acknowledges a message
// after having kept it, and its session outlives its connections, so that what
// is missing in it was not published.
type Collector struct {
	url    string
	source *mqtt.Source
	cancel context.CancelFunc
	ended  chan struct{}

	mu       sync.Mutex
	kept     []Delivery
	receiver *fleet.Receiver
	marks    int
	err      error
}

// StartCollector subscribes to filters at a broker. It returns at once; see
// [Collector.Connected].
func StartCollector(url string, filters ...string) (*Collector, error) {
	subs := []mqtt.Subscription{{Filter: markTopic, QoS: 1}}
	for _, f := range filters {
		subs = append(subs, mqtt.Subscription{Filter: f, QoS: 1})
	}
	source, err := mqtt.NewSource(mqtt.Config{URL: url, ClientID: "campaign-collector", ReconnectMax: reconnectMax}, subs)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := &Collector{url: url, source: source, cancel: cancel, ended: make(chan struct{}), receiver: fleet.NewReceiver(fleet.Config{})}
	go func() {
		defer close(c.ended)
		err := source.Run(ctx, c.take)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.err = err
	}()
	return c, nil
}

// Connected reports whether the subscriptions are in force.
func (c *Collector) Connected() bool { return c.source.Connected() }

// take keeps a batch, then acknowledges it.
func (c *Collector) take(_ context.Context, b edged.Batch) error {
	var acks []uint64
	c.mu.Lock()
	for _, m := range b.Messages {
		if m.Topic == markTopic {
			c.marks++
		} else {
			d := Delivery{Topic: m.Topic, Payload: slices.Clone(m.Payload)}
			c.kept = append(c.kept, d)
			// What is wrong with it is the judge's business.
			_, _ = c.receiver.Take(d.Stream(), d.Payload)
		}
		if m.Ack != 0 {
			acks = append(acks, m.Ack)
		}
	}
	c.mu.Unlock()
	c.source.Ack(acks)
	return nil
}

// Applied returns how many different results of a stream have arrived.
func (c *Collector) Applied(stream string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.receiver.Streams() {
		if s.Stream == stream {
			return int(s.Applied)
		}
	}
	return 0
}

// Deliveries returns what has arrived for a stream, repeats included.
func (c *Collector) Deliveries(stream string) []Delivery {
	c.mu.Lock()
	defer c.mu.Unlock()
	var of []Delivery
	for _, d := range c.kept {
		if d.Stream() == stream {
			of = append(of, d)
		}
	}
	return of
}

// Mark publishes a mark to the broker and returns how many marks will have
// arrived when it has: a broker passes messages on in order, so everything
// published before the mark is here when it is.
func (c *Collector) Mark(ctx context.Context) (want int, err error) {
	c.mu.Lock()
	want = c.marks + 1
	c.mu.Unlock()
	pub, err := mqtt.NewPublisher(mqtt.Config{URL: c.url})
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	taken, last := false, errors.New("no connection")
	err = pub.Run(ctx,
		func() { last = pub.Send([]edged.Row{{Seq: 1, Topic: markTopic, Payload: []byte("mark")}}) },
		func(err error) { last = err },
		func([]uint64) { taken = true; cancel() })
	if !taken {
		return 0, fmt.Errorf("publish a mark: %w", errors.Join(err, last))
	}
	return want, nil
}

// Marks returns how many marks have arrived.
func (c *Collector) Marks() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.marks
}

// Stop disconnects. It returns why the collector ended before, if it did.
func (c *Collector) Stop() error {
	c.cancel()
	<-c.ended
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}
