package windows_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"edged"
	"edged/windows"
	"edged/windows/zones"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := zones.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func at(t time.Time) edged.Timestamp { return edged.Timestamp(t.UnixMilli()) }

// watched is what somebody has seen who looked at the clock of a place minute by
// minute. Local times are in minutes, as if they were UTC.
type watched struct {
	first map[int64]int64 // the minute at which the clock first showed a local time
	jumps []jump
}

// jump is a minute before which the clock skipped the local times between two.
type jump struct{ at, from, to int64 }

func watch(z *time.Location, from time.Time, days int) watched {
	w := watched{first: map[int64]int64{}}
	begin, before := from.Unix()/60-48*60, int64(0)
	for u := begin; u < begin+int64(days+4)*1440; u++ {
		t := time.Unix(u*60, 0).In(z)
		shown := time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), 0, 0, time.UTC).Unix() / 60
		if _, ok := w.first[shown]; !ok {
			w.first[shown] = u
		}
		if u > begin && shown > before+1 {
			w.jumps = append(w.jumps, jump{u, before, shown})
		}
		before = shown
	}
	return w
}

// starts returns when windows start, from the day of from on, for a number of days.
func (w watched) starts(a windows.Calendar, from time.Time, days int) []edged.Timestamp {
	var starts []edged.Timestamp
	for d := range days {
		day := from.AddDate(0, 0, d)
		if a.Unit == windows.Week && int(day.Weekday()+6)%7+1 != max(a.WeekStart, 1) || a.Unit == windows.Month && day.Day() != 1 {
			continue
		}
		minutes := []int{a.At}
		if a.Unit == windows.Shift {
			minutes = a.Shifts
		}
		for _, m := range minutes {
			local := day.Unix()/60 + int64(m)
			u, ok := w.first[local]
			for _, j := range w.jumps {
				if !ok && j.from < local && local < j.to {
					u = j.at
				}
			}
			starts = append(starts, edged.Timestamp(u*60_000))
		}
	}
	slices.Sort(starts)
	return slices.Compact(starts)
}

// Around every kind of change of the clocks, windows begin where somebody who
// watches the clock minute by minute says.
func TestCalendarAgainstAClock(t *testing.T) {
	t.Logf("seed %d", *seed)
	r := rand.New(rand.NewPCG(*seed, 6))
	for _, test := range []struct{ zone, from string }{
		{"Europe/Berlin", "2025-03-26"}, {"Europe/Berlin", "2025-10-22"}, {"Europe/Berlin", "2099-03-25"},
		{"America/New_York", "2024-03-06"}, {"America/New_York", "2024-10-30"},
		{"Australia/Lord_Howe", "2025-04-02"}, {"Australia/Lord_Howe", "2025-10-01"},
		{"Asia/Kathmandu", "1985-12-29"}, {"Asia/Kathmandu", "2024-02-27"},
		{"Pacific/Apia", "2011-12-27"}, {"Pacific/Kwajalein", "1993-08-18"},
		{"America/Sao_Paulo", "2018-11-01"}, {"America/Sao_Paulo", "2018-02-14"},
		{"Africa/Cairo", "2024-04-23"}, {"Africa/Cairo", "2024-10-29"},
		{"America/Havana", "2025-03-06"}, {"America/Havana", "2025-10-30"},
		{"Antarctica/Troll", "2024-03-28"}, {"Pacific/Kwajalein", "1969-09-27"}, {"UTC", "2024-12-29"},
	} {
		from, err := time.Parse(time.DateOnly, test.from)
		if err != nil {
			t.Fatal(err)
		}
		z := zone(t, test.zone)
		clock := watch(z, from, 70)
		for _, a := range []windows.Calendar{
			{Unit: windows.Day}, {Unit: windows.Day, At: 6 * 60}, {Unit: windows.Day, At: 2*60 + 30}, {Unit: windows.Day, At: r.IntN(1440)},
			{Unit: windows.Week}, {Unit: windows.Week, WeekStart: 7, At: 2 * 60}, {Unit: windows.Week, WeekStart: 1 + r.IntN(7)},
			{Unit: windows.Month}, {Unit: windows.Month, At: r.IntN(1440)},
			{Unit: windows.Shift, Shifts: []int{6 * 60, 14 * 60, 22 * 60}}, {Unit: windows.Shift, Shifts: []int{0, 120, 121, 150, 179, 180, 1439}},
			{Unit: windows.Shift, Shifts: []int{r.IntN(1440)}},
		} {
			a.Zone = z
			days := map[bool]int{false: 8, true: 70}[a.Unit == windows.Month]
			days += 10 * btoi(a.Unit == windows.Week)
			checkCalendar(t, r, a, clock.starts(a, from, days))
		}
	}
}

