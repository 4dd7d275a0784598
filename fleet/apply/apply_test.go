package apply

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"edged/fleet/protocol"
)

var seedFlag = flag.Uint64("seed", 0, "seed of the random trials; 0: a new one")

var errPower = errors.New("power is gone")

// disk keeps the state as bytes, and may lose power before or after a write.
type disk struct {
	text  []byte
	left  int // writes until power is gone; below 0: never
	saves int
}

func (d *disk) Load() (s State, err error) {
	if d.text != nil {
		err = json.Unmarshal(d.text, &s)
	}
	return s, err
}

func (d *disk) Save(s State) error {
	d.saves++
	if d.left == 0 {
		return errPower
	}
	d.left--
	text, err := json.Marshal(s)
	d.text = text
	if d.left == 0 {
		return errors.Join(err, errPower) // it is written, and nobody knows
	}
	return err
}

// box is a gateway. What a configuration does to it is written in it.
type box struct {
	mu        sync.Mutex
	running   Version  // speaks; it and the next outlast the process
	listening *Version // nil: none
	tried     Version  // whose manner shows
	health    Health
	refused   int64  // messages, by what listens
	dies      func() // ends the process
	log       []string
}

// manner is a configuration.
type manner struct {
	Fails string `json:"fails"` // a step
	Until int    `json:"until"` // process dies that many seconds after the switch; 0: never
}

func mannerOf(v Version) (m manner) {
	if v.Config != nil {
		if err := json.Unmarshal(v.Config, &m); err != nil {
			panic(err)
		}
	}
	return m
}

func (b *box) step(name string, v Version) error {
	b.log = append(b.log, fmt.Sprintf("%s %d", name, v.Number))
	if mannerOf(v).Fails == name {
		return &Fault{protocol.CodeSchema, "pipelines[0]", errors.New(name + " fails")}
	}
	return nil
}

func (b *box) Verify(v Version) error                    { return b.step("verify", v) }
func (b *box) Plan(v Version, _ protocol.Apply) error    { return b.step("plan", v) }
func (b *box) DryRun(_ context.Context, v Version) error { return b.step("dry", v) }

func (b *box) Try(_ context.Context, v Version, _ protocol.Apply) (err error) {
	if err = b.step("try", v); err == nil {
		b.listening = &v
		b.show(v)
	}
	return err
}

func (b *box) Standing(v Version) Standing {
	switch {
	case v.Is(b.running):
		return Speaks
	case b.listening != nil && v.Is(*b.listening):
		return Listens
	}
	return Absent
}

func (b *box) Switch(_ context.Context, v Version) (err error) {
	if b.Standing(v) != Listens {
		panic("it does not listen")
	}
	if err = b.step("switch", v); err == nil {
		b.mu.Lock()
		for range 30 * min(b.running.Number, 1) { // until a version steps back, messages come
			b.count()
		}
		b.mu.Unlock()
		before := b.running
		b.running, b.listening = v, &before
		b.show(v)
	}
	return err
}

func (b *box) Settle(context.Context, bool) error {
	if b.listening != nil {
		b.log = append(b.log, fmt.Sprintf("end %d", b.listening.Number))
		b.listening = nil
		b.show(b.running)
	}
	return nil
}

// start is what a process makes of the state that it finds.
func (b *box) start(s *State) {
	t := s.Trial
	switch {
	case t == nil:
		b.running, b.listening = s.Active, nil
	case b.listening == nil || b.Standing(t.Version) == Absent || b.Standing(s.Active) == Absent:
		b.running, b.listening = s.Active, nil
	}
	b.show(b.running)
	if b.listening != nil && t.Is(*b.listening) {
		b.show(*b.listening)
	}
}

func (b *box) Health() Health {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := b.health
	if b.listening != nil && b.tried.Is(*b.listening) {
		h.Errors = b.refused
	}
	b.count()
	return h
}

// wait sets how many messages wait.
func (b *box) wait(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.health.Stuck = n
}

// show is what a version does when it begins to run, or to speak.
func (b *box) show(v Version) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tried = v
	b.health.Down = nil
	b.health.Up, b.health.Linked, b.health.Stuck, b.health.StuckMax = []string{"source", "uplink"}, true, 0, 100
	m := mannerOf(v)
	if (m.Fails == "source" || m.Fails == "link") && !v.Is(b.running) {
		return
	}
	switch m.Fails {
	case "source":
		b.health.Up, b.health.Down = b.health.Up[1:], b.health.Up[:1]
	case "link":
		b.health.Linked = false
	case "slow":
		b.health.Stuck = 99
	case "crash":
		if dies := b.dies; dies != nil {
			time.AfterFunc(time.Duration(m.Until)*time.Second, dies)
		}
	}
}

