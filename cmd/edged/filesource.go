package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"edged"
	"edged/actors"
	"edged/mqtt/codec"
)

const (
	batchMessages = 256
	batchBytes    = 64 << 10
	samplesMax    = 5 // dead letters that a summary shows
)

// converter makes payloads of lines.
type converter interface {
	// appendPayload appends the payload of a line, and nothing for a line that
	// holds no event. It returns an *edged.PoisonError, not wrapped, for a line
	// that it refuses; any other error ends the input.
	appendPayload(dst, line []byte) ([]byte, error)
}

// plainLines are payloads already. They are not looked at: what is wrong with
// them, the pipelines find as they would in a live run.
type plainLines struct{}

func (plainLines) appendPayload(dst, line []byte) ([]byte, error) {
	return append(dst, bytes.TrimSpace(line)...), nil
}

// csvLines takes the first line as header.
type csvLines struct {
	config codec.CSVConfig
	rows   *codec.CSV
}

func (c *csvLines) appendPayload(dst, line []byte) (_ []byte, err error) {
	if c.rows == nil {
		c.rows, err = codec.NewCSV(c.config, line)
		if err != nil {
			return dst, failed(exitUsage, fmt.Errorf("header: %w", err))
		}
		return dst, nil
	}
	return c.rows.Append(dst, line)
}

// fileSource delivers the lines of an input that ends.
type fileSource struct {
	in      *bufio.Reader
	limit   int  // bytes of a line
	topics  bool // lines begin with a topic and a space
	convert func() converter

	lines   int64
	refused map[string]int64 // by cause
	samples []string
}

var _ actors.Source = (*fileSource)(nil)

// Run implements actors.Source.
func (s *fileSource) Run(ctx context.Context, deliver func(context.Context, edged.Batch) error) error {
	s.refused = map[string]int64{}
	lines := s.convert()
	for {
		batch, err := s.batch(lines)
		if len(batch.Messages) > 0 {
			if err := deliver(ctx, batch); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read input after %d lines: %w", s.lines, err)
		}
	}
}

// batch reads lines until it has enough, in memory of its own.
func (s *fileSource) batch(lines converter) (edged.Batch, error) {
	b := edged.Batch{More: true}
	chunk := make([]byte, 0, batchBytes+batchBytes/4)
	for len(b.Messages) < batchMessages && len(chunk) < batchBytes {
		line, err := s.line()
		if err != nil {
			return b, err
		}
		topic := ""
		if s.topics {
			name, payload, _ := bytes.Cut(line, []byte(" "))
			topic, line = string(name), payload
		}
		at := len(chunk)
		chunk, err = lines.appendPayload(chunk, line)
		if poison, refused := err.(*edged.PoisonError); refused {
			s.refuse(poison.Cause, poison.Detail)
		} else if err != nil {
			return b, err
		}
		if len(chunk) > at {
			b.Messages = append(b.Messages, edged.Message{Topic: topic, Payload: chunk[at:len(chunk):len(chunk)]})
		}
	}
	return b, nil
}

// line returns the next line without its end, and an empty one in place of one
// that is too long. A last line without a line feed counts.
func (s *fileSource) line() ([]byte, error) {
	line, size, err := s.take()
	if err != nil && (size == 0 || !errors.Is(err, io.EOF)) {
		return nil, err
	}
	s.lines++
	if size > s.limit {
		s.refuse("oversize", fmt.Sprintf("line %d: %d bytes; mqtt.packet_bytes_max is the limit", s.lines, size))
		return nil, nil
	}
	return bytes.TrimRight(line, "\r\n"), nil
}

// take reads one line, and keeps no more of it than the limit. size tells how
// long it is, with its line feed.
func (s *fileSource) take() (line []byte, size int, err error) {
	for {
		part, err := s.in.ReadSlice('\n')
		size += len(part)
		more := errors.Is(err, bufio.ErrBufferFull)
		if more || line != nil {
			line = append(line, part[:min(len(part), max(s.limit-len(line), 0))]...)
		} else {
			line = part
		}
		if !more {
			return line, size, err
		}
	}
}

func (s *fileSource) refuse(cause, detail string) {
	s.refused[cause]++
	if len(s.samples) < samplesMax {
		s.samples = append(s.samples, cause+": "+detail)
	}
}

// Ack implements actors.Source. A file needs none.
func (s *fileSource) Ack([]uint64) {}

// Connected implements actors.Source.
func (s *fileSource) Connected() bool { return true }

// replayPipeline takes every message, under a topic of its own: each pipeline
// sees each line once, whatever the others subscribe to. Without a topic of its own
// it takes what it subscribes to.
type replayPipeline struct {
	*pipeline
	topic string
}

func newReplayPipeline(p *pipeline, topic string) *replayPipeline {
	// Results and alarms without outputs are lines, too; late events only if somebody
	// asked for them.
	p.direct(p.Stream(), p.Outputs(), edged.PaneResult, edged.RetractResult, edged.RowResult)
	p.direct(p.AlarmStream(), p.AlarmOutputs(), edged.AlarmResult)
	return &replayPipeline{p, topic}
}

// Accepts implements actors.Pipeline.
func (p *replayPipeline) Accepts(topic string) bool {
	return p.topic != "" || p.pipeline.Accepts(topic)
}

// Decode implements actors.Pipeline.
func (p *replayPipeline) Decode(ev *edged.Event, topic string, payload []byte) (bool, *edged.PoisonError) {
	return p.pipeline.Decode(ev, cmp.Or(p.topic, topic), payload)
}

// Clone implements actors.Pipeline.
func (p *replayPipeline) Clone() actors.Pipeline {
	return newReplayPipeline(p.pipeline.Clone().(*pipeline), p.topic)
}

func (p *replayPipeline) streams() []string {
	var names []string
	for _, kind := range []edged.ResultKind{edged.PaneResult, edged.LateResult, edged.AlarmResult} {
		if to, wanted := p.routes[kind]; wanted {
			names = append(names, to.stream)
		}
	}
	return names
}

// concreteTopic returns a topic that matches the filter.
func concreteTopic(filter string) string {
	return strings.NewReplacer("+", "replay", "#", "replay").Replace(filter)
}

// replayStore counts dead letters instead of keeping them: a file may be full of
// them.
type replayStore struct {
	*actors.MemoryStore
	causes  map[string]int64
	samples []string
}

// Commit implements actors.Store.
func (s *replayStore) Commit(c *edged.Commit) error {
	for _, dead := range c.DeadLetters {
		s.causes[dead.Cause]++
		if len(s.samples) < samplesMax {
			s.samples = append(s.samples, fmt.Sprintf("%s: input %d, pipeline %s: %s", dead.Cause, dead.Seq, dead.Pipeline, dead.Detail))
		}
	}
	letters := c.DeadLetters
	c.DeadLetters = nil
	defer func() { c.DeadLetters = letters }()
	return s.MemoryStore.Commit(c)
}
