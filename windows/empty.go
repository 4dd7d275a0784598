package windows

import "edged"

// successor is an [Assigner] that can tell its windows without events.
type successor interface {
	// Next returns the first window that ends after end, and false if there is none.
	Next(end edged.Timestamp) (Window, bool)
}

// emptyCountMax is how many windows without events that are too many one advance
// counts. A clock may jump by years.
const emptyCountMax = 1 << 14

// openEmpty opens the windows without events that the watermark's way from there
// to where it is now has ended, none before the key's first; the advance will fire them. Those beyond the limit
// are refused.
func (o *Operator) openEmpty(out *edged.Output, from edged.Timestamp) {
	next, ok := o.shape.spec.Assigner.(successor)
	if !ok {
		return
	}
	most := o.shape.spec.openMax()
	opened, refused, end := 0, 0, from
	for refused < emptyCountMax {
		w, ok := next.Next(end)
		if !ok || w.End > o.watermark || w.End <= end {
			break
		}
		end = w.End
		at, found := o.find(w)
		if found {
			continue
		}
		// One that has expired, too, is gone in a moment and takes nobody's place.
		if opened >= most || o.Open() >= most && o.watermark < o.shape.spec.expiry(w) {
			refused++
			continue
		}
		o.insert(at, w)
		opened++
	}
	out.Overflow += refused
}

// nextEmpty returns the watermark that ends the next window that need not have
// events.
func (o *Operator) nextEmpty() edged.Timestamp {
	if next, ok := o.shape.spec.Assigner.(successor); ok {
		if w, ok := next.Next(o.watermark); ok {
			return w.End
		}
	}
	return edged.MaxTimestamp
}
