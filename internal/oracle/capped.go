package oracle

// capped are sessions that last only so long. Events come in order.
type capped struct {
	*base
	run []*event // the events of the open session
}

// end returns the end of the open session.
func (c *capped) end() int64 {
	first, last := c.run[0].Time, c.run[len(c.run)-1].Time
	return min(add(last, c.Window.Gap), add(first, c.Window.MaxDuration))
}

// add implements operator.
func (c *capped) add(e *event) {
	if len(c.run) > 0 && (e.Time > c.end() || e.Time >= add(c.run[0].Time, c.Window.MaxDuration)) {
		c.close(c.cause)
	}
	c.run = append(c.run, e)
}

// advance implements operator.
func (c *capped) advance(_ int64, cause string) {
	if len(c.run) > 0 && c.w >= c.end() {
		c.close(cause)
	}
}

func (c *capped) close(cause string) {
	c.pane(bounds{c.run[0].Time, c.end()}, "on_time", 0, true, cause, c.run)
	c.run = nil
}

// tick implements operator.
func (c *capped) tick() {}

// pending implements operator.
func (c *capped) pending() (end int64, ok bool) {
	if len(c.run) > 0 {
		return c.end(), true
	}
	return 0, false
}
