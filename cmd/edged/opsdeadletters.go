package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"edged"
	"edged/actors"
	"edged/fleet/agent"
	"edged/fleet/protocol"
)

// The bounds of dlq.list.
const (
	lettersDefault     = 20
	lettersMax         = 100
	letterPayloadBytes = 256
	letterTextBytes    = 256
)

// meant reports whether a letter is one of those with a cause and of a pipeline; "" is any.
func meant(d *edged.DeadLetter, cause, pipeline string) bool {
	return (cause == "" || d.Cause == cause) && (pipeline == "" || d.Pipeline == pipeline || pipelineOf(d.Pipeline) == pipeline)
}

// lettersArgs are the arguments of dlq.list.
type lettersArgs struct {
	Cause    string `json:"cause"`
	Pipeline string `json:"pipeline"`
	Limit    int    `json:"limit"`
}

// Check returns what is wrong with them.
func (a lettersArgs) Check() error { return bounded("limit", a.Limit, lettersMax) }

// letterResult is a dead letter in dlq.list.
type letterResult struct {
	Seq      uint64 `json:"seq"`
	Time     int64  `json:"time_ms"`
	Pipeline string `json:"pipeline,omitempty"`
	Key      string `json:"key,omitempty"`
	Topic    string `json:"topic,omitempty"`
	Cause    string `json:"cause"`
	Detail   string `json:"detail,omitempty"`
	Size     int    `json:"size"`
	Payload  string `json:"payload,omitempty"` // quoted, its first bytes
}

// lettersResult is the result of dlq.list: the newest letters, oldest first.
type lettersResult struct {
	Kept    uint64         `json:"kept"`
	Dropped uint64         `json:"dropped"`
	Matched int            `json:"matched"`
	Causes  map[string]int `json:"causes"` // of all since the store was made
	Letters []letterResult `json:"letters"`
}

func (m *managed) listDeadLetters(ctx context.Context, _ *agent.Call, args lettersArgs) (any, error) {
	st := m.daemon.store.Stats()
	r := lettersResult{Kept: st.DeadLetters.Items, Dropped: st.DeadLetters.Dropped, Causes: map[string]int{}, Letters: []letterResult{}}
	for _, c := range st.Causes {
		r.Causes[c.Cause] = int(c.Count)
	}
	limit := cmp.Or(args.Limit, lettersDefault)
	err := m.daemon.store.DeadLetters(func(d edged.DeadLetter) error {
		if !meant(&d, args.Cause, args.Pipeline) {
			return ctx.Err()
		}
		r.Matched++
		if len(r.Letters) == limit {
			r.Letters = append(r.Letters[:0], r.Letters[1:]...)
		}
		r.Letters = append(r.Letters, letterResult{
			Seq: uint64(d.Seq), Time: int64(d.Time), Pipeline: d.Pipeline, Key: cut(d.Key), Topic: cut(d.Topic), Cause: d.Cause, Detail: cut(d.Detail),
			Size: d.Size, Payload: strconv.Quote(string(d.Payload[:min(len(d.Payload), letterPayloadBytes)])),
		})
		return ctx.Err()
	})
	return r, agent.Failed(protocol.CodeStorage, err)
}

// The bounds of dlq.retry.
const (
	retryDefault  = 100
	retryMax      = 1000
	retrySeqsMax  = 200
	retryBytesMax = 4 << 20
)

// retryArgs are the arguments of dlq.retry.
type retryArgs struct {
	Cause    string      `json:"cause"`
	Pipeline string      `json:"pipeline"`
	Seqs     []edged.Seq `json:"seqs"` // those of dlq.list; none: all
	Limit    int         `json:"limit"`
}

// Check returns what is wrong with them.
func (a retryArgs) Check() error {
	if len(a.Seqs) > retrySeqsMax {
		return fmt.Errorf("seqs: %d numbers, at most %d", len(a.Seqs), retrySeqsMax)
	}
	return bounded("limit", a.Limit, retryMax)
}

// retryResult is the result of dlq.retry.
type retryResult struct {
	Retried int       `json:"retried"`
	First   edged.Seq `json:"first_seq,omitempty"` // the records that they are now
	Last    edged.Seq `json:"last_seq,omitempty"`
	Again   int       `json:"again"` // of these, letters that it made
	Held    int       `json:"held"`  // left: their pipelines are held
	Gone    int       `json:"gone"`  // left: their pipelines do not run, or take results and no messages
	Unfit   int       `json:"unfit"` // left: not all of the message is there any more
	More    bool      `json:"more"`  // there are more: ask again
}

