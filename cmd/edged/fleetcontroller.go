package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"edged/fleet/operator"
	"edged/fleet/protocol"
	"edged/fleet/trust"
	"edged/mqtt"
)

// What others may ask the controller of a rollout for, in the file asked.
const (
	askPause = "pause"
	askAbort = "abort"
)

const (
	askEvery  = time.Second            // how often a controller looks for it
	barFrame  = 200 * time.Millisecond // how often the progress bars are drawn anew
	barWidth  = 30
	lineBegin = "\r\x1b[K"
)

// controller runs one rollout. Only one does at a time: the lock in its directory says
// which.
type controller struct {
	desk    *desk
	cmd     *cobra.Command
	out     printer
	key     trust.SecretKey
	config  json.RawMessage
	rollout *operator.Rollout
	follow  bool

	dir    string
	asked  time.Time // when we looked last
	drawn  time.Time
	bar    bool // a bar is on the screen
	unlock func()
}

// errNoRollout says that this home has no such rollout.
var errNoRollout = errors.New("there is no such rollout")

// rolloutID returns the id of the rollout that brings a version.
func rolloutID(epoch, version uint64) string { return fmt.Sprintf("e%dv%d", epoch, version) }

// rolloutDir returns the directory of a rollout.
func (h *operatorHome) rolloutDir(id string) (string, error) {
	if err := trust.CheckName(id); err != nil {
		return "", failed(exitUsage, fmt.Errorf("id of a rollout: %w", err))
	}
	return h.path("rollouts", id), nil
}

