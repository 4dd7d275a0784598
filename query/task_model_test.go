package query

import (
	"cmp"
	"fmt"
	"math"
	"math/big"
	"slices"

	"edged"
)

// model is what a task must do, computed from the list of all events each time:
// it keeps no windows, no sums, no sorted sets and no incremental state but the
// watermark. Arithmetic on times is done in integers without bounds.
type model struct {
	plan      *Plan
	watermark *big.Int // nil: none yet
	active    int64
	taken     []modelEvent       // that count in a window, in the order of arrival
	seen      map[[2]uint64]bool // all (time, identity) that passed the dedup
	panes     map[string]uint32  // how often each window fired
	wantLate  int
	wantDup   int
	want      []string // lines as describeResult prints them
}

type modelEvent struct {
	time  int64
	value edged.Value
}

func newModel(p *Plan) *model {
	return &model{plan: p, seen: map[[2]uint64]bool{}, panes: map[string]uint32{}}
}

func integer(n int64) *big.Int { return big.NewInt(n) }

func plus(a *big.Int, n int64) *big.Int { return new(big.Int).Add(a, integer(n)) }

// clamp brings n into the range of timestamps.
func clamp(n *big.Int) *big.Int {
	switch {
	case n.IsInt64():
		return n
	case n.Sign() < 0:
		return integer(math.MinInt64)
	}
	return integer(math.MaxInt64)
}

// led returns the watermark that an event leads to: the end of time is not for
// events to say.
func led(n *big.Int) *big.Int {
	if last := integer(math.MaxInt64 - 1); n.Cmp(last) > 0 {
		return last
	}
	return clamp(n)
}

func (m *model) now() *big.Int {
	if m.watermark == nil {
		return integer(math.MinInt64)
	}
	return m.watermark
}

// bounds returns the window of t.
func (m *model) bounds(t int64) (start, end *big.Int) {
	since := new(big.Int).Sub(integer(t), integer(m.plan.Window.Offset))
	since.Mod(since, integer(m.plan.Window.Size))
	start = new(big.Int).Sub(integer(t), since)
	return clamp(start), clamp(plus(start, m.plan.Window.Size))
}

func (m *model) expiry(end *big.Int) *big.Int {
	return clamp(plus(end, m.plan.Window.AllowedLateness))
}

func (m *model) observe(ev *edged.Event, now edged.Timestamp) {
	m.active = int64(now)
	if ev.Identity != 0 && m.plan.Dedup.Enabled {
		keep := m.plan.Dedup.Horizon
		horizon := plus(m.now(), -keep)
		if keep == 0 {
			horizon = plus(plus(m.now(), -m.plan.Window.Size), -m.plan.Window.AllowedLateness)
		}
		id := [2]uint64{uint64(ev.EventTime), ev.Identity}
		if integer(int64(ev.EventTime)).Cmp(clamp(horizon)) >= 0 {
			if m.seen[id] {
				m.wantDup++
				return
			}
			m.seen[id] = true
		}
	}
	defer m.advance(led(plus(integer(int64(ev.EventTime)), -m.plan.Watermark.OutOfOrderness)), ev.Seq, edged.ByWatermark)
	_, end := m.bounds(int64(ev.EventTime))
	if m.now().Cmp(m.expiry(end)) >= 0 {
		m.wantLate++
		m.want = append(m.want, describeResult(&edged.Result{
			Kind: edged.LateResult, Timing: edged.Late, Trigger: ev.Seq, Key: ev.Key, Start: ev.EventTime,
			End: edged.Timestamp(end.Int64()), Watermark: edged.Timestamp(m.now().Int64()), Values: ev.Values,
		}))
		return
	}
	m.taken = append(m.taken, modelEvent{int64(ev.EventTime), ev.Values[0]})
	if m.now().Cmp(end) >= 0 {
		m.fire(int64(ev.EventTime), edged.Late, ev.Seq, edged.ByWatermark)
	}
}

