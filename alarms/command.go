package alarms

import (
	"fmt"
	"unicode/utf8"

	"edged"
	"edged/anomaly"
)

// Kind is what a person wants.
type Kind uint8

// Kinds of commands. Giving one twice does no harm: the second one tells nothing, but
// for KindShelve and KindOutOfService, which set the end anew.
const (
	KindNone         Kind = iota
	KindAcknowledge       // the alarm Start, Ordinal has been seen
	KindShelve            // put the alarm of this key away for For: it is judged, but not told
	KindUnshelve          // take it back
	KindOutOfService      // maintenance for For: nothing is judged, an alarm is cleared
	KindInService         // maintenance is over
	KindReset             // release the latch; or: the sensor was replaced. Clears and forgets all but the Ordinal
	KindLabel             // the alarm Start, Ordinal, present or remembered, was right or not: Label
	kinds
)

// String returns the kind in lower case, as commands write it.
func (k Kind) String() string {
	return word(int(k), "none", "acknowledge", "shelve", "unshelve", "out_of_service", "in_service", "reset", "label")
}

// ParseKind returns the kind that is written so; KindNone is none.
func ParseKind(s string) (Kind, bool) {
	for k := KindAcknowledge; k < kinds; k++ {
		if s == k.String() {
			return k, true
		}
	}
	return KindNone, false
}

// Bounds of a Command.
const (
	ByBytesMax   = 64
	NoteBytesMax = 256
)

// Command is what a person does to the alarm of one rule and key.
type Command struct {
	Kind    Kind
	Label   anomaly.Label   // for KindLabel
	Ordinal uint32          // which alarm, for KindAcknowledge and KindLabel; other kinds need none
	Start   edged.Timestamp // see Ordinal
	For     int64           // milliseconds of processing time, for KindShelve and KindOutOfService
	By      string          // who; at most ByBytesMax bytes of UTF-8
	Note    string          // why; at most NoteBytesMax bytes of UTF-8
}

// validate says what is wrong with the command whatever the alarm's state is.
func (c *Command) validate(s *Spec) error {
	longest := SpanMax
	if c.Kind == KindShelve {
		longest = s.shelfMax()
	}
	switch {
	case c.Kind == KindNone || c.Kind >= kinds:
		return fmt.Errorf("%w: there is no kind %d", ErrCommand, c.Kind)
	case (c.Kind == KindShelve || c.Kind == KindOutOfService) && (c.For < 1 || c.For > longest):
		return fmt.Errorf("%w: %s for %d ms; it must be 1 to %d", ErrCommand, c.Kind, c.For, longest)
	case c.Kind == KindLabel && (c.Label == anomaly.LabelNone || c.Label > anomaly.LabelFalse):
		return fmt.Errorf("%w: label %s; it must be true, expected or false", ErrCommand, c.Label)
	}
	for _, text := range []struct {
		name, text string
		most       int
	}{{"by", c.By, ByBytesMax}, {"note", c.Note, NoteBytesMax}} {
		if len(text.text) > text.most {
			return fmt.Errorf("%w: %s: %s has %d bytes; it may have %d", ErrCommand, c.Kind, text.name, len(text.text), text.most)
		}
		if !utf8.ValidString(text.text) {
			return fmt.Errorf("%w: %s: %s is %q; it must be UTF-8", ErrCommand, c.Kind, text.name, text.text)
		}
	}
	return nil
}

// find returns the alarm that the command names. Only a label may be about one that is
// over.
func (a *Alarm) find(c *Command) (*occurrence, error) {
	o := a.last
	switch {
	case o != nil && o.ordinal == c.Ordinal && o.start == c.Start && (o.state != Normal || c.Kind == KindLabel):
		return o, nil
	case a.present() != nil:
		return nil, fmt.Errorf("%w: %s %d-%d: the present one is %d-%d, %s; name that", ErrUnknown, c.Kind,
			c.Start, c.Ordinal, o.start, o.ordinal, o.state)
	case o != nil && c.Kind == KindLabel:
		return nil, fmt.Errorf("%w: label %d-%d: only the last one is remembered, %d-%d", ErrUnknown,
			c.Start, c.Ordinal, o.start, o.ordinal)
	}
	return nil, fmt.Errorf("%w: %s %d-%d: there is none at present; of %d so far, all are over", ErrUnknown, c.Kind,
		c.Start, c.Ordinal, a.ordinal)
}

