package query

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"edged"
	"edged/mqtt/codec"
)

// Limits of a reference table.
const (
	TableBytesMax = 4 << 20
	TableRowsMax  = 1 << 17
)

// ErrTable says that the content of a reference table cannot be used.
var ErrTable = errors.New("invalid reference table")

// lookup is fields that come from a reference table.
type lookup struct {
	table   string
	rows    map[string][]edged.Value // nil: nothing was loaded yet
	by      int                      // slot of the text that rows are found by; -1: the key
	columns []int                    // of the table
	fields  []int                    // slots that they go to
	missing string
}

// Tables names the reference tables that the plan looks things up in.
func (p *Plan) Tables() []string {
	var names []string
	for i := range p.inputs {
		for _, l := range p.inputs[i].lookups {
			if !slices.Contains(names, l.table) {
				names = append(names, l.table)
			}
		}
	}
	return names
}

// SetTable replaces the content of a reference table. Events that are decoded
// from then on see it. Content that cannot be used leaves the table as it was;
// the error wraps [ErrTable] and says where it is wrong.
func (p *Plan) SetTable(name string, content []byte) error {
	if name == p.ownTable() {
		p.expect(name, strings.Split(string(content), "\n"))
		return nil
	}
	i := slices.IndexFunc(p.env.Tables, func(t TableSpec) bool { return t.Name == name })
	expects := name == p.spec.Alarms.ExpectedTable
	if i < 0 || !expects && !slices.Contains(p.Tables(), name) {
		return nil
	}
	rows, err := p.env.Tables[i].Rows(content)
	if err != nil {
		return err
	}
	if expects {
		p.expect(name, slices.Collect(maps.Keys(rows)))
	}
	for i := range p.inputs {
		for j := range p.inputs[i].lookups {
			if l := &p.inputs[i].lookups[j]; l.table == name {
				l.rows = rows
			}
		}
	}
	return nil
}

// Expected lists, in order, the keys that are to have events because a table says so
// that was loaded.
func (p *Plan) Expected(table string) []string { return p.expected[table] }

// expect notes the keys that a table names.
func (p *Plan) expect(table string, keys []string) {
	keys = slices.DeleteFunc(keys, func(key string) bool { return key == "" || len(key) > codec.KeyBytesMax })
	slices.Sort(keys)
	if p.expected == nil {
		p.expected = map[string][]string{}
	}
	p.expected[table] = slices.Compact(keys)
}

// OwnTable returns the keys that the document itself expects to have events, as a
// table that is loaded like any other; ok is false when there are none.
func (p *Plan) OwnTable() (name string, content []byte, ok bool) {
	keys := p.spec.Alarms.Expected
	return p.ownTable(), []byte(strings.Join(keys, "\n")), len(keys) > 0
}

// ownTable names that table; other tables cannot be called so.
func (p *Plan) ownTable() string { return p.name + "/expected" }

// look fills in the fields that come from reference tables.
func (in *input) look(ev *edged.Event) error {
	for i := range in.lookups {
		l := &in.lookups[i]
		by, known := ev.Key, true
		if l.by >= 0 {
			by, known = ev.Values[l.by].Text(), ev.Values[l.by].Kind == edged.Text
		}
		row, ok := l.rows[by]
		switch {
		case ok && known:
			for j, column := range l.columns {
				if slot := l.fields[j]; slot >= 0 {
					ev.Values[slot] = row[column]
				}
			}
		case l.missing == "drop":
			return ErrFiltered
		case l.missing == "dead_letter":
			return &edged.PoisonError{Cause: CauseLookup, Detail: fmt.Sprintf("table %s has no row %q", l.table, by)}
		}
	}
	return nil
}

