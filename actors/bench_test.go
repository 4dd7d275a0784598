package actors

import (
	"fmt"
	"testing"

	"edged"
)

// benchmarkEngine runs a bounded engine over the same batches again and again.
func benchmarkEngine(b *testing.B, pipes func() []Pipeline, links []Link) {
	const n, keys = 50_000, 1000
	var batches []edged.Batch
	for at := 0; at < n; at += 500 {
		batch := edged.Batch{More: true}
		for i := range 500 {
			batch.Messages = append(batch.Messages, edged.Message{Topic: "in/x", Payload: fmt.Appendf(nil, "k%d %d", (at+i*7)%keys, i%500), Ack: 1})
		}
		batches = append(batches, batch)
	}
	b.ReportAllocs()
	for b.Loop() {
		e, err := New(Config{}, Ports{Store: NewMemoryStore(links...), Source: &toySource{batches: batches, bounded: true}, Pipelines: pipes(), Links: links, Bounded: true})
		if err != nil {
			b.Fatal(err)
		}
		if err := e.Run(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/event")
}

// BenchmarkEngine is the runtime alone: a task that adds, a store in memory.
func BenchmarkEngine(b *testing.B) {
	benchmarkEngine(b, func() []Pipeline { return []Pipeline{toyPipeline{noLinks: true}} }, nil)
}

// BenchmarkChain adds two stages behind devices of which every third event goes on.
func BenchmarkChain(b *testing.B) {
	pipes := []*chainPipeline{
		{name: "device", groups: 20, size: 3}, {name: "line", upstream: "device", groups: 2, size: 3}, {name: "site", upstream: "line", groups: 1, size: 3},
	}
	benchmarkEngine(b, func() []Pipeline { return asPipelines(pipes) }, nil)
}
