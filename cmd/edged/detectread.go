package main

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"edged"
)

// series is a recorded series.
type series struct {
	column string // its name in the header
	zone   *time.Location
	rows   []row
}

// row is one measurement: as it was written, and what that means.
type row struct {
	time, text string
	t          edged.Timestamp
	x          float64 // NaN if text is no number
}

// missing counts the rows without a value.
func (s *series) missing() (n int) {
	for i := range s.rows {
		if math.IsNaN(s.rows[i].x) {
			n++
		}
	}
	return n
}

// readSeries reads CSV with a header, gzipped or not. The first column is the time.
func readSeries(in io.Reader, column string, zone *time.Location) (*series, error) {
	text, err := plain(bufio.NewReaderSize(in, 1<<16))
	if err != nil {
		return nil, err
	}
	lines := csv.NewReader(text)
	lines.Comma = separator(text)
	lines.FieldsPerRecord = -1
	lines.ReuseRecord = true
	header, err := lines.Read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("the file is empty")
	}
	if err != nil {
		return nil, err
	}
	s := &series{zone: zone}
	at, err := s.choose(header, column)
	if err != nil {
		return nil, err
	}
	for {
		fields, err := lines.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		r := row{time: strings.Clone(fields[0]), x: math.NaN()}
		if at < len(fields) {
			r.text = strings.Clone(fields[at])
			if x, err := strconv.ParseFloat(strings.TrimSpace(r.text), 64); err == nil && !math.IsInf(x, 0) {
				r.x = x
			}
		}
		s.rows = append(s.rows, r)
	}
	if s.missing() == len(s.rows) {
		return nil, fmt.Errorf("column %s has no number", s.column)
	}
	return s, s.readTimes()
}

// plain unpacks gzip, and passes over a byte order mark.
func plain(in *bufio.Reader) (*bufio.Reader, error) {
	if magic, _ := in.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, fmt.Errorf("unpack gzip: %w", err)
		}
		in = bufio.NewReaderSize(z, 1<<16)
	}
	if mark, _ := in.Peek(3); string(mark) == "\ufeff" {
		_, _ = in.Discard(len(mark))
	}
	return in, nil
}

// separator is what the header has between its names.
func separator(in *bufio.Reader) rune {
	start, _ := in.Peek(4096)
	header, _, _ := bytes.Cut(start, []byte("\n"))
	for _, c := range ",;\t" {
		if bytes.ContainsRune(header, c) {
			return c
		}
	}
	return ','
}

// choose finds the column of the values.
func (s *series) choose(header []string, column string) (int, error) {
	if _, err := parseTimes([]string{header[0]}, s.zone); err == nil {
		return 0, fmt.Errorf("the first line must be a header; it begins with the time %q", header[0])
	}
	if len(header) < 2 {
		return 0, fmt.Errorf("the header %q has one column; it needs a time and a value, separated by a comma", header[0])
	}
	names := make([]string, len(header))
	for i := range header {
		names[i] = strings.TrimSpace(header[i])
	}
	at := 1
	if i := slices.Index(names[1:], cmp.Or(column, "value")); i >= 0 {
		at = i + 1
	} else if column != "" {
		return 0, fmt.Errorf("no column %s; the values are in %s", column, printable(strings.Join(names[1:], ", ")))
	}
	s.column = printable(names[at])
	return at, nil
}

// printable replaces what would move the cursor of a terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

// readTimes gives every row its time.
func (s *series) readTimes() error {
	texts := make([]string, len(s.rows))
	for i := range s.rows {
		texts[i] = s.rows[i].time
	}
	times, err := parseTimes(texts, s.zone)
	if err != nil {
		return err
	}
	for i := range s.rows {
		s.rows[i].t = times[i]
	}
	return nil
}

// layouts are the ways to write a time. Fractions of a second may follow any.
func layouts() []string {
	return []string{time.DateTime, time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04", "2006-01-02T15:04", time.DateOnly}
}

// parseTimes reads a column of times: all numbers, or all texts. Numbers are in
// one unit, which is told by the largest: nobody has measured in the year 5000.
func parseTimes(texts []string, zone *time.Location) ([]edged.Timestamp, error) {
	if _, err := strconv.ParseFloat(strings.TrimSpace(texts[0]), 64); err == nil {
		return parseEpochs(texts)
	}
	times := make([]edged.Timestamp, len(texts))
	ways := layouts()
	for i, text := range texts {
		found := false
		for w, layout := range ways {
			t, err := time.ParseInLocation(layout, strings.TrimSpace(text), zone)
			if err == nil {
				times[i], found = edged.Timestamp(t.UnixMilli()), true
				ways[0], ways[w] = ways[w], ways[0] // the next one is likely written alike
				break
			}
		}
		if !found {
			return nil, fmt.Errorf("row %d: %q is no time; write RFC 3339, YYYY-MM-DD hh:mm:ss, or seconds or milliseconds since 1970", i+1, text)
		}
	}
	return times, nil
}

// parseEpochs reads seconds since 1970, or milliseconds, microseconds, nanoseconds.
func parseEpochs(texts []string) ([]edged.Timestamp, error) {
	numbers := make([]float64, len(texts))
	largest := 0.0
	for i, text := range texts {
		x, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if err != nil || math.Abs(x) > 1e19 || math.IsNaN(x) {
			return nil, fmt.Errorf("row %d: %q is no time, while the rows before are numbers", i+1, text)
		}
		numbers[i], largest = x, max(largest, math.Abs(x))
	}
	scale := 1e3
	for limit := 1e11; largest >= limit && scale > 1e-6; limit *= 1e3 {
		scale /= 1e3
	}
	times := make([]edged.Timestamp, len(texts))
	for i, x := range numbers {
		times[i] = edged.Timestamp(math.Round(x * scale))
	}
	return times, nil
}