// count is a second of messages.
func (b *box) count() {
	messages, busy := int64(100), 50*time.Millisecond
	switch mannerOf(b.tried).Fails {
	case "costs": // so much that there is time for nothing else
		busy = 950 * time.Millisecond
	case "costs some": // and there is time for it
		busy = 850 * time.Millisecond
	case "backlog":
		messages, busy = 1900, 950*time.Millisecond
	}
	b.health.Messages += messages
	b.health.Busy += busy
	switch mannerOf(b.tried).Fails {
	case "errors once it speaks":
		if b.tried.Is(b.running) {
			b.health.Errors += 5
		}
	case "errors":
		if b.tried.Is(b.running) {
			b.health.Errors += 5
		} else {
			b.refused += 5
		}
	case "panic":
		b.health.Broken++
	}
}

func desired(number uint64, m manner, confirm string) *protocol.Desired {
	text, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return &protocol.Desired{Epoch: 1, Version: number, Config: text, Apply: protocol.Apply{Health: 60_000, Deadline: 120_000, Confirm: confirm, State: protocol.StateKeep}}
}

// life runs one process, until it dies or stop. Use gets the applier once it runs.
func life(t *testing.T, d *disk, b *box, use func(a *Applier)) (last State, err error) {
	t.Helper()
	s, _, err := Begin(d)
	if err != nil {
		return s, err
	}
	ctx, stop := context.WithCancelCause(t.Context())
	b.dies = func() { stop(errPower) }
	b.health = Health{}
	b.start(&s)
	a := New(b, d, s, func(s State) { last = s })
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	use(a)
	synctest.Wait()
	if ctx.Err() == nil {
		stop(nil)
	}
	err = <-ended
	if c := context.Cause(ctx); err == nil && errors.Is(c, errPower) {
		err = c
	}
	b.dies = nil
	return last, err
}

// TestVersions: what comes of versions that are good, and of those that are not, each in
// its own way.
func TestVersions(t *testing.T) {
	for _, c := range []struct {
		fails, confirm      string
		runs                uint64
		status, phase, says string
		takes               time.Duration
	}{
		{"", protocol.ConfirmNone, 2, protocol.StatusApplied, protocol.PhaseCommitted, "", time.Minute + Settling},
		{"verify", "", 1, protocol.StatusRejected, protocol.PhaseVerify, "verify fails", 0},
		{"plan", "", 1, protocol.StatusRejected, protocol.PhasePlan, "plan fails", 0},
		{"dry", "", 1, protocol.StatusFailed, protocol.PhaseDryRun, "dry fails", 0},
		{"try", "", 1, protocol.StatusFailed, protocol.PhaseCheckpoint, "try fails", 0},
		{"switch", "", 1, protocol.StatusRolledBack, protocol.PhaseRollback, "switch fails", time.Minute},
		{"errors", "", 1, protocol.StatusRolledBack, protocol.PhaseRollback, "5 errors in 100 messages", 2 * time.Second},
		{"panic", "", 1, protocol.StatusRolledBack, protocol.PhaseRollback, "1 panics", 2 * time.Second},
		{"source", "", 1, protocol.StatusRolledBack, protocol.PhaseRollback, "source was connected", time.Minute + Settling + time.Second},
		{"slow", "", 1, protocol.StatusRolledBack, protocol.PhaseRollback, "does not keep up", (stuckTicks + 1) * time.Second},
		{"costs", "", 1, protocol.StatusRolledBack, protocol.PhaseRollback, "all time was work, 9.5ms for a message; before it was 500µs", (stuckTicks + 1) * time.Second},
		{"backlog", protocol.ConfirmNone, 2, protocol.StatusApplied, protocol.PhaseCommitted, "", time.Minute + Settling},
		{"costs some", protocol.ConfirmNone, 2, protocol.StatusApplied, protocol.PhaseCommitted, "", time.Minute + Settling},
		{"link", protocol.ConfirmSession, 1, protocol.StatusRolledBack, protocol.PhaseRollback, "management link", time.Minute + Settling},
		{"link", protocol.ConfirmNone, 2, protocol.StatusApplied, protocol.PhaseCommitted, "", time.Minute + Settling},
		{"", protocol.ConfirmOperator, 1, protocol.StatusRolledBack, protocol.PhaseRollback, "nobody has confirmed", 2 * time.Minute},
	} {
		t.Run(c.fails+c.confirm, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, b := &disk{left: -1}, &box{}
				last, err := life(t, d, b, func(a *Applier) {
					a.Desired(desired(1, manner{}, protocol.ConfirmNone))
					time.Sleep(time.Minute + Settling + time.Millisecond)
					synctest.Wait()
					a.Desired(desired(2, manner{Fails: c.fails}, c.confirm))
					time.Sleep(c.takes + time.Millisecond)
				})
				if err != nil {
					t.Fatal(err)
				}
				if got := last.Active.Number; got != c.runs || b.running.Number != c.runs || b.listening != nil || last.Trial != nil {
					t.Errorf("version %d is in effect, %d runs, want %d", got, b.running.Number, c.runs)
				}
				if last.Last.Number != 2 || last.Last.Status != c.status || last.Last.Phase != c.phase {
					t.Errorf("reported %+v", last.Last)
				}
				if f := last.Last.Fault; (f == nil) != (c.says == "") || f != nil && !strings.Contains(f.Message, c.says) {
					t.Errorf("fault %+v, want %q", f, c.says)
				}
				if f := last.Last.Fault; f != nil && strings.HasSuffix(c.says, " fails") && f.Path != "pipelines[0]" {
					t.Errorf("place %q", f.Path)
				}
				if stored, _ := d.Load(); stored.failed(Version{Epoch: 1, Number: 2}) != (c.runs == 1) {
					t.Errorf("failed versions: %v", stored.Failed)
				}
			})
		})
	}
}

