package agent

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"edged/fleet/command"
	"edged/fleet/protocol"
)

const (
	tickEvery   = time.Second
	alarmsEvery = 5 * time.Second
	sumEvery    = 10 * time.Second // how often the guard is asked to sum denials up
)

// alarmKey names an alarm.
type alarmKey struct{ code, subject string }

// watch is what the agent keeps an eye on.
type watch struct {
	alarms      map[alarmKey]Alarm // that were raised
	unseen      time.Duration      // connected without a fresh desired document
	duplicate   string             // the last sign of a duplicate
	duplicateAt time.Time
	suspects    []time.Time // the latest sessions with signs
	suspected   uint64      // the last one of these
	overwritten bool        // another instance has said its state since we said ours
	saidAt      time.Time   // when we did
	away        time.Time   // do not connect before
}

// tend does what time brings, until ctx ends.
func (a *Agent) tend(ctx context.Context) {
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	last := time.Now()
	var beat, alarms, sum time.Duration
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		passed := time.Since(last)
		last = last.Add(passed)
		if beat += passed; beat >= a.cfg.Heartbeat {
			beat = 0
			a.heartbeat()
		}
		if alarms += passed; alarms >= alarmsEvery {
			alarms = 0
			found := a.gateway.Alarms()
			a.mu.Lock()
			a.compareAlarms(a.conditions(found))
			a.mu.Unlock()
		}
		if sum += passed; sum >= sumEvery {
			sum = 0
			// If it fails, Run notices.
			_, _ = a.decide(func(at command.Moment) (command.Effects, error) { return a.guard.Tick(at), nil })
		}
		a.tick(passed)
	}
}

func (a *Agent) tick(passed time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.up {
		a.watch.unseen += passed
	}
	a.rotate()
	a.remind()
	a.flush()
	if a.stale {
		a.sayReported()
	}
}

// conditions adds the agent's own alarms to those of the gateway; nil keeps what the
// gateway said last. The caller holds mu.
func (a *Agent) conditions(found []Alarm) map[alarmKey]Alarm {
	now := map[alarmKey]Alarm{}
	own := func(code string) bool { return code == alarmDuplicate || code == alarmFrozen || code == alarmBlocked }
	if found == nil {
		for key, alarm := range a.watch.alarms {
			if !own(key.code) {
				now[key] = alarm
			}
		}
	}
	for _, alarm := range found {
		now[alarmKey{alarm.Code, alarm.Subject}] = alarm
	}
	// A document with a refresh promises that fresher ones will follow.
	if _, refresh := a.guard.Desired(); refresh > 0 && a.watch.unseen >= a.cfg.FrozenAfter {
		now[alarmKey{code: alarmFrozen}] = Alarm{Code: alarmFrozen, Severity: protocol.SeverityMajor,
			Message: fmt.Sprintf("connected for %v, and no desired document that was signed since; somebody may keep newer ones back", a.cfg.FrozenAfter)}
	}
	if w := &a.watch; w.duplicate != "" && time.Since(w.duplicateAt) < duplicateQuiet {
		now[alarmKey{code: alarmDuplicate}] = Alarm{Code: alarmDuplicate, Severity: protocol.SeverityCritical, Message: w.duplicate}
	}
	if by, blocked := a.guard.Blocked(); blocked {
		now[alarmKey{code: alarmBlocked}] = Alarm{Code: alarmBlocked, Severity: protocol.SeverityCritical,
			Message: fmt.Sprintf("instance %s says it is this gateway, too: commands that change something and documents are refused by this one, %s; switch one of the two off or rename it, then: edged fleet cmd %s identity.adopt --instance %s",
				by, a.self.Instance, a.self.ID, a.self.Instance)}
	}
	return now
}

// The alarms of the agent itself.
const (
	alarmDuplicate = "identity.duplicate"
	alarmBlocked   = "identity.blocked"
	alarmFrozen    = "config.frozen"
)

// compareAlarms raises what is new, or has become worse or better, and clears what is over. The caller holds mu.
func (a *Agent) compareAlarms(now map[alarmKey]Alarm) {
	for _, key := range sorted(now) {
		alarm := now[key]
		if old, known := a.watch.alarms[key]; !known || old.Severity != alarm.Severity {
			a.cfg.Logger.Warn("fleet: alarm", "code", alarm.Code, "subject", alarm.Subject, "message", alarm.Message)
			a.raise(event{class: protocol.ClassAlarm, code: alarm.Code, severity: alarm.Severity, subject: alarm.Subject, message: alarm.Message})
		}
	}
	for _, key := range sorted(a.watch.alarms) {
		alarm := a.watch.alarms[key]
		if _, still := now[key]; !still {
			a.raise(event{class: protocol.ClassAlarm, code: alarm.Code, severity: protocol.SeverityClear, subject: alarm.Subject})
		}
	}
	a.watch.alarms = now
}

// sorted returns the keys of alarms in their order.
func sorted(alarms map[alarmKey]Alarm) []alarmKey {
	return slices.SortedFunc(maps.Keys(alarms), func(a, b alarmKey) int {
		return cmp.Or(cmp.Compare(a.code, b.code), cmp.Compare(a.subject, b.subject))
	})
}
