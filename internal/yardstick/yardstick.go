//go:build unix

package yardstick

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"syscall"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// connectTimeout bounds connecting and subscribing, each.
const connectTimeout = 10 * time.Second

// Config says what to listen to.
type Config struct {
	URL    string // of the broker, tcp://host:port
	Filter string // of the subscription, QoS 1
	Events int    // to receive before Run returns, at least 1
}

// Report is what a run cost, from the subscription to the last event.
type Report struct {
	Events   int     `json:"events"`
	Bad      int     `json:"bad"`              // of them, not readable
	Keys     int     `json:"keys"`             // devices seen
	CPU      float64 `json:"cpu_us_per_event"` // user and system
	RSSMax   int64   `json:"max_rss"`          // bytes, of the whole life
	WallTime float64 `json:"wall"`             // seconds, from the first event on
	Checksum float64 `json:"checksum"`         // of all sums, so that nothing is optimised away
}

// reading is the payload that the simulator sends.
type reading struct {
	Device string  `json:"device"`
	TS     int64   `json:"ts"`
	Temp   float64 `json:"temp"`
	Hum    float64 `json:"hum"`
}

// tally is what is kept of a device.
type tally struct {
	count    int
	sum      float64
	min, max float64
}

// counter folds messages. paho calls it from one goroutine: its default is to
// keep the order.
type counter struct {
	left    int
	bad     int
	tallies map[string]*tally
	first   time.Time
	done    chan struct{}
}

func (c *counter) handle(_ mqtt.Client, message mqtt.Message) {
	if c.left == 0 {
		return
	}
	if c.first.IsZero() {
		c.first = time.Now()
	}
	c.fold(message.Payload())
	if c.left--; c.left == 0 {
		close(c.done)
	}
}

func (c *counter) fold(payload []byte) {
	var r reading
	if err := json.Unmarshal(payload, &r); err != nil {
		c.bad++
		return
	}
	t := c.tallies[r.Device]
	if t == nil {
		t = &tally{min: r.Temp, max: r.Temp}
		c.tallies[r.Device] = t
	}
	t.count++
	t.sum += r.Temp
	t.min = min(t.min, r.Temp)
	t.max = max(t.max, r.Temp)
}

// Run subscribes, calls ready, and returns when it has received cfg.Events
// messages or ctx ends.
func Run(ctx context.Context, cfg Config, ready func()) (Report, error) {
	if cfg.Events < 1 {
		return Report{}, fmt.Errorf("yardstick: %d events; it must be at least 1", cfg.Events)
	}
	c := &counter{left: cfg.Events, tallies: map[string]*tally{}, done: make(chan struct{})}
	client := mqtt.NewClient(mqtt.NewClientOptions().AddBroker(cfg.URL).SetClientID("yardstick"))
	if err := wait(client.Connect()); err != nil {
		return Report{}, fmt.Errorf("yardstick: connect to %s: %w", cfg.URL, err)
	}
	defer client.Disconnect(250)
	if err := wait(client.Subscribe(cfg.Filter, 1, c.handle)); err != nil {
		return Report{}, fmt.Errorf("yardstick: subscribe to %s: %w", cfg.Filter, err)
	}
	before, _ := usage()
	ready()
	select {
	case <-c.done:
	case <-ctx.Done():
		return Report{}, context.Cause(ctx)
	}
	after, rss := usage()
	report := Report{
		Events: cfg.Events, Bad: c.bad, Keys: len(c.tallies), RSSMax: rss,
		CPU:      float64((after - before).Nanoseconds()) / 1000 / float64(cfg.Events),
		WallTime: time.Since(c.first).Seconds(),
	}
	for _, t := range c.tallies {
		report.Checksum += t.sum
	}
	return report, nil
}

func wait(token mqtt.Token) error {
	if !token.WaitTimeout(connectTimeout) {
		return errors.New("no answer")
	}
	return token.Error()
}

// usage returns the CPU time and the peak resident set of this process.
func usage() (cpu time.Duration, rss int64) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, 0
	}
	unit := int64(1024)
	if runtime.GOOS == "darwin" {
		unit = 1
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), int64(u.Maxrss) * unit
}
