package anomaly

import (
	"time"

	"edged"
)

const (
	hourMillis    = 60 * 60 * 1000
	quarterMillis = hourMillis / 4
)

// season is a mean for each hour of the week. It survives gaps and irregular
// sampling, because the clock chooses the bin.
type season struct {
	means  [hoursOfWeek]float32
	counts [hoursOfWeek]uint8
	bin    uint8           // of the last time
	known  bool            // whether quarter and bin are
	since  edged.Timestamp // the quarter of an hour that bin is of
}

// expect returns what is usual at t: the mean of the bin, drawn towards base by
// the weight of one value. It chooses the bin that learn goes to.
func (s *season) expect(t edged.Timestamp, zone *time.Location, base float64) float64 {
	// Clocks change at full quarters. Looking the zone up once for each of them is
	// a pure function of t all the same.
	if quarter := t.FloorTo(quarterMillis, 0); !s.known || quarter != s.since {
		s.since, s.known = quarter, true
		s.bin = hourOfWeek(quarter, zone)
	}
	c := float64(s.counts[s.bin])
	return (c*float64(s.means[s.bin]) + base) / (c + 1)
}

// learn takes a value into the bin of the last expect.
func (s *season) learn(v float64) {
	count := min(s.counts[s.bin]+1, binCountMax)
	s.counts[s.bin] = count
	mean := float64(s.means[s.bin])
	s.means[s.bin] = float32(mean + (v-mean)/float64(count))
}

// hourOfWeek returns the hour of the week of a place at t, 0 to 167, Monday's
// first hour being 0.
func hourOfWeek(t edged.Timestamp, zone *time.Location) uint8 {
	if zone != nil && zone != time.UTC {
		_, seconds := time.UnixMilli(int64(t)).In(zone).Zone()
		t = t.Add(int64(seconds) * 1000)
	}
	const thursday = 3 * 24 // 1970 began on one
	hour := (int64(t.FloorTo(hourMillis, 0))/hourMillis + thursday) % hoursOfWeek
	if hour < 0 {
		hour += hoursOfWeek
	}
	return uint8(hour)
}
