package timecheck

import (
	"math"
	"math/rand/v2"

	"edged/internal/oracle"
)

// dice is chance with a seed.
type dice struct{ *rand.Rand }

func (d dice) chance(percent int) bool { return d.IntN(100) < percent }

// ms returns a number from low to high.
func (d dice) ms(low, high int64) int64 { return low + d.Int64N(high-low+1) }

func pick[T any](d dice, from ...T) T { return from[d.IntN(len(from))] }

// Types are the types of windows that [Random] chooses from, the frequent ones
// several times.
func Types() []string {
	return []string{
		oracle.TumblingType, oracle.TumblingType, oracle.HoppingType, oracle.HoppingType, oracle.CumulateType,
		oracle.CalendarType, oracle.GlobalType, oracle.SessionType, oracle.SessionType, oracle.SessionType,
		oracle.CountType, oracle.SlidingType, oracle.SlidingType, oracle.StateType,
	}
}

// Random returns the case of a seed, with windows of one of the types.
func Random(seed uint64, types ...string) Case {
	d := dice{rand.New(rand.NewPCG(seed, 3))}
	c := config(d, pick(d, types...))
	return Case{c, script(d, c)}
}

// RandomSources returns the case of a seed in which several sources share a key.
func RandomSources(seed uint64) Case {
	d := dice{rand.New(rand.NewPCG(seed, 5))}
	c := oracle.Config{
		Window: windowing(d, pick(d, oracle.TumblingType, oracle.HoppingType, oracle.SlidingType)), Columns: columns(d),
		Lateness:  pick[int64](d, 0, 0, 3),
		Watermark: oracle.Watermark{Type: oracle.Bounded, OutOfOrderness: d.ms(0, 3), Per: "src", IdleTimeout: pick(d, 0, d.ms(3, 20))},
	}
	return Case{c, script(d, c)}
}

// RandomJoin returns the case of a seed in which two streams are joined.
func RandomJoin(seed uint64) Case {
	d := dice{rand.New(rand.NewPCG(seed, 7))}
	lower := d.ms(-8, 6)
	c := oracle.Config{
		Columns: []oracle.Column{{Name: "l_v"}, {Name: "r_v"}}, Dedup: d.chance(10),
		Watermark: oracle.Watermark{OutOfOrderness: d.ms(0, 6), IdleTimeout: pick(d, 0, 0, d.ms(1, 15))},
		Join: &oracle.Join{
			Type: pick(d, oracle.IntervalJoin, oracle.WindowJoin, oracle.AsOfJoin), Pads: pick(d, "", oracle.Left, oracle.Right, oracle.Both),
		},
	}
	if d.chance(50) {
		c.Watermark = oracle.Watermark{Type: oracle.Manual}
	}
	switch j := c.Join; j.Type {
	case oracle.IntervalJoin:
		j.Lower, j.Upper = lower, lower+d.ms(0, 10)
	case oracle.WindowJoin:
		j.Windows = windowing(d, pick(d, oracle.TumblingType, oracle.HoppingType))
	case oracle.AsOfJoin:
		j.Pads, j.Tolerance = pick(d, "", oracle.Left), d.ms(0, 10)
	}
	if c.Join.Type != oracle.WindowJoin && d.chance(40) {
		gathered(d, &c)
	}
	if d.chance(25) {
		c.Guard = guard(d)
	}
	return Case{c, script(d, c)}
}

// gathered puts windows behind a join.
func gathered(d dice, c *oracle.Config) {
	c.Window = windowing(d, pick(d, oracle.TumblingType, oracle.HoppingType, oracle.SessionType))
	c.Window.MaxDuration = 0
	firing(d, c)
	c.Ordered, c.WindowsMax, c.Empty = false, 0, false
	if c.Join.Type == oracle.AsOfJoin {
		c.Lateness = 0 // its rows are in order
	}
	effective(c)
	c.Columns = []oracle.Column{
		{Name: "n", Function: "count"}, {Name: "l", Function: "collect", Field: "l_v"}, {Name: "r", Function: "collect", Field: "r_v"},
	}
}

