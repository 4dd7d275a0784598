package joins_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"edged"
	"edged/joins"
)

// script plays "L3:A R4:a W20", left and right events with a time and a value and
// watermarks, and returns for each step with rows "step: A-a ...".
func script(t *testing.T, spec joins.Spec, text string) string {
	t.Helper()
	if err := spec.Validate(); err != nil {
		t.Fatal(err)
	}
	s := spec.New()
	var all []string
	for seq, step := range strings.Fields(text) {
		var out joins.Matches
		at, value, _ := strings.Cut(step[1:], ":")
		ms, err := strconv.ParseInt(at, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		ev := edged.Event{Seq: edged.Seq(seq), EventTime: edged.Timestamp(ms), Values: []edged.Value{edged.TextValue(value)}}
		switch step[0] {
		case 'R':
			ev.Stream = 1
			s.Add(&out, &ev)
		case 'L':
			s.Add(&out, &ev)
		case 'W':
			s.Advance(&out, ev.EventTime)
		}
		var rows []string
		for _, r := range out.Rows {
			rows = append(rows, label(r.Left)+"-"+label(r.Right))
		}
		for range out.Late {
			rows = append(rows, "late")
		}
		if len(rows) > 0 {
			all = append(all, fmt.Sprintf("%s %s", step, strings.Join(rows, " ")))
		}
	}
	return strings.Join(all, "; ")
}

// The stream-stream table of the Kafka Streams documentation (Developer guide, DSL
// API, "KStream-KStream join"; also the Apache wiki, "Kafka Streams Join Semantics",
// the section on version 3.1 and later): a join within 15 seconds. Records with a
// null value are ignored there and left out here.
//
// There a row without a partner appears when a later record of any key has moved
// stream time past the window and the grace; so E appears with F. Here it appears
// when the watermark has passed the last possible partner, and the watermark
// follows its records.
func TestKafkaStreamsJoinTable(t *testing.T) {
	const first = "L3:A W3 R4:a W4 L5:B W5 R6:b W6 L9:C W9 R10:c W10 R14:d W14 L15:D W15"
	const events = first + " L40:E W40 L60:F W60 R80:f W80 L100:G W100"
	const pairs = "R4:a A-a; L5:B B-a; R6:b A-b B-b; L9:C C-a C-b; R10:c A-c B-c C-c; R14:d A-d B-d C-d; L15:D D-a D-b D-c D-d"
	for _, test := range []struct {
		kind joins.Kind
		want string
	}{
		{joins.Inner, pairs},
		{joins.Left, pairs + "; W60 E--; W80 F--"},
		{joins.Full, pairs + "; W60 E--; W80 F--; W100 --f"},
	} {
		spec := &joins.Interval{Kind: test.kind, Lower: -15, Upper: 15}
		if got := script(t, spec, events); got != test.want {
			t.Errorf("%s:\n got %s\nwant %s", test.kind, got, test.want)
		}
	}
}

// The interval join of the Flink documentation (DataStream API, Operators, "Joining",
// "Interval Join"): between(-2 ms, 1 ms), both inclusive, with events like those of
// its picture. The pairs follow from its rule.
func TestFlinkIntervalJoin(t *testing.T) {
	const events = "R0:0 R1:1 R6:6 R7:7 L0:0 L2:2 L3:3 L4:4 L5:5 L7:7"
	const want = "L0:0 0-0 0-1; L2:2 2-0 2-1; L3:3 3-1; L5:5 5-6; L7:7 7-6 7-7"
	if got := script(t, &joins.Interval{Lower: -2, Upper: 1}, events); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

// The window join of the Flink documentation (Table API & SQL, Queries, "Window
// JOIN"): tumbling windows of 5 minutes. A key here is a value of num there; times
// are minutes after 12:00.
func TestFlinkWindowJoin(t *testing.T) {
	keys := []struct{ events, inner, left, right, full string }{
		{"L2:L1 W20", "", "W20 L1--", "", "W20 L1--"},
		{"L6:L2 R1:R2 W20", "", "W20 L2--", "W20 --R2", "W20 --R2 L2--"},
		{"L3:L3 R4:R3 W20", "W20 L3-R3", "W20 L3-R3", "W20 L3-R3", "W20 L3-R3"},
		{"R5:R4 W20", "", "", "W20 --R4", "W20 --R4"},
	}
	for _, key := range keys {
		for kind, want := range []string{key.inner, key.left, key.right, key.full} {
			spec := &joins.Window{Kind: joins.Kind(kind), Size: 5}
			if got := script(t, spec, key.events); got != want {
				t.Errorf("%s, %s join: got %q, want %q", key.events, spec.Kind, got, want)
			}
		}
	}
}

// The sliding window join of the Flink documentation (DataStream API, Operators,
// "Joining"): windows of 2 ms, a slide of 1 ms. It points out that orange 2 meets green 3 in [2,3] and in no other window.
func TestFlinkSlidingWindowJoin(t *testing.T) {
	if got, want := script(t, &joins.Window{Size: 2, Period: 1}, "L2:2 R3:3 W3 W4 W9"), "W4 2-3"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// The examples of pandas.merge_asof in its reference: the three rows with the last
// value before them, and trades with quotes within 2 ms. A key is a ticker; times are
// milliseconds after 13:30:00.
func TestPandasMergeAsof(t *testing.T) {
	for _, test := range []struct {
		name      string
		tolerance int64
		events    string
		want      string
	}{
		{"default", joins.SpanMax, "L1:a L5:b L10:c R1:1 R2:2 R3:3 R6:6 R7:7 W11", "W11 a-1 b-3 c-7"},
		{"MSFT", 2, "R23:51.95 R30:51.97 R41:51.99 R75:52.01 L23:51.95 L38:51.95 W100", "W100 51.95-51.95 51.95--"},
		{"GOOG", 2, "R23:720.50 R48:720.50 R72:720.50 L48:720.77 L48:720.92 W100", "W100 720.77-720.50 720.92-720.50"},
		{"AAPL", 2, "R49:97.99 L48:98.00 W100", "W100 98.00--"},
	} {
		if got := script(t, &joins.AsOf{Kind: joins.Left, Tolerance: test.tolerance}, test.events); got != test.want {
			t.Errorf("%s: got %s, want %s", test.name, got, test.want)
		}
	}
}

// The rules at their edges, by hand.
func TestEdges(t *testing.T) {
	within := &joins.Interval{Kind: joins.Full, Lower: -5, Upper: 10}
	for _, test := range []struct {
		name   string
		spec   joins.Spec
		events string
		want   string
	}{
		{"bounds are inclusive", within, "L100:l R95:a R110:b R94:c R111:d", "R95:a l-a; R110:b l-b"},
		{"a left event waits while W = t+upper", within, "L100:l W110 W111", "W111 l--"},
		{"a right event waits while W = u-lower", within, "R100:r W105 W106", "W106 --r"},
		{"behind the watermark, a partner is there", within, "R100:r W104 L95:l", "L95:l l-r"},
		{"behind the watermark, one may come", within, "W104 L95:l R105:r", "R105:r l-r"},
		{"behind all it could meet", within, "W106 L95:l R100:r", "L95:l late; R100:r late"},
		{"its partner is gone already", within, "R99:r W105 L100:l W111", "W105 --r; W111 l--"},
		{"matched is never padded", within, "L1:a R1:b R2:c W99", "R1:b a-b; R2:c a-c"},
		{"partners of equal times in order of arrival", within, "R5:a R4:b R5:c L5:l", "L5:l l-b l-a l-c"},
		{"right joins pad right events only", &joins.Interval{Kind: joins.Right}, "L1:l R2:r W9", "W9 --r"},
		{"bounds beside zero", &joins.Interval{Kind: joins.Left, Lower: -10, Upper: -5}, "R1:r L6:l L12:m W7 W8", "L6:l l-r; W8 m--"},
		{"as-of waits until W > t", &joins.AsOf{Tolerance: 5}, "L10:l W10 R10:r W11", "W11 l-r"},
		{"as-of: the last of equal times", &joins.AsOf{Tolerance: 5}, "R10:a R10:b L10:l W11", "W11 l-b"},
		{"as-of: a right event serves many", &joins.AsOf{Tolerance: 5}, "R10:a W11 L11:l L15:m L16:n W50", "W50 l-a m-a"},
		{"as-of: both sides may be late", &joins.AsOf{Kind: joins.Left, Tolerance: 5}, "W10 L9:l R9:r L10:m W50", "L9:l late; R9:r late; W50 m--"},
		{"a window's end", &joins.Window{Size: 10}, "L9:l R0:r L10:m W9 W10 R9:s", "W10 l-r; R9:s late"},
		{"holes", &joins.Window{Kind: joins.Full, Size: 3, Period: 10}, "L2:l L3:m R9:n R10:r W99", "W99 l-- --r"},
		{"a limit", &joins.Interval{Kind: joins.Full, EventsMax: 2}, "L1:a L1:b R1:c W9", "R1:c late; W9 a-- b--"},
	} {
		if got := script(t, test.spec, test.events); got != test.want {
			t.Errorf("%s:\n got %s\nwant %s", test.name, got, test.want)
		}
	}
}
