//go:build !nobroker

package broker

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	readyWait = 10 * time.Second

	// payloadMax is the largest message, a little above Source's default limit.
	payloadMax = 2 << 20

	// inFlightMax is how many messages a subscription may have unacknowledged.
	// All subscriptions of a session may have 65,535 together, and one that ends
	// in '#' counts twice.
	inFlightMax = 4096
)

// Broker is a running broker.
type Broker struct {
	server *server.Server
	host   string
	port   int
}

// Start starts a broker and waits until it accepts connections.
func Start(cfg Config) (*Broker, error) {
	host, port, err := listenAddr(cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("start broker on %q: %w", cfg.Listen, err)
	}
	if cfg.Dir == "" {
		return nil, errors.New("start broker: no directory for its store")
	}
	if cfg.AckWait < 0 {
		return nil, fmt.Errorf("start broker: ack wait %v is negative", cfg.AckWait)
	}
	s, err := server.NewServer(&server.Options{
		ServerName: "edged", // MQTT needs a name, and the store is found by it
		DontListen: true,    // no NATS clients
		NoSigs:     true,
		NoLog:      true,
		JetStream:  true,
		StoreDir:   cfg.Dir,
		MaxPayload: payloadMax,
		MQTT:       server.MQTTOpts{Host: host, Port: port, MaxAckPending: inFlightMax, AckWait: cmp.Or(cfg.AckWait, DefaultAckWait)},
	})
	if err != nil {
		return nil, fmt.Errorf("start broker on %s: %w", cfg.Listen, err)
	}
	s.Start()
	b := &Broker{server: s, host: host, port: port}
	if !s.ReadyForConnections(readyWait) {
		b.Close()
		return nil, fmt.Errorf("start broker on %s with store %s: not ready after %v; is the address in use or the store damaged?", cfg.Listen, cfg.Dir, readyWait)
	}
	return b, nil
}

// listenAddr splits host:port and chooses a free port for 0: the server does so,
// too, but does not tell which.
func listenAddr(listen string) (string, int, error) {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return "", 0, err
	}
	defer l.Close()
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return "", 0, err
	}
	if host == "" {
		host = "0.0.0.0"
	}
	return host, l.Addr().(*net.TCPAddr).Port, nil
}

// URL is the broker's address as mqtt.Config wants it.
func (b *Broker) URL() string {
	host := b.host
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return "tcp://" + net.JoinHostPort(host, strconv.Itoa(b.port))
}

// Close stops the broker and waits until its files are closed.
func (b *Broker) Close() {
	b.server.Shutdown()
	b.server.WaitForShutdown()
}