// RandomPast returns the case of a seed with a backlog, a guard against the future,
// or both.
func RandomPast(seed uint64) Case {
	d := dice{rand.New(rand.NewPCG(seed, 8))}
	c := config(d, pick(d, oracle.TumblingType, oracle.HoppingType, oracle.CumulateType, oracle.SessionType, oracle.SlidingType, oracle.StateType))
	c.WindowsMax, c.Empty = 0, false
	uploads, guarded := d.chance(67), d.chance(67)
	switch {
	case d.chance(30):
		c.Watermark = oracle.Watermark{Type: oracle.Bounded, OutOfOrderness: d.ms(0, 3), Per: "src"}
	case c.Watermark.Type == oracle.Manual && (uploads || d.chance(50)):
		c.Watermark = oracle.Watermark{OutOfOrderness: d.ms(0, 8)}
	}
	if uploads || d.chance(50) { // silence ends an upload
		c.Watermark.IdleTimeout = d.ms(1, 15)
	}
	if uploads {
		c.Backlog = oracle.Backlog{Horizon: c.Lateness + d.ms(1, 40), OlderThan: d.ms(0, 20)}
	}
	if guarded {
		c.Guard = guard(d)
	}
	return Case{c, script(d, c)}
}

// guard chooses what becomes of events from the future.
func guard(d dice) oracle.Guard {
	return oracle.Guard{AheadMax: d.ms(1, 10), Policy: pick(d, oracle.Accept, oracle.Clamp, oracle.Refused)}
}

func config(d dice, kind string) oracle.Config {
	c := oracle.Config{Window: windowing(d, kind), Columns: columns(d), Dedup: d.chance(15)}
	c.Watermark = strategy(d)
	switch kind {
	case oracle.CountType:
		c.Ordered = d.chance(25)
	case oracle.StateType:
		c.Ordered = true
	case oracle.SlidingType:
		c.Lateness = pick[int64](d, 0, 0, 1, 3, 8)
		if d.chance(25) {
			c.Trigger.Early = &oracle.Section{When: oracle.Cond{Events: 1}}
		}
	default:
		if c.Window.MaxDuration > 0 {
			c.Ordered = true
			break
		}
		firing(d, &c)
	}
	if kind == oracle.CalendarType {
		c.Lateness *= 3_600_000
	}
	effective(&c)
	if d.chance(25) {
		c.Watermark.IdleTimeout = d.ms(1, 15)
	}
	return c
}

// firing chooses when and how windows fire that may do so several times.
func firing(d dice, c *oracle.Config) {
	c.Lateness = pick[int64](d, 0, 0, 1, 3, 8, 20)
	c.Ordered = c.Lateness == 0 && d.chance(10)
	c.Accumulation = pick(d, "", "", oracle.Discarding, oracle.Retracting)
	c.Empty = c.Window.Aligned() && d.chance(15)
	// Hopping windows may share slices, and then their limit counts those.
	if d.chance(10) && !c.Empty && c.Window.Type != oracle.HoppingType {
		c.WindowsMax = d.IntN(3) + 1
	}
	switch {
	case d.chance(12):
		c.Trigger.FinalOnly = true
	case d.chance(30): // the default
	default:
		if d.chance(75) || c.Window.Type == oracle.GlobalType {
			c.Trigger.Early = sectionOf(d)
		}
		if d.chance(50) {
			c.Trigger.Late = sectionOf(d)
		}
	}
}

// effective takes away what has no effect beside the rest: documents must not say it.
func effective(c *oracle.Config) {
	if c.Window.Type == oracle.GlobalType {
		c.Lateness, c.Trigger.FinalOnly, c.WindowsMax = 0, false, 0
	}
	if c.Lateness == 0 {
		c.Trigger.Late = nil
	}
	if c.Trigger.FinalOnly || c.Trigger.Early == nil && c.Lateness == 0 {
		c.Accumulation = ""
	}
	if c.Window.Type == oracle.CumulateType && c.Window.Size/c.Window.Step > int64(c.WindowsMax) {
		c.WindowsMax = 0
	}
}

func windowing(d dice, kind string) oracle.Windowing {
	w := oracle.Windowing{Type: kind}
	switch kind {
	case oracle.TumblingType:
		w.Size, w.Offset = d.ms(1, 12), pick[int64](d, 0, 0, d.ms(-15, 15))
	case oracle.HoppingType:
		w.Size, w.Period, w.Offset = d.ms(1, 12), d.ms(1, 8), pick[int64](d, 0, 0, d.ms(-15, 15))
	case oracle.CumulateType:
		w.Step, w.Offset = d.ms(1, 4), pick[int64](d, 0, 0, d.ms(-15, 15))
		w.Size = w.Step * d.ms(1, 4)
	case oracle.CalendarType:
		calendar(d, &w)
	case oracle.SessionType:
		w.Gap = d.ms(1, 8)
		if d.chance(25) {
			w.MaxDuration = w.Gap + d.ms(1, 12)
		}
	case oracle.CountType:
		w.Count, w.Partial = d.IntN(4)+1, d.chance(50)
		w.CountStep = pick(d, 0, d.IntN(5)+1)
	case oracle.SlidingType:
		w.Size, w.LookAhead = d.ms(1, 10), pick[int64](d, 0, 0, d.ms(1, 5))
		w.When = pick(d, "", "", "a")
	case oracle.StateType:
		if d.chance(50) {
			w.ChangeOf = pick(d, "s", "v", "a")
		} else {
			w.Open, w.Close = "a", "b"
		}
		w.MaxDuration = pick[int64](d, 0, 0, d.ms(1, 12))
	}
	return w
}

