package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"

	"edged"
	"edged/actors"
	"edged/configs"
	"edged/mqtt"
	"edged/persistence"
	"edged/query"
)

// outputs are the links of all streams.
type outputs struct {
	links []actors.Link
	lines *lockedWriter
}

// openOutputs makes the links of all streams. Publishers connect only when the
// engine runs them.
func openOutputs(r *roles, stdout io.Writer, log *slog.Logger) (*outputs, error) {
	none := &outputs{lines: &lockedWriter{w: stdout}}
	return none.next(r, log)
}

// next makes the links of other roles; those that are there already go over.
func (o *outputs) next(r *roles, log *slog.Logger) (*outputs, error) {
	n := &outputs{lines: o.lines}
	up := &r.speaks.settings.Upstream
	for _, st := range r.streams() {
		for _, spec := range st.outputs {
			at := slices.IndexFunc(o.links, func(l actors.Link) bool { return l.Stream == st.name && l.Name == spec.Name() })
			if at >= 0 {
				n.links = append(n.links, o.links[at])
				continue
			}
			output, err := n.open(up, st.name, spec, log)
			if err != nil {
				return nil, errors.Join(err, n.closeBut(o))
			}
			n.links = append(n.links, actors.Link{
				Stream: st.name, Name: spec.Name(), Output: output, Window: min(up.Window, mqtt.Window),
			})
		}
	}
	return n, nil
}

func (o *outputs) open(up *configs.Upstream, stream string, spec query.OutputSpec, log *slog.Logger) (actors.Output, error) {
	switch spec.Kind {
	case query.OutputMQTT:
		// A publisher of its own: confirmations name rows by their number only.
		cfg, err := mqttConfig(&up.Broker, up.ClientID+"-"+stream, log)
		if err != nil {
			return nil, err
		}
		pub, err := mqtt.NewPublisher(cfg)
		return publisher{pub}, failed(exitConfig, err)
	case query.OutputFile:
		file, err := persistence.OpenNDJSON(spec.Path)
		if err != nil {
			return nil, failed(exitStore, fmt.Errorf("output of stream %s: %w", stream, err))
		}
		return file, nil
	case query.OutputStdout:
		return newLineOutput(o.lines), nil
	}
	return nil, fmt.Errorf("stream %s: unknown kind of output %q", stream, spec.Kind)
}

// publisher is an MQTT output that tells the runtime in its own words which rows
// can never be sent.
type publisher struct{ *mqtt.Publisher }

var _ actors.Waker = publisher{}

// Send implements actors.Output.
func (p publisher) Send(rows []edged.Row) error {
	err := p.Publisher.Send(rows)
	if errors.Is(err, mqtt.ErrUnsendable) {
		return fmt.Errorf("%w: %w", actors.ErrUnsendable, err)
	}
	return err
}

// close closes the files.
func (o *outputs) close() error { return o.closeBut(&outputs{}) }

// closeBut closes the files that the others do not have.
func (o *outputs) closeBut(others *outputs) error {
	var errs []error
	for _, l := range o.links {
		file, ok := l.Output.(*persistence.NDJSON)
		if ok && !slices.ContainsFunc(others.links, func(other actors.Link) bool { return other.Output == l.Output }) {
			errs = append(errs, file.Close())
		}
	}
	return errors.Join(errs...)
}

// lockedWriter serves several streams.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// lineOutput writes rows as lines. A row counts as delivered when the operating
// system has taken it: what a pipe's reader makes of it is its own business.
type lineOutput struct {
	w         io.Writer
	confirmed func([]uint64)
	failed    chan error
	buf       []byte
	seqs      []uint64
}

var _ actors.Output = (*lineOutput)(nil)

func newLineOutput(w io.Writer) *lineOutput { return &lineOutput{w: w, failed: make(chan error, 1)} }

// Run implements actors.Output. A writer that fails ends it with an error.
func (o *lineOutput) Run(ctx context.Context, up func(), down func(error), confirmed func([]uint64)) error {
	o.confirmed = confirmed
	up()
	select {
	case <-ctx.Done():
		return nil
	case err := <-o.failed:
		down(err)
		return fmt.Errorf("write results to standard output: %w", err)
	}
}

// Send implements actors.Output. The rows of one call are one write.
func (o *lineOutput) Send(rows []edged.Row) error {
	o.buf, o.seqs = o.buf[:0], o.seqs[:0]
	for i := range rows {
		o.buf = append(append(o.buf, rows[i].Payload...), '\n')
		o.seqs = append(o.seqs, rows[i].Seq)
	}
	if _, err := o.w.Write(o.buf); err != nil {
		select {
		case o.failed <- err:
		default:
		}
		return err
	}
	o.confirmed(o.seqs)
	return nil
}