func checkCalendar(t *testing.T, r *rand.Rand, a windows.Calendar, starts []edged.Timestamp) {
	t.Helper()
	if err := a.Validate(); err != nil || len(starts) < 2 {
		t.Fatalf("%+v: %v, %v", a, starts, err)
	}
	for i, start := range starts[:len(starts)-1] {
		want := windows.Window{Start: start, End: starts[i+1]}
		length := int64(want.End - want.Start)
		for _, in := range []int64{0, 1, 999, length - 1, length - 1000, r.Int64N(length), r.Int64N(length)} {
			u := start + edged.Timestamp(max(in, 0))
			if got := assigned(a, u); len(got) != 1 || got[0] != want {
				t.Fatalf("%s %+v: windows of %s are %v, want %s", a.Zone, a, moment(a, u), spans(a, got), spans(a, []windows.Window{want}))
			}
		}
		if got, ok := a.Next(start - 1); i > 0 && (!ok || got.End != start) {
			t.Fatalf("%s %+v: before %s ends %s", a.Zone, a, moment(a, start), spans(a, []windows.Window{got}))
		}
	}
}

func moment(a windows.Calendar, u edged.Timestamp) string {
	return time.UnixMilli(int64(u)).In(a.Zone).Format(time.RFC3339Nano)
}

func spans(a windows.Calendar, list []windows.Window) string {
	var texts []string
	for _, w := range list {
		texts = append(texts, moment(a, w.Start)+" to "+moment(a, w.End))
	}
	return strings.Join(texts, ", ")
}

// What everybody knows about days, and some do not.
func TestCalendarExamples(t *testing.T) {
	berlin, apia, paulo := zone(t, "Europe/Berlin"), zone(t, "Pacific/Apia"), zone(t, "America/Sao_Paulo")
	for _, test := range []struct {
		a    windows.Calendar
		at   string
		want string
	}{
		{windows.Calendar{Zone: berlin}, "2025-03-30T12:00:00Z", "2025-03-30T00:00:00+01:00 to 2025-03-31T00:00:00+02:00"}, // 23 hours
		{windows.Calendar{Zone: berlin}, "2025-10-26T22:59:59Z", "2025-10-26T00:00:00+02:00 to 2025-10-27T00:00:00+01:00"}, // 25 hours
		{windows.Calendar{Zone: paulo}, "2018-11-04T12:00:00Z", "2018-11-04T01:00:00-02:00 to 2018-11-05T00:00:00-02:00"},  // no midnight
		{windows.Calendar{Zone: apia}, "2011-12-30T09:59:59Z", "2011-12-29T00:00:00-10:00 to 2011-12-31T00:00:00+14:00"},   // no 30 December
		{windows.Calendar{Unit: windows.Week, Zone: berlin}, "2025-01-01T12:00:00Z", "2024-12-30T00:00:00+01:00 to 2025-01-06T00:00:00+01:00"},
		{windows.Calendar{Unit: windows.Month, Zone: berlin}, "2024-02-29T12:00:00Z", "2024-02-01T00:00:00+01:00 to 2024-03-01T00:00:00+01:00"},
		{windows.Calendar{Unit: windows.Month, Zone: berlin, At: 360}, "2025-11-01T03:00:00Z", "2025-10-01T06:00:00+02:00 to 2025-11-01T06:00:00+01:00"},
		{windows.Calendar{Unit: windows.Shift, Zone: berlin, Shifts: []int{360, 840, 1320}}, "2025-03-30T03:00:00Z", "2025-03-29T22:00:00+01:00 to 2025-03-30T06:00:00+02:00"},
	} {
		u, err := time.Parse(time.RFC3339, test.at)
		if err != nil {
			t.Fatal(err)
		}
		w, _ := test.a.Assign(at(u), 0)
		if got := spans(test.a, []windows.Window{w}); got != test.want {
			t.Errorf("%s at %s\n got %s\nwant %s", test.a.Unit, test.at, got, test.want)
		}
	}
}

