package anomaly

import "math"

const (
	nlmsOrder   = 8     // inputs: the last eight values
	nlmsStep    = 0.1   // mu
	nlmsFloor   = 0.001 // of the inputs' energy
	nlmsClip    = 8     // deviations
	weightLimit = 1e6   // never reached in earnest; bounds what restored bytes can do
)

// nlms predicts a standardised series linearly from its last values, and learns
// by normalised least mean squares (Widrow and Hoff 1960; Nagumo and Noda 1967).
type nlms struct {
	weights [nlmsOrder]float32
	inputs  [nlmsOrder]float32 // the last first
}

// predict returns the value that is expected next, and the energy of the inputs.
func (p *nlms) predict() (expected, energy float64) {
	for i, x := range p.inputs {
		expected += float64(p.weights[i]) * float64(x)
		energy += float64(x) * float64(x)
	}
	return expected, energy
}

// learn takes the value that came in place of the expected one.
func (p *nlms) learn(z, expected, energy float64) {
	step := nlmsStep * (z - expected) / (energy + nlmsFloor)
	for i, x := range p.inputs {
		w := float64(p.weights[i]) + step*float64(x)
		p.weights[i] = float32(max(-weightLimit, min(w, weightLimit)))
	}
	copy(p.inputs[1:], p.inputs[:nlmsOrder-1])
	p.inputs[0] = float32(z)
}

// scaler standardises a series by its exponentially weighted mean and variance.
type scaler struct{ mean, variance float64 }

// learn takes a value with the weight alpha.
func (s *scaler) learn(x, alpha float64) {
	d := x - s.mean
	s.mean += alpha * d
	s.variance = (1 - alpha) * (s.variance + alpha*d*d)
}

// deviation returns the standard deviation, with a floor that keeps the rounding
// of a constant series small.
func (s *scaler) deviation() float64 {
	return max(math.Sqrt(s.variance), relativeFloor*math.Abs(s.mean)+1e-30)
}

// standardise returns x in deviations from the mean, within +-nlmsClip.
func (s *scaler) standardise(x float64) float64 {
	return max(-nlmsClip, min((x-s.mean)/s.deviation(), nlmsClip))
}
