package query

import (
	"runtime"
	"testing"

	"edged"
)

// realistic is the default pipeline: windows of 10 s, a reading per second,
// seven aggregates.
func realistic() *Plan {
	return taskPlan(func(p *PipelineSpec) {
		p.Window.Size = 10_000
		p.Watermark = WatermarkSpec{Type: "bounded", OutOfOrderness: 2000, IdleTimeout: 30_000}
		p.Aggregates = p.Aggregates[1:]
	})
}

// readings feeds n readings, one per second, to the task.
func readings(task *Task, out *edged.Output, ev *edged.Event, n int) {
	for range n {
		ev.Seq++
		ev.EventTime += 1000
		ev.Identity = ev.Identity*6364136223846793005 + 1442695040888963407
		ev.Values[0] = edged.NumberValue(20 + float64(ev.Identity>>54)/100)
		task.Observe(out, ev, ev.EventTime+50)
	}
}

func newReading() *edged.Event {
	return &edged.Event{Key: "d000123", EventTime: 1_700_000_000_000, Identity: 1, Values: make([]edged.Value, 1)}
}

func TestStateIsCompact(t *testing.T) {
	p, ev, out := realistic(), newReading(), edged.Output{}
	task := p.NewTask(ev.Key)
	readings(task, &out, ev, 9)
	if n := len(state(t, task)); n > 250 || task.Open() != 1 {
		t.Errorf("one window, seven aggregates and nine events take %d bytes, want at most 250", n)
	} else {
		t.Logf("%d bytes after 9 readings", n)
	}
	readings(task, &out, ev, 1000)
	if n := len(state(t, task)); n > 400 {
		t.Errorf("after 1009 readings the state takes %d bytes, want at most 400", n)
	} else {
		t.Logf("%d bytes after 1009 readings, %d windows, %d events", n, task.Open(), len(task.seen.live()))
	}
}

func TestTaskMemory(t *testing.T) {
	for _, n := range []int{9, 300} {
		p, out := realistic(), edged.Output{}
		tasks := make([]*Task, 2000)
		before := heap()
		for i := range tasks {
			ev := newReading()
			tasks[i] = p.NewTask(ev.Key)
			readings(tasks[i], &out, ev, n)
			out.Reset()
		}
		perKey := (heap() - before) / int64(len(tasks))
		t.Logf("%d bytes per key after %d readings, %d windows, %d events seen", perKey, n, tasks[0].Open(), len(tasks[0].seen.live()))
		if limit := map[int]int64{9: 600, 300: 900}[n]; perKey > limit {
			t.Errorf("%d bytes per key after %d readings, want at most %d", perKey, n, limit)
		}
		runtime.KeepAlive(tasks)
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestWarmTaskDoesNotAllocate(t *testing.T) {
	p, ev, out := realistic(), newReading(), edged.Output{}
	task := p.NewTask(ev.Key)
	readings(task, &out, ev, 200)
	if n := testing.AllocsPerRun(2000, func() { out.Reset(); readings(task, &out, ev, 1) }); n != 0 {
		t.Errorf("%v allocations per event", n)
	}
}

func BenchmarkTaskObserve(b *testing.B) {
	p, ev, out := realistic(), newReading(), edged.Output{}
	task := p.NewTask(ev.Key)
	for b.Loop() {
		out.Reset()
		readings(task, &out, ev, 1)
	}
}

func BenchmarkTaskAppendBinary(b *testing.B) {
	p, ev, out := realistic(), newReading(), edged.Output{}
	task := p.NewTask(ev.Key)
	readings(task, &out, ev, 9)
	var data []byte
	for b.Loop() {
		data, _ = task.AppendBinary(data[:0])
	}
}
