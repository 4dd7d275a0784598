package actors

import "context"

// ask has the sequencer do something between two records. It waits while recovery runs,
// and returns when the sequencer has taken it over: fn must tell by itself when it is done.
func (e *Engine) ask(ctx context.Context, fn func(*sequencer)) error {
	return hand(ctx, e, e.asks, fn)
}

// answer waits for what the sequencer has to say.
func answer[T any](e *Engine, from <-chan T) (v T, err error) {
	select {
	case v = <-from:
		return v, nil
	case <-e.failed:
		return v, e.failure
	case <-e.stopped:
		return v, errStopped
	}
}

// hand waits until the sequencer takes v.
func hand[T any](ctx context.Context, e *Engine, to chan<- T, v T) error {
	select {
	case to <- v:
		return nil
	case <-e.failed:
		return e.failure
	case <-e.stopped:
		return errStopped
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
