package operator

import "fmt"

// The defaults of a [Policy].
const (
	DefaultBake    = 10 * 60_000
	DefaultSuccess = 99
	DefaultAnswer  = 10 * 60_000
	DefaultOffline = 24 * 60 * 60_000
)

// DurationMax is the longest duration in a [Policy], in milliseconds: thirty days.
const DurationMax = 30 * 24 * 60 * 60_000

// Policy says how careful a rollout is. Durations are in milliseconds.
type Policy struct {
	// Waves are how many gateways have the document once each wave is through.
	Waves []Amount `json:"waves"`

	// Bake is how long a wave is watched after all have answered, before the next
	// one begins. 0 is no time; the default is ten minutes.
	Bake int64 `json:"bake_ms"`

	// Success is the share of a wave, in percent, that must succeed. Default 99.
	Success int `json:"success_pct"`

	// Failures stops the rollout when so many have failed: a number, or a share of
	// those released. Nil: only Success counts.
	Failures *Amount `json:"abort,omitempty"`

	// Answer is how long a gateway that can be reached may take to say that it runs
	// the document. It must be longer than the health gate. Default ten minutes.
	Answer int64 `json:"answer_ms"`

	// Offline is how long a gateway may have been offline since it was released,
	// before it counts as failed. It still catches up later. Default a day.
	Offline int64 `json:"offline_ms"`

	// Rate bounds how many are released per minute. Nil: a wave at once.
	Rate *Rate `json:"rate,omitempty"`

	// Windows are when members are released, as [ParseWindow] reads them. None: always.
	Windows []string `json:"windows,omitempty"`
}

// Check returns what is wrong with the policy.
func (p Policy) Check() error {
	for _, d := range []struct {
		name  string
		ms    int64
		least int64
	}{{"bake", p.Bake, 0}, {"answer", p.Answer, 1}, {"offline", p.Offline, 1}} {
		if d.ms < d.least || d.ms > DurationMax {
			return fmt.Errorf("rollout policy: %s of %d ms is not from %d to %d", d.name, d.ms, d.least, int64(DurationMax))
		}
	}
	if p.Success < 1 || p.Success > 100 {
		return fmt.Errorf("rollout policy: success of %d%% is not from 1%% to 100%%", p.Success)
	}
	if len(p.Waves) < 1 || len(p.Waves) > WavesMax {
		return fmt.Errorf("rollout policy: %d waves, want 1 to %d", len(p.Waves), WavesMax)
	}
	if p.Rate != nil {
		if err := p.Rate.check(); err != nil {
			return err
		}
	}
	if _, err := ParseWindows(p.Windows); err != nil {
		return fmt.Errorf("rollout policy: %w", err)
	}
	return nil
}
