package agg

import "edged"

// topK is the k most frequent values with their counts, as a list of objects with
// the members value and count, the most frequent first and of equally frequent
// ones the smaller value. For its cell see [counters].
type topK struct {
	counters
	k int
}

// Name implements [Function].
func (topK) Name() string { return "top_k" }

// Result implements [Growing].
func (f topK) Result(cell []byte, _ Span) edged.Value {
	if len(cell) == 0 {
		return edged.Value{}
	}
	all := f.ranking(cell)
	text := []byte{'['}
	for i, t := range all[:min(f.k, len(all))] {
		if i > 0 {
			text = append(text, ',')
		}
		text = append(text, `{"value":`...)
		text = f.value(t).AppendJSON(text)
		text = append(text, `,"count":`...)
		text = edged.AppendJSONNumber(text, float64(t.count))
		text = append(text, '}')
	}
	return edged.JSONValue(string(append(text, ']')))
}
