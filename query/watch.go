package query

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"edged"
	"edged/alarms"
	"edged/anomaly"
	"edged/stored"
	"edged/windows"
)

// watch stands around the windows of a key's live lane in a pipeline that detects.
// What goes into the windows, and the panes that come out of them at their end, goes
// by its rules.
//
//	events ──┬──▶ rules of fields ──▶ alarms ──▶ edged.AlarmResult
//	         └──▶ windows ──┬──▶ results
//	                        └──▶ rules of columns ──▶ alarms
//	signs of life, time ──▶ rules of the key ──▶ alarms
//
// The lane of a backlog has none: what was long ago is no news.
type watch struct {
	windows.State
	plan  *Plan
	rules []watched

	seen    bool            // there was an event
	heard   edged.Timestamp // processing time of the last sign of life, or since when one is expected; MinTimestamp: neither
	arrived edged.Timestamp // the gateway's clock then
	newest  edged.Timestamp // newest event time, by which silence is measured
	clock   edged.Timestamp // how far the key's time has come, by events or without; for the rules of the key

	changes []alarms.Change // working memory
}

// watched is a rule of one key.
type watched struct {
	detector anomaly.State // nil: nothing has come
	alarm    alarms.Alarm
	frozen   edged.Timestamp // since when nothing is learned, because values are unusual; MinTimestamp: it is learned
	peers    []peer          // instead, for a rule that compares members: by their names
}

// watching puts a watch around the windows of a live lane, if the plan has rules.
func (f *fold) watching(state windows.State) windows.State {
	if len(f.plan.rules) == 0 {
		return state
	}
	w := &watch{State: state, plan: f.plan, rules: make([]watched, len(f.plan.rules)), heard: edged.MinTimestamp}
	for i := range w.rules {
		w.rules[i].alarm, w.rules[i].frozen = f.plan.rules[i].alarm.New(), edged.MinTimestamp
	}
	return w
}

// watch returns what watches the key, and nil when nothing does.
func (t *Task) watch() *watch {
	w, _ := t.live.windows.(*watch)
	return w
}

// rows returns the windows' place where there are none.
func (l *lane) rows() (*passing, *watch) {
	w, ok := l.windows.(*watch)
	if ok {
		p, _ := w.State.(*passing)
		return p, w
	}
	p, _ := l.windows.(*passing)
	return p, nil
}

// Add implements windows.State.
func (w *watch) Add(out *edged.Output, ev *edged.Event, by windows.Moment) {
	w.observe(out, ev, by)
	from := len(out.Results)
	w.State.Add(out, ev, by)
	w.panes(out, from, by)
}

// Advance implements windows.State.
func (w *watch) Advance(out *edged.Output, to edged.Timestamp, by windows.Moment) {
	from := len(out.Results)
	w.State.Advance(out, to, by)
	w.panes(out, from, by)
}

// Tick implements windows.State.
func (w *watch) Tick(out *edged.Output, by windows.Moment) {
	from := len(out.Results)
	w.State.Tick(out, by)
	w.panes(out, from, by)
	for i := range w.rules {
		r := &w.rules[i]
		if timed, at := w.timed(i), w.extrapolated(by.Now); timed != nil && timed.Due() <= at {
			w.clock = max(w.clock, at)
			w.judged(out, i, at, math.NaN(), timed.Tick(at), by)
		}
		w.changes = r.alarm.Tick(w.changes[:0], by.Now)
		w.say(out, i, by)
		for j := range r.peers {
			w.changes = r.peers[j].alarm.Tick(w.changes[:0], by.Now)
			w.sayOf(out, i, r.peers[j].name, by)
		}
	}
}

// timed returns the detector of a rule if time alone can alarm it.
func (w *watch) timed(i int) anomaly.Timed {
	if !w.plan.rules[i].timed || w.rules[i].detector == nil {
		return nil
	}
	timed, _ := w.rules[i].detector.(anomaly.Timed)
	return timed
}

// extrapolated returns the event time that it must be at a processing time, if the
// device's clock has gone on as ours has.
func (w *watch) extrapolated(now edged.Timestamp) edged.Timestamp {
	return w.newest.Add(max(0, now.Sub(w.heard)))
}