func calendar(d dice, w *oracle.Windowing) {
	const hour = 3_600_000
	w.Zone = pick(d, "UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia", "America/Sao_Paulo")
	w.Unit = pick(d, "day", "day", "week", "month", "shift")
	switch w.Unit {
	case "week":
		w.WeekStart = pick(d, 1, w.WeekStart, 6)
	case "day":
		w.At = pick[int64](d, 0, 2*hour+hour/2, 6*hour)
	case "shift":
		w.Shifts = pick(d, []int64{6 * hour, 14 * hour, 22 * hour}, []int64{2*hour + hour/2}, []int64{0, 2 * hour, 3 * hour})
	}
}

func strategy(d dice) oracle.Watermark {
	switch n := d.IntN(100); {
	case n < 60:
		return oracle.Watermark{Type: oracle.Manual}
	case n < 85:
		return oracle.Watermark{Type: oracle.Bounded, OutOfOrderness: d.ms(0, 8)}
	case n < 92:
		return oracle.Watermark{Type: oracle.Ascending}
	}
	return oracle.Watermark{Type: oracle.Punctuated, Field: "m"}
}

func columns(d dice) []oracle.Column {
	list := []oracle.Column{{Name: "n", Function: "count"}, {Name: "total", Function: "sum", Field: "v"}}
	if d.chance(50) {
		list = append(list, oracle.Column{Name: "all", Function: "collect", Field: "v"})
	}
	for _, f := range []string{"count", "avg", "min", "max", "first", "last", "range", "delta", "distinct"} {
		if d.chance(20) {
			list = append(list, oracle.Column{Name: f + "_v", Function: f, Field: "v", Where: pick(d, "", "", "b")})
		}
	}
	return list
}

func sectionOf(d dice) *oracle.Section {
	s := &oracle.Section{When: cond(d, 3, true), Once: d.chance(20)}
	if d.chance(20) {
		until := cond(d, 2, false)
		s.Until = &until
	}
	return s
}

func cond(d dice, depth int, sequences bool) oracle.Cond {
	var kids []oracle.Cond
	if depth > 1 && d.chance(40) {
		for range d.IntN(2) + 2 {
			kids = append(kids, cond(d, depth-1, sequences))
		}
	}
	kind := d.IntN(3)
	switch {
	case kids != nil && sequences && kind == 0:
		return oracle.Cond{Sequence: kids}
	case kids != nil && kind == 1:
		return oracle.Cond{All: kids}
	case kids != nil:
		return oracle.Cond{Any: kids}
	case kind == 0:
		return oracle.Cond{Delay: d.ms(1, 15)}
	case kind == 1 && d.chance(50):
		return oracle.Cond{Every: d.ms(1, 15)}
	}
	return oracle.Cond{Events: d.IntN(4) + 1}
}

// course is where a script stands while it is written.
type course struct {
	dice
	config oracle.Config
	unit   int64 // of event time: windows of a calendar are longer
	front  int64 // about the newest event time
	now    int64
	keys   []string
	sent   []oracle.Reading
	events int // of a join: their values tell them apart
}

func script(d dice, c oracle.Config) []oracle.Step {
	w := &course{dice: d, config: c, unit: 1, front: d.ms(-40, 40), keys: []string{"a"}}
	if c.Window.Type == oracle.CalendarType {
		w.unit = 1_800_000
		// Around changes of the clocks: late March, late October, the Apia of 2011, and 1969.
		w.front = pick[int64](d, 1_711_800_000_000, 1_729_900_000_000, 1_325_150_000_000, 1_541_200_000_000, -86_400_000) + d.ms(0, 86_400_000)
		if c.Window.Unit == "month" || c.Window.Unit == "week" {
			w.unit = 40_000_000
		}
	} else if d.chance(3) && !c.Empty && c.Join == nil {
		w.front = pick[int64](d, math.MaxInt64-30, math.MinInt64+30)
	}
	if d.chance(30) {
		w.keys = []string{"a", "b", "c"}
	}
	var steps []oracle.Step
	for range d.IntN(25) + 3 {
		steps = append(steps, w.next())
	}
	if d.chance(75) {
		steps = append(steps, oracle.Step{Kind: oracle.EndStep})
	}
	return steps
}