func (m *model) tick(seq edged.Seq, now edged.Timestamp) {
	silence := new(big.Int).Sub(integer(int64(now)), integer(m.active))
	if m.plan.Watermark.IdleTimeout == 0 || silence.Cmp(integer(m.plan.Watermark.IdleTimeout)) < 0 {
		return
	}
	latest := m.now()
	for _, ev := range m.taken {
		if _, end := m.bounds(ev.time); end.Cmp(latest) > 0 {
			latest = end
		}
	}
	if latest.Cmp(integer(math.MaxInt64)) == 0 {
		return // a window that ends with time itself waits for the end of the input
	}
	m.advance(latest, seq, edged.ByIdle)
}

// advance fires every window that has an event and whose end is passed.
func (m *model) advance(to *big.Int, seq edged.Seq, cause edged.Cause) {
	from := m.now()
	if to.Cmp(from) <= 0 {
		return
	}
	m.watermark = to
	events := slices.Clone(m.taken)
	slices.SortStableFunc(events, func(a, b modelEvent) int { return cmp.Compare(a.time, b.time) })
	fired := map[string]bool{}
	for _, ev := range events {
		start, end := m.bounds(ev.time)
		if !fired[start.String()] && end.Cmp(from) > 0 && end.Cmp(to) <= 0 {
			fired[start.String()] = true
			m.fire(ev.time, edged.OnTime, seq, cause)
		}
	}
}

// fire adds up the window that t is in.
func (m *model) fire(t int64, timing edged.Timing, seq edged.Seq, cause edged.Cause) {
	start, end := m.bounds(t)
	var values []modelEvent
	events := 0
	for _, ev := range m.taken {
		if s, _ := m.bounds(ev.time); s.Cmp(start) == 0 {
			events++
			if ev.value.Kind == edged.Number {
				values = append(values, ev)
			}
		}
	}
	m.want = append(m.want, describeResult(&edged.Result{
		Timing: timing, Cause: cause, Index: m.panes[start.String()], Trigger: seq, Key: "k",
		Start: edged.Timestamp(start.Int64()), End: edged.Timestamp(end.Int64()),
		Watermark: edged.Timestamp(m.now().Int64()), Values: columns(events, values),
	}))
	m.panes[start.String()]++
}

// columns computes count(*), count, sum, avg, min, max, first, last.
func columns(events int, values []modelEvent) []edged.Value {
	n := edged.NumberValue
	result := make([]edged.Value, 8)
	result[0], result[1] = n(float64(events)), n(float64(len(values)))
	if len(values) == 0 {
		return result
	}
	sum := new(big.Rat)
	for _, ev := range values {
		sum.Add(sum, new(big.Rat).SetFloat64(ev.value.Float()))
	}
	total, _ := sum.Float64()
	result[2], result[3] = n(total), n(total/float64(len(values)))
	less := func(a, b modelEvent) int { return cmp.Compare(a.value.Float(), b.value.Float()) }
	result[4], result[5] = slices.MinFunc(values, less).value, slices.MaxFunc(values, less).value
	byTime := slices.Clone(values)
	slices.SortStableFunc(byTime, func(a, b modelEvent) int { return cmp.Compare(a.time, b.time) })
	result[6], result[7] = byTime[0].value, byTime[len(byTime)-1].value
	return result
}

// describeResult prints everything that a result says. Sums are rounded to 12
// digits, for an exact sum and a compensated one may differ in the last bit.
func describeResult(r *edged.Result) string {
	line := fmt.Sprintf("kind %d %s by %s index %d trigger %d key %s [%d,%d) at %d:",
		r.Kind, r.Timing, r.Cause, r.Index, r.Trigger, r.Key, r.Start, r.End, r.Watermark)
	return line + columnsOf(r.Values)
}

func columnsOf(values []edged.Value) string {
	line := ""
	for _, v := range values {
		if v.Kind == edged.Number {
			line += fmt.Sprintf(" %.12g", v.Float())
		} else {
			line += " " + string(v.AppendJSON(nil))
		}
	}
	return line
}
