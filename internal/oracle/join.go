package oracle

import (
	"cmp"
	"slices"
	"strings"
)

// joined is what all joins know: every event that they took, which of them have had
// a partner, and the windows that gather what they say, if there are any.
type joined struct {
	*base
	all    []*event
	met    map[*event]bool
	gather *lane
	rows   int
}

func newJoin(b *base) operator {
	j := joined{base: b, met: map[*event]bool{}}
	if b.Window.Type != "" {
		gathered := *b.Config
		gathered.Join = nil
		j.gather = newLane(&gathered, b.key)
	}
	switch b.Join.Type {
	case IntervalJoin:
		return &intervals{j}
	case AsOfJoin:
		return &asOf{j}
	}
	return &windowed{j}
}

// tick implements operator.
func (j *joined) tick() {
	j.gathering(func(l *lane) { l.windows.tick() })
}

// gathering does something with the windows behind the join, if there are any.
func (j *joined) gathering(do func(*lane)) {
	if j.gather != nil {
		j.gather.now, j.gather.cause, j.gather.believed = j.now, j.cause, j.believed
		do(j.gather)
		j.out = append(j.out, j.gather.out...)
		j.gather.out = nil
	}
}

// follow moves the time of the windows behind the join, whose rows may be behind
// the join's own time by so much.
func (j *joined) follow(by int64, cause string) {
	to := add(j.w, -by)
	if j.w == maxTime {
		to = maxTime
	}
	j.gathering(func(l *lane) { l.advance(to, cause) })
}

// waits adds to what a join waits for what the windows behind it do. Partners of
// what is believed can come until last.
func (j *joined) waits(end, last int64) (int64, bool) {
	if j.believed == minTime {
		last = minTime
	}
	end = min(end, last)
	ok := end > j.w
	j.gathering(func(l *lane) {
		if after, waits := l.silence(); waits && after < maxTime && (!ok || after > end) {
			end, ok = after, true
		}
	})
	return end, ok
}

// side returns the events of a stream, in order of time.
func (j *joined) side(stream string) (list []*event) {
	for _, e := range j.all {
		if e.Stream == stream {
			list = append(list, e)
		}
	}
	slices.SortFunc(list, byTime)
	return list
}

// pads reports whether an event without a partner has a row.
func (j *joined) pads(e *event) bool { return strings.Contains(j.Join.Pads, e.Stream) }

// over reports whether nothing can come any more that is not after last.
func (j *joined) over(last int64) bool { return j.w > last || j.w == maxTime }

// row says what two events say together; nil is nobody.
func (j *joined) row(left, right *event, at *bounds) {
	var texts []string
	t := int64(minTime)
	for _, e := range []*event{left, right} {
		if e == nil {
			texts = append(texts, "null")
			continue
		}
		texts = append(texts, text(e.Fields["v"]))
		t = max(t, e.Time)
	}
	if at == nil {
		at = &bounds{t, add(t, 1)}
	}
	if j.gather == nil {
		j.say(Line{Kind: RowLine, Start: at.start, End: at.end, Values: strings.Join(texts, " ")})
		return
	}
	r := &Reading{Key: j.key, Time: t, Fields: map[string]any{"l_v": value(left), "r_v": value(right)}}
	j.rows++
	j.gathering(func(l *lane) { l.take(&event{Reading: r, now: j.now, nth: j.rows}) })
}

// value returns that of an event, and null for nobody.
func value(e *event) any {
	if e == nil {
		return nil
	}
	return e.Fields["v"]
}

// alone says that an event has no partner, if somebody wants to know.
func (j *joined) alone(e *event, at *bounds) {
	switch {
	case !j.pads(e):
	case e.Stream == Left:
		j.row(e, nil, at)
	default:
		j.row(nil, e, at)
	}
}

// intervals are joins of events that are only so far apart.
type intervals struct{ joined }

// last returns the last time at which a partner of an event may be.
func (j *intervals) last(e *event) int64 {
	if e.Stream == Left {
		return add(e.Time, j.Join.Upper)
	}
	return add(e.Time, -j.Join.Lower)
}

