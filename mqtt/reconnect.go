package mqtt

// Reconnect ends the present connection, if there is one, as a loss; err says why. The
// next one uses the certificates of then. What was not acknowledged comes again.
func (s *Source) Reconnect(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link != nil {
		s.link.fail(err)
	}
}

// Reconnect ends the present connection, if there is one, as a loss; err says why. The
// next one uses the certificates of then.
func (p *Publisher) Reconnect(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.link != nil {
		p.link.fail(err)
	}
}

// Wake ends the pause before the next attempt to connect, if there is one, or the next one
// if an attempt under way fails. While connected it does nothing.
func (p *Publisher) Wake() {
	if p.connected.Load() {
		return
	}
	select {
	case p.wake <- struct{}{}:
	default: // somebody has woken it already
	}
}
