package operator

import (
	"errors"
	"fmt"

	"edged/fleet/trust"
)

// CatchUpMax is how far above its own counter a counter follows what gateways say
// they have seen. What they say is not signed: without this bound one message could
// use all numbers up.
const CatchUpMax = 1 << 20

// ErrNumber says that there are no numbers left, or that they are of another epoch.
var ErrNumber = errors.New("operator: no number can be used")

// Counter is a number that rises within an epoch of the keyring: the last sequence
// number of a key, or the last version of a desired document. It is to be stored
// before the number is used.
type Counter struct {
	V     int    `json:"v"`
	Epoch uint64 `json:"epoch"`
	Last  uint64 `json:"last"`
}

// Take returns the counter behind n new numbers, the first of which is Last-n+1. seen
// is the highest number that gateways say they know in the epoch: a counter that was
// lost goes on behind it. One that is out of reach is not believed.
func (c Counter) Take(epoch, seen, n uint64) (Counter, error) {
	if c.Epoch > epoch {
		return c, fmt.Errorf("%w: the counter is of epoch %d, the keyring of %d; get the newest keyring", ErrNumber, c.Epoch, epoch)
	}
	if c.Epoch < epoch {
		c = Counter{Epoch: epoch}
	}
	c.V = 1
	if seen > c.Last && seen-c.Last <= CatchUpMax {
		c.Last = seen
	}
	c.Last += n
	if c.Last > trust.NumberMax {
		return c, fmt.Errorf("%w: %d is above 2^53-1; raise the epoch of the keyring", ErrNumber, c.Last)
	}
	return c, nil
}

// HighestSeq returns the highest sequence number of a key that gateways know, in an
// epoch.
func (v *View) HighestSeq(key trust.KeyID, epoch uint64) (highest uint64) {
	for _, g := range v.gateways {
		if r := g.Reported(); r != nil && r.Epoch == epoch {
			highest = max(highest, r.Watermark[key])
		}
	}
	return highest
}

// HighestVersion returns the highest version of a desired document that gateways have
// seen, in an epoch.
func (v *View) HighestVersion(epoch uint64) (highest uint64) {
	for _, g := range v.gateways {
		if r := g.Reported(); r != nil && r.Epoch == epoch {
			highest = max(highest, r.Seen)
		}
	}
	return highest
}

// Knows reports whether a gateway has seen commands of a key, in an epoch. If not, or
// if it has not said, the first one must quote a nonce.
func (g *Gateway) Knows(key trust.KeyID, epoch uint64) bool {
	r := g.Reported()
	return r != nil && r.Epoch == epoch && r.Watermark[key] > 0
}
