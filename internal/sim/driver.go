package sim

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"edged"
)

// Publisher is what [Drive] needs of an MQTT client; mqtt.Publisher is one.
type Publisher interface {
	// Run connects, and connects again, until ctx ends. It calls up after each
	// connect, down after each loss, and confirmed with the Seq of rows that the
	// broker has acknowledged, all from one goroutine.
	Run(ctx context.Context, up func(), down func(error), confirmed func(seqs []uint64)) error

	// Send publishes rows at QoS 1. An error means that they have to be sent again.
	Send(rows []edged.Row) error
}

// Limits of a [DriverConfig].
const (
	WindowMax             = 1000
	DefaultConnectTimeout = 10 * time.Second

	sendBatchMax = 128                    // rows per Send: keeps the window moving
	refusalsMax  = 100                    // refused Sends while connected and nothing is confirmed
	retryAfter   = 100 * time.Millisecond // a refused Send
	paceTick     = time.Millisecond
)

// ErrNotConnected says that the broker could not be reached at all.
var ErrNotConnected = errors.New("sim: cannot connect to the broker")

// DriverConfig says how samples are published.
type DriverConfig struct {
	// Rate is how many samples are published per second, repeats not counted, from the
	// first connect on. 0 means as fast as the broker acknowledges.
	Rate float64

	// Window is how many publishes may be unacknowledged, at most [WindowMax],
	// which is also what 0 means.
	Window int

	// Duration ends publishing after this long. 0 means when the source ends.
	Duration time.Duration

	// ConnectTimeout bounds the wait for the first connection. 0 means
	// [DefaultConnectTimeout]. Later losses are waited out without bound.
	ConnectTimeout time.Duration

	// Sent is called just before a sample is published for the first time. It
	// must not block. May be nil.
	Sent func(s *Sample)

	// Acked is called once per sample when the broker has taken it: this is the
	// ledger. It must not block. May be nil. Sent and Acked never run at the same
	// time.
	Acked func(s *Sample)
}

// Validate reports everything that is wrong with c.
func (c *DriverConfig) Validate() error {
	var errs []error
	if !(c.Rate >= 0) {
		errs = append(errs, fmt.Errorf("driver: rate is %v; it must not be negative", c.Rate))
	}
	if c.Window < 0 || c.Window > WindowMax {
		errs = append(errs, fmt.Errorf("driver: window is %d; it must be 1 to %d", c.Window, WindowMax))
	}
	if c.Duration < 0 || c.ConnectTimeout < 0 {
		errs = append(errs, errors.New("driver: durations must not be negative"))
	}
	return errors.Join(errs...)
}

// Drive publishes all samples of src and waits for their acknowledgements. The
// summary is right up to the point where Drive ended, also with an error:
// [ErrNotConnected], the source's, the publisher's, or the cause of ctx's end.
func Drive(ctx context.Context, pub Publisher, src Source, cfg DriverConfig) (Summary, error) {
	if err := cfg.Validate(); err != nil {
		return Summary{}, err
	}
	d := newDriver(pub, src, cfg)
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- pub.Run(running, d.up, d.down, d.confirmed) }()

	err := d.loop(ctx, ended)
	stop()
	if !errors.Is(err, errEnded) {
		<-ended
	}
	return d.finish(), err
}

// driver is one run of Drive.
//
// Samples are numbered 1, 2, 3 ... Those in [head, made) are kept in a ring:
// taken from the source, not yet acknowledged. Those in [next, made) are to be
// sent (again).
//
// Invariant: head <= next <= made <= head+len(slots).
type driver struct {
	pub   Publisher
	src   Source
	cfg   DriverConfig
	slots []slot
	rows  []edged.Row   // reused by every Send
	wake  chan struct{} // capacity 1: something below has changed

	mu       sync.Mutex
	head     uint64
	next     uint64
	made     uint64
	isUp     bool
	connects int
	lastDown error
	dry      bool // the source has ended, or time is up
	started  time.Time
	refusals int // Sends refused since anything went well
	total    Summary
	cpu      time.Duration
}

// slot keeps what one unacknowledged sample may need again.
type slot struct {
	sample  Sample
	payload []byte
	sent    bool
	acked   bool
}

func newDriver(pub Publisher, src Source, cfg DriverConfig) *driver {
	if cfg.Window == 0 {
		cfg.Window = WindowMax
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = DefaultConnectTimeout
	}
	return &driver{
		pub: pub, src: src, cfg: cfg,
		slots: make([]slot, cfg.Window), wake: make(chan struct{}, 1),
		head: 1, next: 1, made: 1,
	}
}

// errEnded marks errors after which the publisher's Run has returned already.
var errEnded = errors.New("sim: the publisher stopped")

// loop sends what may be sent and waits for a reason to look again.
func (d *driver) loop(ctx context.Context, ended <-chan error) error {
	connect := time.NewTimer(d.cfg.ConnectTimeout)
	defer connect.Stop()
	for {
		wait, err := d.step()
		if err != nil || wait == 0 {
			return err
		}
		timer := time.NewTimer(wait)
		select {
		case <-d.wake:
		case <-timer.C:
		case <-connect.C:
			if err := d.neverConnected(); err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		case err := <-ended:
			return errors.Join(errEnded, context.Cause(ctx), d.neverConnected(), err)
		}
		timer.Stop()
	}
}

