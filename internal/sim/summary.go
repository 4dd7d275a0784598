package sim

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"time"
)

// Summary is what came of a run. Its JSON is the output of edged simulate --json.
type Summary struct {
	Sent       int `json:"sent"`       // samples published, repeats included
	Acked      int `json:"acked"`      // of them acknowledged by the broker
	Resent     int `json:"resent"`     // publishes repeated because a connection was lost
	Reconnects int `json:"reconnects"` // connections after the first
	Duplicates int `json:"duplicates"` // samples that repeat an earlier one
	Late       int `json:"late"`       // readings held back by the generator
	Backlog    int `json:"backlog"`    // readings sent in a burst after silence
	Skipped    int `json:"skipped"`    // rows of a trace without a value

	PayloadBytes int64   `json:"payload_bytes"`     // of all samples
	WallSeconds  float64 `json:"wall_seconds"`      // from the first connect on
	Rate         float64 `json:"events_per_second"` // samples per second of wall time
	CPU          float64 `json:"cpu_us_per_event"`  // of this process; 0 where not known
}

func (t *Summary) count(s *Sample, payload int) {
	t.Sent++
	t.PayloadBytes += int64(payload)
	if s.Duplicate {
		t.Duplicates++
		return
	}
	if s.Late {
		t.Late++
	}
	if s.Backlog {
		t.Backlog++
	}
}

func (t *Summary) measure(wall, cpu time.Duration) {
	t.WallSeconds = wall.Seconds()
	if t.Sent > 0 {
		t.Rate = float64(t.Sent) / max(wall.Seconds(), 1e-9)
		t.CPU = float64(cpu.Microseconds()) / float64(t.Sent)
	}
}

// contextEvery is how many lines WriteNDJSON writes between looks at its context.
const contextEvery = 1024

// WriteNDJSON writes the payloads of all samples to w, a line each, as fast as
// w takes them. Nothing is ever acknowledged, so Acked stays 0.
func WriteNDJSON(ctx context.Context, w io.Writer, src Source) (Summary, error) {
	var (
		total   Summary
		s       Sample
		line    []byte
		out     = bufio.NewWriterSize(w, 64<<10)
		started = time.Now()
		cpu     = CPUTime()
	)
	for total.Sent%contextEvery != 0 || ctx.Err() == nil {
		if !src.Next(&s) {
			break
		}
		line = append(src.AppendPayload(line[:0], &s), '\n')
		if _, err := out.Write(line); err != nil {
			return total, fmt.Errorf("write sample %d: %w", total.Sent+1, err)
		}
		total.count(&s, len(line)-1)
	}
	err := out.Flush()
	total.measure(time.Since(started), CPUTime()-cpu)
	switch {
	case src.Err() != nil:
		return total, src.Err()
	case err != nil:
		return total, fmt.Errorf("write samples: %w", err)
	}
	return total, context.Cause(ctx)
}
