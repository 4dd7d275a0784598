package timecheck

import "edged/internal/oracle"

// Minimal returns small pipelines of every type of window, for scripts that are
// tried exhaustively.
func Minimal() []oracle.Config {
	after := func(n int) *oracle.Section { return &oracle.Section{When: oracle.Cond{Events: n}} }
	tumbling := oracle.Windowing{Type: oracle.TumblingType, Size: 2}
	session := oracle.Windowing{Type: oracle.SessionType, Gap: 1}
	all := []oracle.Config{
		{Window: tumbling},
		{Window: tumbling, Lateness: 1},
		{Window: tumbling, Lateness: 2, Trigger: oracle.Trigger{Early: after(2), Late: after(2)}, Accumulation: oracle.Discarding},
		{Window: tumbling, Lateness: 2, Trigger: oracle.Trigger{Early: after(1)}, Accumulation: oracle.Retracting},
		{Window: tumbling, Lateness: 2, Trigger: oracle.Trigger{FinalOnly: true}},
		{Window: tumbling, Lateness: 1, Empty: true},
		{Window: tumbling, Lateness: 1, Trigger: oracle.Trigger{Early: &oracle.Section{When: oracle.Cond{Delay: 1}}}},
		{Window: tumbling, WindowsMax: 1},
		{Window: oracle.Windowing{Type: oracle.HoppingType, Size: 2, Period: 1}},
		{Window: oracle.Windowing{Type: oracle.HoppingType, Size: 3, Period: 2}, Lateness: 1},
		{Window: oracle.Windowing{Type: oracle.HoppingType, Size: 1, Period: 2}, Accumulation: oracle.Retracting, Lateness: 1},
		{Window: oracle.Windowing{Type: oracle.CumulateType, Size: 4, Step: 2}, Lateness: 1},
		{Window: oracle.Windowing{Type: oracle.GlobalType}, Trigger: oracle.Trigger{Early: after(2)}, Accumulation: oracle.Discarding},
		{Window: session},
		{Window: session, Lateness: 3},
		{Window: session, Lateness: 3, Accumulation: oracle.Retracting, Trigger: oracle.Trigger{Early: after(2)}},
		{Window: session, Lateness: 3, Accumulation: oracle.Discarding, Trigger: oracle.Trigger{Late: after(2)}},
		{Window: oracle.Windowing{Type: oracle.SessionType, Gap: 1, MaxDuration: 2}, Ordered: true},
		{Window: oracle.Windowing{Type: oracle.CountType, Count: 2, Partial: true}},
		{Window: oracle.Windowing{Type: oracle.CountType, Count: 2, CountStep: 1}, Ordered: true},
		{Window: oracle.Windowing{Type: oracle.CountType, Count: 1, CountStep: 2}},
		{Window: oracle.Windowing{Type: oracle.SlidingType, Size: 2}},
		{Window: oracle.Windowing{Type: oracle.SlidingType, Size: 2, LookAhead: 1}, Lateness: 2},
		{Window: oracle.Windowing{Type: oracle.SlidingType, Size: 2, When: "a"}, Lateness: 1, Trigger: oracle.Trigger{Early: after(1)}},
		{Window: oracle.Windowing{Type: oracle.StateType, Open: "a", Close: "b"}, Ordered: true},
		{Window: oracle.Windowing{Type: oracle.StateType, ChangeOf: "a", MaxDuration: 2}, Ordered: true},
	}
	for i := range all {
		all[i].Watermark.Type = oracle.Manual
		all[i].Columns = []oracle.Column{{Name: "n", Function: "count"}, {Name: "total", Function: "sum", Field: "v"}}
	}
	return all
}

// alphabet returns the steps that exhaustive scripts are made of. The value of an
// event says what it is, so that sums tell events apart.
func alphabet() []oracle.Step {
	var all []oracle.Step
	for t := range int64(4) {
		all = append(all, oracle.Step{Kind: oracle.EventStep, Readings: []oracle.Reading{{Key: "a", Time: t, Fields: map[string]any{
			"v": float64(int64(1) << t), "a": t%2 == 0, "b": t >= 2,
		}}}})
	}
	for _, w := range []int64{2, 3, 5} {
		all = append(all, oracle.Step{Kind: oracle.WatermarkStep, Time: w})
	}
	return append(all, oracle.Step{Kind: oracle.ProcessingTimeStep, Time: 1})
}

// Exhaustive calls f with every script of exactly so many steps, followed by the
// end of the input, until f returns false.
func Exhaustive(c oracle.Config, length int, f func(Case) bool) bool {
	letters := alphabet()
	steps := make([]oracle.Step, length, length+1)
	var fill func(at int) bool
	fill = func(at int) bool {
		if at == length {
			return f(Case{c, append(steps, oracle.Step{Kind: oracle.EndStep})})
		}
		for _, s := range letters {
			steps[at] = s
			if !fill(at + 1) {
				return false
			}
		}
		return true
	}
	return fill(0)
}
