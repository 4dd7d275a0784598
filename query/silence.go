package query

import (
	"cmp"

	"edged"
	"edged/windows"
)

// until returns the latest time that is believed of events of an input that arrived
// at that time of our clock: of contributions, that of the events in them.
func (p *Plan) until(stream uint8, arrival edged.Timestamp) edged.Timestamp {
	up := p.inputs[stream].upstream
	if up == nil {
		return p.inputs[stream].guard.Until(arrival)
	}
	latest := edged.MinTimestamp
	for i := range up.inputs {
		latest = max(latest, up.until(uint8(i), arrival))
	}
	return latest
}

// lastEnd returns the end of the last window that an event at t can be in, and t
// itself when there was none. Where events decide, it is as if none came after it.
func (f *fold) lastEnd(t edged.Timestamp) edged.Timestamp {
	s := &f.windows
	switch {
	case t == edged.MinTimestamp:
		return t
	case s.Assigner != nil:
		return lastWindow(s.Assigner, t)
	case s.Session != nil:
		return t.Add(s.Session.Gap)
	case s.Capped != nil:
		return t.Add(s.Capped.Gap)
	case s.Sliding != nil:
		return t.Add(s.Sliding.LookAhead + 1)
	}
	return t.Add(1)
}

// lastWindow returns the end of the last window of t, and t in a hole between them.
func lastWindow(a windows.Assigner, t edged.Timestamp) edged.Timestamp {
	end := t
	for i := 0; ; i++ {
		w, ok := a.Assign(t, i)
		if !ok {
			return end
		}
		end = w.End
	}
}

// lastPartner returns the watermark at which no partner of an event at t can come
// any more.
func (f *fold) lastPartner(t edged.Timestamp) edged.Timestamp {
	j := f.plan.spec.Join
	switch {
	case t == edged.MinTimestamp:
		return t
	case j.Type == "interval":
		return t.Add(max(j.Upper, -j.Lower, 0) + 1)
	case j.Type == "window":
		w := f.plan.Window
		return lastWindow(windows.Hopping{Size: w.Size, Period: cmp.Or(w.Period, w.Size), Offset: w.Offset}, t)
	}
	return t.Add(1)
}
