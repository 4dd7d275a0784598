package timecheck

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"edged/internal/oracle"
)

// printed is a line of the driver.
type printed struct {
	Step      int             `json:"step"`
	Pipeline  string          `json:"pipeline"`
	Key       string          `json:"key"`
	Start     *int64          `json:"start"`
	End       int64           `json:"end"`
	Pane      string          `json:"pane"`
	Index     int             `json:"index"`
	Last      bool            `json:"last"`
	Watermark int64           `json:"watermark"`
	Cause     string          `json:"cause"`
	Values    json.RawMessage `json:"values"`
	Past      bool            `json:"historical"`
	Retract   *struct {
		Start  int64           `json:"start"`
		End    int64           `json:"end"`
		Index  int             `json:"index"`
		Values json.RawMessage `json:"values"`
		Past   bool            `json:"historical"`
	} `json:"retract"`
	Late *struct {
		Time    int64           `json:"ts"`
		Windows [][2]int64      `json:"windows"`
		Dropped bool            `json:"dropped"`
		Limit   bool            `json:"limit"`
		Values  json.RawMessage `json:"values"`
		Past    bool            `json:"historical"`
	} `json:"late"`
	Row *struct {
		Time   *int64          `json:"ts"`
		Start  int64           `json:"start"`
		End    int64           `json:"end"`
		Values json.RawMessage `json:"values"`
	} `json:"row"`
	Refused *struct {
		Time   int64  `json:"ts"`
		Cause  string `json:"cause"`
		Detail string `json:"detail"`
	} `json:"dead_letter"`
}

// Parse reads lines of the driver for the columns of a case.
func Parse(lines []string, columns []oracle.Column) ([]oracle.Line, error) {
	var all []oracle.Line
	for _, text := range lines {
		var p printed
		d := json.NewDecoder(strings.NewReader(text))
		d.DisallowUnknownFields()
		if err := d.Decode(&p); err != nil {
			return nil, fmt.Errorf("the line %s: %w", text, err)
		}
		line := oracle.Line{Step: p.Step, Key: p.Key}
		var err error
		switch {
		case p.Retract != nil:
			line.Kind, line.Start, line.End, line.Index = oracle.RetractLine, p.Retract.Start, p.Retract.End, p.Retract.Index
			line.Historical = p.Retract.Past
			line.Values, err = row(p.Retract.Values, columns)
		case p.Late != nil:
			line.Kind, line.Start, line.Dropped, line.Historical = oracle.LateLine, p.Late.Time, p.Late.Dropped, p.Late.Past
			var missed []string
			for _, w := range p.Late.Windows {
				missed = append(missed, fmt.Sprintf("[%d,%d)", w[0], w[1]))
				line.End = w[1]
			}
			line.Windows = strings.Join(missed, " ")
		case p.Start != nil:
			line.Kind, line.Start, line.End, line.Pane = oracle.PaneLine, *p.Start, p.End, p.Pane
			line.Index, line.Last, line.Watermark, line.Cause, line.Historical = p.Index, p.Last, p.Watermark, p.Cause, p.Past
			line.Values, err = row(p.Values, columns)
		case p.Row != nil:
			line.Kind, line.Start, line.End = oracle.RowLine, p.Row.Start, p.Row.End
			if t := p.Row.Time; t != nil {
				line.Start, line.End = *t, *t+1
			}
			line.Values, err = row(p.Row.Values, columns)
		case p.Refused != nil:
			line.Kind, line.Start = oracle.RefusedLine, p.Refused.Time
		default:
			err = fmt.Errorf("it is none of the lines that are known")
		}
		if err != nil {
			return nil, fmt.Errorf("the line %s: %w", text, err)
		}
		all = append(all, line)
	}
	return all, nil
}

// row writes values as the oracle does: as JSON, in the order of the columns.
func row(values json.RawMessage, columns []oracle.Column) (string, error) {
	if len(values) == 0 || string(values) == "null" {
		return "", nil
	}
	var named map[string]json.RawMessage
	if err := json.Unmarshal(values, &named); err != nil {
		return "", err
	}
	if len(named) != len(columns) {
		return "", fmt.Errorf("it has %d values for %d columns", len(named), len(columns))
	}
	var texts []string
	for _, c := range columns {
		value := named[c.Name]
		if f, err := strconv.ParseFloat(string(value), 64); err == nil {
			texts = append(texts, strconv.FormatFloat(f, 'g', -1, 64))
			continue
		}
		var b bytes.Buffer
		if err := json.Compact(&b, value); err != nil {
			return "", fmt.Errorf("column %s: %w", c.Name, err)
		}
		texts = append(texts, b.String())
	}
	return strings.Join(texts, " "), nil
}
