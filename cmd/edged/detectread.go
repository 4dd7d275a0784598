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
	order  []int // the rows that have a time, in the order of it
	sorted bool  // that is the order of the file
}

// row is one measurement: as it was written, and what that means.
type row struct {
	time, text string
	t          edged.Timestamp
	x          float64 // NaN if text is no number
	timeless   bool    // time is none
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

// faults says what is wrong with the rows, in sentences.
func (s *series) faults() (faults []string) {
	if n := s.missing(); n > 0 {
		faults = append(faults, fmt.Sprintf("%d of %d values of column %s are missing or no number; they are not scored", n, len(s.rows), s.column))
	}
	if n := len(s.rows) - len(s.order); n > 0 {
		first := slices.IndexFunc(s.rows, func(r row) bool { return r.timeless })
		faults = append(faults, fmt.Sprintf("%d of %d rows have no time and are not scored; the first is row %d, %q", n, len(s.rows), first+1, s.rows[first].time))
	}
	if !s.sorted {
		faults = append(faults, "the rows are not in the order of time; they are scored in that order")
	}
	return faults
}

// readSeries reads CSV with a header, gzipped or not. The first column is the time.
// A row whose time cannot be read, or whose value is none, is kept and not used.
func readSeries(in io.Reader, column string, zone *time.Location) (*series, error) {
	text, err := plain(bufio.NewReaderSize(in, 1<<16))
	if err != nil {
		return nil, err
	}
	lines := csv.NewReader(text)
	lines.Comma = separator(text)
	lines.FieldsPerRecord = -1
	lines.ReuseRecord = true
	lines.LazyQuotes = true // a stray quote spoils one value, not the file
	header, err := lines.Read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("the file is empty; it needs a header and rows")
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
		if slices.ContainsFunc(fields, func(f string) bool { return strings.Contains(f, "\n") }) {
			return nil, fmt.Errorf("row %d: a quote that is opened is not closed on its line", len(s.rows)+1)
		}
		r := row{time: strings.Clone(fields[0]), x: math.NaN()}
		if at < len(fields) {
			r.text, r.x = parseValue(strings.Clone(fields[at]), lines.Comma)
		}
		s.rows = append(s.rows, r)
	}
	if len(s.rows) == 0 {
		return nil, errors.New("the file has a header and no rows")
	}
	if s.missing() == len(s.rows) {
		return nil, fmt.Errorf("column %s has no number in %s", s.column, plural(len(s.rows), "row"))
	}
	return s, s.readTimes()
}

// parseValue reads a number; NaN stands for none. Where commas do not separate
// columns, one may be the decimal point, and is written as a point from then on.
func parseValue(text string, comma rune) (string, float64) {
	if comma != ',' && strings.Count(text, ",") == 1 && !strings.Contains(text, ".") {
		text = strings.Replace(text, ",", ".", 1)
	}
	x, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil || math.IsInf(x, 0) {
		return text, math.NaN()
	}
	return text, x
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
	best, most := ',', 0
	for _, c := range ",;\t" {
		if n := bytes.Count(header, []byte(string(c))); n > most {
			best, most = c, n
		}
	}
	return best
}

// choose finds the column of the values.
func (s *series) choose(header []string, column string) (int, error) {
	if _, ok := newClock([]row{{time: header[0]}}, s.zone)(header[0]); ok {
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

// readTimes gives every row its time, and brings those that have one in order.
func (s *series) readTimes() error {
	read := newClock(s.rows, s.zone)
	for i := range s.rows {
		r := &s.rows[i]
		t, ok := read(r.time)
		if r.t, r.timeless = t, !ok; ok {
			s.order = append(s.order, i)
		}
	}
	if len(s.order) == 0 {
		return fmt.Errorf("no row has a time; the first has %q: write RFC 3339, YYYY-MM-DD hh:mm:ss, or seconds or milliseconds since 1970", s.rows[0].time)
	}
	earlier := func(a, b int) int { return cmp.Compare(s.rows[a].t, s.rows[b].t) }
	if s.sorted = slices.IsSortedFunc(s.order, earlier); !s.sorted {
		slices.SortStableFunc(s.order, earlier)
	}
	if !slices.ContainsFunc(s.order, func(i int) bool { return !math.IsNaN(s.rows[i].x) }) {
		return fmt.Errorf("no row has both a time and a number in column %s", s.column)
	}
	return nil
}

// from and to are the ends of the series.
func (s *series) from() edged.Timestamp { return s.rows[s.order[0]].t }
func (s *series) to() edged.Timestamp   { return s.rows[s.order[len(s.order)-1]].t }

// layouts are the ways to write a time. Fractions of a second may follow any.
func layouts() []string {
	return []string{time.DateTime, time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04", "2006-01-02T15:04", time.DateOnly}
}

// newClock returns what reads the times of a file. They are all texts, or all
// numbers in one unit; the first that can be read decides.
func newClock(rows []row, zone *time.Location) func(string) (edged.Timestamp, bool) {
	texts := newTexts(zone)
	for i := range rows {
		if _, ok := texts(rows[i].time); ok {
			break
		}
		if _, ok := epoch(rows[i].time); ok {
			return newEpochs(rows)
		}
	}
	return texts
}

func newTexts(zone *time.Location) func(string) (edged.Timestamp, bool) {
	ways := layouts()
	return func(text string) (edged.Timestamp, bool) {
		text = strings.TrimSpace(text)
		for w, layout := range ways {
			if t, err := time.ParseInLocation(layout, text, zone); err == nil {
				ways[0], ways[w] = ways[w], ways[0] // the next one is likely written alike
				return edged.Timestamp(t.UnixMilli()), true
			}
		}
		return 0, false
	}
}

// epoch reads a number of any unit since 1970.
func epoch(text string) (float64, bool) {
	x, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	return x, err == nil && math.Abs(x) <= 1e19
}

// newEpochs reads seconds since 1970, or milliseconds, microseconds, nanoseconds.
// The middle of all numbers tells which: nobody has measured in the year 5000.
func newEpochs(rows []row) func(string) (edged.Timestamp, bool) {
	var all []float64
	for i := range rows {
		if x, ok := epoch(rows[i].time); ok {
			all = append(all, math.Abs(x))
		}
	}
	slices.Sort(all)
	scale := 1e3
	for limit := 1e11; all[len(all)/2] >= limit && scale > 1e-6; limit *= 1e3 {
		scale /= 1e3
	}
	return func(text string) (edged.Timestamp, bool) {
		x, ok := epoch(text)
		// What leaves the range of times is none: the conversion would be undefined.
		if x = math.Round(x * scale); !ok || math.Abs(x) >= 1<<63 {
			return 0, false
		}
		return edged.Timestamp(x), true
	}
}