// rollout reads a rollout with its configuration.
func (h *operatorHome) rollout(id string) (*operator.Rollout, json.RawMessage, error) {
	dir, err := h.rolloutDir(id)
	if err != nil {
		return nil, nil, err
	}
	text, err := os.ReadFile(filepath.Join(dir, "state.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, failed(exitUsage, fmt.Errorf("%w as %s in %s; see edged fleet rollout list", errNoRollout, id, h.dir))
	}
	var r *operator.Rollout
	if err == nil {
		r, err = operator.Restore(text)
	}
	var config []byte
	if err == nil {
		config, err = os.ReadFile(filepath.Join(dir, "config.json"))
	}
	if err == nil && configHash(config) != r.Snapshot().Document.Hash {
		err = errors.New("config.json is not the configuration that the rollout was begun with")
	}
	if err != nil {
		return nil, nil, failed(exitStore, fmt.Errorf("read rollout %s: %w", dir, err))
	}
	return r, config, nil
}

// rollouts reads all rollouts, oldest first. Those that cannot be read do not hide the
// others: the error comes beside them.
func (h *operatorHome) rollouts() (all []operator.Snapshot, err error) {
	entries, err := os.ReadDir(h.path("rollouts"))
	if err != nil {
		return nil, failed(exitStore, err)
	}
	var damage []error
	for _, e := range entries {
		r, _, err := h.rollout(e.Name())
		if err != nil {
			damage = append(damage, err)
			continue
		}
		all = append(all, r.Snapshot())
	}
	slices.SortFunc(all, func(a, b operator.Snapshot) int {
		if a.Document.Epoch != b.Document.Epoch {
			return int(int64(a.Document.Epoch) - int64(b.Document.Epoch))
		}
		return int(int64(a.Document.Version) - int64(b.Document.Version))
	})
	if len(damage) > 0 {
		err = failed(exitStore, errors.Join(damage...))
	}
	return all, err
}

// ask leaves a wish for the controller of a rollout.
func (h *operatorHome) ask(id, word string) error {
	r, _, err := h.rollout(id)
	if err != nil {
		return err
	}
	if s := r.Snapshot(); s.Phase != operator.PhaseRunning {
		return failed(exitUsage, fmt.Errorf("rollout %s is over: %s", id, s.Phase))
	}
	return writeDurable(h.path("rollouts", id, "asked"), []byte(word))
}

// unask takes the wish for a pause back. That for an end stays.
func (h *operatorHome) unask(id string) error {
	dir, err := h.rolloutDir(id)
	if err != nil {
		return err
	}
	file := filepath.Join(dir, "asked")
	if word, err := os.ReadFile(file); err != nil || string(word) != askPause {
		return nil
	}
	return failed(exitStore, os.Remove(file))
}

// create writes a new rollout down: first the configuration, then the state, so that
// there is none without the other.
func (c *controller) create(id string) error {
	dir, err := c.desk.home.rolloutDir(id)
	if err != nil {
		return err
	}
	// The directory appears whole: what a crash leaves behind under another name does
	// not count.
	fresh, err := os.MkdirTemp(c.desk.home.dir, ".rollout-")
	if err == nil {
		err = writeDurable(filepath.Join(fresh, "config.json"), c.config)
	}
	c.dir = fresh
	if err == nil {
		err = c.save()
	}
	if err == nil {
		err = os.Rename(fresh, dir)
	}
	if err == nil {
		err = syncDir(c.desk.home.path("rollouts"))
	}
	if err != nil {
		return failed(exitStore, fmt.Errorf("write rollout %s down: %w", id, err))
	}
	return c.load(id)
}

// load reads a rollout and becomes its controller.
func (c *controller) load(id string) error {
	var err error
	if c.dir, err = c.desk.home.rolloutDir(id); err != nil {
		return err
	}
	if _, _, err = c.desk.home.rollout(id); err != nil {
		return err
	}
	if c.unlock, err = tryLock(filepath.Join(c.dir, "lock")); err != nil {
		if errors.Is(err, errBusy) {
			err = failed(exitInUse, fmt.Errorf("rollout %s has a controller already, which goes on if it was paused", id))
		}
		return err
	}
	c.rollout, c.config, err = c.desk.home.rollout(id)
	return err
}

// save makes the snapshot durable.
func (c *controller) save() error {
	text, err := c.rollout.Encode()
	if err != nil {
		return err
	}
	return writeDurable(filepath.Join(c.dir, "state.json"), append(text, '\n'))
}

// run drives the rollout until it is over.
func (c *controller) run(ctx context.Context) error {
	defer c.unlock()
	s := c.rollout.Snapshot()
	if err := c.say(summaryOf(&s), describeRollout(&s)); err != nil {
		return err
	}
	now := clock(time.Now())
	for _, m := range s.Members {
		c.rollout.Observe(m.Gateway, c.desk.view.Gateway(m.Gateway).Facts(), now)
	}
	err := c.desk.loop(ctx, func(n operator.News) error {
		if n.Kind == protocol.KindState || n.Kind == protocol.KindReported {
			c.rollout.Observe(n.Gateway, c.desk.view.Gateway(n.Gateway).Facts(), clock(time.Now()))
		}
		return nil
	}, c.step)
	c.clear()
	s = c.rollout.Snapshot()
	if errors.Is(err, errInterrupted) {
		return fmt.Errorf("%w: go on with edged fleet rollout resume %s", err, s.ID)
	}
	if err != nil {
		return err
	}
	if err := c.say(summaryOf(&s), describeRollout(&s)); err != nil {
		return err
	}
	if p := s.Progress(); s.Phase == operator.PhaseStopped || p.Failed > 0 {
		return failed(exitCheck, fmt.Errorf("rollout %s: %s; see edged fleet rollout status %s", s.ID, p, s.ID))
	}
	return nil
}

// step lets the rollout decide, writes down what it has decided, and does it.
func (c *controller) step(at time.Time) (over bool, err error) {
	now := clock(at)
	if err := c.wishes(at); err != nil {
		return true, err
	}
	e := c.rollout.Step(now)
	if e.Changed {
		if err := c.save(); err != nil {
			return true, err
		}
	}
	for _, name := range e.Publish {
		if err := c.send(name, false); err != nil {
			return true, err
		}
	}
	for _, name := range e.Withdraw {
		if err := c.send(name, true); err != nil {
			return true, err
		}
	}
	for _, event := range e.Events {
		if err := c.say(event, describeEvent(event)); err != nil {
			return true, err
		}
	}
	c.draw(at)
	phase, p := c.rollout.Snapshot().Phase, c.rollout.Progress()
	over = phase != operator.PhaseRunning && c.desk.idle() && len(e.Publish)+len(e.Withdraw) == 0
	return over && (phase == operator.PhaseStopped || !c.follow || p.Open == 0), nil
}

// note returns the document of a gateway as it is published.
func (c *controller) note(gateway string) (mqtt.Note, error) {
	data, err := c.document(gateway)
	if err != nil {
		return mqtt.Note{}, err
	}
	topic, err := c.desk.topic(protocol.Topic{Kind: protocol.KindDesired, Gateway: gateway})
	return mqtt.Note{Topic: topic, Payload: data, QoS: protocol.KindDesired.QoS(), Retain: protocol.KindDesired.Retained()}, err
}

// send publishes a gateway's document, or takes it off the broker.
func (c *controller) send(gateway string, withdraw bool) error {
	n, err := c.note(gateway)
	if err != nil {
		return err
	}
	if withdraw {
		n.Payload = nil
	}
	c.desk.send(n, func() { c.rollout.Unsent(gateway) })
	return nil
}

// wishes looks for what others have asked for.
func (c *controller) wishes(at time.Time) error {
	if at.Sub(c.asked) < askEvery {
		return nil
	}
	c.asked = at
	word, err := os.ReadFile(filepath.Join(c.dir, "asked"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return failed(exitStore, fmt.Errorf("look for wishes: %w", err))
	}
	switch string(word) {
	case askAbort:
		c.rollout.Stop("somebody has ended it", clock(at))
	case askPause:
		c.rollout.Pause(true, clock(at))
	default:
		c.rollout.Pause(false, clock(at))
	}
	return nil
}

func describeEvent(e operator.Event) string {
	switch e.Kind {
	case operator.EventWave:
		return fmt.Sprintf("wave %d begins: %s", e.Wave, e.Message)
	case operator.EventBake:
		return fmt.Sprintf("wave %d has answered and bakes", e.Wave)
	case operator.EventGateway:
		text := fmt.Sprintf("wave %d  %-20s %s", e.Wave, e.Gateway, e.Status)
		if e.Code != "" {
			text += fmt.Sprintf("  %s: %s", e.Code, cleanText(e.Message))
		}
		return text
	case operator.EventClosed:
		return "outside the maintenance windows; nothing is sent until " + e.Message
	case operator.EventOpen:
		return "a maintenance window has opened"
	case operator.EventStopped:
		return "stopped: " + e.Message
	}
	return strings.TrimSuffix(e.Kind+": "+e.Message, ": ")
}

// say prints what has happened, above the bars if there are some.
func (c *controller) say(value any, text string) error {
	c.clear()
	return c.out.say(value, "%s", text)
}

// clear takes the bar off the screen.
func (c *controller) clear() {
	if c.bar {
		// A screen that cannot be written to is noticed by what is printed on it.
		_, _ = io.WriteString(c.cmd.ErrOrStderr(), lineBegin)
		c.bar = false
	}
}

// draw shows how far it is, in a terminal.
func (c *controller) draw(at time.Time) {
	if c.out.asJSON || at.Sub(c.drawn) < barFrame || !terminal(c.cmd.ErrOrStderr()) {
		return
	}
	c.drawn, c.bar = at, true
	s := c.rollout.Snapshot()
	_, _ = io.WriteString(c.cmd.ErrOrStderr(), lineBegin+barOf(&s, at))
}

// barOf draws a rollout: # runs it, > is on its way, x failed, . waits.
func barOf(s *operator.Snapshot, at time.Time) string {
	p := s.Progress()
	var b strings.Builder
	for _, part := range []struct {
		n    int
		mark string
	}{{p.Done, "#"}, {p.Open, ">"}, {p.Failed + p.Withdrawn, "x"}} {
		cells := part.n * barWidth / p.Members
		if part.n > 0 && cells == 0 {
			cells = 1
		}
		b.WriteString(strings.Repeat(part.mark, cells))
	}
	bar := b.String() + strings.Repeat(".", barWidth)
	text := fmt.Sprintf("[%s] wave %d of %d, %s", bar[:barWidth], s.Waves, len(s.Ends), p)
	if s.Paused {
		text += " (paused)"
	}
	if opens := s.Opens(clock(at)); opens != 0 {
		text += " (until " + time.UnixMilli(opens).Format("Mon 15:04") + ")"
	}
	return text
}