// TestConfirm: an operator's word ends the trial, that for another version does not.
func TestConfirm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, b := &disk{left: -1}, &box{}
		last, err := life(t, d, b, func(a *Applier) {
			a.Desired(desired(3, manner{}, protocol.ConfirmOperator))
			time.Sleep(90 * time.Second)
			a.Confirm(1, 2)
			synctest.Wait()
			if s, _ := d.Load(); s.Trial == nil {
				t.Error("confirmed by a word for another version")
			}
			if err := a.Retry(t.Context()); !errors.Is(err, errBusy) {
				t.Errorf("retry during a trial: %v", err)
			}
			a.Confirm(1, 3)
			time.Sleep(Settling + time.Millisecond)
		})
		if err != nil || last.Active.Number != 3 || last.Trial != nil {
			t.Errorf("%+v, %v", last, err)
		}
	})
}

// TestNewerVersion: one that comes during a trial ends it.
func TestNewerVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, b := &disk{left: -1}, &box{}
		last, err := life(t, d, b, func(a *Applier) {
			a.Desired(desired(1, manner{}, protocol.ConfirmNone))
			time.Sleep(10 * time.Second)
			a.Desired(desired(1, manner{}, protocol.ConfirmNone)) // the same again does not
			time.Sleep(10 * time.Second)
			a.Desired(desired(2, manner{}, protocol.ConfirmNone))
			time.Sleep(91 * time.Second)
		})
		if got := strings.Join(b.log, ", "); err != nil || last.Active.Number != 2 ||
			got != "verify 1, plan 1, dry 1, try 1, end 1, verify 2, plan 2, dry 2, try 2, switch 2, end 0" {
			t.Errorf("%+v, %v: %s", last, err, got)
		}
	})
}

// TestTrialsEnd lets processes die anywhere, by versions that kill them and by power
// cuts. Whatever happens, what runs is what the state says, a version that kills the
// process is given up, and after quiet the newest version that is good is in effect.
func TestTrialsEnd(t *testing.T) {
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed: -seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for n := range 300 {
		synctest.Test(t, func(t *testing.T) { trials(t, r, n) })
	}
}

