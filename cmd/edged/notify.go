package main

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// statusInterval is how often a service manager that wants no watchdog is told
// how things are.
const statusInterval = 15 * time.Second

// notifier tells the service manager how the daemon is, by the protocol of
// sd_notify(3): datagrams to the socket that NOTIFY_SOCKET names.
type notifier struct {
	conn   net.Conn
	feed   time.Duration // the watchdog's limit; 0: there is none
	status string        // told last
}

// newNotifier returns nil when no service manager listens.
func newNotifier(env func(string) string, pid int) (*notifier, error) {
	path := env("NOTIFY_SOCKET")
	if path == "" {
		return nil, nil
	}
	// A name that begins with @ is in the abstract space, which package net knows.
	conn, err := net.Dial("unixgram", path)
	if err != nil {
		return nil, fmt.Errorf("tell the service manager at NOTIFY_SOCKET=%s: %w; it will take edged for hung, if it waits for word", path, err)
	}
	return &notifier{conn: conn, feed: watchdogLimit(env, pid)}, nil
}

// watchdogLimit returns how long the service manager waits for a sign of life; 0
// when it expects none from this process.
func watchdogLimit(env func(string) string, pid int) time.Duration {
	if of := env("WATCHDOG_PID"); of != "" && of != strconv.Itoa(pid) {
		return 0
	}
	us, err := strconv.ParseInt(env("WATCHDOG_USEC"), 10, 64)
	if err != nil || us <= 0 {
		return 0
	}
	return time.Duration(us) * time.Microsecond
}

// send sends assignments in one datagram. A service manager that does not listen
// any more is no reason to stop.
func (n *notifier) send(lines ...string) {
	_, _ = n.conn.Write([]byte(strings.Join(lines, "\n")))
}

// interval is how often to look: several times within the watchdog's limit.
func (n *notifier) interval() time.Duration {
	if n.feed == 0 {
		return statusInterval
	}
	return min(n.feed/4, statusInterval)
}

// notify starts telling the service manager how the daemon is. stop is done when
// the daemon is to drain; it is told about until the part is ended.
func (d *daemon) notify(stop context.Context) *part {
	return start(context.WithoutCancel(stop), func(ctx context.Context) error {
		n, err := newNotifier(os.Getenv, os.Getpid())
		if n == nil || err != nil {
			if err != nil {
				d.log.Warn("the service manager cannot be told", "err", err)
			}
			return nil
		}
		defer n.conn.Close()
		n.follow(ctx, stop, d)
		return nil
	})
}

// follow tells the phases of a daemon's life, and in between that it lives.
func (n *notifier) follow(ctx, stop context.Context, d *daemon) {
	look := time.NewTicker(n.interval())
	defer look.Stop()
	ready, stopping := d.engine.Ready(), stop.Done()
	n.send("STATUS=recovering")
	pulse := newPulse(time.Now(), d.mark(), max(n.feed/2, 2*d.engine.Config().CommitInterval+time.Second))
	for {
		select {
		case <-ready:
			ready = nil
			n.send("READY=1", "STATUS=recovered")
		case <-stopping:
			stopping = nil
			n.send("STOPPING=1", "STATUS=draining")
		case now := <-look.C:
			alive := pulse.beats(now, d.mark())
			if alive && n.feed > 0 {
				n.send("WATCHDOG=1")
			}
			if ready == nil && stopping != nil {
				n.tell(d.statusLine(alive))
			}
		case <-ctx.Done():
			if stopping != nil && stop.Err() != nil { // both were done at once
				n.send("STOPPING=1", "STATUS=draining")
			}
			return
		}
	}
}

// tell sends a status that is news.
func (n *notifier) tell(status string) {
	if status != n.status {
		n.status = status
		n.send("STATUS=" + status)
	}
}

// statusLine is what systemctl status shows.
func (d *daemon) statusLine(alive bool) string {
	st, source, waiting := d.engine.Stats(), "connected", uint64(0)
	if !d.inlet.Connected() {
		source = cmp.Or(d.inlet.Stats().LastError, "not connected yet")
	}
	for _, w := range waitingRows(d.store.Position()) {
		waiting += w.rows
	}
	line := fmt.Sprintf("source: %s; %d events, %d results, %d wait for outputs", source, st.Events.Load(), st.Rows.Load(), waiting)
	switch {
	case st.OutboxBlocked.Load():
		line += "; the outbox is full and the input waits"
	case !alive:
		line += "; input waits and nothing moves"
	}
	return strings.ReplaceAll(line, "\n", " ")
}

// mark is how far the pipeline has come, and whether anything waits to go on.
type mark struct {
	received, acked, epochs int64
	commits                 uint64
	waiting                 bool // for the sequencer, the key actors or the committer
}

func (d *daemon) mark() mark {
	st, in := d.engine.Stats(), d.inlet.Stats()
	return mark{
		received: st.Received.Load(), acked: in.Acked, epochs: st.Epochs.Load(), commits: d.store.Stats().Commits,
		// A full outbox makes the input wait for the upstream, which no restart helps.
		waiting: !st.OutboxBlocked.Load() && (in.Unacked > 0 || d.engine.IntakeLevel() > 0),
	}
}

// pulse judges from marks whether the pipeline lives: what waits must move. A
// timer alone would go on ticking beside a sequencer that hangs, or a commit
// that never returns.
type pulse struct {
	last     mark
	moved    time.Time
	patience time.Duration
}

func newPulse(now time.Time, first mark, patience time.Duration) *pulse {
	return &pulse{last: first, moved: now, patience: patience}
}

// beats takes the mark of now, and reports whether the pipeline lives.
func (p *pulse) beats(now time.Time, m mark) bool {
	if m != p.last || !m.waiting {
		p.last, p.moved = m, now
	}
	return now.Sub(p.moved) < p.patience
}
