package query

import (
	"errors"
	"slices"
	"testing"

	"edged"
)

func TestRestoreRefuses(t *testing.T) {
	p := taskPlan()
	task := p.NewTask("k")
	var out edged.Output
	for i := range edged.Timestamp(20) {
		task.Observe(&out, &edged.Event{EventTime: i, Identity: uint64(i), Values: make([]edged.Value, 1)}, i)
	}
	stored := state(t, task)
	other := taskPlan(func(p *PipelineSpec) { p.Window.Size = 11 }).NewTask("k")
	if err := other.Restore(stored); !errors.Is(err, ErrIncompatible) {
		t.Errorf("state of another plan: %v", err)
	}
	newer := slices.Clone(stored)
	newer[8]++
	if err := task.Restore(newer); !errors.Is(err, ErrIncompatible) {
		t.Errorf("state of another format: %v", err)
	}
	for n := range stored {
		if err := task.Restore(stored[:n]); !errors.Is(err, ErrState) {
			t.Errorf("first %d of %d bytes: %v", n, len(stored), err)
		}
	}
	if err := task.Restore(append(slices.Clone(stored), 0)); !errors.Is(err, ErrState) {
		t.Errorf("one byte too many: %v", err)
	}
	if !slices.Equal(state(t, task), stored) {
		t.Error("a failed Restore changed the task")
	}
}

// A plan may forgive less than the one that stored the state did: what has
// expired by the new rule is dropped, and nothing fires again.
func TestRestoreWithLessLateness(t *testing.T) {
	generous := taskPlan(func(p *PipelineSpec) { p.Window.AllowedLateness = 50 })
	strict := taskPlan(func(p *PipelineSpec) { p.Dedup.MaxEntries = 2 })
	old, task := generous.NewTask("k"), strict.NewTask("k")
	strict.fold.fingerprint = generous.fold.fingerprint
	var out edged.Output
	for i := range edged.Timestamp(5) {
		old.Observe(&out, &edged.Event{EventTime: 8 * i, Identity: 1, Values: make([]edged.Value, 1)}, i)
	}
	if err := task.Restore(state(t, old)); err != nil {
		t.Fatal(err)
	}
	if old.Open() != 4 || task.Open() != 2 || len(out.Results) != 2 {
		t.Errorf("%d windows were open and %d are, after %d panes; want 4, 2 and 2", old.Open(), task.Open(), len(out.Results))
	}
	out.Reset()
	task.Observe(&out, &edged.Event{EventTime: 33, Identity: 1, Values: make([]edged.Value, 1)}, 9)
	task.End(&out, 9, task.Active())
	if n := len(task.seen.live()); len(out.Results) != 2 || n > 2 {
		t.Errorf("%d panes and %d events seen, want 2 and at most 2", len(out.Results), n)
	}
}

func FuzzTaskRestore(f *testing.F) {
	p := taskPlan(func(p *PipelineSpec) { p.Window.AllowedLateness = 30; p.Dedup.MaxEntries = 8 })
	task := p.NewTask("k")
	var out edged.Output
	f.Add(state(f, task))
	for i := range edged.Timestamp(12) {
		at := 7*i - 20
		task.Observe(&out, &edged.Event{EventTime: at, Identity: uint64(i), Values: []edged.Value{edged.NumberValue(float64(i) / 3)}}, i)
		f.Add(state(f, task))
	}
	fingerprint := state(f, task)[:9]
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) >= 9 {
			copy(data, fingerprint) // most mutations of it would only test one line
		}
		task := p.NewTask("k")
		if err := task.Restore(data); err != nil {
			if !errors.Is(err, ErrState) {
				t.Fatal(err)
			}
			return
		}
		stored := state(t, task)
		if again := restored(t, p, task); !slices.Equal(state(t, again), stored) {
			t.Fatal("restoring what was restored changes it")
		}
		var out edged.Output
		w := task.Watermark()
		for i, at := range []edged.Timestamp{w.Add(-35), w, w.Add(10), w.Add(1000)} {
			task.Observe(&out, &edged.Event{EventTime: at, Identity: uint64(i), Values: make([]edged.Value, 1)}, task.Active())
			task.Tick(&out, 0, at)
		}
		task.End(&out, 0, task.Active())
		if task.Open() != 0 {
			t.Fatalf("%d windows are open after the end", task.Open())
		}
	})
}