// Open implements windows.State. Who waits for time to pass is open.
func (w *watch) Open() int {
	n := w.State.Open()
	for i := range w.rules {
		timed := w.timed(i)
		if slices.ContainsFunc(w.rules[i].peers, func(p peer) bool { return p.alarm.Waits() }) {
			return n + 1
		}
		if w.rules[i].alarm.Waits() || timed != nil && timed.Due() != edged.MaxTimestamp {
			return n + 1
		}
	}
	return n
}

// alive notes a sign of life. fresh says that it is an event that was not seen before,
// whose time can be believed.
func (w *watch) alive(out *edged.Output, ev *edged.Event, fresh bool, by windows.Moment) {
	if w.heard == edged.MinTimestamp {
		w.clock = ev.EventTime
	}
	w.heard, w.arrived = by.Now, ev.Arrival
	if !w.seen {
		w.meet(ev)
	}
	if !fresh {
		return
	}
	w.newest = max(w.newest, ev.EventTime)
	w.clock = max(w.clock, ev.EventTime)
	for i := range w.rules {
		if r := &w.plan.rules[i]; r.watchesKey() {
			w.judge(out, i, ev.EventTime, 0, by)
		}
	}
}

// meet begins the time of the key's own clock. What was expected by ours is forgotten:
// the two have nothing to do with each other.
func (w *watch) meet(ev *edged.Event) {
	w.seen, w.newest = true, ev.EventTime
	for i := range w.rules {
		if w.plan.rules[i].watchesKey() {
			w.rules[i].detector = nil
		}
	}
}

// observe judges the fields of an event.
func (w *watch) observe(out *edged.Output, ev *edged.Event, by windows.Moment) {
	for i := range w.rules {
		if r := &w.plan.rules[i]; r.slot >= 0 && ev.Values[r.slot].Kind == edged.Number {
			w.judge(out, i, ev.EventTime, ev.Values[r.slot].Float(), by)
		}
	}
}

// panes judges the columns of the panes from a place on that are the first word about
// a window that has ended. What is corrected later was judged already.
func (w *watch) panes(out *edged.Output, from int, by windows.Moment) {
	to := len(out.Results)
	for at := from; at < to; at++ {
		for i := range w.rules {
			r, column := &out.Results[at], w.plan.rules[i].column
			if w.plan.rules[i].peers != nil && r.Kind == edged.PaneResult && r.Timing != edged.Early && w.final(r) {
				w.comparePeers(out, i, at, by)
				continue
			}
			if column < 0 || r.Kind != edged.PaneResult || r.Timing == edged.Early || !w.final(r) {
				continue
			}
			if v := r.Values[column]; v.Kind == edged.Number {
				w.judge(out, i, r.End, v.Float(), by)
			}
		}
	}
}

// final reports whether a pane is the one at the end of its window, or the only one.
func (w *watch) final(r *edged.Result) bool {
	return r.Timing == edged.OnTime || w.plan.Window.FinalOnly
}

// judge lets a rule judge a value, and learn it unless it must not.
func (w *watch) judge(out *edged.Output, i int, at edged.Timestamp, value float64, by windows.Moment) {
	r, rule := &w.rules[i], &w.plan.rules[i]
	if r.detector == nil {
		r.detector = rule.detector.New()
	}
	var v anomaly.Verdict
	switch {
	case r.alarm.Frozen(at, by.Now):
		v = anomaly.Judge(r.detector, at, value)
	case rule.spec.Alarm.Freeze > 0:
		v = r.observe(at, value, rule.spec.Alarm.Freeze)
	default:
		v = r.detector.Observe(at, value)
	}
	if rule.watchesKey() {
		value = math.NaN() // there is none
	}
	w.judged(out, i, at, value, v, by)
}

