package actors

import (
	"context"
	"fmt"

	"edged"
)

// A key that waits for nothing is forgotten, although it may have windows open that other
// events will close. Who must find all such keys, those in memory and those in the store,
// pins the keys of the pipeline first: a key that is forgotten while the store is read
// could be missed in both.

// openKeys are keys whose state time could change, if their pipeline were another one, and
// when they had their last event.
type openKeys map[string]edged.Timestamp

// pin keeps the keys of some pipelines from being forgotten until unpin. It returns their
// routers, of which the caller may read what never changes.
func (e *Engine) pin(ctx context.Context, which func(Pipeline) bool) ([]*router, error) {
	pinned := make(chan []*router, 1)
	if err := e.ask(ctx, func(s *sequencer) {
		var some []*router
		for _, r := range s.routers {
			if which(r.pipeline) {
				r.pins++
				some = append(some, r)
			}
		}
		pinned <- some
	}); err != nil {
		return nil, err
	}
	return <-pinned, nil
}

func (e *Engine) unpin(pinned []*router) {
	// If the run has ended nobody forgets anything any more.
	_ = e.ask(context.Background(), func(*sequencer) {
		for _, r := range pinned {
			r.pins--
		}
	})
}

// openIn reads which keys of pinned pipelines the store has open, by the pipelines' names.
func openIn(ctx context.Context, store Store, pinned []*router) (map[string]openKeys, error) {
	open, own := map[string]openKeys{}, map[string]map[string]bool{}
	for _, r := range pinned {
		open[r.pipeline.Name()], own[r.pipeline.Name()] = openKeys{}, map[string]bool{}
	}
	if len(pinned) == 0 {
		return open, nil
	}
	err := store.Snapshots(func(snap edged.Snapshot) error {
		for _, r := range pinned {
			name := r.pipeline.Name()
			switch snap.Pipeline {
			case name:
				own[name][snap.Key] = true
				delete(open[name], snap.Key)
			case r.pipeline.Origin():
				if own[name][snap.Key] {
					continue
				}
			default:
				continue
			}
			if snap.Open > 0 {
				open[name][snap.Key] = snap.Active
			}
		}
		return ctx.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("read which states are open: %w", err)
	}
	return open, nil
}
