package actors

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"edged"
)

// toyPipeline decodes "key value" and fires a result with the sum of every
// three events of a key, or of fewer when the key falls silent.
type toyPipeline struct {
	idle    int64
	noLinks bool
}

func (toyPipeline) Name() string             { return "toy" }
func (toyPipeline) Origin() string           { return "" }
func (toyPipeline) Slots() int               { return 1 }
func (p toyPipeline) Silences() []int64      { return silences(p.idle) }
func (p toyPipeline) Clone() Pipeline        { return p }
func (toyPipeline) Expected(string) []string { return nil }

// silences is an idle timeout, or none.
func silences(idle int64) []int64 {
	if idle == 0 {
		return nil
	}
	return []int64{idle}
}

func (toyPipeline) Accepts(topic string) bool { return strings.HasPrefix(topic, "in/") }

func (toyPipeline) Decode(ev *edged.Event, _ string, payload []byte) (bool, *edged.PoisonError) {
	key, value, ok := strings.Cut(string(payload), " ")
	n, err := strconv.Atoi(value)
	if !ok || err != nil {
		return false, &edged.PoisonError{Cause: "syntax", Detail: "not 'key value'"}
	}
	ev.Key = key
	ev.Values = append(ev.Values, edged.NumberValue(float64(n)))
	return n != 1000, nil
}

func (toyPipeline) Upstream() string           { return "" }
func (toyPipeline) Pulse() (every, span int64) { return 0, 0 }
func (toyPipeline) SetTable(string, []byte)    {}

func (toyPipeline) AppendDerived(dst []byte, _ *edged.Result) []byte { return dst }

func (toyPipeline) Derive(*edged.Event, []byte) (bool, *edged.PoisonError) { return false, nil }

func (p toyPipeline) NewTask(key string) Task { return &toyTask{key: key, idle: p.idle} }

func (p toyPipeline) Route(*edged.Result) (string, string) {
	if p.noLinks {
		return "", ""
	}
	return "toy", "out"
}

func (toyPipeline) AppendRow(dst []byte, r *edged.Result, seq uint64) []byte {
	return fmt.Appendf(dst, "%d %s #%d sum=%v by %s", seq, r.Key, r.Index, r.Values[0].Float(), r.Cause)
}

type toyTask struct {
	key            string
	idle           int64
	n, sum, firing int
	active         edged.Timestamp
}

const toyPanic = 666 // an event of this value panics

func (t *toyTask) Observe(out *edged.Output, ev *edged.Event, now edged.Timestamp) {
	v := int(ev.Values[0].Float())
	t.active = now
	t.n++
	t.sum += v
	if v == toyPanic {
		panic("the number of the beast")
	}
	if t.n == 3 {
		t.fire(out, ev.Seq, edged.ByWatermark)
	}
}

func (t *toyTask) fire(out *edged.Output, seq edged.Seq, cause edged.Cause) {
	if t.n == 0 {
		return
	}
	values := out.Columns(1)
	values[0] = edged.NumberValue(float64(t.sum))
	out.Results = append(out.Results, edged.Result{Key: t.key, Index: uint32(t.firing), Cause: cause, Trigger: seq, Values: values})
	t.n, t.sum = 0, 0
	t.firing++
}

func (t *toyTask) Tick(out *edged.Output, seq edged.Seq, now edged.Timestamp) {
	if now.Sub(t.active) >= t.idle {
		t.fire(out, seq, edged.ByIdle)
	}
}

func (t *toyTask) Expect(*edged.Output, bool, edged.Seq, edged.Timestamp) {}

func (t *toyTask) Drain(out *edged.Output, seq edged.Seq, _ edged.Timestamp) {
	t.fire(out, seq, edged.ByCommand)
}

func (t *toyTask) End(out *edged.Output, seq edged.Seq, _ edged.Timestamp) {
	t.fire(out, seq, edged.ByEnd)
}
func (t *toyTask) Active() edged.Timestamp { return t.active }
func (t *toyTask) Open() int               { return min(t.n, 1) }
func (t *toyTask) Bytes() int              { return 32 }

