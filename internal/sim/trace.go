package sim

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"

	"edged"
)

// traceFilesMax bounds how many files a [Trace] holds open.
const traceFilesMax = 512

// TraceConfig describes a [Trace].
type TraceConfig struct {
	// Files are CSV files with a header, gzipped or not. Each is one device,
	// named like the file without its extensions.
	Files []string

	// TimeColumn names the column of the time: RFC 3339, "YYYY-MM-DD hh:mm:ss"
	// in UTC, or whole seconds or milliseconds since 1970 (from 10^11 on they are
	// milliseconds). "" means the first column.
	TimeColumn string

	// ValueColumn names the column of the value. "" means the second column.
	ValueColumn string

	// ValueName is the member that carries the value in the payload. "" means
	// "temp", which the example pipeline reads.
	ValueName string

	// Sequential replays one file after the other. Otherwise files are merged by
	// time, and a file's own order is kept.
	Sequential bool

	// TopicPattern is as in [Config].
	TopicPattern string
}

// Trace yields the rows of recorded series. It is not safe for concurrent use.
//
// A row without a value, or with NaN or an infinity for it, is passed over and
// counted; any other row that cannot be read ends the trace with an error that
// names file and line.
type Trace struct {
	cfg   TraceConfig
	files []*traceFile
	err   error
}

// OpenTrace opens all files and reads their headers.
func OpenTrace(cfg TraceConfig) (*Trace, error) {
	if cfg.ValueName == "" {
		cfg.ValueName = "temp"
	}
	if cfg.TopicPattern == "" {
		cfg.TopicPattern = DefaultTopic
	}
	if n := len(cfg.Files); n == 0 || n > traceFilesMax {
		return nil, fmt.Errorf("open trace: %d files given; 1 to %d can be replayed at once", n, traceFilesMax)
	}
	if strings.ContainsAny(cfg.TopicPattern, "+#\x00") {
		return nil, fmt.Errorf("open trace: topic %q has a wildcard; readings are published to plain topics", cfg.TopicPattern)
	}
	t := &Trace{cfg: cfg}
	for _, path := range cfg.Files {
		f, err := openTraceFile(path, &t.cfg)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("open trace: %w", err), t.Close())
		}
		t.files = append(t.files, f)
	}
	return t, nil
}

// Next fills s with the next row and reports whether there was one.
func (t *Trace) Next(s *Sample) bool {
	at := -1
	for i, f := range t.files {
		if err := f.peek(); err != nil {
			t.err = err
			return false
		}
		if f.ended {
			continue
		}
		if at < 0 || f.head.time < t.files[at].head.time {
			at = i
		}
		if t.cfg.Sequential {
			break
		}
	}
	if at < 0 {
		return false
	}
	row := t.files[at].take()
	*s = Sample{Device: at, Seq: row.number, EventTime: row.time, Temp: row.value}
	return true
}

// Err tells what was wrong with the row that ended the trace, if anything.
func (t *Trace) Err() error { return t.err }

// Skipped returns how many rows had no value so far.
func (t *Trace) Skipped() int {
	n := 0
	for _, f := range t.files {
		n += f.skipped
	}
	return n
}

// Device returns the name of a file's device.
func (t *Trace) Device(i int) string { return t.files[i].device }

// Topic returns where a file's device publishes.
func (t *Trace) Topic(i int) string { return t.files[i].topic }

// AppendPayload appends {"device":"nyc_taxi","ts":1404172800000,"temp":10844,"n":1},
// where n is the number of the row in its file.
func (t *Trace) AppendPayload(dst []byte, s *Sample) []byte {
	dst = append(dst, `{"device":`...)
	dst = edged.AppendJSONString(dst, t.files[s.Device].device)
	dst = append(dst, `,"ts":`...)
	dst = strconv.AppendInt(dst, int64(s.EventTime), 10)
	dst = append(dst, ',')
	dst = edged.AppendJSONString(dst, t.cfg.ValueName)
	dst = append(dst, ':')
	dst = edged.AppendJSONNumber(dst, s.Temp)
	dst = append(dst, `,"n":`...)
	dst = strconv.AppendUint(dst, s.Seq, 10)
	return append(dst, '}')
}

// Close closes all files. It may be called more than once.
func (t *Trace) Close() error {
	var errs []error
	for _, f := range t.files {
		errs = append(errs, f.Close())
	}
	t.files = nil
	return errors.Join(errs...)
}

// deviceOf names the device of a file: its name up to the extensions.
func deviceOf(path string) string {
	name := filepath.Base(path)
	name = strings.TrimSuffix(name, ".gz")
	return strings.TrimSuffix(name, filepath.Ext(name))
}

// errNoValue says that a row is to be passed over.
var errNoValue = errors.New("no value")

func parseValue(text string) (float64, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return 0, errNoValue
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, fmt.Errorf("value %q is not a number", text)
	}
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return 0, errNoValue
	}
	return v, nil
}

var _ Source = (*Trace)(nil)
