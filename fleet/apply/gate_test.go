package apply

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"edged/fleet/protocol"
)

func TestWorse(t *testing.T) {
	up := []string{"a", "b"}
	for _, c := range []struct {
		name          string
		before, first Health
		now           Health
		settled       bool
		says          string
	}{
		{"nothing", Health{}, Health{}, Health{}, true, ""},
		{"old panics", Health{}, Health{Broken: 5}, Health{Broken: 5}, true, ""},
		{"a new panic", Health{}, Health{Broken: 5}, Health{Broken: 6}, false, "1 panics"},
		{"two errors of two", Health{}, Health{}, Health{Messages: 2, Errors: 2}, true, ""},
		{"three errors of three", Health{}, Health{}, Health{Messages: 3, Errors: 3}, true, "3 errors in 3"},
		{"one per cent", Health{}, Health{Messages: 50}, Health{Messages: 1050, Errors: 10}, true, ""},
		{"more", Health{}, Health{Messages: 50}, Health{Messages: 1050, Errors: 11}, true, "1.0 % are allowed"},
		{"twice what is usual", Health{Messages: 100, Errors: 5}, Health{Messages: 100, Errors: 5}, Health{Messages: 200, Errors: 15}, true, ""},
		{"more than that", Health{Messages: 100, Errors: 5}, Health{Messages: 100, Errors: 5}, Health{Messages: 200, Errors: 16}, true, "10.0 % are allowed"},
		{"down for a moment", Health{Up: up}, Health{}, Health{Up: up[:1], Down: up[1:]}, false, ""},
		{"down", Health{Up: up}, Health{}, Health{Up: up[:1], Down: up[1:]}, true, "b was connected"},
		{"gone", Health{Up: up}, Health{}, Health{Up: up[:1]}, true, ""},
		{"down before", Health{Up: up[:1]}, Health{}, Health{Up: up[:1], Down: up[1:]}, true, ""},
		{"another one is up", Health{Up: up[:1]}, Health{}, Health{Up: up}, true, ""},
	} {
		err := c.now.worse(&c.before, &c.first, c.settled)
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", c.name, err, c.says)
		}
	}
}

// TestGateForgives: what is down or full for a moment does not fail a version.
func TestGateForgives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, b := &disk{left: -1}, &box{}
		last, err := life(t, d, b, func(a *Applier) {
			a.Desired(desired(1, manner{Fails: "slow"}, protocol.ConfirmNone))
			for range 9 { // nearly full for most of the time, and never for long
				time.Sleep(stuckTicks*time.Second - time.Millisecond)
				b.wait(0)
				time.Sleep(time.Second)
				b.wait(99)
			}
		})
		if err != nil || last.Active.Number != 1 {
			t.Errorf("%+v, %v", last.Last, err)
		}
	})
}
