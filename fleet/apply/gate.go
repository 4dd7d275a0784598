package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"edged/fleet/protocol"
)

// Limits of a trial.
const (
	// StartsMax is at how many starts of the process during a trial the version is given up.
	StartsMax = 2

	// Settling is how long inputs and outputs that were up may be down after the switch.
	Settling = 30 * time.Second

	// gateEvery is how often the gate looks.
	gateEvery = time.Second

	// errorsMin is how few new errors never fail a version.
	errorsMin = 3

	// errorsShare is the share of messages that may become errors, in any case; and
	// errorsGrowth how many times as large as before the share may be.
	errorsShare  = 0.01
	errorsGrowth = 2

	// busyShare is the share of its time that a gateway may work, and costGrowth how many
	// times as much work as before a message may be then. One that works all the time
	// falls behind, and the broker keeps what waits, so that nothing here shows how much.
	// A version that is tried costs twice, beside the one that speaks; and a backlog makes
	// any gateway work all the time, but at the cost that is usual.
	busyShare  = 0.9
	costGrowth = 4
)

// Health is what a gateway counts. While a version listens, errors are what that one could
// not take.
type Health struct {
	Messages int64         `json:"messages"`       // received, since the process started
	Errors   int64         `json:"errors"`         // messages that became dead letters since then
	Busy     time.Duration `json:"busy,omitempty"` // spent on messages since then
	Broken   int64         `json:"-"`              // panics and quarantined keys since then
	Stuck    int64         `json:"-"`              // messages that wait to be processed
	StuckMax int64         `json:"-"`              // at which nothing more is taken
	Up       []string      `json:"up"`             // inputs and outputs that are connected
	Down     []string      `json:"-"`              // those that are not; one that is gone is in neither
	Linked   bool          `json:"-"`              // the management link works
}

// gate watches a version for a span.
func (a *Applier) gate(ctx context.Context, t *Trial, span time.Duration, speaks bool) error {
	started, first := time.Now(), a.gateway.Health()
	end := time.NewTimer(span)
	defer end.Stop()
	tick := time.NewTicker(gateEvery)
	defer tick.Stop()
	p := pace{last: first, at: started}
	for {
		select {
		case <-tick.C:
			now := a.gateway.Health()
			if err := p.lost(&t.Before, &first, &now); err != nil {
				return err
			}
			if err := now.worse(&t.Before, &first, time.Since(started) >= Settling); err != nil {
				return err
			}
		case <-a.bell:
			if err := a.interrupted(t); err != nil {
				return err
			}
		case done := <-a.retry:
			done <- errBusy
		case done := <-a.back:
			done <- nil
			return errTakenBack
		case <-end.C:
			now := a.gateway.Health()
			if speaks && t.Apply.Confirm == protocol.ConfirmSession && !now.Linked {
				return errors.New("the management link does not work")
			}
			return now.worse(&t.Before, &first, true)
		case <-ctx.Done():
			return nil
		}
	}
}

// stuckTicks is for how many looks in a row the intake may be nearly full, and a gateway
// work all the time.
const stuckTicks = 10

func (h *Health) stuck() bool { return h.StuckMax > 0 && h.Stuck*5 > h.StuckMax*4 }

// cost is how long the work on a message takes.
func (h *Health) cost() time.Duration { return h.Busy / time.Duration(max(h.Messages, 1)) }

// pace tells from look to look whether a gateway keeps up.
type pace struct {
	last  Health
	at    time.Time // of the last look
	stuck int       // looks in a row
	slow  int       // looks in a row
}

// lost returns an error if it has not kept up for too long.
func (p *pace) lost(before, first, now *Health) error {
	since, worked := time.Since(p.at), now.Busy-p.last.Busy
	p.last, p.at = *now, time.Now()
	if p.stuck++; !now.stuck() {
		p.stuck = 0
	}
	trial := Health{Messages: now.Messages - first.Messages, Busy: now.Busy - first.Busy}
	if p.slow++; worked.Seconds() < busyShare*since.Seconds() || trial.cost() <= costGrowth*before.cost() {
		p.slow = 0
	}
	switch {
	case p.stuck > stuckTicks:
		return fmt.Errorf("it does not keep up: %d of %d messages have waited for %d s", now.Stuck, now.StuckMax, p.stuck)
	case p.slow > stuckTicks:
		return fmt.Errorf("it does not keep up: for %d s all time was work, %v for a message; before it was %v", p.slow, trial.cost(), before.cost())
	}
	return nil
}

// worse says what is worse than before the trial.
func (h *Health) worse(before, first *Health, settled bool) error {
	if n := h.Broken - first.Broken; n > 0 {
		return fmt.Errorf("%d panics or quarantined keys", n)
	}
	since := Health{Messages: h.Messages - first.Messages, Errors: h.Errors - first.Errors}
	if err := since.TooMany(before); err != nil {
		return err
	}
	if !settled {
		return nil
	}
	for _, name := range before.Up {
		if slices.Contains(h.Down, name) {
			return fmt.Errorf("%s was connected before, and is not any more", name)
		}
	}
	return nil
}

// TooMany returns an error if too many of the messages became errors, against what was
// usual before.
func (h *Health) TooMany(before *Health) error {
	allowed := max(errorsShare, errorsGrowth*share(before.Errors, before.Messages))
	if h.Errors < errorsMin || share(h.Errors, h.Messages) <= allowed {
		return nil
	}
	return fmt.Errorf("%d errors in %d messages, %.1f %% are allowed", h.Errors, h.Messages, 100*allowed)
}

// share returns a part of a whole, which may be empty.
func share(part, whole int64) float64 { return float64(part) / float64(max(whole, 1)) }
