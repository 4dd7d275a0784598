package oracle_test

import (
	"math"
	"slices"
	"testing"

	"edged/internal/oracle"
)

func TestTumbling(t *testing.T) {
	events := []oracle.Event{
		{Key: "b", Time: 12, Value: 5},
		{Key: "a", Time: -1, Value: 1e100},
		{Key: "a", Time: -5, Value: 1},
		{Key: "a", Time: -1, Value: -1e100},
		{Key: "a", Time: -5, Value: 7, Duplicate: true},
		{Key: "a", Time: 5, Value: 3},
		{Key: "a", Time: -5, Value: 2},
		{Key: "b", Time: 3, Null: true},
	}
	want := []oracle.Window{
		{Key: "a", Start: -5, End: 5, Events: 4, Count: 4, Sum: 3, Min: -1e100, Max: 1e100, First: 1, Last: -1e100},
		{Key: "a", Start: 5, End: 15, Events: 1, Count: 1, Sum: 3, Min: 3, Max: 3, First: 3, Last: 3},
		{Key: "b", Start: -5, End: 5, Events: 1},
		{Key: "b", Start: 5, End: 15, Events: 1, Count: 1, Sum: 5, Min: 5, Max: 5, First: 5, Last: 5},
	}
	if got := oracle.Tumbling(events, 10, 5); !slices.Equal(got, want) {
		t.Errorf("\n got %+v\nwant %+v", got, want)
	}
}

// Every time is in its window, and offsets that differ by a multiple of the
// size mean the same windows.
func TestWindowsContainTheirEvents(t *testing.T) {
	for time := int64(-30); time <= 30; time++ {
		for offset := int64(-20); offset <= 20; offset++ {
			w := oracle.Tumbling([]oracle.Event{{Time: time}}, 7, offset)[0]
			if time < w.Start || time >= w.End || w.End-w.Start != 7 {
				t.Errorf("time %d is in [%d,%d)", time, w.Start, w.End)
			}
			if again := oracle.Tumbling([]oracle.Event{{Time: time}}, 7, offset+7)[0]; again != w {
				t.Errorf("offset %d gives %+v, offset %d %+v", offset, w, offset+7, again)
			}
		}
	}
}

func TestAvg(t *testing.T) {
	if avg := (oracle.Window{Count: 4, Sum: 10}).Avg(); avg != 2.5 {
		t.Errorf("mean is %v, want 2.5", avg)
	}
	if avg := (oracle.Window{Events: 1}).Avg(); avg != 0 || math.IsNaN(avg) {
		t.Errorf("mean of nothing is %v, want 0", avg)
	}
}
