package alarms_test

import (
	"errors"
	"math"
	"testing"

	"edged"
	"edged/alarms"
)

func TestID(t *testing.T) {
	for _, id := range []alarms.ID{
		{"boilers", "too_hot", 1700000000000, 3, "plant 1/boiler"},
		{"p", "r", -5, 1, ""},
		{"-", "_", math.MinInt64, math.MaxUint32, "/-1/\x00\xff"},
		{"0", "9", math.MaxInt64, 0, "k"},
	} {
		if got, err := alarms.ParseID(id.String()); got != id || err != nil {
			t.Errorf("%q: %+v, %v", id, got, err)
		}
	}
	if got := (alarms.ID{"boilers", "too_hot", 1700000000000, 3, "a/b"}).String(); got != "boilers/too_hot/1700000000000-3/a/b" {
		t.Error(got)
	}
}

func TestIDRefuses(t *testing.T) {
	for _, s := range []string{
		"", "/", "p/r/1-1", "P/r/1-1/k", "/r/1-1/k", "p//1-1/k", "p/r r/1-1/k", "p/r//k", "p/r/1/k", "p/r/-/k", "p/r/1-/k", "p/r/-1/k",
		"p/r/+1-1/k", "p/r/01-1/k", "p/r/1-01/k", "p/r/-0-1/k", "p/r/1-4294967296/k", "p/r/9223372036854775808-1/k", "p/r/1--1/k", "p/r/1-1-/k",
	} {
		if id, err := alarms.ParseID(s); !errors.Is(err, alarms.ErrID) {
			t.Errorf("%q: %+v, %v", s, id, err)
		}
	}
}

func FuzzParseID(f *testing.F) {
	f.Add("boilers/too_hot/1700000000000-3/plant 1/boiler", int64(1), uint32(2), "a/b")
	f.Add("p/r/-0-1/", int64(math.MinInt64), uint32(math.MaxUint32), "")
	f.Fuzz(func(t *testing.T, s string, start int64, ordinal uint32, key string) {
		if id, err := alarms.ParseID(s); err == nil && id.String() != s {
			t.Fatalf("%q is %+v, and that is %q", s, id, id)
		}
		id := alarms.ID{Pipeline: "p-1", Rule: "r_2", Start: edged.Timestamp(start), Ordinal: ordinal, Key: key}
		if got, err := alarms.ParseID(id.String()); got != id || err != nil {
			t.Fatalf("%+v: %+v, %v", id, got, err)
		}
	})
}