// Command does what a person wants and appends what that causes. On an error, which
// wraps ErrCommand or ErrUnknown, nothing has changed and dst is as it was.
func (a *Alarm) Command(dst []Change, c Command, now edged.Timestamp) ([]Change, error) {
	if err := c.validate(a.spec); err != nil {
		return dst, err
	}
	var named *occurrence
	if c.Kind == KindAcknowledge || c.Kind == KindLabel {
		o, err := a.find(&c)
		if err != nil {
			return dst, err
		}
		named = o
	}
	dst = a.Tick(dst, now)
	change := Change{At: a.newest, Now: now, By: c.By, Note: c.Note}
	switch c.Kind {
	case KindAcknowledge:
		dst = a.acknowledge(dst, change)
	case KindLabel:
		dst = a.label(dst, change, named, c.Label)
	case KindShelve:
		a.shelf = now.Add(c.For)
		change.Event, change.Until = EventShelved, a.shelf
		dst = a.report(dst, change, a.present())
	case KindUnshelve:
		dst = a.unshelve(dst, change)
	case KindOutOfService:
		dst = a.withdraw(dst, change, now.Add(c.For))
	case KindInService:
		dst = a.serve(dst, change)
	case KindReset:
		dst = a.reset(dst, change)
	}
	a.forget()
	return dst, nil
}

// report tells a change that no sample causes.
func (a *Alarm) report(dst []Change, c Change, o *occurrence) []Change {
	if o != nil {
		c.Value = o.value
	}
	return a.tell(dst, c, o)
}

// acknowledge notes that the present alarm has been seen.
func (a *Alarm) acknowledge(dst []Change, c Change) []Change {
	o := a.last
	next := o.state.acknowledged()
	if next == o.state {
		return dst
	}
	o.state = next
	c.Event, c.Value = EventAcknowledged, o.value
	if dst = a.tell(dst, c, o); next == Normal {
		dst = a.close(dst, c)
	}
	return dst
}

// label notes what a person says of an alarm. Whoever feeds the detector hands label and
// evidence of the change to it.
func (a *Alarm) label(dst []Change, c Change, o *occurrence, l anomaly.Label) []Change {
	if o.label == l {
		return dst
	}
	o.label = l
	c.Event = EventLabelled
	return a.report(dst, c, o)
}

// unshelve takes the alarm from the shelf. That opens it, if it is there.
func (a *Alarm) unshelve(dst []Change, c Change) []Change {
	if a.shelf == noTime {
		return dst
	}
	a.shelf = noTime
	o := a.present()
	if o != nil {
		o.open, o.told = true, a.newest
	}
	c.Event = EventUnshelved
	return a.report(dst, c, o)
}

// withdraw takes the alarm out of service. What happens there is not normal, so nothing
// of before may count together with what comes after.
func (a *Alarm) withdraw(dst []Change, c Change, until edged.Timestamp) []Change {
	a.unlearn()
	a.byDesign = false
	a.service = until
	if o := a.present(); o != nil {
		dst = a.finish(dst, c, o, EndingOutOfService)
	}
	c.Event, c.Until = EventOutOfService, until
	return a.tell(dst, c, nil)
}

// serve puts the alarm into service again.
func (a *Alarm) serve(dst []Change, c Change) []Change {
	if a.service == noTime {
		return dst
	}
	a.service = noTime
	c.Event = EventInService
	return a.report(dst, c, a.present())
}

// finish ends an alarm whatever its state is. One that waits has ended before.
func (a *Alarm) finish(dst []Change, c Change, o *occurrence, why Ending) []Change {
	if o.state.Active() {
		o.ended, o.rested = c.At, c.At
	}
	o.ending = why
	c.Value = o.value
	return a.close(dst, c)
}

// reset clears the alarm and forgets all but how many there were, and what a person
// decided with a time limit: that ends by its own command.
func (a *Alarm) reset(dst []Change, c Change) []Change {
	a.unlearn()
	a.byDesign = false
	if o := a.present(); o != nil {
		dst = a.finish(dst, c, o, EndingReset)
	}
	a.last, a.raises, a.newest = nil, nil, noTime
	return dst
}

// Tick appends what processing time alone causes: the end of a shelf or of
// maintenance. Observe and Command do it first, so it matters only for when it is told.
func (a *Alarm) Tick(dst []Change, now edged.Timestamp) []Change {
	c := Change{At: a.newest, Now: now}
	if a.service != noTime && a.service <= now {
		dst = a.serve(dst, c)
	}
	if a.shelf != noTime && a.shelf <= now {
		dst = a.unshelve(dst, c)
	}
	return dst
}
