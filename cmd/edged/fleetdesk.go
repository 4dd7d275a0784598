package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"edged/fleet/operator"
	"edged/fleet/protocol"
	"edged/fleet/trust"
	"edged/mqtt"
)

const (
	deskTick      = 100 * time.Millisecond // how often time is looked at
	deskNotes     = 1024                   // messages that may wait to be looked at
	settleMost    = 10                     // how many times --settle the broker may take to tell all
	clientIDBytes = 6
)

// desk is an operator's connection to a fleet: what comes in is folded into a view,
// by one goroutine, the one that calls its methods.
type desk struct {
	flags   *fleetFlags
	home    *operatorHome
	ring    *trust.Ring // nil: no root is pinned, so nothing can be signed
	view    *operator.View
	control *mqtt.Control
	notes   chan mqtt.Note
	running *part
	warn    func(format string, args ...any)
	chain   []byte // what the broker has on _trust

	mu     sync.Mutex
	failed []func() // notes that did not reach the broker, to be told to whoever sent them
	flying int      // notes on their way
}

// openDesk connects. Nil filters stand for all that operators listen to; the keyrings
// are always listened to.
func openDesk(ctx context.Context, f *fleetFlags, cmd *cobra.Command, filters ...string) (*desk, error) {
	home, err := openHome(f.home, f.fleet)
	if err != nil {
		return nil, err
	}
	view, err := operator.NewView(f.prefix, f.fleet)
	if err != nil {
		return nil, failed(exitUsage, err)
	}
	cfg, err := f.mqttConfig()
	if err != nil {
		return nil, err
	}
	var chance [clientIDBytes]byte
	if _, err := rand.Read(chance[:]); err != nil {
		return nil, fmt.Errorf("choose a client id: %w", err)
	}
	cfg.ClientID, cfg.Logger = "edged-operator-"+hex.EncodeToString(chance[:]), slog.New(slog.DiscardHandler)
	control := mqtt.ControlConfig{Config: cfg}
	if filters == nil {
		filters = protocol.OperatorFilters(f.prefix, f.fleet)
	}
	for _, filter := range append(filters, f.prefix+"/"+f.fleet+"/_trust") {
		control.Subscriptions = append(control.Subscriptions, mqtt.Subscription{Filter: filter, QoS: 1})
	}
	d := &desk{flags: f, home: home, view: view, notes: make(chan mqtt.Note, deskNotes)}
	d.warn = func(format string, args ...any) { fmt.Fprintf(cmd.ErrOrStderr(), format+"\n", args...) }
	if d.ring, _, err = home.ring(); err != nil && exitCode(err) != exitConfig {
		return nil, err
	}
	if d.ring != nil {
		view.Trust(d.ring, clock(time.Now()))
	}
	if d.control, err = mqtt.NewControl(control); err != nil {
		return nil, failed(exitUsage, err)
	}
	d.running = start(ctx, func(ctx context.Context) error {
		return d.control.Run(ctx, mqtt.ControlHooks{Receive: func(ctx context.Context, n mqtt.Note) error {
			select {
			case d.notes <- n:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}})
	})
	return d, d.settle(ctx)
}

// close ends the connection.
func (d *desk) close() error {
	if d == nil || d.running == nil {
		return nil
	}
	return d.running.end()
}

// withDesk runs a command that needs a connection, until it is done or somebody
// interrupts it.
func withDesk(f *fleetFlags, cmd *cobra.Command, run func(ctx context.Context, d *desk) error, filters ...string) error {
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // the second signal finds the default behaviour
	d, err := openDesk(ctx, f, cmd, filters...)
	if err == nil {
		err = run(ctx, d)
	}
	return errors.Join(err, d.close())
}

// settle waits until the broker is reached and has told what it has kept: it does not
// say when that is, so silence must do.
func (d *desk) settle(ctx context.Context) error {
	begun, quiet := time.Now(), time.Now()
	up := false
	return d.loop(ctx, func(operator.News) error { quiet = time.Now(); return nil }, func(now time.Time) (bool, error) {
		if !up {
			if up = d.control.Stats().Connected; !up {
				quiet = now
			}
			if !up && now.Sub(begun) > d.flags.connect {
				return true, failed(exitConnect, fmt.Errorf("reach the broker %s within %v: %s", d.flags.broker, d.flags.connect, d.control.Stats().LastError))
			}
			return false, nil
		}
		return now.Sub(quiet) >= d.flags.settle || now.Sub(begun) > settleMost*d.flags.settle+d.flags.connect, nil
	})
}

// loop handles messages and the passing of time, until tick says that it is over.
func (d *desk) loop(ctx context.Context, news func(operator.News) error, tick func(now time.Time) (over bool, err error)) error {
	ticker := time.NewTicker(deskTick)
	defer ticker.Stop()
	for {
		if over, err := tick(time.Now()); over || err != nil {
			return err
		}
		select {
		case n := <-d.notes:
			if err := d.take(n, news); err != nil {
				return err
			}
		case <-ticker.C:
			d.mu.Lock()
			lost := d.failed
			d.failed = nil
			d.mu.Unlock()
			for _, f := range lost {
				f()
			}
		case <-d.running.done:
			return failed(exitConnect, errors.Join(d.running.err, context.Cause(ctx)))
		case <-ctx.Done():
			return failed(exitUnexpected, errInterrupted)
		}
	}
}

// errInterrupted says that somebody ended a command before it was done.
var errInterrupted = errors.New("interrupted")

// take handles what is here: one message, and those behind it.
func (d *desk) take(n mqtt.Note, news func(operator.News) error) error {
	for {
		if err := d.one(n, news); err != nil {
			return err
		}
		select {
		case n = <-d.notes:
		default:
			return nil
		}
	}
}

func (d *desk) one(n mqtt.Note, news func(operator.News) error) error {
	if n.Topic == d.flags.prefix+"/"+d.flags.fleet+"/_trust" {
		for _, name := range d.trust(n.Payload) { // what is believed of it has changed
			if err := news(operator.News{Gateway: name, Kind: protocol.KindReported}); err != nil {
				return err
			}
		}
		return nil
	}
	what, err := d.view.Observe(operator.Message{Topic: n.Topic, Payload: n.Payload, Retained: n.Retain}, time.Now().UnixMilli())
	if err != nil {
		d.warn("ignored: %v", err) // anybody may publish anything
		return nil
	}
	return news(what)
}

// trust follows the keyrings that are published, and returns the gateways of which
// something else is believed since.
func (d *desk) trust(chain []byte) (changed []string) {
	d.chain = chain
	if d.ring == nil || len(chain) == 0 {
		return nil
	}
	ring, newer, err := d.home.follow(chain)
	if newer {
		d.ring = ring
		changed = d.view.Trust(ring, clock(time.Now()))
		d.warn("keyring %d is in force, epoch %d", ring.Version(), ring.Epoch())
	}
	if err != nil && !errors.Is(err, trust.ErrStale) {
		d.warn("the keyrings on the broker lead not further than %d: %v", d.ring.Version(), err)
	}
	return changed
}

// send publishes a note. If it does not reach the broker, lost is called from loop.
func (d *desk) send(n mqtt.Note, lost func()) {
	d.mu.Lock()
	d.flying++
	d.mu.Unlock()
	done := func(err error) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.flying--
		if err != nil {
			d.failed = append(d.failed, lost)
		}
	}
	if err := d.control.Send(n, done); err != nil {
		done(err)
	}
}

