package mqtt

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// session keeps one connection to the broker alive: it connects, lets its user
// serve the link, and after a loss pauses and connects again.
type session struct {
	cfg   Config
	clean bool

	// greet, if not nil, is called before each attempt and returns the last will.
	greet func(context.Context) (*Note, error)

	// wake, if not nil, ends the pause before the next attempt. It holds one token.
	wake chan struct{}

	connected atomic.Bool
	connects  atomic.Int64
	lastError atomic.Pointer[error]
}

// errReceiver marks errors of the session's user, which end the session.
type errReceiver struct{ err error }

func (e errReceiver) Error() string { return e.err.Error() }
func (e errReceiver) Unwrap() error { return e.err }

// run serves links until ctx ends, which is no error, or the receiver fails.
func (s *session) run(ctx context.Context, serve func(context.Context, *link) error) error {
	ceiling := s.cfg.ReconnectMin
	for {
		lived, err := s.once(ctx, serve)
		if ctx.Err() != nil {
			return nil
		}
		if e, ok := errors.AsType[errReceiver](err); ok {
			return e.err
		}
		// A link that died young is as bad as none: two clients with one id that
		// throw each other out must not do so ten times a second.
		if lived > max(ceiling, s.cfg.ReconnectMin) {
			ceiling = s.cfg.ReconnectMin
		}
		pause := rand.N(ceiling + 1)
		event := "broker connection lost"
		if lived == 0 {
			event = "cannot connect to broker"
		}
		s.cfg.Logger.Warn(event, "url", s.cfg.URL, "client_id", s.cfg.ClientID, "err", err, "retry_in", pause)
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-s.wake:
			timer.Stop()
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
		ceiling = min(2*ceiling, s.cfg.ReconnectMax)
	}
}

// once makes one connection and serves it to its end.
func (s *session) once(ctx context.Context, serve func(context.Context, *link) error) (lived time.Duration, err error) {
	defer func() {
		if err != nil && ctx.Err() == nil {
			s.lastError.Store(&err)
		}
	}()
	as := hello{clean: s.clean}
	if s.greet != nil {
		if as.will, err = s.greet(ctx); err != nil {
			return 0, receiver("greet", err)
		}
	}
	l, err := connect(ctx, s.cfg, as)
	if err != nil {
		return 0, err
	}
	select {
	case <-s.wake: // it wanted this connection, and is not for a later pause
	default:
	}
	start := time.Now()
	s.connects.Add(1)
	s.cfg.Logger.Info("connected to broker", "url", s.cfg.URL, "client_id", s.cfg.ClientID, "session_present", l.present)
	err = serve(ctx, l)
	s.connected.Store(false)
	l.close()
	return time.Since(start), err
}

// fault returns the text of the last error, "" if there was none.
func (s *session) fault() string {
	if err := s.lastError.Load(); err != nil {
		return (*err).Error()
	}
	return ""
}

// receiver marks err as the user's.
func receiver(what string, err error) error {
	if err == nil {
		return nil
	}
	return errReceiver{fmt.Errorf("%s: %w", what, err)}
}
