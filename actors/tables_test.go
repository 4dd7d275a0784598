package actors

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"edged"
)

// records tells what is in a journal.
func records(journal []edged.Record) (all []string) {
	for i := range journal {
		switch rec := &journal[i]; rec.Kind {
		case edged.TableRecord, edged.KeptRecord:
			all = append(all, rec.Topic+"="+string(rec.Payload))
		case edged.MessageRecord:
			all = append(all, string(rec.Payload))
		}
	}
	return all
}

// Tables are journaled when they change, and again where the journal will be cut;
// a message sees the ones before it.
func TestTables(t *testing.T) {
	pipes := []*chainPipeline{{name: "device", groups: 1, size: 100}}
	mem := NewMemoryStore()
	mem.keep = true
	lives := []struct {
		tables []Table
		load   []Table
		want   []string // new in the journal
	}{
		{[]Table{{"b", []byte("1")}, {"a", []byte("1")}}, nil, []string{"b=1", "a=1", "k1 0"}},
		{[]Table{{"a", []byte("1")}, {"b", []byte("1")}}, nil, []string{"a=1", "b=1", "k1 1"}}, // the last end was clean
		{[]Table{{"a", []byte("2")}, {"b", []byte("1")}}, nil, []string{"a=1", "b=1", "a=2", "k1 2"}},
		{[]Table{{"a", []byte("2")}}, []Table{{"a", []byte("2")}, {"a", []byte("3")}}, []string{"a=2", "a=3", "k1 3"}}, // b is forgotten
		{[]Table{{"a", []byte("3")}, {"b", []byte("1")}}, nil, []string{"a=3", "b=1", "k1 4"}},
		{nil, nil, []string{"k1 5"}},
	}
	var want []string
	for i, l := range lives {
		src := &feedSource{feed: make(chan edged.Batch, 1)}
		ctx, stop := context.WithCancel(t.Context())
		src.onAck = func(int) { stop() }
		e, err := New(Config{CommitInterval: time.Millisecond, TickInterval: time.Hour}, Ports{Store: mem, Source: src, Pipelines: asPipelines(pipes), Tables: l.tables})
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- e.Run(ctx) }()
		for _, table := range l.load {
			if err := e.LoadTable(ctx, table); err != nil {
				t.Fatal(err)
			}
		}
		src.feed <- edged.Batch{Messages: []edged.Message{message(fmt.Sprint("k1 ", i), 1)}}
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		stop()
		if e.LoadTable(t.Context(), Table{"late", nil}) == nil {
			t.Error("a table is taken after the end")
		}
		want = append(want, l.want...)
	}
	if got := records(mem.journal); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// What is derived from a message sees the tables of the message, although it is
// decoded later, when the next table may be known.
func TestDerivedSeesItsTables(t *testing.T) {
	r := newRand(t)
	for range 10 {
		pipes := chain(r, false)
		links, _ := chainLinks(pipes)
		mem := NewMemoryStore(links...)
		mem.keep = true
		messages := chainMessages(r, 400)
		src := &feedSource{feed: make(chan edged.Batch)}
		ctx, stop := context.WithCancel(t.Context())
		src.onAck = func(n int) {
			if n == len(messages) {
				stop()
			}
		}
		e, err := New(tinyConfig(r), Ports{Store: mem, Source: src, Pipelines: asPipelines(pipes), Links: links})
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- e.Run(ctx) }()
		for i := range messages {
			src.feed <- edged.Batch{Messages: messages[i : i+1]}
			if i%20 == 7 {
				if err := e.LoadTable(ctx, Table{"a", fmt.Append(nil, i)}); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		stop()
		o := newChainOracle(pipes)
		o.take(mem.journal, false)
		states := map[string]string{}
		for id, s := range mem.snapshots {
			states[id] = string(s.State)
		}
		sameStates(t, "live", states, o)
	}
}
