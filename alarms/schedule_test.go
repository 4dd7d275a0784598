package alarms_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"edged"
	"edged/alarms"
)

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Skip("no time zones here: ", err)
	}
	return loc
}

// at reads a time of the zone; the zone's name tells the two of a repeated hour apart.
func clock(t *testing.T, loc *time.Location, s string) edged.Timestamp {
	t.Helper()
	p, err := time.ParseInLocation("2006-01-02 15:04:05.000 MST", s, loc)
	if err != nil {
		t.Fatal(err)
	}
	return edged.Timestamp(p.UnixMilli())
}

func TestScheduleCovers(t *testing.T) {
	berlin := zone(t, "Europe/Berlin")
	every := [7]bool{true, true, true, true, true, true, true}
	day := func(d ...time.Weekday) (days [7]bool) {
		for _, d := range d {
			days[d] = true
		}
		return days
	}
	for _, c := range []struct {
		name   string
		window alarms.Window
		at     string
		want   bool
	}{
		{"before", alarms.Window{Days: every, From: 120, To: 180}, "2026-06-01 01:59:59.999 CEST", false},
		{"first", alarms.Window{Days: every, From: 120, To: 180}, "2026-06-01 02:00:00.000 CEST", true},
		{"last", alarms.Window{Days: every, From: 120, To: 180}, "2026-06-01 02:59:59.999 CEST", true},
		{"after", alarms.Window{Days: every, From: 120, To: 180}, "2026-06-01 03:00:00.000 CEST", false},
		{"other day", alarms.Window{Days: day(time.Tuesday), From: 120, To: 180}, "2026-06-01 02:30:00.000 CEST", false},
		{"over midnight, evening", alarms.Window{Days: day(time.Sunday), From: 1380, To: 60}, "2026-05-31 23:30:00.000 CEST", true},
		{"over midnight, morning", alarms.Window{Days: day(time.Sunday), From: 1380, To: 60}, "2026-06-01 00:59:00.000 CEST", true},
		{"over midnight, over", alarms.Window{Days: day(time.Sunday), From: 1380, To: 60}, "2026-06-01 01:00:00.000 CEST", false},
		{"over midnight, morning of its day", alarms.Window{Days: day(time.Sunday), From: 1380, To: 60}, "2026-05-31 00:30:00.000 CEST", false},
		{"to midnight", alarms.Window{Days: day(time.Sunday), From: 1380, To: 1440}, "2026-05-31 23:59:59.999 CEST", true},
		{"to midnight, over", alarms.Window{Days: day(time.Sunday), From: 1380, To: 1440}, "2026-06-01 00:00:00.000 CEST", false},
		{"24 hours", alarms.Window{Days: day(time.Sunday), From: 600, To: 600}, "2026-06-01 09:59:00.000 CEST", true},
		{"24 hours, over", alarms.Window{Days: day(time.Sunday), From: 600, To: 600}, "2026-06-01 10:00:00.000 CEST", false},
		{"set back, first time", alarms.Window{Days: every, From: 120, To: 180}, "2026-10-25 02:30:00.000 CEST", true},
		{"set back, second time", alarms.Window{Days: every, From: 120, To: 180}, "2026-10-25 02:30:00.000 CET", true},
		{"set back, after", alarms.Window{Days: every, From: 120, To: 180}, "2026-10-25 03:00:00.000 CET", false},
		{"set forward, before", alarms.Window{Days: every, From: 120, To: 180}, "2026-03-29 01:59:59.999 CET", false},
		{"set forward, after", alarms.Window{Days: every, From: 120, To: 180}, "2026-03-29 03:00:00.000 CEST", false},
		{"set forward, into", alarms.Window{Days: every, From: 150, To: 210}, "2026-03-29 03:29:00.000 CEST", true},
	} {
		s := &alarms.Schedule{Windows: []alarms.Window{c.window}, Location: berlin}
		if err := s.Validate(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if got := s.Covers(clock(t, berlin, c.at)); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// A time is covered if the clock's face, as text, is within a window. The oracle walks
// from each day on which a window begins.
func TestScheduleRandom(t *testing.T) {
	places := []*time.Location{nil, zone(t, "Europe/Berlin"), zone(t, "Australia/Lord_Howe"), zone(t, "America/St_Johns"), zone(t, "Asia/Kolkata")}
	for seed := *seedFlag; seed < *seedFlag+uint64(*casesFlag); seed++ {
		r := rand.New(rand.NewPCG(seed, 2))
		s := &alarms.Schedule{Location: places[r.IntN(len(places))]}
		for range 1 + r.IntN(3) {
			w := alarms.Window{From: r.IntN(1440), To: 1 + r.IntN(1440)}
			for d := range w.Days {
				w.Days[d] = r.IntN(3) == 0
			}
			s.Windows = append(s.Windows, w)
		}
		at := time.UnixMilli(1_600_000_000_000 + r.Int64N(400_000_000_000))
		if s.Location == nil {
			at = at.UTC()
		} else {
			at = at.In(s.Location)
		}
		if got, want := s.Covers(edged.Timestamp(at.UnixMilli())), faceCovered(s.Windows, at); got != want {
			t.Fatalf("-seed %d: %v at %s of %+v", seed, got, at, s.Windows)
		}
	}
}

// faceCovered compares times as they are written.
func faceCovered(windows []alarms.Window, at time.Time) bool {
	written := func(minute int) string {
		if minute == 1440 {
			return "24:00"
		}
		return time.Date(2000, 1, 1, 0, minute, 0, 0, time.UTC).Format("15:04")
	}
	names := []string{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"}
	face, today := at.Format("15:04"), slices.Index(names, at.Format("Mon"))
	return slices.ContainsFunc(windows, func(w alarms.Window) bool {
		from, to := written(w.From), written(w.To)
		if strings.Compare(from, to) < 0 {
			return w.Days[today] && from <= face && face < to
		}
		return w.Days[today] && from <= face || w.Days[(today+6)%7] && face < to
	})
}

func TestScheduleEnds(t *testing.T) {
	var none *alarms.Schedule
	s := &alarms.Schedule{Windows: []alarms.Window{{Days: [7]bool{true, true, true, true, true, true, true}, To: 1440}}, Location: zone(t, "Europe/Berlin")}
	for _, at := range []edged.Timestamp{math.MinInt64, -1, 0, math.MaxInt64} {
		if none.Covers(at) || (&alarms.Schedule{}).Covers(at) || !s.Covers(at) {
			t.Errorf("at %d", at)
		}
	}
}

func TestScheduleRefuses(t *testing.T) {
	every := [7]bool{true}
	for _, w := range []alarms.Window{{From: 1, To: 2}, {Days: every, From: -1, To: 2}, {Days: every, From: 1440, To: 2}, {Days: every, From: 1, To: 1441}, {Days: every}} {
		spec := &alarms.Spec{Maintenance: &alarms.Schedule{Windows: []alarms.Window{w}}}
		if err := spec.Validate(); !errors.Is(err, alarms.ErrSpec) {
			t.Errorf("%+v: %v", w, err)
		}
	}
	many := &alarms.Schedule{Windows: make([]alarms.Window, alarms.WindowsMax+1)}
	if err := many.Validate(); !strings.Contains(err.Error(), "33 windows") {
		t.Error(err)
	}
}
