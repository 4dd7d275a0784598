package sim

import (
	"bufio"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"edged"
)

// traceFile reads one series, one row ahead.
type traceFile struct {
	path    string
	device  string
	topic   string
	file    *os.File
	rows    *csv.Reader
	timeAt  int
	valueAt int

	head    traceRow
	ready   bool // head holds the next row
	ended   bool
	number  uint64 // of rows read
	skipped int    // of them without a value
}

type traceRow struct {
	number uint64
	time   edged.Timestamp
	value  float64
}

func openTraceFile(path string, cfg *TraceConfig) (*traceFile, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	f := &traceFile{path: path, device: deviceOf(path), file: file}
	f.topic = topicOf(cfg.TopicPattern, f.device)
	if err := f.readHeader(cfg); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), file.Close())
	}
	return f, nil
}

func (f *traceFile) readHeader(cfg *TraceConfig) error {
	text, err := plain(f.file)
	if err != nil {
		return err
	}
	f.rows = csv.NewReader(text)
	f.rows.ReuseRecord = true
	header, err := f.rows.Read()
	if err != nil {
		return fmt.Errorf("read the header: %w", err)
	}
	if f.timeAt, err = column(header, cfg.TimeColumn, 0); err != nil {
		return err
	}
	f.valueAt, err = column(header, cfg.ValueColumn, 1)
	return err
}

// plain returns the text of a file that may be gzipped, whatever its name says.
func plain(file io.Reader) (io.Reader, error) {
	buffered := bufio.NewReader(file)
	if magic, err := buffered.Peek(2); err != nil || magic[0] != 0x1f || magic[1] != 0x8b {
		return buffered, nil // a short file is the header's problem
	}
	text, err := gzip.NewReader(buffered)
	if err != nil {
		return nil, fmt.Errorf("unpack: %w", err)
	}
	return text, nil
}

// column finds a column by its name, or takes the given one when name is "".
func column(header []string, name string, otherwise int) (int, error) {
	at := otherwise
	if name != "" {
		at = slices.Index(header, name)
	}
	if at < 0 || at >= len(header) {
		return 0, fmt.Errorf("there is no column %q; the header has %s", name, strings.Join(header, ", "))
	}
	return at, nil
}

// peek makes f.head the next row, unless the file has ended.
func (f *traceFile) peek() error {
	for !f.ready && !f.ended {
		fields, err := f.rows.Read()
		if errors.Is(err, io.EOF) {
			f.ended = true
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", f.path, err)
		}
		f.number++
		err = f.parse(fields)
		switch {
		case errors.Is(err, errNoValue):
			f.skipped++
		case err != nil:
			line, _ := f.rows.FieldPos(0)
			return fmt.Errorf("%s:%d: %w", f.path, line, err)
		default:
			f.ready = true
		}
	}
	return nil
}

func (f *traceFile) parse(fields []string) error {
	value, err := parseValue(fields[f.valueAt])
	if err != nil {
		return err
	}
	at, err := parseTime(strings.TrimSpace(fields[f.timeAt]))
	if err != nil {
		return err
	}
	f.head = traceRow{number: f.number, time: at, value: value}
	return nil
}

func (f *traceFile) take() traceRow {
	f.ready = false
	return f.head
}

// Close closes the file.
func (f *traceFile) Close() error { return f.file.Close() }

// epochMilliseconds is where whole numbers stop being seconds: 10^11 s is the
// year 5138, 10^11 ms is 1973.
const epochMilliseconds = 100_000_000_000

// timeLayouts are tried in this order; those without a zone are UTC. A fraction
// of a second is accepted by all of them.
var timeLayouts = [...]string{"2006-01-02 15:04:05", time.RFC3339, "2006-01-02T15:04:05"}

func parseTime(text string) (edged.Timestamp, error) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		if n > -epochMilliseconds && n < epochMilliseconds {
			n *= 1000
		}
		return edged.Timestamp(n), nil
	}
	for _, layout := range timeLayouts {
		if t, err := time.Parse(layout, text); err == nil {
			return edged.Timestamp(t.UnixMilli()), nil
		}
	}
	return 0, fmt.Errorf("time %q is neither RFC 3339, nor YYYY-MM-DD hh:mm:ss, nor seconds or milliseconds since 1970", text)
}