// observe judges a value and learns it, unless it and those before it are unusual, but
// for no longer than most ms: then what goes on becomes usual.
func (r *watched) observe(at edged.Timestamp, value float64, most int64) anomaly.Verdict {
	if r.frozen != edged.MinTimestamp {
		v := anomaly.Judge(r.detector, at, value)
		unusual := v.Severity != anomaly.SeverityNone
		if unusual && at.Sub(r.frozen) < most {
			v.Alarm = v.Warm // to a detector that speaks once, it would be old
			return v
		}
		r.frozen = edged.MinTimestamp
		if unusual { // for so long that it is usual from now on
			return r.detector.Observe(at, value)
		}
	}
	v := r.detector.Observe(at, value)
	if v.Alarm {
		// It was learned with that. Of one value among many no more need be said.
		anomaly.Teach(r.detector, anomaly.LabelTrue, v.Evidence)
		r.frozen = at
	}
	return v
}

// judged tells the alarm of a rule what the detector has said.
func (w *watch) judged(out *edged.Output, i int, at edged.Timestamp, value float64, v anomaly.Verdict, by windows.Moment) {
	r := &w.rules[i]
	if w.plan.rules[i].watchesKey() {
		at = w.clock // after a silence, a backlog may bring times before it was noticed
	}
	s := alarms.Sample{At: at, Now: by.Now, Value: value, Verdict: v, Historical: w.historical(at, by)}
	w.changes = r.alarm.Observe(w.changes[:0], s)
	w.say(out, i, by)
}

// historical reports whether a value was old when it came in.
func (w *watch) historical(at edged.Timestamp, by windows.Moment) bool {
	old := w.plan.spec.Alarms.HistoricalAfter
	return old > 0 && w.arrived != 0 && by.Cause != edged.ByTick && at < w.arrived.Add(-old)
}

// say appends the changes of a rule's alarm as results.
func (w *watch) say(out *edged.Output, i int, by windows.Moment) { w.sayOf(out, i, "", by) }

// sayOf does so with those of a member's alarm.
func (w *watch) sayOf(out *edged.Output, i int, member string, by windows.Moment) {
	for j := range w.changes {
		c := &w.changes[j]
		w.tell(out, c.Start, c.At, c.Historical, by, w.plan.alarmValues(out, by.Key, member, i, c))
		if w.plan.env.Alarms {
			out.Results[len(out.Results)-1].Partial = out.Bytes(joinAlarm(w.plan.rules[i].spec.Name, c))
		}
	}
	w.changes = w.changes[:0]
}

// tell appends a result about an alarm.
func (w *watch) tell(out *edged.Output, start, at edged.Timestamp, historical bool, by windows.Moment, values []edged.Value) {
	out.Results = append(out.Results, edged.Result{
		Kind: edged.AlarmResult, Cause: by.Cause, Last: true, Historical: historical, Index: alarmIndex(out, by.Trigger), Trigger: by.Trigger,
		Key: by.Key, Start: start, End: at, Watermark: w.Watermark(), Values: values,
	})
}

// alarmIndex tells the alarm events of a key apart that come of one record.
func alarmIndex(out *edged.Output, trigger edged.Seq) uint32 {
	for i := len(out.Results) - 1; i >= 0 && out.Results[i].Trigger == trigger; i-- {
		if out.Results[i].Kind == edged.AlarmResult {
			return out.Results[i].Index + 1
		}
	}
	return 0
}

// expect starts the watch over a key that has not been heard, or ends it.
func (w *watch) expect(out *edged.Output, retired bool, by windows.Moment) {
	if !retired && w.heard == edged.MinTimestamp {
		w.heard, w.newest, w.clock = by.Now, by.Now, by.Now // by our clock: its own is not known
	}
	for i := range w.rules {
		if !w.plan.rules[i].watchesKey() {
			continue
		}
		r := &w.rules[i]
		if retired {
			w.heard, r.detector = edged.MinTimestamp, nil
			// A reset is never refused.
			w.changes, _ = r.alarm.Command(w.changes[:0], alarms.Command{Kind: alarms.KindReset, Note: "not expected any more"}, by.Now)
			w.say(out, i, by)
			continue
		}
		if r.detector == nil {
			r.detector = w.plan.rules[i].detector.New()
		}
		if waiting, ok := r.detector.(anomaly.Expecting); ok {
			waiting.Expect(w.newest)
		}
	}
}