func (w *course) next() oracle.Step {
	moved := w.config.Backlog.Horizon+w.config.Guard.AheadMax > 0 // by silence, too
	switch n := w.IntN(100); {
	case n < 8 || moved && n >= 92:
		w.now += w.ms(0, 12)
		return oracle.Step{Kind: oracle.ProcessingTimeStep, Time: w.now}
	case n < 14:
		return oracle.Step{Kind: oracle.RestoreStep}
	case n < 32 && w.config.Watermark.Type == oracle.Manual:
		return oracle.Step{Kind: oracle.WatermarkStep, Time: w.at(-10, 6)}
	case n < 32 && w.config.Watermark.Per != "":
		return oracle.Step{Kind: pick(w.dice, oracle.IdleStep, oracle.IdleStep, oracle.ActiveStep), Source: pick(w.dice, sourceNames()...)}
	case n < 18 && w.config.Join != nil:
		return oracle.Step{Kind: pick(w.dice, oracle.IdleStep, oracle.IdleStep, oracle.ActiveStep), Source: pick(w.dice, oracle.Left, oracle.Right)}
	case n < 45:
		s := oracle.Step{Kind: oracle.EventStep}
		for range w.IntN(4) + 2 {
			s.Readings = append(s.Readings, w.reading())
		}
		return s
	}
	return oracle.Step{Kind: oracle.EventStep, Readings: []oracle.Reading{w.reading()}}
}

// at returns a time around the front, within int64 and short of its ends, which
// mean something else.
func (w *course) at(low, high int64) int64 {
	by := w.ms(low, high) * w.unit
	if w.unit > 1 {
		by += w.ms(0, 3) * 900_000
	}
	switch {
	case by > 0 && w.front > math.MaxInt64-1-by:
		return math.MaxInt64 - 1
	case by < 0 && w.front < math.MinInt64+1-by:
		return math.MinInt64 + 1
	}
	return w.front + by
}

func (w *course) reading() oracle.Reading {
	if w.config.Dedup && len(w.sent) > 0 && w.chance(30) {
		again := pick(w.dice, w.sent...)
		if again.Arrival != 0 && w.chance(50) {
			again.Arrival = w.at(-3, 15)
		}
		return again
	}
	w.front = w.at(0, 3)
	r := oracle.Reading{Key: pick(w.dice, w.keys...), Fields: map[string]any{}}
	switch n := w.IntN(100); {
	case n < 60:
		r.Time = w.front
	case n < 90:
		r.Time = w.at(-8, 2)
	default:
		r.Time = w.at(-30, 10)
	}
	if w.chance(90) {
		r.Fields["v"] = float64(w.IntN(15) - 5)
	}
	r.Fields["a"], r.Fields["b"] = w.chance(40), w.chance(30)
	if w.chance(90) {
		r.Fields["s"] = pick(w.dice, "x", "x", "y")
	}
	if w.config.Watermark.Type == oracle.Punctuated && w.chance(40) && w.front > -1<<50 && w.front < 1<<50 {
		r.Fields["m"] = float64(w.at(-8, 1))
	}
	if w.config.Watermark.Per != "" {
		r.Fields["src"] = pick(w.dice, sourceNames()...)
	}
	if w.config.Join != nil {
		w.events++
		r.Stream, r.Fields["v"] = pick(w.dice, oracle.Left, oracle.Right), float64(w.events)
	}
	if w.config.Backlog.Horizon+w.config.Guard.AheadMax > 0 && w.chance(80) {
		r.Arrival = w.at(-3, 15)
		if g := w.config.Guard; g.AheadMax > 0 && r.Arrival < math.MaxInt64-50 && w.chance(20) {
			r.Time = r.Arrival + g.AheadMax + w.ms(1, 30)
		}
	}
	if w.config.Dedup {
		r.ID = pick(w.dice, "1", "2", "3", "4", "5", "6", "7", "8")
		w.sent = append(w.sent, r)
	}
	return r
}

func sourceNames() []string { return []string{"s1", "s2", "s3"} }
