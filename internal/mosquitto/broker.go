package mosquitto

import (
	"errors"
	"testing"
)

// Option adds to a broker's configuration.
type Option func(dir string) []string

// Line adds lines to mosquitto.conf.
func Line(lines ...string) Option {
	return func(string) []string { return lines }
}

// Persistent makes the broker keep its sessions in the test's directory: saved
// when it is stopped, not when it is killed.
func Persistent() Option {
	return func(dir string) []string {
		return []string{"persistence true", "persistence_location " + dir + "/", "autosave_interval 1800"}
	}
}

// Unlimited removes the limits that make mosquitto drop messages. Start implies
// it unless [Stock] is given.
func Unlimited() Option { return Line("max_queued_messages 0", "max_inflight_messages 0") }

// Stock leaves mosquitto's own limits in force: 1000 queued messages, 20 in flight.
func Stock() Option {
	return func(string) []string { return []string{stockMark} }
}

const stockMark = "# stock limits"

// Broker is a broker that belongs to a test.
type Broker struct {
	*Process
	t testing.TB
}

// Start starts a broker for the test and ends it with it. Without mosquitto on
// the machine the test is skipped.
func Start(t testing.TB, opts ...Option) *Broker {
	t.Helper()
	dir := t.TempDir()
	lines, stock := []string(nil), false
	for _, opt := range opts {
		for _, line := range opt(dir) {
			stock = stock || line == stockMark
			lines = append(lines, line)
		}
	}
	if !stock {
		lines = append(Unlimited()(dir), lines...) // mosquitto takes the last of two
	}
	p, err := Launch(dir, lines...)
	if errors.Is(err, ErrNotInstalled) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	b := &Broker{Process: p, t: t}
	t.Cleanup(func() {
		b.Kill()
		if t.Failed() {
			t.Logf("mosquitto on %s:\n%s", p.Addr(), p.Log())
		}
	})
	return b
}

// Stop is [Process.Stop]; a failure fails the test.
func (b *Broker) Stop() { b.must(b.Process.Stop()) }

// Kill is [Process.Kill]; a failure fails the test.
func (b *Broker) Kill() { b.must(b.Process.Kill()) }

// Restart is [Process.Restart]; a failure fails the test.
func (b *Broker) Restart() { b.must(b.Process.Restart()) }

func (b *Broker) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}
