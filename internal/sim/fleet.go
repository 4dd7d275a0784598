package sim

import (
	"iter"
	"math/bits"
	"math/rand/v2"
	"strconv"
)

// Fleet yields the readings of invented devices. It is not safe for concurrent use.
//
// Devices take turns round after round: the reading of device i in round r
// belongs to the time Start + r·Step + i·Step/Devices. A silent device only
// remembers when it fell silent; its history is made when it is sent, so that
// any number of silent devices costs nothing.
type Fleet struct {
	// Configuration.
	cfg      Config
	step     int64 // nanoseconds between two readings of a device
	turn     int64 // nanoseconds between two turns of the fleet
	disorder int64 // milliseconds
	lateBy   int64 // milliseconds
	late     chance
	repeat   chance
	silence  chance

	// State.
	random  *rand.PCG
	devices []device
	next    int   // the device whose turn is next
	round   int64 // of the next turn
	emitted int   // distinct readings so far
	burst   burst
	repeats repeats
	topics  []string
}

// device is what a device remembers between its readings.
type device struct {
	seq         uint64
	silentFrom  int64 // first round of the silence
	silentUntil int64 // the round in which it talks again; 0: not silent
	centi       int32
	clock       clock
}

// burst is a history on its way out.
type burst struct {
	device int
	round  int64
	left   int64
}

// NewFleet makes a fleet, or tells everything that is wrong with cfg.
func NewFleet(cfg Config) (*Fleet, error) {
	if cfg.TopicPattern == "" {
		cfg.TopicPattern = DefaultTopic
	}
	if cfg.BacklogDepth == 0 {
		cfg.BacklogDepth = DefaultBacklogDepth
	}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	f := &Fleet{
		cfg:      cfg,
		step:     cfg.step(),
		disorder: cfg.Disorder.Milliseconds(),
		lateBy:   cfg.LateBy.Milliseconds(),
		late:     chanceOf(cfg.LateShare),
		repeat:   chanceOf(cfg.DuplicateShare),
		random:   rand.NewPCG(cfg.Seed, 0x5eed_0f_5e_a5_0125),
		devices:  make([]device, cfg.Devices),
		topics:   make([]string, cfg.Devices),
	}
	f.turn = f.step / int64(cfg.Devices)
	// A silence of depth readings must be begun by one turn in so many.
	depth := float64(cfg.BacklogDepth)
	f.silence = chanceOf(cfg.BacklogShare / (depth - (depth-1)*cfg.BacklogShare))
	faulty := chanceOf(cfg.ClockFaults)
	for i := range f.devices {
		f.devices[i].centi = int32(1500 + f.below(1500))
		f.devices[i].clock = newClock(f.random, faulty)
	}
	return f, nil
}

// All ranges over the samples that are left.
func (f *Fleet) All() iter.Seq[Sample] {
	return func(yield func(Sample) bool) {
		var s Sample
		for f.Next(&s) && yield(s) {
		}
	}
}

// Next fills s with the next sample and reports whether there was one.
func (f *Fleet) Next(s *Sample) bool {
	if f.repeats.take(s) {
		return true
	}
	if f.cfg.Events > 0 && f.emitted == f.cfg.Events {
		return f.repeats.drain(s)
	}
	f.reading(s)
	f.emitted++
	if f.draw(f.repeat) {
		f.repeats.put(s, f.below(repeatSlots-1))
	}
	return true
}

// Err is always nil: a fleet cannot fail.
func (f *Fleet) Err() error { return nil }

// Device returns the name of a device, as it stands in payloads.
func (f *Fleet) Device(i int) string { return string(appendDevice(nil, i)) }

// Topic returns where device i publishes.
func (f *Fleet) Topic(i int) string {
	if f.topics[i] == "" {
		f.topics[i] = topicOf(f.cfg.TopicPattern, f.Device(i))
	}
	return f.topics[i]
}

