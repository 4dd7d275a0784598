package operator

import (
	"fmt"
	"strconv"
	"strings"
)

// RateMax is the highest rate.
const RateMax = GatewaysMax

const minute = 60_000

// Rate bounds how many gateways are released within any sixty seconds.
type Rate struct {
	Minute int `json:"per_minute"`
	Growth int `json:"growth,omitempty"` // each wave is so many times as fast as the one before; 0: as fast
}

// ParseRate reads 20/min.
func ParseRate(text string) (Rate, error) {
	number, ok := strings.CutSuffix(text, "/min")
	n, err := strconv.Atoi(number)
	if err != nil || !ok || n < 1 || n > RateMax {
		return Rate{}, fmt.Errorf("%q is no rate: want gateways per minute, from 1/min to %d/min", text, RateMax)
	}
	return Rate{Minute: n}, nil
}

// String returns what ParseRate reads, and the growth.
func (r Rate) String() string {
	text := fmt.Sprintf("%d/min", r.Minute)
	if r.Growth > 1 {
		text += fmt.Sprintf(", %d times as fast with each wave", r.Growth)
	}
	return text
}

// check returns what is wrong with the rate.
func (r Rate) check() error {
	if r.Minute < 1 || r.Minute > RateMax || r.Growth < 0 || r.Growth > RateMax {
		return fmt.Errorf("rollout policy: rate of %d per minute, growth %d: want 1 to %d per minute, growth up to as much", r.Minute, r.Growth, RateMax)
	}
	return nil
}

// of returns the rate of a wave, from 0.
func (r Rate) of(wave int) int {
	n := r.Minute
	for range wave {
		n = min(n*max(r.Growth, 1), RateMax)
	}
	return n
}
