package main

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"edged/configs"
	"edged/mqtt"
)

// errEnded says that a certificate has ended by the clock of this machine.
var errEnded = errors.New("the certificate has ended")

// tlsFiles are the files of a broker's connections.
type tlsFiles struct{ ca, cert, key string }

func filesOf(b *configs.Broker) tlsFiles { return tlsFiles{b.CAFile, b.CertFile, b.KeyFile} }

// content tells one content of the files from another, however they were replaced. What
// cannot be read is a content, too.
func (f tlsFiles) content() (sum [sha256.Size]byte) {
	h := sha256.New()
	for _, file := range []string{f.ca, f.cert, f.key} {
		text, err := os.ReadFile(file)
		part := sha256.Sum256(text)
		fmt.Fprint(h, err != nil, part)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// load reads the files, and until when our certificate is valid: zero if there is none.
func (f tlsFiles) load() (*tls.Config, time.Time, error) {
	config, err := mqtt.LoadTLS(f.ca, f.cert, f.key)
	if err != nil || len(config.Certificates) == 0 {
		return config, time.Time{}, err
	}
	var chain []*x509.Certificate
	for _, der := range config.Certificates[0].Certificate {
		one, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, time.Time{}, fmt.Errorf("read certificate %s: %w", f.cert, err)
		}
		chain = append(chain, one)
	}
	return config, soonest(chain).NotAfter, nil
}

// certificates are the files of a broker, as they were when they could be used last: who
// replaces them does so one after the other, and a connection must not fail meanwhile.
type certificates struct {
	files tlsFiles
	log   *slog.Logger

	mu    sync.Mutex
	taken *tls.Config // nil: none yet
	of    [sha256.Size]byte
	ends  time.Time
	tried [sha256.Size]byte // the content that was looked at last
	since time.Time         // when it was seen first
	fault error             // why it is not taken
}

// take looks at the files and takes what is new in them. An error says why it does not, and
// leaves what was taken before.
func (c *certificates) take(now time.Time) (changed bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	content := c.files.content()
	if content != c.tried {
		c.tried, c.since = content, now
	}
	if c.taken != nil && content == c.of {
		c.fault = nil
		return false, nil
	}
	config, ends, err := c.files.load()
	if err == nil {
		err = outlived(c.files.cert, ends, c.ends, now)
	}
	if err != nil {
		c.fault = err
		return false, err
	}
	c.taken, c.of, c.ends, c.fault = config, content, ends, nil
	return true, nil
}

// outlived returns an error if a new certificate has ended while the one before has not. No
// clock is trusted: with one that is wrong both have ended, and then the new one is taken.
func outlived(file string, ends, before, now time.Time) error {
	if ends.IsZero() || now.Before(ends) || before.IsZero() || !now.Before(before) {
		return nil
	}
	return fmt.Errorf("%s: %w: at %s, by this machine's clock", file, errEnded, ends.UTC().Format(time.RFC3339))
}

// config returns what the next connection uses.
func (c *certificates) config() (*tls.Config, error) {
	_, err := c.take(time.Now())
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.taken == nil {
		return nil, err
	}
	if err != nil {
		c.log.Warn("certificates on disk cannot be used; connecting with those from before", "err", err)
	}
	return c.taken.Clone(), nil
}

// state returns until when what was taken is valid, and why what is on the disk is not taken,
// once that has been so for a while: before, somebody may just be replacing it.
func (c *certificates) state(now time.Time) (ends time.Time, fault error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Sub(c.since) < certificatesEvery {
		return c.ends, nil
	}
	return c.ends, c.fault
}