// Bytes implements windows.State.
func (w *watch) Bytes() int {
	n := w.State.Bytes() + 96
	for i := range w.rules {
		n += w.rules[i].alarm.Bytes()
		for j := range w.rules[i].peers {
			n += 16 + len(w.rules[i].peers[j].name) + w.rules[i].peers[j].alarm.Bytes()
		}
		if d := w.rules[i].detector; d != nil {
			n += d.Bytes()
		}
	}
	return n
}

// AppendBinary implements windows.State.
func (w *watch) AppendBinary(dst []byte) []byte {
	dst = w.State.AppendBinary(dst)
	seen := byte(0)
	if w.seen {
		seen = 1
	}
	dst = binary.AppendVarint(append(dst, seen), int64(w.heard))
	dst = binary.AppendVarint(dst, int64(w.arrived))
	dst = binary.AppendVarint(dst, int64(w.newest))
	dst = binary.AppendVarint(dst, int64(w.clock))
	for i := range w.rules {
		r := &w.rules[i]
		if r.detector == nil {
			dst = append(dst, 0)
		} else {
			dst = r.detector.AppendBinary(append(dst, 1))
		}
		dst = r.alarm.AppendBinary(dst)
		if w.plan.rules[i].spec.Alarm.Freeze > 0 {
			dst = binary.AppendVarint(dst, int64(r.frozen))
		}
		if w.plan.rules[i].peers == nil {
			continue
		}
		dst = binary.AppendUvarint(dst, uint64(len(r.peers)))
		for j := range r.peers {
			dst = append(binary.AppendUvarint(dst, uint64(len(r.peers[j].name))), r.peers[j].name...)
			dst = r.peers[j].alarm.AppendBinary(dst)
		}
	}
	return dst
}

// Restore implements windows.State.
func (w *watch) Restore(data []byte) ([]byte, error) {
	data, err := w.State.Restore(data)
	if err != nil {
		return nil, err
	}
	r := stored.Reader{Data: data}
	w.seen = r.Flag()
	w.heard, w.arrived = edged.Timestamp(r.Varint()), edged.Timestamp(r.Varint())
	w.newest, w.clock = edged.Timestamp(r.Varint()), edged.Timestamp(r.Varint())
	for i := range w.rules {
		one := &w.rules[i]
		one.detector = nil
		if r.Flag() {
			one.detector = w.plan.rules[i].detector.New()
			if r.Data, err = one.detector.Restore(r.Data); err != nil {
				return nil, fmt.Errorf("restore the detector of rule %s: %w", w.plan.rules[i].spec.Name, err)
			}
		}
		if r.Bad {
			break
		}
		if r.Data, err = one.alarm.Restore(r.Data); err != nil {
			return nil, fmt.Errorf("restore the alarm of rule %s: %w", w.plan.rules[i].spec.Name, err)
		}
		if one.frozen = edged.MinTimestamp; w.plan.rules[i].spec.Alarm.Freeze > 0 {
			one.frozen = edged.Timestamp(r.Varint())
		}
		if w.plan.rules[i].peers != nil {
			if err := w.restorePeers(i, &r); err != nil {
				return nil, err
			}
		}
	}
	if r.Bad {
		return nil, fmt.Errorf("restore what is watched: %w", windows.ErrState)
	}
	return r.Data, nil
}

// restorePeers reads the alarms of the members of a rule.
func (w *watch) restorePeers(i int, r *stored.Reader) error {
	one, name := &w.rules[i], w.plan.rules[i].spec.Name
	one.peers = nil
	n := r.Uvarint()
	if r.Bad || n > PeersMax {
		return fmt.Errorf("restore %d members of rule %s: %w", n, name, windows.ErrState)
	}
	for j := range n {
		p := peer{r.Text(), w.plan.rules[i].alarm.New()}
		if r.Bad || j > 0 && one.peers[j-1].name >= p.name {
			return fmt.Errorf("restore member %d of rule %s: %w", j, name, windows.ErrState)
		}
		var err error
		if r.Data, err = p.alarm.Restore(r.Data); err != nil {
			return fmt.Errorf("restore the alarm of member %q of rule %s: %w", p.name, name, err)
		}
		one.peers = append(one.peers, p)
	}
	return nil
}