func trials(t *testing.T, r *rand.Rand, n int) {
	d, b := &disk{left: -1}, &box{}
	ways := []string{"", "", "", "verify", "plan", "dry", "try", "switch", "errors", "panic", "source", "crash"}
	good := map[uint64]bool{0: true}
	var newest *protocol.Desired
	number := uint64(0)
	for range 2 + r.IntN(6) {
		d.left = -1
		if r.IntN(2) == 0 {
			d.left = 1 + r.IntN(8)
		}
		last, err := life(t, d, b, func(a *Applier) {
			if newest != nil {
				a.Desired(newest)
			}
			for range r.IntN(3) {
				time.Sleep(time.Duration(r.IntN(100)) * time.Second)
				number++
				m := manner{Fails: ways[r.IntN(len(ways))], Until: 1 + r.IntN(50)}
				good[number] = m.Fails == ""
				newest = desired(number, m, protocol.ConfirmNone)
				a.Desired(newest)
				synctest.Wait()
			}
			time.Sleep(time.Duration(r.IntN(100)) * time.Second)
		})
		if err != nil && !errors.Is(err, errPower) && !errors.Is(err, ErrStart) {
			t.Fatalf("round %d: %v", n, err)
		}
		if err == nil && b.running.Number != last.Active.Number && (last.Trial == nil || b.running.Number != last.Trial.Number) {
			t.Fatalf("round %d: version %d speaks, %d is in effect", n, b.running.Number, last.Active.Number)
		}
		if s, _ := d.Load(); !good[s.Active.Number] {
			t.Fatalf("round %d: version %d was committed: %+v %v", n, s.Active.Number, s, b.log)
		}
	}
	d.left = -1
	for range StartsMax + 1 {
		last, err := life(t, d, b, func(a *Applier) {
			if newest != nil {
				a.Desired(newest)
			}
			time.Sleep(10 * time.Minute)
		})
		if err != nil {
			continue // one that kills
		}
		s, _ := d.Load()
		if last.Trial != nil || s.Trial != nil {
			t.Fatalf("round %d: still on trial: %+v", n, s)
		}
		if newest != nil && good[newest.Version] && !s.failed(Version{Epoch: 1, Number: newest.Version}) && s.Active.Number != newest.Version {
			t.Fatalf("round %d: version %d is in effect, %d is wanted", n, s.Active.Number, newest.Version)
		}
		return
	}
	t.Fatalf("round %d: it dies for ever", n)
}

// TestRetry: a version that failed is tried again when that is asked for.
func TestRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, b := &disk{left: -1}, &box{}
		_, err := life(t, d, b, func(a *Applier) {
			v := desired(1, manner{Fails: "dry"}, protocol.ConfirmNone)
			for range 2 {
				a.Desired(v)
				synctest.Wait()
			}
			if err := a.Retry(t.Context()); err != nil {
				t.Error(err)
			}
			synctest.Wait()
		})
		if got := strings.Join(b.log, ", "); err != nil || got != "verify 1, plan 1, dry 1, verify 1, plan 1, dry 1" {
			t.Errorf("%v: %s", err, got)
		}
	})
}

// TestRollback: an operator takes a version back while it is tried, and after it was
// committed; what the broker still says does not bring it back.
func TestRollback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, b := &disk{left: -1}, &box{}
		back := func(a *Applier) {
			t.Helper()
			if err := a.Rollback(t.Context()); err != nil {
				t.Error(err)
			}
			synctest.Wait()
		}
		last, err := life(t, d, b, func(a *Applier) {
			if err := a.Rollback(t.Context()); err == nil {
				t.Error("there is nothing to go back to")
			}
			for n := range uint64(2) {
				a.Desired(desired(n+1, manner{}, protocol.ConfirmNone))
				time.Sleep(2 * time.Minute)
			}
			for _, after := range []time.Duration{10 * time.Second, 70 * time.Second} { // listens, speaks
				a.Desired(desired(uint64(after/time.Second), manner{}, protocol.ConfirmNone))
				time.Sleep(after)
				back(a)
				if s, _ := d.Load(); s.Trial != nil || s.Active.Number != 2 || s.Last.Fault.Code != protocol.CodeCancelled {
					t.Errorf("taken back after %v: %+v", after, s)
				}
			}
			back(a)
			a.Desired(desired(2, manner{}, protocol.ConfirmNone))
			time.Sleep(2 * rollbackHealth)
			synctest.Wait()
			a.Desired(desired(2, manner{}, protocol.ConfirmNone))
			time.Sleep(5 * time.Minute)
		})
		if err != nil || last.Active.Number != 1 || b.running.Number != 1 || b.listening != nil || !last.failed(Version{Epoch: 1, Number: 2}) {
			t.Errorf("%+v, %v", last, err)
		}
	})
}

// TestTrialsAreNotUsual: what a version that was taken back has refused, until it was, does
// not make the next one look as if that were usual.
func TestTrialsAreNotUsual(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, b := &disk{left: -1}, &box{}
		last, err := life(t, d, b, func(a *Applier) {
			for n := range uint64(5) {
				v := desired(n+1, manner{Fails: "errors once it speaks"}, protocol.ConfirmNone)
				v.Apply.Health = 2_500
				a.Desired(v)
				time.Sleep(time.Minute)
			}
		})
		if err != nil || len(last.Failed) != 5 || last.Active.Number != 0 {
			t.Errorf("%+v, %v", last, err)
		}
	})
}
