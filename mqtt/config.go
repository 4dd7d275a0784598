package mqtt

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"time"
)

// Defaults of [Config], used where a field is zero.
const (
	DefaultKeepAlive      = 30 * time.Second
	DefaultConnectTimeout = 10 * time.Second
	DefaultReconnectMin   = 100 * time.Millisecond
	DefaultReconnectMax   = 30 * time.Second
	DefaultPacketBytesMax = 1<<20 + 64<<10
	DefaultPace           = 5 * time.Millisecond
)

const (
	packetBytesLeast = 1 << 10   // below this not even ordinary topics fit
	packetBytesMost  = 268435455 // what the protocol can express
	keepAliveMost    = 65535 * time.Second
)

// Config says how to reach a broker. Source and Publisher share it, but each
// needs a ClientID of its own: a broker closes the older of two connections that
// use the same one.
type Config struct {
	// URL is the broker's address: tcp://host:port or mqtt://host:port in the
	// clear, ssl://, tls:// or mqtts:// over TLS. The port defaults to 1883 and
	// 8883. Credentials do not belong here, because URLs are logged.
	URL string

	// ClientID names our session at the broker. A Source must have one and must
	// keep it for ever, since the broker holds unacknowledged messages under it.
	// A Publisher may leave it empty: the broker then chooses.
	ClientID string

	// Username and Password are sent in CONNECT when Username is not empty. Over
	// plain TCP anybody on the way can read them.
	Username, Password string

	// KeepAlive is the time after which a silent link is suspect. PINGREQs are
	// sent twice per KeepAlive; a link from which nothing was read for 1.5
	// KeepAlive, while we were reading, is given up. Between 1 s and 65535 s;
	// default 30 s. Shorter values find dead links sooner and cost radio traffic.
	KeepAlive time.Duration

	// ConnectTimeout bounds dialling, the TLS handshake, the wait for CONNACK and
	// the wait for SUBACK, each by itself. Default 10 s.
	ConnectTimeout time.Duration

	// ReconnectMin and ReconnectMax bound the pause before the next attempt: a
	// random time between 0 and a ceiling that doubles from Min to Max with every
	// failure (full jitter, so that a thousand gateways do not return in step).
	// Defaults 100 ms and 30 s.
	ReconnectMin, ReconnectMax time.Duration

	// PacketBytesMax is the largest PUBLISH, topic and headers included, that is
	// taken into memory; it bounds what Publisher.Send takes, too. A larger
	// inbound one is delivered with a payload that stands for its own, which is
	// skipped while it streams by: see Oversize. Between 1 KiB and 256 MiB;
	// default 1 MiB + 64 KiB.
	PacketBytesMax int

	// Oversize returns the payload that stands for one above PacketBytesMax, of
	// which it gets the size in bytes and at most the first 4 KiB. The sample
	// belongs to it, and what it returns to the receiver of the message. Equal
	// arguments must give equal bytes, else a redelivery cannot be recognised. In
	// all else the message is an ordinary one, acknowledged through Source.Ack.
	// Nil: the sample itself stands for the payload, and a warning is logged. It
	// is called from the goroutine that calls deliver.
	Oversize func(size int, sample []byte) []byte

	// TLS is used for ssl://, tls:// and mqtts://; [LoadTLS] makes one. When it is
	// nil, the system's certificates and TLS 1.3 are used.
	TLS *tls.Config

	// LoadTLS, when it is not nil, is called before each connection and returns what
	// TLS would hold. So certificates that were replaced on disk serve the next
	// connection. An error is like one of dialling: the attempt is repeated.
	LoadTLS func() (*tls.Config, error)

	// Pace is how long the reader waits before it reads again after it has
	// emptied the socket, so that one read serves many packets: brokers write one
	// packet per system call, and a wake-up costs more than parsing. It adds at
	// most this latency while traffic flows, and none to the first packet after
	// silence. A broker that sends only n unacknowledged messages cannot exceed
	// n/Pace messages per second. Default 5 ms; negative turns it off.
	Pace time.Duration

	// Logger receives connects, losses and refusals. Nil discards them.
	Logger *slog.Logger

	// dial replaces the network in tests.
	dial func(ctx context.Context) (net.Conn, error)
}

// Validate reports everything that is wrong with the configuration.
func (c Config) Validate() error {
	c = c.withDefaults()
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if _, err := parseURL(c.URL); err != nil {
		faults = append(faults, err)
	}
	if len(c.ClientID) > stringMax || len(c.Username) > stringMax || len(c.Password) > stringMax {
		fault("mqtt client id, username, password: longer than %d bytes, which the protocol cannot carry", stringMax)
	}
	if c.Password != "" && c.Username == "" {
		fault("mqtt password without username: MQTT 3.1.1 forbids it; set a username")
	}
	if c.KeepAlive < time.Second || c.KeepAlive > keepAliveMost {
		fault("mqtt keep-alive %v: must be between 1s and %v", c.KeepAlive, keepAliveMost)
	}
	if c.ConnectTimeout < 0 {
		fault("mqtt connect timeout %v: must not be negative", c.ConnectTimeout)
	}
	if c.ReconnectMin < 0 || c.ReconnectMin > c.ReconnectMax {
		fault("mqtt reconnect pause %v..%v: the least must be positive and not above the most", c.ReconnectMin, c.ReconnectMax)
	}
	if c.PacketBytesMax < packetBytesLeast || c.PacketBytesMax > packetBytesMost {
		fault("mqtt packet limit %d bytes: must be between %d and %d", c.PacketBytesMax, packetBytesLeast, packetBytesMost)
	}
	if c.Pace > time.Second {
		fault("mqtt pace %v: more than 1s would stall input; a few milliseconds are enough", c.Pace)
	}
	return errors.Join(faults...)
}

// withDefaults fills the fields that are zero.
func (c Config) withDefaults() Config {
	setDefault(&c.KeepAlive, DefaultKeepAlive)
	setDefault(&c.ConnectTimeout, DefaultConnectTimeout)
	setDefault(&c.ReconnectMin, DefaultReconnectMin)
	setDefault(&c.ReconnectMax, max(DefaultReconnectMax, c.ReconnectMin))
	setDefault(&c.PacketBytesMax, DefaultPacketBytesMax)
	setDefault(&c.Pace, DefaultPace)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// deadAfter is how long a link may be silent.
func (c Config) deadAfter() time.Duration { return c.KeepAlive + c.KeepAlive/2 }

// address is where to dial.
type address struct {
	hostPort string
	host     string
	secure   bool
}

func parseURL(raw string) (address, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return address{}, fmt.Errorf("mqtt url: %w", errors.Unwrap(err))
	}
	a := address{host: u.Hostname()}
	port := "1883"
	switch u.Scheme {
	case "tcp", "mqtt":
	case "ssl", "tls", "mqtts":
		a.secure, port = true, "8883"
	default:
		return a, fmt.Errorf("mqtt url %s: unknown scheme %q; use tcp, mqtt, ssl, tls or mqtts", u.Redacted(), u.Scheme)
	}
	switch {
	case a.host == "":
		return a, fmt.Errorf("mqtt url %s: no host; write it like tcp://localhost:1883", u.Redacted())
	case u.User != nil:
		return a, fmt.Errorf("mqtt url %s: credentials in it would be logged; set username and password instead", u.Redacted())
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "":
		return a, fmt.Errorf("mqtt url %s: only scheme, host and port are allowed", u.Redacted())
	}
	if u.Port() != "" {
		port = u.Port()
	}
	a.hostPort = net.JoinHostPort(a.host, port)
	return a, nil
}