// From end to end of time the windows of a calendar follow each other without a
// gap, and each contains what it is assigned to.
func TestCalendarAnywhere(t *testing.T) {
	t.Logf("seed %d", *seed)
	r := rand.New(rand.NewPCG(*seed, 7))
	names, err := zones.Names()
	if err != nil {
		t.Fatal(err)
	}
	for range 3000 {
		a := windows.Calendar{Unit: windows.CalendarUnit(r.IntN(4)), Zone: zone(t, names[r.IntN(len(names))])}
		if a.Unit == windows.Shift {
			a.Shifts = []int{r.IntN(700), 700 + r.IntN(700)}
		}
		u := edged.Timestamp(somewhere(r))
		if r.IntN(2) == 0 {
			u = edged.Timestamp(r.Int64N(1<<43) - 1<<42) // 1830 to 2109
		}
		w, _ := a.Assign(u, 0)
		days := map[windows.CalendarUnit]int64{windows.Week: 7, windows.Month: 31}[a.Unit] + 2
		if w.Start > u || w.End <= u && u < edged.MaxTimestamp || w.End.Sub(w.Start) > days*24*3600*1000 {
			t.Fatalf("%s %s: window of %d is %v", a.Zone, a.Unit, u, w)
		}
		before, _ := a.Assign(w.Start.Add(-1), 0)
		after, _ := a.Assign(w.End, 0)
		if w.Start != edged.MinTimestamp && before.End != w.Start || w.End != edged.MaxTimestamp && after.Start != w.End {
			t.Fatalf("%s %s: around %v are %v and %v", a.Zone, a.Unit, w, before, after)
		}
	}
}

func TestCalendarTellsWhatIsWrong(t *testing.T) {
	for _, a := range []windows.Calendar{
		{}, {Unit: 4, Zone: time.UTC}, {Zone: time.UTC, At: -1}, {Zone: time.UTC, At: 1440}, {Zone: time.UTC, WeekStart: 8}, {Zone: time.UTC, WeekStart: -1},
		{Zone: time.UTC, Shifts: []int{0}}, {Unit: windows.Shift, Zone: time.UTC}, {Unit: windows.Shift, Zone: time.UTC, Shifts: []int{0}, At: 1},
		{Unit: windows.Shift, Zone: time.UTC, Shifts: []int{5, 5}}, {Unit: windows.Shift, Zone: time.UTC, Shifts: []int{6, 5}},
		{Unit: windows.Shift, Zone: time.UTC, Shifts: []int{-1}}, {Unit: windows.Shift, Zone: time.UTC, Shifts: []int{1440}},
	} {
		if err := a.Validate(); !errors.Is(err, windows.ErrSpec) {
			t.Errorf("%+v: %v", a, err)
		}
	}
}

func BenchmarkAssignCalendar(b *testing.B) {
	for _, name := range []string{"UTC", "Europe/Berlin"} {
		for unit := range windows.Shift + 1 {
			b.Run(fmt.Sprintf("%s/%s", name, unit), func(b *testing.B) {
				a, t := windows.Calendar{Unit: unit, Zone: zone(b, name)}, edged.Timestamp(1_700_000_000_000)
				if unit == windows.Shift {
					a.Shifts = []int{360, 840, 1320}
				}
				b.ReportAllocs()
				for b.Loop() {
					t++
					a.Assign(t, 0)
				}
			})
		}
	}
}