// retryDeadLetters has the messages of dead letters taken once more, the oldest first.
func (m *managed) retryDeadLetters(ctx context.Context, c *agent.Call, args retryArgs) (any, error) {
	d := m.daemon
	if !d.ready() {
		return nil, errRecovering
	}
	d.taking.Lock()
	defer d.taking.Unlock()
	if d.active.Load().roles.listens != nil {
		return nil, agent.Failed(protocol.CodeBusy, errors.New("a version is on trial, and could not be compared: wait for its end"))
	}
	all, r, err := m.retries(ctx, args)
	if err != nil {
		return nil, agent.Failed(protocol.CodeStorage, err)
	}
	done, err := d.engine.Retry(ctx, all)
	if err != nil {
		return nil, err
	}
	r.Retried, r.First, r.Last, r.Held, r.Gone = done.Taken, done.First, done.Last, done.Held, done.Gone
	err = d.store.DeadLetters(func(l edged.DeadLetter) error {
		if l.Seq >= r.First && l.Seq <= r.Last {
			r.Again++
		}
		return ctx.Err()
	})
	d.log.Warn("a command retries dead letters", "retried", r.Retried, "again", r.Again, "id", c.Command.ID, "issuer", c.Command.Issuer)
	return r, agent.Failed(protocol.CodeStorage, err)
}

// retries lists what is to be retried.
func (m *managed) retries(ctx context.Context, args retryArgs) (all []actors.Retry, r retryResult, err error) {
	now, floor, size := m.daemon.active.Load(), m.daemon.store.Position().Floor, 0
	limit := cmp.Or(args.Limit, retryDefault)
	err = m.daemon.store.DeadLetters(func(l edged.DeadLetter) error {
		if !meant(&l, args.Cause, args.Pipeline) || len(args.Seqs) > 0 && !slices.Contains(args.Seqs, l.Seq) {
			return ctx.Err()
		}
		if l.Topic == "" || len(l.Payload) < l.Size && l.Seq <= floor {
			r.Unfit++
			return ctx.Err()
		}
		if len(all) == limit || size > retryBytesMax {
			r.More = true
			return errEnough
		}
		one := actors.Retry{Letter: l.Number, Of: l.Seq, Topic: l.Topic, Payload: l.Payload}
		if l.Pipeline != "" {
			one.Pipeline = now.identity(pipelineOf(l.Pipeline)).Name // the version that runs
		}
		size += l.Size
		all = append(all, one)
		return ctx.Err()
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, r, err
	}
	return all, r, m.complete(ctx, all, floor)
}

// complete gives retries what the journal still has of their messages: when they came, and
// what of them is not in the sample. It goes over the journal once.
func (m *managed) complete(ctx context.Context, all []actors.Retry, floor edged.Seq) error {
	if len(all) == 0 {
		return nil
	}
	at := map[edged.Seq][]*actors.Retry{}
	first, last := all[0].Of, all[0].Of
	for i := range all {
		one := &all[i]
		at[one.Of] = append(at[one.Of], one)
		first, last = min(first, one.Of), max(last, one.Of)
	}
	err := m.daemon.store.Replay(max(first-1, floor), func(rec *edged.Record) error {
		if rec.Seq > last {
			return errEnough
		}
		if rec.Topic != "" && (rec.Kind == edged.MessageRecord || rec.Kind == edged.AgainRecord) {
			for _, one := range at[rec.Seq] {
				one.Topic, one.Payload, one.Arrival = rec.Topic, rec.Payload, rec.Arrival
			}
		}
		return ctx.Err()
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// cut shortens a text that comes from outside.
func cut(text string) string {
	if len(text) > letterTextBytes {
		return text[:letterTextBytes]
	}
	return text
}

// purgeResult is the result of dlq.purge.
type purgeResult struct {
	Purged uint64 `json:"purged"`
}

func (m *managed) purgeDeadLetters(context.Context, *agent.Call, agent.None) (any, error) {
	n, err := m.daemon.store.PurgeDeadLetters()
	return purgeResult{n}, agent.Failed(protocol.CodeStorage, err)
}
