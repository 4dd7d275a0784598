package actors

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestBusy: work of several at a time counts once, and work that has not ended counts.
func TestBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b busy
		is := func(want time.Duration) {
			t.Helper()
			if got := b.time(); got != want {
				t.Errorf("busy for %v, want %v", got, want)
			}
		}
		time.Sleep(time.Second)
		is(0)
		b.begin()
		time.Sleep(time.Second)
		is(time.Second)
		b.begin()
		time.Sleep(time.Second)
		b.end()
		is(2 * time.Second)
		time.Sleep(time.Second)
		b.end()
		time.Sleep(time.Second)
		is(3 * time.Second)
		b.begin()
		time.Sleep(time.Second)
		b.end()
		is(4 * time.Second)
	})
}