// Rows reads the content of the table: for every key the values of its fields. Of
// several rows with one key the last counts. The error wraps [ErrTable].
func (t *TableSpec) Rows(content []byte) (map[string][]edged.Value, error) {
	if len(content) > TableBytesMax {
		return nil, fmt.Errorf("table %s: %w: it has %d bytes, more than %d", t.Name, ErrTable, len(content), TableBytesMax)
	}
	rows := map[string][]edged.Value{}
	content = bytes.TrimPrefix(content, []byte("\xef\xbb\xbf")) // some programs begin files with it
	read := t.ndjson
	if t.Format == "csv" {
		read = t.csv
	}
	if err := read(content, rows); err != nil {
		return nil, fmt.Errorf("table %s, %s: %w: %w", t.Name, t.File, ErrTable, err)
	}
	return rows, nil
}

func (t *TableSpec) csv(content []byte, rows map[string][]edged.Value) error {
	r := csv.NewReader(bytes.NewReader(content))
	r.ReuseRecord = true
	head, err := r.Read()
	if err == io.EOF {
		return errors.New("it is empty; the first line names the columns")
	}
	if err != nil {
		return fmt.Errorf("line 1, the header: %w", err)
	}
	find := func(name string) (int, error) {
		if i := slices.Index(head, name); i >= 0 {
			return i, nil
		}
		return 0, fmt.Errorf("line 1: there is no column %q", name)
	}
	key, err := find(t.Key)
	if err != nil {
		return err
	}
	columns := make([]int, len(t.Fields))
	for i, f := range t.Fields {
		if columns[i], err = find(f.Name); err != nil {
			return err
		}
	}
	for {
		record, err := r.Read()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		line, _ := r.FieldPos(0)
		values := make([]edged.Value, len(t.Fields))
		for i, f := range t.Fields {
			if values[i], err = cellValue(f, record[columns[i]]); err != nil {
				return fmt.Errorf("line %d: %w", line, err)
			}
		}
		if err := addRow(rows, record[key], values); err != nil {
			return fmt.Errorf("line %d: %w", line, err)
		}
	}
}

// cellValue reads a cell of a CSV file. An empty one is null.
func cellValue(f FieldSpec, cell string) (edged.Value, error) {
	if cell == "" {
		return edged.Value{}, nil
	}
	switch f.Type {
	case "number":
		n, err := strconv.ParseFloat(cell, 64)
		if v := edged.NumberValue(n); err == nil && v.Kind == edged.Number {
			return v, nil
		}
	case "bool":
		if b, err := strconv.ParseBool(cell); err == nil {
			return edged.BoolValue(b), nil
		}
	default:
		return edged.TextValue(cell), nil
	}
	return edged.Value{}, fmt.Errorf("%s is %q, not a %s", f.Name, cell, f.Type)
}

func (t *TableSpec) ndjson(content []byte, rows map[string][]edged.Value) error {
	lines := bufio.NewScanner(bytes.NewReader(content))
	lines.Buffer(nil, TableBytesMax+1)
	for n := 1; lines.Scan(); n++ {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		var row map[string]any
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		key, ok := row[t.Key].(string)
		if !ok {
			return fmt.Errorf("line %d: %s is missing, or not a text", n, t.Key)
		}
		values := make([]edged.Value, len(t.Fields))
		for i, f := range t.Fields {
			v, err := memberValue(f, row[f.Name])
			if err != nil {
				return fmt.Errorf("line %d: %w", n, err)
			}
			values[i] = v
		}
		if err := addRow(rows, key, values); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	return lines.Err()
}

func memberValue(f FieldSpec, member any) (edged.Value, error) {
	switch m := member.(type) {
	case nil:
		return edged.Value{}, nil
	case float64:
		if f.Type == "number" {
			return edged.NumberValue(m), nil
		}
	case string:
		if f.Type == "text" {
			return edged.TextValue(m), nil
		}
	case bool:
		if f.Type == "bool" {
			return edged.BoolValue(m), nil
		}
	}
	return edged.Value{}, fmt.Errorf("%s is not a %s", f.Name, f.Type)
}

func addRow(rows map[string][]edged.Value, key string, values []edged.Value) error {
	if _, known := rows[key]; !known && len(rows) == TableRowsMax {
		return fmt.Errorf("there are more than %d rows", TableRowsMax)
	}
	rows[key] = values
	return nil
}
