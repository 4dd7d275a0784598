package equality_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"edged"
	"edged/actors"
	"edged/internal/equality"
)

const expectedDocument = `
tables:
  - {name: machines, file: machines.csv, key: machine, fields: [{name: line, type: text}]}
pipelines:
  - name: watched
    source: {topic: in/+}
    key: {field: device}
    event_time: {field: ts}
    fields: [{name: temp, type: number}]
    detect:
      - {name: gone, detector: {type: dead_man, interval: 20s, factor: 3}}
    alarms:
      outputs: [{stdout: {}}]
      expected: {table: machines}
`

// mute is a source from which nothing comes.
type mute struct{}

func (mute) Run(ctx context.Context, _ func(context.Context, edged.Batch) error) error {
	<-ctx.Done()
	return nil
}
func (mute) Ack([]uint64)    {}
func (mute) Connected() bool { return true }

// TestExpectedAgain: the silence of a key that is taken out of the table and comes back
// begins when it comes back, however long it was silent before.
func TestExpectedAgain(t *testing.T) {
	for _, out := range []time.Duration{30 * time.Second, 17*time.Minute - 30*time.Second} {
		synctest.Test(t, func(t *testing.T) {
			c := &equality.Case{Name: "expected", Text: []byte(expectedDocument)}
			pipelines, streams, err := c.Pipelines()
			if err != nil {
				t.Fatal(err)
			}
			up := &upstream{}
			links := []actors.Link{{Stream: streams[0], Name: "out", Output: &link{upstream: up}}}
			e, err := actors.New(actors.Config{TickInterval: 100 * time.Millisecond}, actors.Ports{Store: actors.NewMemoryStore(links...), Source: mute{}, Pipelines: pipelines, Links: links})
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- e.Run(ctx) }()
			table := func(lines ...string) {
				t.Helper()
				if err := e.LoadTable(ctx, actors.Table{Name: "machines", Content: []byte("machine,line\n" + strings.Join(lines, ""))}); err != nil {
					t.Fatal(err)
				}
			}
			table("m1,a\n", "m2,a\n")
			time.Sleep(out)
			before := len(up.all())
			table("m2,a\n")
			time.Sleep(10 * time.Second)
			table("m1,a\n", "m2,a\n")
			time.Sleep(59 * time.Second)
			for _, row := range up.all()[before:] {
				if strings.Contains(row, `"m1"`) && strings.Contains(row, `"raised"`) {
					t.Errorf("out after %v: too early: %s", out, row)
				}
			}
			time.Sleep(2 * time.Second)
			raised := 0
			for _, row := range up.all()[before:] {
				if strings.Contains(row, `"m1"`) && strings.Contains(row, `"raised"`) {
					raised++
				}
			}
			if raised != 1 {
				t.Errorf("out after %v: %d alarms 61 s after it is expected again: %q", out, raised, up.all())
			}
			stop()
			if err := <-ended; err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute) // in which the actor system forgets its dead letters
		})
	}
}

// all returns what has come.
func (u *upstream) all() (rows []string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, r := range u.rows {
		rows = append(rows, string(r.Payload))
	}
	return rows
}