// add implements operator.
func (j *intervals) add(e *event) {
	if j.over(j.last(e)) {
		j.late(e, []bounds{{e.Time, add(j.last(e), 1)}}, true)
		return
	}
	j.all = append(j.all, e)
	for _, left := range j.side(Left) {
		for _, right := range j.side(Right) {
			fits := add(left.Time, j.Join.Lower) <= right.Time && right.Time <= add(left.Time, j.Join.Upper)
			if (left == e || right == e) && fits && !j.over(min(j.last(left), j.last(right))) {
				j.met[left], j.met[right] = true, true
				j.row(left, right, nil)
			}
		}
	}
}

// advance implements operator.
func (j *intervals) advance(from int64, cause string) {
	var alone []*event
	for _, e := range j.all {
		if j.over(j.last(e)) && from <= j.last(e) && !j.met[e] {
			alone = append(alone, e)
		}
	}
	slices.SortFunc(alone, func(a, b *event) int {
		return cmp.Or(cmp.Compare(j.last(a), j.last(b)), cmp.Compare(a.Stream, b.Stream), byTime(a, b))
	})
	for _, e := range alone {
		j.alone(e, nil)
	}
	j.follow(max(0, j.Join.Upper, -j.Join.Lower), cause)
}

// pending implements operator.
func (j *intervals) pending() (end int64, ok bool) {
	end = j.w
	for _, e := range j.all {
		if !j.met[e] && j.pads(e) {
			end = max(end, add(j.last(e), 1))
		}
	}
	return j.waits(end, add(j.believed, max(0, j.Join.Upper, -j.Join.Lower), 1))
}

// asOf are joins with what the other stream said last.
type asOf struct{ joined }

// add implements operator.
func (j *asOf) add(e *event) {
	if j.over(e.Time) {
		j.late(e, []bounds{{e.Time, add(e.Time, 1)}}, true)
		return
	}
	j.all = append(j.all, e)
}

// advance implements operator.
func (j *asOf) advance(from int64, cause string) {
	for _, left := range j.side(Left) {
		if left.Time < from || !j.over(left.Time) {
			continue
		}
		var newest *event
		for _, right := range j.side(Right) {
			young := j.Join.Tolerance == 0 || right.Time >= add(left.Time, -j.Join.Tolerance)
			if young && right.Time <= left.Time {
				newest = right
			}
		}
		if newest != nil {
			j.row(left, newest, &bounds{left.Time, add(left.Time, 1)})
		} else {
			j.alone(left, nil)
		}
	}
	j.follow(0, cause)
}

// pending implements operator.
func (j *asOf) pending() (end int64, ok bool) {
	end = j.w
	for _, left := range j.side(Left) {
		end = max(end, add(left.Time, 1))
	}
	return j.waits(end, add(j.believed, 1))
}

// windowed are joins of all that is in one window.
type windowed struct{ joined }

// add implements operator.
func (j *windowed) add(e *event) {
	var missed []bounds
	all := assign(j.Join.Windows, e.Time)
	for _, at := range all {
		if j.w >= at.end {
			missed = append(missed, at)
		}
	}
	if len(missed) > 0 {
		j.late(e, missed, len(missed) == len(all))
	}
	if len(missed) < len(all) {
		j.all = append(j.all, e)
	}
}

// within returns the events of a stream in a window.
func (j *windowed) within(at bounds, stream string) (list []*event) {
	for _, e := range j.side(stream) {
		if slices.Contains(assign(j.Join.Windows, e.Time), at) {
			list = append(list, e)
		}
	}
	return list
}

// advance implements operator.
func (j *windowed) advance(from int64, _ string) {
	var ended []bounds
	for _, e := range j.all {
		for _, at := range assign(j.Join.Windows, e.Time) {
			if from < at.end && at.end <= j.w {
				ended = append(ended, at)
			}
		}
	}
	slices.SortFunc(ended, bounds.compare)
	for _, at := range slices.Compact(ended) {
		lefts, rights := j.within(at, Left), j.within(at, Right)
		for _, left := range lefts {
			for _, right := range rights {
				j.row(left, right, &at)
			}
			if len(rights) == 0 {
				j.alone(left, &at)
			}
		}
		for _, right := range rights {
			if len(lefts) == 0 {
				j.alone(right, &at)
			}
		}
	}
}

// pending implements operator.
func (j *windowed) pending() (end int64, ok bool) {
	end = j.w
	for _, e := range j.all {
		for _, at := range assign(j.Join.Windows, e.Time) {
			end = max(end, at.end)
		}
	}
	return j.waits(end, lastEnd(j.Join.Windows, j.believed))
}