// AppendPayload appends {"device":"d000123","ts":1700000000000,"temp":21.37,"hum":48.2}
// and, when configured, the members n and pad.
func (f *Fleet) AppendPayload(dst []byte, s *Sample) []byte {
	from := len(dst)
	dst = append(dst, `{"device":"`...)
	dst = appendDevice(dst, s.Device)
	dst = append(dst, `","ts":`...)
	dst = strconv.AppendInt(dst, int64(s.EventTime), 10)
	dst = append(dst, `,"temp":`...)
	dst = appendFixed(dst, s.Centi, 2)
	dst = append(dst, `,"hum":`...)
	dst = appendFixed(dst, s.Deci, 1)
	if f.cfg.Sequence {
		dst = append(dst, `,"n":`...)
		dst = strconv.AppendUint(dst, s.Seq, 10)
	}
	dst = appendPad(dst, len(dst)-from, f.cfg.PayloadPad)
	return append(dst, '}')
}

// reading finds whose turn it is and takes a reading.
func (f *Fleet) reading(s *Sample) {
	for {
		if f.burst.left > 0 {
			f.read(s, f.burst.device, f.burst.round)
			s.Backlog = true
			f.burst.round++
			f.burst.left--
			return
		}
		i, round := f.next, f.round
		if f.next++; f.next == len(f.devices) {
			f.next = 0
			f.round++
		}
		if f.talks(i, round) {
			f.read(s, i, round)
			return
		}
	}
}

// talks reports whether device i reads and sends in this round. A device whose
// silence ends has its whole history put into f.burst instead.
func (f *Fleet) talks(i int, round int64) bool {
	d := &f.devices[i]
	switch {
	case d.silentUntil == 0:
		if !f.draw(f.silence) {
			return true
		}
		d.silentFrom, d.silentUntil = round, round+int64(f.cfg.BacklogDepth)-1
	case round == d.silentUntil:
		f.burst = burst{device: i, round: d.silentFrom, left: round - d.silentFrom + 1}
		d.silentUntil = 0
	}
	return false
}

// read takes the reading that device i owes to a round.
func (f *Fleet) read(s *Sample, i int, round int64) {
	d := &f.devices[i]
	d.seq++
	d.centi = walk(d.centi, int32(f.below(31))-15)
	elapsed := (round*f.step + int64(i)*f.turn) / 1e6
	if f.disorder > 0 {
		elapsed -= f.below(f.disorder + 1)
	}
	late := f.draw(f.late)
	if late {
		elapsed -= f.lateBy
	}
	// 37 has no common factor with 1,000, so humidity repeats only every 1,000
	// readings: it is what makes readings at equal times distinct.
	deci := int64((d.seq*37 + uint64(i)) % 1000)
	*s = Sample{
		Device: i, Seq: d.seq, EventTime: d.clock.read(f.random, f.cfg.Start, elapsed, d.seq),
		Temp: float64(d.centi) / 100, Centi: int64(d.centi),
		Hum: float64(deci) / 10, Deci: deci,
		Late: late,
	}
}

// draw reports whether something of the given probability happens.
func (f *Fleet) draw(c chance) bool { return c.happens(f.random) }

// below returns a number in [0, n).
func (f *Fleet) below(n int64) int64 { return below(f.random, n) }

func below(random *rand.PCG, n int64) int64 {
	high, _ := bits.Mul64(random.Uint64(), uint64(n))
	return int64(high)
}

// walk moves a temperature by a step and keeps it within -20 and 60 degrees.
func walk(centi, step int32) int32 {
	if moved := centi + step; moved >= -2000 && moved <= 6000 {
		return moved
	}
	return centi - step
}

// chance is a probability in units of 2^-32; 0 draws nothing.
type chance uint64

func chanceOf(share float64) chance { return chance(share * (1 << 32)) }

func (c chance) happens(random *rand.PCG) bool {
	return c > 0 && random.Uint64()>>32 < uint64(c)
}

var _ Source = (*Fleet)(nil)
