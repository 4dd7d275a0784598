package broker

import (
	"errors"
	"time"
)

// DefaultAckWait is used where Config.AckWait is zero.
const DefaultAckWait = 10 * time.Second

// ErrNotBuilt says that the binary was built with the tag nobroker.
var ErrNotBuilt = errors.New("the embedded broker is not part of this binary (build tag nobroker); use an external broker such as mosquitto")

// Config says where the broker listens and keeps its data.
type Config struct {
	// Listen is host:port. Port 0 takes a free one; an empty host all addresses.
	Listen string

	// Dir is the directory of its store. It is made if missing, and must belong
	// to this broker alone.
	Dir string

	// AckWait is how long a message may stay unacknowledged before it is sent
	// again: on the same connection, and also after a reconnect, which this broker
	// does not answer with a repetition at once. Default 10 s. It must be well
	// above the longest time from delivery to acknowledgement.
	AckWait time.Duration
}
