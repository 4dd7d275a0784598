package equality_test

import (
	"math/rand/v2"
	"testing"

	"edged"
	"edged/edgedtest"
	"edged/internal/equality"
)

// driven is what a driver said, by streams, up to the ids.
type driven struct {
	t    *testing.T
	part *equality.Part
	d    *edgedtest.Driver
	rows map[string][]string
}

func drive(t *testing.T, part *equality.Part) *driven {
	t.Helper()
	d, err := part.Driver()
	if err != nil {
		t.Fatal(err)
	}
	return &driven{t, part, d, map[string][]string{}}
}

func (d *driven) take(results []edgedtest.Result, err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatalf("pipelines %v, step %d: %v", d.part.Names, d.d.Steps(), err)
	}
	for i := range results {
		if stream, row := d.part.Row(&results[i]); stream != "" {
			d.rows[stream] = append(d.rows[stream], row)
		}
	}
}

// events tells the driver inputs, in bundles of any size and with checkpoints.
func (d *driven) events(r *rand.Rand, inputs []equality.Input, arrivals bool) {
	d.t.Helper()
	var bundle []edgedtest.Event
	for i := range inputs {
		if d.part.Takes(&inputs[i]) {
			d.take(d.d.Bundle(bundle...))
			bundle = nil
			d.take(d.d.Command(inputs[i].Payload))
		}
		if ev, ok := d.part.Event(&inputs[i], arrivals); ok {
			bundle = append(bundle, ev)
		}
		if i == len(inputs)-1 || r.IntN(3) == 0 {
			d.take(d.d.Bundle(bundle...))
			bundle = nil
		}
		if r.IntN(20) == 0 {
			if err := d.d.CheckpointRestore(); err != nil {
				d.t.Fatal(err)
			}
		}
	}
}

// compare compares what the driver said with the rows of a fold.
func (d *driven) compare(c *equality.Case, fold *equality.Fold) (rows int) {
	d.t.Helper()
	for _, name := range d.part.Names {
		for _, stream := range []string{name, name + ".late", name + ".alarms"} {
			got, want := d.rows[stream], fold.Rows(stream)
			for i := range max(len(got), len(want)) {
				switch {
				case i >= len(got):
					d.t.Fatalf("%s: stream %s: the driver does not say\n%s", c.Name, stream, want[i].Payload)
				case i >= len(want):
					d.t.Fatalf("%s: stream %s: the driver says, beyond the engine,\n%s", c.Name, stream, got[i])
				case got[i] != bare(want[i].Payload):
					d.t.Fatalf("%s: stream %s: row %d\n driver %s\n engine %s", c.Name, stream, i+1, got[i], want[i].Payload)
				}
			}
			rows += len(got)
		}
	}
	return rows
}

// TestDriver: the driver says of a bounded input what the engine says.
func TestDriver(t *testing.T) {
	r := newRand(t)
	rows := 0
	for _, c := range cases(t) {
		for range 2 * *long {
			inputs, arrivals := c.Inputs(r, 300), r.IntN(2) == 0
			pipelines, _, err := c.Pipelines()
			if err != nil {
				t.Fatal(err)
			}
			fold := equality.NewFold(pipelines)
			fold.Take(equality.Journal(c.Tables, inputs, arrivals), true)
			parts, err := c.Parts()
			if err != nil {
				t.Fatal(err)
			}
			for _, part := range parts {
				d := drive(t, part)
				d.events(r, inputs, arrivals)
				d.take(d.d.End())
				rows += d.compare(c, fold)
			}
		}
	}
	t.Logf("%d rows", rows)
}

// TestDriverTime: when processing time moves between the events, as a script says,
// the driver says what the engine says of a journal with these ticks.
func TestDriverTime(t *testing.T) {
	r := newRand(t)
	rows := 0
	for _, c := range cases(t) {
		if c.Name != "ticks" && c.Name != "silence" {
			continue
		}
		for range 10 * *long {
			inputs, seed := c.Inputs(r, 150), r.Uint64()
			parts, err := c.Parts()
			if err != nil {
				t.Fatal(err)
			}
			for _, part := range parts {
				rows += timed(t, c, part, inputs, seed)
			}
		}
	}
	if t.Logf("%d rows", rows); rows == 0 {
		t.Error("too little happened for this test to fail")
	}
}

// timed tells driver and fold the same inputs and ticks. Ticks come as often as the
// shortest wait of a trigger.
func timed(t *testing.T, c *equality.Case, part *equality.Part, inputs []equality.Input, seed uint64) (rows int) {
	t.Helper()
	pipelines, _, err := c.Pipelines()
	if err != nil {
		t.Fatal(err)
	}
	fold, d := equality.NewFold(pipelines), drive(t, part)
	var journal []edged.Record
	r, now := rand.New(rand.NewPCG(seed, 0)), edged.Timestamp(0)
	record := func(rec edged.Record) {
		rec.Seq, rec.Time = edged.Seq(len(journal)+1), now
		journal = append(journal, rec)
	}
	for _, table := range c.Tables {
		record(edged.Record{Kind: edged.TableRecord, Topic: table.Name, Payload: table.Content})
	}
	for i := range inputs {
		for range max(0, r.IntN(12)-6) {
			now++
			record(edged.Record{Kind: edged.TickRecord})
			d.take(d.d.ProcessingTime(now))
		}
		record(edged.Record{Kind: edged.MessageRecord, Topic: inputs[i].Topic, Payload: inputs[i].Payload})
		d.events(r, inputs[i:i+1], false)
	}
	fold.Take(journal, false)
	return d.compare(c, fold)
}
