package actors

// flowWindow guesses how many unacknowledged messages the broker allows. MQTT
// 3.1.1 does not tell; but a broker that has used its window up stops at the
// same number again and again. Knowing it, an epoch closes as soon as nothing
// more can come, instead of waiting out the commit interval.
type flowWindow struct {
	size, hits int
}

const (
	flowWindowMin  = 8 // below this a wrong guess would cost a commit per message
	flowWindowHits = 3
)

// observe is told the number of unacknowledged messages when an epoch closes.
func (w *flowWindow) observe(unacked int) {
	switch {
	case unacked == w.size:
		w.hits = min(w.hits+1, 2*flowWindowHits)
	case unacked > w.size || w.hits == 0:
		w.size, w.hits = unacked, 0
	default:
		w.hits--
	}
}

// full reports whether the broker is waiting for us.
func (w *flowWindow) full(unacked int) bool {
	return w.hits >= flowWindowHits && unacked >= w.size && w.size >= flowWindowMin
}