// idle reports whether all that was sent has reached the broker.
func (d *desk) idle() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.flying == 0 && len(d.failed) == 0
}

// publish sends notes and waits until the broker has them all.
func (d *desk) publish(ctx context.Context, notes ...mqtt.Note) error {
	return d.loop(ctx, func(operator.News) error { return nil }, func(time.Time) (bool, error) {
		again := notes
		notes = nil
		for _, n := range again {
			d.send(n, func() { notes = append(notes, n) })
		}
		return len(notes) == 0 && d.idle(), nil
	})
}

// topic returns a topic of the fleet.
func (d *desk) topic(t protocol.Topic) (string, error) {
	t.Fleet = d.flags.fleet
	return t.Format(d.flags.prefix)
}

// signer returns the keyring and our entry in it.
func (d *desk) signer(key trust.SecretKey) (trust.Key, error) {
	if d.ring == nil {
		_, _, err := d.home.ring()
		return trust.Key{}, err
	}
	entry, err := d.ring.Valid(key.Public().ID())
	if err != nil {
		return entry, failed(exitConfig, fmt.Errorf("our key may not sign: %w; see edged fleet keyring show", err))
	}
	return entry, nil
}

// gatewayFilters are what a command for one gateway listens to.
func gatewayFilters(f *fleetFlags, gateway string) ([]string, error) {
	if err := trust.CheckName(gateway); err != nil {
		return nil, failed(exitUsage, fmt.Errorf("gateway: %w", err))
	}
	own := f.prefix + "/" + f.fleet + "/" + gateway + "/"
	return []string{own + "state", own + "info", own + "reported", own + "rsp/+", own + "evt/+", own + "hb"}, nil
}

// clock returns the time as the pure rooms want it.
func clock(t time.Time) int64 { return t.UnixMilli() }