// forever is a wait that only a wake-up ends.
const forever = time.Hour

// step sends until nothing more can be sent. It returns how long to wait at
// most, and 0 at the end.
func (d *driver) step() (wait time.Duration, err error) {
	for {
		rows, wait, err := d.fill()
		if err != nil || len(rows) == 0 {
			return wait, err
		}
		if err := d.pub.Send(rows); err != nil {
			return retryAfter, d.refused(rows[0].Seq, err)
		}
	}
}

// fill takes the next rows to send: those left over from a lost connection
// first, then new ones as pace and window allow.
func (d *driver) fill() (rows []edged.Row, wait time.Duration, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dry && d.head == d.made {
		return nil, 0, d.src.Err()
	}
	if !d.isUp {
		return nil, forever, nil
	}
	wait = d.makeSamples()
	rows = d.rows[:0]
	for ; d.next < d.made && len(rows) < sendBatchMax; d.next++ {
		s := d.slot(d.next)
		if s.acked {
			continue
		}
		if s.sent {
			d.total.Resent++
		}
		s.sent = true
		rows = append(rows, edged.Row{Seq: d.next, Topic: d.src.Topic(s.sample.Device), Payload: s.payload})
	}
	d.rows = rows
	if d.dry && d.head == d.made {
		return nil, 0, d.src.Err()
	}
	return rows, wait, nil
}

// makeSamples takes new samples from the source, at most a batch, and returns
// how long to wait when there is nothing to send.
func (d *driver) makeSamples() time.Duration {
	if d.cfg.Duration > 0 && time.Since(d.started) >= d.cfg.Duration {
		d.dry = true
	}
	room := min(d.head+uint64(len(d.slots))-d.made, sendBatchMax)
	wait := forever
	if d.cfg.Rate > 0 {
		due := uint64(time.Since(d.started).Seconds() * d.cfg.Rate)
		// A publisher's repeats come on top: counted, they would make the readings'
		// time fall behind the clock.
		fresh := d.made - 1 - uint64(d.total.Duplicates)
		room = min(room, due-min(due, fresh))
		wait = paceTick
	} else if d.cfg.Duration > 0 {
		wait = paceTick
	}
	for ; room > 0 && !d.dry; room-- {
		d.takeSample()
	}
	return wait
}

func (d *driver) takeSample() {
	s := d.slot(d.made)
	if !d.src.Next(&s.sample) {
		d.dry = true
		return
	}
	s.payload = d.src.AppendPayload(s.payload[:0], &s.sample)
	s.sent, s.acked = false, false
	if d.cfg.Sent != nil {
		d.cfg.Sent(&s.sample)
	}
	d.total.count(&s.sample, len(s.payload))
	d.made++
}

// refused takes back rows that were not sent. It gives up only when a connected
// publisher keeps refusing: while it is down, up comes in time.
func (d *driver) refused(from uint64, err error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.next = max(min(d.next, from), d.head)
	if d.refusals++; d.isUp && d.refusals >= refusalsMax {
		return fmt.Errorf("sim: publish to %s: %w", d.src.Topic(d.slot(from).sample.Device), err)
	}
	return nil
}

// neverConnected returns ErrNotConnected, unless there was a connection.
func (d *driver) neverConnected() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.connects > 0 {
		return nil
	}
	if d.lastDown != nil {
		return fmt.Errorf("%w: %w", ErrNotConnected, d.lastDown)
	}
	return ErrNotConnected
}

func (d *driver) slot(seq uint64) *slot { return &d.slots[seq%uint64(len(d.slots))] }

func (d *driver) signal() {
	select {
	case d.wake <- struct{}{}:
	default: // a wake-up is pending already
	}
}

// up makes everything unacknowledged be sent again.
func (d *driver) up() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.connects++; d.connects == 1 {
		d.started, d.cpu = time.Now(), CPUTime()
	}
	d.isUp, d.next, d.refusals = true, d.head, 0
	d.signal()
}

func (d *driver) down(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.isUp, d.lastDown = false, err
	d.signal()
}

func (d *driver) confirmed(seqs []uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, seq := range seqs {
		if seq < d.head || seq >= d.made || d.slot(seq).acked {
			continue // confirmed twice, as after a reconnect
		}
		s := d.slot(seq)
		s.acked = true
		d.total.Acked++
		if d.cfg.Acked != nil {
			d.cfg.Acked(&s.sample)
		}
	}
	for d.head < d.made && d.slot(d.head).acked {
		d.head++
	}
	d.next = max(d.next, d.head)
	d.refusals = 0
	d.signal()
}

func (d *driver) finish() Summary {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.total.Reconnects = max(0, d.connects-1)
	if d.connects > 0 {
		d.total.measure(time.Since(d.started), CPUTime()-d.cpu)
	}
	return d.total
}