func (t *toyTask) AppendBinary(dst []byte) ([]byte, error) {
	return fmt.Appendf(dst, "%d %d %d %d", t.n, t.sum, t.firing, t.active), nil
}

func (t *toyTask) Restore(state []byte) error {
	_, err := fmt.Sscanf(string(state), "%d %d %d %d", &t.n, &t.sum, &t.firing, &t.active)
	return err
}

// toySource delivers its batches, then waits for the end, unless it is bounded.
type toySource struct {
	batches []edged.Batch
	bounded bool

	mu        sync.Mutex
	acked     []uint64
	delivered atomic.Int64
	onAck     func(total int)
}

func (s *toySource) Run(ctx context.Context, deliver func(context.Context, edged.Batch) error) error {
	for _, b := range s.batches {
		if err := deliver(ctx, b); err != nil {
			return nil
		}
		s.delivered.Add(int64(len(b.Messages)))
	}
	if !s.bounded {
		<-ctx.Done()
	}
	return nil
}

func (s *toySource) Ack(ids []uint64) {
	s.mu.Lock()
	s.acked = append(s.acked, ids...)
	n := len(s.acked)
	s.mu.Unlock()
	if s.onAck != nil {
		s.onAck(n)
	}
}

func (s *toySource) Connected() bool { return true }

func (s *toySource) ackedIDs() []uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]uint64(nil), s.acked...)
}

// toyMessages makes n messages over some keys, batched at random.
func toyMessages(r *rand.Rand, n, keys int) []edged.Message {
	var all []edged.Message
	for i := range n {
		all = append(all, edged.Message{
			Topic: "in/x", Payload: fmt.Appendf(nil, "k%d %d", r.IntN(keys), i%500),
			PacketID: uint16(i%65535) + 1, Ack: uint64(i) + 1,
		})
	}
	return all
}

func toyBatches(r *rand.Rand, messages []edged.Message) []edged.Batch {
	batches := []edged.Batch{{Fresh: true}}
	for len(messages) > 0 {
		n := min(1+r.IntN(40), len(messages))
		batches = append(batches, edged.Batch{Messages: messages[:n], More: len(messages) > n})
		messages = messages[n:]
	}
	return batches
}

// toyOutput collects rows and confirms them at once.
type toyOutput struct {
	mu        sync.Mutex
	rows      []string
	confirmed func([]uint64)
}

func (o *toyOutput) Run(ctx context.Context, up func(), down func(error), confirmed func([]uint64)) error {
	o.confirmed = confirmed
	up()
	<-ctx.Done()
	return nil
}

func (o *toyOutput) Send(rows []edged.Row) error {
	var seqs []uint64
	o.mu.Lock()
	for _, r := range rows {
		o.rows = append(o.rows, string(r.Payload))
		seqs = append(seqs, r.Seq)
	}
	o.mu.Unlock()
	o.confirmed(seqs)
	return nil
}

func (o *toyOutput) got() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]string(nil), o.rows...)
}

// toyExpected recomputes the rows of a bounded run.
func toyExpected(messages []edged.Message) []string {
	tasks := map[string]*toyTask{}
	var out edged.Output
	for i := range messages {
		var ev edged.Event
		keep, poison := toyPipeline{}.Decode(&ev, messages[i].Topic, messages[i].Payload)
		if !keep || poison != nil {
			continue
		}
		t := tasks[ev.Key]
		if t == nil {
			t = &toyTask{key: ev.Key}
			tasks[ev.Key] = t
		}
		if ev.Values[0].Float() != toyPanic {
			t.Observe(&out, &ev, 0)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(tasks)) {
		tasks[k].End(&out, 0, 0)
	}
	var rows []string
	for i := range out.Results {
		rows = append(rows, string(toyPipeline{}.AppendRow(nil, &out.Results[i], uint64(i+1))))
	}
	return rows
}
