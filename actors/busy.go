package actors

import (
	"sync"
	"time"
)

// busy measures for how long something was worked on, by one or by several at a time.
type busy struct {
	mu    sync.Mutex
	hands int       // at work
	since time.Time // when the first of them began; valid while there are any
	total time.Duration
}

func (b *busy) begin() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.hands++; b.hands == 1 {
		b.since = time.Now()
	}
}

func (b *busy) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.hands--; b.hands == 0 {
		b.total += time.Since(b.since)
	}
}

// time returns for how long, up to now.
func (b *busy) time() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.hands > 0 {
		return b.total + time.Since(b.since)
	}
	return b.total
}
