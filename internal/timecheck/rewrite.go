package timecheck

import (
	"slices"

	"edged/internal/oracle"
)

// A rewriting is a change of a script that must not change what key "a" gets to
// see, apart from the numbers of the steps. It needs no oracle.
type rewriting struct {
	name    string
	rewrite func(d dice, c Case) Case
}

// rewritings returns those that hold for all cases.
func rewritings() []rewriting {
	return []rewriting{
		{"bundles are split", func(_ dice, c Case) Case { return c.each(alone) }},
		{"bundles are made", bundled},
		{"state is never restored", func(_ dice, c Case) Case {
			c.Steps = slices.DeleteFunc(slices.Clone(c.Steps), func(s oracle.Step) bool { return s.Kind == oracle.RestoreStep })
			return c
		}},
		{"state is restored after every step", func(_ dice, c Case) Case {
			return c.each(func(s oracle.Step) []oracle.Step { return []oracle.Step{s, {Kind: oracle.RestoreStep}} })
		}},
		{"events are repeated at once", repeated},
		{"there are other keys", crowded},
		{"the other keys are gone", lonely},
	}
}

// each replaces every step by several.
func (c Case) each(f func(oracle.Step) []oracle.Step) Case {
	var steps []oracle.Step
	for _, s := range c.Steps {
		steps = append(steps, f(s)...)
	}
	c.Steps = steps
	return c
}

// alone makes a step of every event.
func alone(s oracle.Step) []oracle.Step {
	if s.Kind != oracle.EventStep {
		return []oracle.Step{s}
	}
	var steps []oracle.Step
	for _, r := range s.Readings {
		steps = append(steps, oracle.Step{Kind: oracle.EventStep, Readings: []oracle.Reading{r}})
	}
	return steps
}

// bundled joins neighbouring events at random.
func bundled(d dice, c Case) Case {
	var steps []oracle.Step
	for _, s := range c.each(alone).Steps {
		if n := len(steps); n > 0 && s.Kind == oracle.EventStep && steps[n-1].Kind == oracle.EventStep && d.chance(60) {
			steps[n-1].Readings = append(slices.Clip(steps[n-1].Readings), s.Readings...)
			continue
		}
		steps = append(steps, s)
	}
	c.Steps = steps
	return c
}

// repeated delivers events twice, if the pipeline is to notice. What is refused
// for its time is refused each time.
func repeated(d dice, c Case) Case {
	if !c.Config.Dedup || c.Config.Guard.Policy == oracle.Refused {
		return c
	}
	return c.each(func(s oracle.Step) []oracle.Step {
		if s.Kind == oracle.EventStep && d.chance(50) {
			return []oracle.Step{s, s}
		}
		return []oracle.Step{s}
	})
}

// crowded adds events of other keys.
func crowded(d dice, c Case) Case {
	return c.each(func(s oracle.Step) []oracle.Step {
		if s.Kind != oracle.EventStep {
			return []oracle.Step{s}
		}
		var all []oracle.Reading
		for _, r := range s.Readings {
			other := r
			other.Key = pick(d, "0", "b", "z")
			all = append(all, r)
			if d.chance(60) {
				all = append(all, other)
			}
		}
		s.Readings = all
		return []oracle.Step{s}
	})
}

// lonely leaves only the events of key "a".
func lonely(_ dice, c Case) Case {
	return c.each(func(s oracle.Step) []oracle.Step {
		if s.Kind != oracle.EventStep {
			return []oracle.Step{s}
		}
		s.Readings = slices.DeleteFunc(slices.Clone(s.Readings), func(r oracle.Reading) bool { return r.Key != "a" })
		if len(s.Readings) == 0 {
			return nil
		}
		return []oracle.Step{s}
	})
}

// history returns what key "a" gets to see, without the steps.
func history(lines []oracle.Line) []oracle.Line {
	var all []oracle.Line
	for _, l := range lines {
		if l.Key == "a" {
			l.Step = 0
			all = append(all, l)
		}
	}
	return settle(all)
}
