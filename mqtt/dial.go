package mqtt

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
)

// dial opens the connection and returns it with the reader to use on it, whose
// Read returns as much as is at hand.
func dial(ctx context.Context, cfg Config) (net.Conn, io.Reader, error) {
	ctx, cancel := context.WithTimeout(ctx, cfg.ConnectTimeout)
	defer cancel()
	if cfg.dial != nil {
		conn, err := cfg.dial(ctx)
		return conn, conn, err
	}
	at, err := parseURL(cfg.URL)
	if err != nil {
		return nil, nil, err
	}
	raw, err := (&net.Dialer{}).DialContext(ctx, "tcp", at.hostPort)
	if err != nil {
		return nil, nil, fmt.Errorf("connect to broker %s: %w", cfg.URL, err)
	}
	if err := setUserTimeout(raw, cfg.deadAfter()); err != nil {
		// Without it a dead link is found by the write deadline, only later.
		cfg.Logger.Debug("tcp user timeout not set", "err", err)
	}
	if !at.secure {
		return raw, raw, nil
	}
	config := cfg.TLS
	if cfg.LoadTLS != nil {
		if config, err = cfg.LoadTLS(); err != nil {
			raw.Close()
			return nil, nil, fmt.Errorf("connect to broker %s: %w", cfg.URL, err)
		}
	}
	conn, src, err := secure(ctx, raw, config, at.host)
	if err != nil {
		raw.Close()
		return nil, nil, fmt.Errorf("connect to broker %s: tls handshake: %w", cfg.URL, err)
	}
	return conn, src, nil
}

func secure(ctx context.Context, raw net.Conn, config *tls.Config, host string) (net.Conn, io.Reader, error) {
	if config == nil {
		config = &tls.Config{MinVersion: tls.VersionTLS13}
	}
	if config.ServerName == "" {
		config = config.Clone()
		config.ServerName = host
	}
	below := &burst{Conn: raw, mayBlock: true, buf: make([]byte, tlsBufferBytes)}
	conn := tls.Client(below, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, nil, err
	}
	return conn, &records{tls: conn, below: below}, nil
}

const tlsBufferBytes = 32 << 10

// records reads from a TLS connection everything that has already arrived. A
// plain tls.Conn.Read returns one record, and brokers put every packet into a
// record of its own: pacing such reads would cap the rate at one message each.
type records struct {
	tls   *tls.Conn
	below *burst
}

// Read implements io.Reader: it blocks for the first record only.
func (r *records) Read(p []byte) (n int, err error) {
	r.below.mayBlock = true
	for n < len(p) {
		m, err := r.tls.Read(p[n:])
		n += m
		if err != nil {
			if n > 0 {
				return n, nil // errDry, or an error that comes again
			}
			return 0, err
		}
		r.below.mayBlock = n == 0
	}
	return n, nil
}

// burst is the connection below TLS: it reads much at once, and says errDry
// instead of blocking when told so. Only the reading goroutine touches it.
type burst struct {
	net.Conn
	buf      []byte
	r, w     int
	mayBlock bool
}

// errDry is a timeout to crypto/tls, which therefore keeps its state.
var errDry net.Error = dryError{}

type dryError struct{}

func (dryError) Error() string   { return "nothing has arrived" }
func (dryError) Timeout() bool   { return true }
func (dryError) Temporary() bool { return true }

// Read implements net.Conn.
func (b *burst) Read(p []byte) (int, error) {
	if b.r == b.w {
		if !b.mayBlock {
			return 0, errDry
		}
		n, err := b.Conn.Read(b.buf)
		if b.r, b.w = 0, n; n == 0 {
			return 0, err
		}
	}
	n := copy(p, b.buf[b.r:b.w])
	b.r += n
	return n, nil
}
