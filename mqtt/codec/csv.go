package codec

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"edged"
)

// CSVConfig says how to read rows of comma-separated values.
type CSVConfig struct {
	// Comma separates the cells. 0 means ','.
	Comma byte

	// Times names the columns whose cells are written YYYY-MM-DD hh:mm:ss (a
	// fraction may follow) in UTC. They become milliseconds since the Unix epoch.
	Times []string

	// Texts names the columns whose cells stay texts even if they look like
	// numbers. Use it for serial numbers with leading or trailing zeros.
	Texts []string
}

// Validate reports every fault of the configuration.
func (c CSVConfig) Validate() error {
	var faults []error
	if bytes.IndexByte([]byte("\"\r\n"), c.Comma) >= 0 || c.Comma >= utf8.RuneSelf {
		faults = append(faults, fmt.Errorf("comma %q: cannot separate cells", c.Comma))
	}
	for _, name := range c.Times {
		if slices.Contains(c.Texts, name) {
			faults = append(faults, fmt.Errorf("column %q: is both a time and a text", name))
		}
	}
	return errors.Join(faults...)
}

// CSV makes payloads of the rows of a CSV file: one JSON object per row, with a
// member per column of the header. Cells that JSON would read as numbers are
// numbers, true and false are bools, empty cells are absent, the rest is text.
// The caller reads the lines; this type does no I/O.
type CSV struct {
	config  CSVConfig
	columns []column
	number  int
	cell    []byte
}

type column struct {
	member string // the name as a JSON string with its colon
	isTime bool
	isText bool
}

// NewCSV reads the header row, which is line 1.
func NewCSV(config CSVConfig, header []byte) (*CSV, error) {
	if err := config.Validate(); err != nil {
		return nil, fmt.Errorf("read the CSV header: %w", err)
	}
	if config.Comma == 0 {
		config.Comma = ','
	}
	c := &CSV{config: config, number: 1}
	var names []string
	err := c.cells(bytes.TrimPrefix(header, []byte("\ufeff")), func(i int, cell []byte, quoted bool) *edged.PoisonError {
		name := string(cell)
		if name == "" || slices.Contains(names, name) {
			return poison(CauseSyntax, "column %d: the name %q is empty or repeated", i+1, name)
		}
		names = append(names, name)
		c.columns = append(c.columns, column{
			member: string(append(edged.AppendJSONString(nil, name), ':')),
			isTime: slices.Contains(config.Times, name),
			isText: slices.Contains(config.Texts, name),
		})
		return nil
	})
	if err != nil {
		return nil, atLine(1, err)
	}
	for _, name := range slices.Concat(config.Times, config.Texts) {
		if !slices.Contains(names, name) {
			return nil, atLine(1, poison(CauseSyntax, "there is no column %q", name))
		}
	}
	return c, nil
}

// Append appends the payload of the next row to dst, and nothing for a blank
// line. A malformed row is an *edged.PoisonError that names the line's number;
// the next row can be read after it.
func (c *CSV) Append(dst, row []byte) ([]byte, error) {
	c.number++
	if len(bytes.TrimRight(row, "\r\n")) == 0 {
		return dst, nil
	}
	start, count := len(dst), 0
	dst = append(dst, '{')
	err := c.cells(row, func(i int, cell []byte, quoted bool) *edged.PoisonError {
		count++
		if i >= len(c.columns) || len(cell) == 0 {
			return nil
		}
		if dst[len(dst)-1] != '{' {
			dst = append(dst, ',')
		}
		var fault *edged.PoisonError
		dst, fault = c.columns[i].append(dst, cell, quoted)
		return fault
	})
	if err == nil && count != len(c.columns) {
		err = poison(CauseSyntax, "has %d cells, the header has %d", count, len(c.columns))
	}
	if err != nil {
		return dst[:start], atLine(c.number, err)
	}
	return append(dst, '}'), nil
}

// Number returns the number of the line that was read last, from 1.
func (c *CSV) Number() int { return c.number }

func (c *column) append(dst, cell []byte, quoted bool) ([]byte, *edged.PoisonError) {
	dst = append(dst, c.member...)
	switch {
	case c.isTime:
		t, ok := parseCivil(cell, ' ')
		if !ok {
			t, ok = parseCivil(cell, 'T')
		}
		if !ok {
			return dst, poison(CauseBadTime, "%s %q is not written YYYY-MM-DD hh:mm:ss", c.member, sample(cell))
		}
		return edged.AppendJSONNumber(dst, float64(t)), nil
	case !c.isText && !quoted && isPlain(cell):
		return append(dst, cell...), nil
	}
	return edged.AppendJSONString(dst, string(cell)), nil
}

// isPlain reports whether cell stands for itself in JSON.
func isPlain(cell []byte) bool {
	if s := string(cell); s == "true" || s == "false" {
		return true
	}
	if cell[0] != '-' && cell[0]-'0' > 9 {
		return false
	}
	s := scanner{text: cell}
	n, ok := s.number()
	if ok {
		_, ok = n.float()
	}
	return ok && s.at == len(cell)
}

// cells calls yield for every cell of row until it fails. The cell is valid
// during the call only. quoted says that it was written in quotes.
func (c *CSV) cells(row []byte, yield func(i int, cell []byte, quoted bool) *edged.PoisonError) *edged.PoisonError {
	row = bytes.TrimRight(row, "\r\n")
	if !utf8.Valid(row) {
		return poison(CauseSyntax, "is not valid UTF-8")
	}
	for i := 0; ; i++ {
		rest, quoted, fault := c.next(row)
		if fault == nil {
			fault = yield(i, c.cell, quoted)
		}
		if fault != nil {
			return fault
		}
		if len(rest) == 0 {
			return nil
		}
		row = rest[1:]
	}
}

// next reads the first cell of row into c.cell. The rest is empty or begins with
// a comma.
func (c *CSV) next(row []byte) (rest []byte, quoted bool, fault *edged.PoisonError) {
	c.cell = c.cell[:0]
	if len(row) == 0 || row[0] != '"' {
		n := bytes.IndexByte(row, c.config.Comma)
		if n < 0 {
			n = len(row)
		}
		if bytes.IndexByte(row[:n], '"') >= 0 {
			return nil, false, poison(CauseSyntax, "has a quote inside a cell without quotes")
		}
		c.cell = append(c.cell, row[:n]...)
		return row[n:], false, nil
	}
	for i := 1; i < len(row); i++ {
		switch {
		case row[i] != '"':
			c.cell = append(c.cell, row[i])
		case i+1 < len(row) && row[i+1] == '"':
			c.cell = append(c.cell, '"')
			i++
		case i+1 < len(row) && row[i+1] != c.config.Comma:
			return nil, true, poison(CauseSyntax, "has text after the closing quote of a cell")
		default:
			return row[i+1:], true, nil
		}
	}
	return nil, true, poison(CauseSyntax, "has a quoted cell that is not closed")
}
