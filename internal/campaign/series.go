package campaign

import (
	"errors"
	"fmt"

	"edged/internal/sim"
)

// Series replays recorded series side by side: at any time about the same share
// of every one has been published, so that no device is silent before the others
// have ended. (A trace of several files merges them by time instead; series of
// other years would then follow each other.)
type Series struct {
	parts []part
}

// part is one file.
type part struct {
	trace *sim.Trace
	rows  int // in all
	taken int
}

// OpenSeries opens files, gzipped CSV with a time and a value.
func OpenSeries(files []string) (*Series, error) {
	s := &Series{}
	for _, file := range files {
		rows, err := countRows(file)
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		trace, err := sim.OpenTrace(sim.TraceConfig{Files: []string{file}})
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		s.parts = append(s.parts, part{trace: trace, rows: rows})
	}
	return s, nil
}

// countRows returns how many samples a file yields.
func countRows(file string) (n int, err error) {
	trace, err := sim.OpenTrace(sim.TraceConfig{Files: []string{file}})
	if err != nil {
		return 0, err
	}
	var s sim.Sample
	for trace.Next(&s) {
		n++
	}
	return n, errors.Join(trace.Err(), trace.Close())
}

// Next takes a row of the series of which the smallest share has been taken.
func (s *Series) Next(sample *sim.Sample) bool {
	least := -1
	for i := range s.parts {
		p := &s.parts[i]
		if p.taken == p.rows {
			continue
		}
		if least < 0 || int64(p.taken)*int64(s.parts[least].rows) < int64(s.parts[least].taken)*int64(p.rows) {
			least = i
		}
	}
	if least < 0 || !s.parts[least].trace.Next(sample) {
		return false
	}
	s.parts[least].taken++
	sample.Device = least
	return true
}

// Err tells why Next returned false, if not for the regular end.
func (s *Series) Err() error {
	for _, p := range s.parts {
		if p.taken < p.rows {
			if err := p.trace.Err(); err != nil {
				return fmt.Errorf("series %s: %w", p.trace.Device(0), err)
			}
		}
	}
	return nil
}

// Device returns the name of a series.
func (s *Series) Device(i int) string { return s.parts[i].trace.Device(0) }

// Topic returns where a series is published.
func (s *Series) Topic(i int) string { return s.parts[i].trace.Topic(0) }

// AppendPayload appends the payload of a row.
func (s *Series) AppendPayload(dst []byte, sample *sim.Sample) []byte {
	own := *sample
	own.Device = 0
	return s.parts[sample.Device].trace.AppendPayload(dst, &own)
}

// Close closes all files.
func (s *Series) Close() error {
	var errs []error
	for _, p := range s.parts {
		errs = append(errs, p.trace.Close())
	}
	return errors.Join(errs...)
}
