//go:build nobroker

package broker

// Broker is a running broker; there is none in this binary.
type Broker struct{}

// Start returns [ErrNotBuilt].
func Start(Config) (*Broker, error) { return nil, ErrNotBuilt }

// URL returns "".
func (*Broker) URL() string { return "" }

// Close does nothing.
func (*Broker) Close() {}
