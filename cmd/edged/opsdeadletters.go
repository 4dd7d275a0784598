package main

import (
	"cmp"
	"context"
	"strconv"

	"edged"
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
		if args.Cause != "" && d.Cause != args.Cause || args.Pipeline != "" && d.Pipeline != args.Pipeline && pipelineOf(d.Pipeline) != args.Pipeline {
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
