package actors

import (
	"cmp"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"edged"
)

// commitLoop makes epochs durable in their order and then, and only then, lets
// the world know.
func (e *Engine) commitLoop() {
	for {
		select {
		case ep := <-e.closed:
			select {
			case <-ep.processed:
			case <-e.failed:
				return
			}
			if e.hasFailed() {
				return // turns may have ended early because of it
			}
			if err := e.commit(ep); err != nil {
				e.fail(err)
				return
			}
			e.committed <- ep
		case <-e.stopped:
			return
		case <-e.failed:
			return
		}
	}
}

func (e *Engine) hasFailed() bool {
	select {
	case <-e.failed:
		return true
	default:
		return false
	}
}

// commit makes one processed epoch durable, acknowledges its messages and
// releases its rows.
func (e *Engine) commit(ep *epoch) error {
	c := e.emptyCommit()
	if !ep.replay {
		e.assemble(ep, c)
		start := time.Now()
		if err := e.store.Commit(c); err != nil {
			return fmt.Errorf("commit of epoch %d (records %d..): %w; what is on disk is unknown until a restart reads it", ep.number, e.firstSeq(ep), err)
		}
		e.stats.Commit.observe(time.Since(start))
		e.stats.Epochs.Add(1)
	}
	e.recycle(ep)
	e.done.advance(ep.number)
	if len(ep.acks) > 0 {
		e.source.Ack(ep.acks)
	}
	for first := 0; first < len(c.Rows); {
		last := first + 1
		for last < len(c.Rows) && c.Rows[last].Stream == c.Rows[first].Stream {
			last++
		}
		e.release(c.Rows[first:last])
		first = last
	}
	return nil
}

// emptyCommit returns the committer's one commit with its memory kept.
func (e *Engine) emptyCommit() *edged.Commit {
	c := &e.building
	clear(c.Snapshots)
	clear(c.DeadLetters)
	*c = edged.Commit{Snapshots: c.Snapshots[:0], DeadLetters: c.DeadLetters[:0]}
	return c
}

func (e *Engine) firstSeq(ep *epoch) edged.Seq {
	if len(ep.records) == 0 {
		return 0
	}
	return ep.records[0].Seq
}

// assemble builds the commit of an epoch.
func (e *Engine) assemble(ep *epoch, c *edged.Commit) {
	c.Generation, c.Time, c.Records = ep.generation, ep.time, ep.records
	c.Keep, c.Retried = ep.keep, ep.retried
	c.DeadLetters, c.Cursors, c.Sweep = append(c.DeadLetters, ep.dead...), ep.cursors, ep.sweep
	if n := len(ep.records); n > 0 {
		e.last = ep.records[n-1].Seq
	}
	results := e.results[:0]
	for i := range ep.turns {
		t := &ep.turns[i]
		c.DeadLetters = append(c.DeadLetters, t.dead...)
		if t.snapshot != nil {
			c.Snapshots = append(c.Snapshots, edged.Snapshot{
				Pipeline: t.ref.router.pipeline.Name(), Key: t.ref.key, Seq: e.last, Active: t.active, Rung: t.rung, Beats: edged.Knowing(t.beats),
				Open: t.open, Twin: t.twin, State: t.snapshot,
			})
			ep.swept += int64(len(t.snapshot) + len(t.ref.key) + 32)
		}
		if t.out != nil {
			results = t.appendCaused(results)
			e.count(t.out, e.stats.Pipelines()[t.ref.router.index], t.ref.router.muted)
		}
	}
	sortCaused(results)
	if len(e.shadows) > 0 {
		e.comparisons.take(results)
		results = slices.DeleteFunc(results, func(r caused) bool { return r.turn.ref.router.muted })
	}
	e.rows(results, c)
	clear(results)
	e.results = results[:0]
	e.stats.DeadLetters.Add(int64(len(c.DeadLetters)))
	e.stats.Snapshots.Add(int64(len(c.Snapshots)))
	if c.Sweep != nil {
		e.stats.Sweeps.Add(1)
	}
}

// rows numbers the results of each stream and encodes them.
func (e *Engine) rows(results []caused, c *edged.Commit) {
	if len(results) == 0 {
		return
	}
	var buf []byte // not reused: gateways keep rows until they are confirmed
	for _, r := range results {
		p := r.turn.ref.router.pipeline
		stream, topic := p.Route(r.result)
		if stream == "" {
			continue
		}
		e.streams[stream]++
		seq := e.streams[stream]
		if cap(buf)-len(buf) < 512 {
			buf = make([]byte, 0, 16<<10)
		}
		at := len(buf)
		buf = p.AppendRow(buf, r.result, seq)
		c.Rows = append(c.Rows, edged.Row{Stream: stream, Seq: seq, Topic: topic, Payload: buf[at:len(buf):len(buf)]})
	}
	slices.SortStableFunc(c.Rows, func(a, b edged.Row) int { return cmp.Compare(a.Stream, b.Stream) })
	e.stats.Rows.Add(int64(len(c.Rows)))
}

// count adds up what a turn reported.
func (e *Engine) count(out *edged.Output, p *PipelineStats, muted bool) {
	st := &e.stats
	if !muted {
		add(&st.Late, out.Late)
		add(&st.Duplicates, out.Duplicates)
		add(&st.Overflow, out.Overflow)
	}
	limit := 0
	for i := range out.Missed {
		if out.Missed[i].Limit {
			limit++
		}
	}
	add(&p.MissedLimit, limit)
	add(&p.MissedLate, len(out.Missed)-limit)
	add(&p.Unassigned, out.Unassigned)
	add(&p.Suppressed, out.Suppressed)
	add(&p.Ahead, out.Ahead)
	add(&p.Historical, out.Historical)
	for i := range out.Results {
		r := &out.Results[i]
		switch r.Kind {
		case edged.RetractResult:
			p.Retractions.Add(1)
		case edged.AlarmResult:
			p.Alarms.Add(1)
		}
		if r.Kind != edged.PaneResult || muted {
			continue
		}
		st.Panes[r.Cause].Add(1)
		if r.Timing == edged.Late {
			st.Revisions.Add(1)
		}
	}
}

// add adds to a counter. Most of what turns report is 0, and an atomic addition of
// it costs as much as one of something.
func add(to *atomic.Int64, n int) {
	if n != 0 {
		to.Add(int64(n))
	}
}

// recycle gives the outputs of an epoch back. Their values have been encoded.
func (e *Engine) recycle(ep *epoch) {
	for i := range ep.turns {
		if out := ep.turns[i].out; out != nil {
			ep.turns[i].out = nil
			out.Reset()
			e.keys.outputs.Put(out)
		}
	}
}

// release tells the stream's gateways that rows are durable.
func (e *Engine) release(rows []edged.Row) {
	for _, g := range e.gateways {
		if g.state.stream == rows[0].Stream {
			g.state.tell(e.system.Root, g.pid, rows)
		}
	}
}
