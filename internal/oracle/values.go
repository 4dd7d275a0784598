package oracle

import (
	"cmp"
	"encoding/json"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// byTime orders events by time, and those of one time by arrival.
func byTime(a, b *event) int {
	return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(a.nth, b.nth))
}

// truth returns the value of a bool field; nothing else is true.
func (e *event) truth(field string) bool { return e.Fields[field] == true }

// values computes the columns over some events, each from nothing.
func values(columns []Column, contents []*event) string {
	var texts []string
	for _, c := range columns {
		var counted []*event
		for _, e := range contents {
			if (c.Where == "" || e.truth(c.Where)) && (c.Field == "" || e.Fields[c.Field] != nil) {
				counted = append(counted, e)
			}
		}
		slices.SortStableFunc(counted, byTime)
		texts = append(texts, text(column(c, counted)))
	}
	return strings.Join(texts, " ")
}

// column computes one column over the events that count for it, in order of time.
func column(c Column, counted []*event) any {
	if c.Function == "count" {
		return float64(len(counted))
	}
	if c.Function == "distinct" {
		different := map[any]bool{}
		for _, e := range counted {
			different[e.Fields[c.Field]] = true
		}
		return float64(len(different))
	}
	if len(counted) == 0 {
		return nil
	}
	if c.Function == "collect" {
		var list []any
		for _, e := range counted {
			list = append(list, e.Fields[c.Field])
		}
		return list
	}
	first, last := counted[0].Fields[c.Field], counted[len(counted)-1].Fields[c.Field]
	if c.Function == "first" {
		return first
	} else if c.Function == "last" {
		return last
	}
	var numbers []float64
	sum := new(big.Rat)
	for _, e := range counted {
		numbers = append(numbers, e.Fields[c.Field].(float64))
		sum.Add(sum, new(big.Rat).SetFloat64(e.Fields[c.Field].(float64)))
	}
	total, _ := sum.Float64()
	switch c.Function {
	case "sum":
		return total
	case "avg":
		return total / float64(len(numbers))
	case "min":
		return slices.Min(numbers)
	case "max":
		return slices.Max(numbers)
	case "range":
		return slices.Max(numbers) - slices.Min(numbers)
	case "delta":
		return last.(float64) - first.(float64)
	}
	panic("oracle: there is no function " + c.Function)
}

// text writes a value as JSON.
func text(v any) string {
	if f, ok := v.(float64); ok {
		return strconv.FormatFloat(f, 'g', -1, 64)
	}
	b, err := json.Marshal(v)
	if err != nil {
		panic("oracle: " + err.Error())
	}
	return string(b)
}
