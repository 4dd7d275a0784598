package operator

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// WavesMax is how many waves a rollout may have.
const WavesMax = 32

// DefaultWaves are one gateway, then a few, a quarter, and all.
const DefaultWaves = "1,5%,25%,100%"

// Amount is a number of gateways, or a share of them.
type Amount struct {
	Number  int  `json:"n"`
	Percent bool `json:"percent,omitempty"`
}

// ParseAmount reads 5 or 5%.
func ParseAmount(text string) (Amount, error) {
	number, percent := strings.CutSuffix(strings.TrimSpace(text), "%")
	n, err := strconv.Atoi(number)
	if err != nil || n < 1 || percent && n > 100 {
		return Amount{}, fmt.Errorf("%q is no amount: want a number of gateways like 5, or a share like 5%%", text)
	}
	return Amount{Number: n, Percent: percent}, nil
}

// String returns what ParseAmount reads.
func (a Amount) String() string {
	if a.Percent {
		return fmt.Sprintf("%d%%", a.Number)
	}
	return strconv.Itoa(a.Number)
}

// of returns how many of n that is, a share rounded up.
func (a Amount) of(n int) int {
	if a.Percent {
		return (a.Number*n + 99) / 100
	}
	return min(a.Number, n)
}

// ParseWaves reads amounts with commas between; each is how many gateways have the
// document once the wave is through.
func ParseWaves(text string) ([]Amount, error) {
	var all []Amount
	for part := range strings.SplitSeq(text, ",") {
		a, err := ParseAmount(part)
		if err != nil {
			return nil, fmt.Errorf("waves: %w", err)
		}
		all = append(all, a)
	}
	if len(all) > WavesMax {
		return nil, fmt.Errorf("%w: %d waves are more than %d", ErrLimit, len(all), WavesMax)
	}
	return all, nil
}

// Ends returns where the waves end in a list of n gateways: rising, without empty
// waves. What no wave would reach is not in the rollout.
func Ends(waves []Amount, n int) []int {
	var ends []int
	last := 0
	for _, w := range waves {
		if end := w.of(n); end > last {
			ends, last = append(ends, end), end
		}
	}
	return ends
}

// Spread puts gateways in the order in which a rollout takes them: those that are
// online first, because they tell soonest, and within that by chance that follows from
// the seed, so that a wave is not all of one site.
func Spread(seed string, gateways []string, online func(string) bool) []string {
	rank := func(name string) string {
		sum := sha256.Sum256([]byte(seed + "\n" + name))
		first := "1"
		if online(name) {
			first = "0"
		}
		return first + string(sum[:]) + name
	}
	sorted := slices.Clone(gateways)
	slices.SortFunc(sorted, func(a, b string) int { return strings.Compare(rank(a), rank(b)) })
	return slices.Compact(sorted)
}
