package oracle

// counted are windows of so many events, in the order in which they are added.
type counted struct {
	*base
	all  []*event // nil where numbers were passed over
	next int      // the first window that has not been cut short
}

// step returns the distance between two windows.
func (c *counted) step() int {
	if c.Window.CountStep > 0 {
		return c.Window.CountStep
	}
	return c.Window.Count
}

// add implements operator.
func (c *counted) add(e *event) {
	c.all = append(c.all, e)
	for k := c.next; k*c.step() < len(c.all); k++ {
		if k*c.step()+c.Window.Count == len(c.all) {
			c.fire(k, c.cause)
		}
	}
}

// open returns the windows that have events and are not full.
func (c *counted) open() (list []int) {
	for k := c.next; c.Window.Partial && k*c.step() < len(c.all); k++ {
		if k*c.step()+c.Window.Count > len(c.all) {
			list = append(list, k)
		}
	}
	return list
}

// advance implements operator: at the end of the input, and when the key falls
// silent, the windows that are not full have their say if that is wanted. The
// event after that begins the next window.
func (c *counted) advance(_ int64, cause string) {
	open := c.open()
	if cause != "end" && cause != "idle" || len(open) == 0 {
		return
	}
	for _, k := range open {
		c.fire(k, cause)
	}
	for len(c.all)%c.step() != 0 {
		c.all = append(c.all, nil)
	}
	c.next = len(c.all) / c.step()
}

// bounds returns those of a window as far as it has come.
func (c *counted) bounds(k int) bounds {
	at := bounds{maxTime, minTime}
	for _, e := range c.all[k*c.step():] {
		at.start, at.end = min(at.start, e.Time), max(at.end, add(e.Time, 1))
	}
	return at
}

func (c *counted) fire(k int, cause string) {
	c.pane(c.bounds(k), "on_time", k, true, cause, c.all[k*c.step():])
}

// tick implements operator.
func (c *counted) tick() {}

// pending implements operator.
func (c *counted) pending() (end int64, ok bool) {
	end = minTime
	for _, k := range c.open() {
		end, ok = max(end, c.bounds(k).end), true
	}
	return end, ok
}
