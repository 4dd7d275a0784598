package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"edged/configs"
	"edged/fleet/agent"
	"edged/fleet/protocol"
)

// certificatesEvery is how often the files of certificates are looked at.
const certificatesEvery = 2 * time.Second

// reconnectAfter is how long after cert.reload and source.reconnect links are ended: the
// answer leaves before.
const reconnectAfter = 500 * time.Millisecond

var errCertificates = errors.New("certificates have changed")

// brokers returns the brokers that the daemon talks to.
func (m *managed) brokers() []*configs.Broker {
	s := m.daemon.active.Load().settings
	return []*configs.Broker{&s.MQTT.Broker, &s.Upstream.Broker, &s.Fleet.Broker}
}

// watchedCertificates are the files of all brokers, each once.
type watchedCertificates struct {
	mu  sync.Mutex
	all map[tlsFiles]*certificates
}

// certificatesOf returns the files of a broker; nil if it has none. They are looked at when
// they are asked for first.
func (m *managed) certificatesOf(b *configs.Broker) *certificates {
	files := filesOf(b)
	if files.ca == "" && files.cert == "" {
		return nil
	}
	m.certs.mu.Lock()
	defer m.certs.mu.Unlock()
	c := m.certs.all[files]
	if c == nil {
		c = &certificates{files: files, log: m.daemon.log}
		// What is wrong with them is found again at the next look.
		_, _ = c.take(time.Now())
		if m.certs.all == nil {
			m.certs.all = map[tlsFiles]*certificates{}
		}
		m.certs.all[files] = c
	}
	return c
}

// watchCertificates connects all links anew when certificates have been replaced on
// disk, and are complete.
func (m *managed) watchCertificates(ctx context.Context) error {
	ticker := time.NewTicker(certificatesEvery)
	defer ticker.Stop()
	told := map[tlsFiles]string{}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		changed := false
		for _, b := range m.brokers() {
			c := m.certificatesOf(b)
			if c == nil {
				continue
			}
			now := time.Now()
			replaced, _ := c.take(now) // an error is part of the state
			changed = changed || replaced
			text := ""
			if _, fault := c.state(now); fault != nil {
				text = fault.Error()
			}
			if text != "" && text != told[c.files] {
				m.daemon.log.Warn("certificates have changed and cannot be used; those from before stay", "err", text)
			}
			told[c.files] = text
		}
		if changed {
			m.daemon.log.Info("certificates have changed; connecting anew")
			m.reconnect()
		}
	}
}

// certificateAlarms tells of files that cannot be used, and of certificates that end.
func (m *managed) certificateAlarms(add func(code, subject, severity, format string, args ...any)) {
	for _, b := range m.brokers() {
		c := m.certificatesOf(b)
		if c == nil {
			continue
		}
		subject := b.CertFile
		if subject == "" {
			subject = b.CAFile
		}
		now := time.Now()
		ends, fault := c.state(now)
		left := ends.Sub(now)
		switch {
		case errors.Is(fault, errEnded):
			add("cert.ended", subject, protocol.SeverityMajor, "%v; the one from before is used, until %s: put a valid one there", fault, ends.UTC().Format(time.RFC3339))
		case fault != nil:
			add("cert.unreadable", subject, protocol.SeverityMajor, "%v; those from before are used: put a certificate and the key that belongs to it there, whole, or an authority's certificate in PEM", fault)
		}
		switch {
		case ends.IsZero():
		case left <= 0:
			add("cert.ended", subject, protocol.SeverityMajor, "it ended at %s by this gateway's clock: brokers refuse it; put a valid one there", ends.UTC().Format(time.RFC3339))
		case left < certAlarmBefore:
			add("cert.expiry", subject, protocol.SeverityMajor, "it ends at %s by this gateway's clock", ends.UTC().Format(time.RFC3339))
		case left < certWarnBefore:
			add("cert.expiry", subject, protocol.SeverityMinor, "it ends at %s by this gateway's clock", ends.UTC().Format(time.RFC3339))
		}
	}
}

// loadedCertificate is part of the result of cert.reload.
type loadedCertificate struct {
	URL     string `json:"url"`
	File    string `json:"file,omitempty"`
	Expires int64  `json:"not_after_ms,omitempty"`
}

// loadCertificates takes what is on the disk and returns what is in use then.
func (m *managed) loadCertificates() (all []loadedCertificate, err error) {
	for _, b := range m.brokers() {
		c := m.certificatesOf(b)
		if c == nil {
			continue
		}
		if _, err := c.take(time.Now()); err != nil {
			return nil, fmt.Errorf("certificates for broker %s: %w; those from before stay", b.URL, err)
		}
		l := loadedCertificate{URL: b.URL, File: b.CertFile}
		if ends, _ := c.state(time.Now()); !ends.IsZero() {
			l.Expires = max(ends.UnixMilli(), 0)
		}
		all = append(all, l)
	}
	return all, nil
}

// reconnect ends all connections; the next ones use what is on disk now.
func (m *managed) reconnect() {
	m.daemon.inlet.Reconnect(errCertificates)
	for _, l := range m.daemon.active.Load().links {
		if p, ok := l.Output.(publisher); ok {
			p.Reconnect(errCertificates)
		}
	}
	m.control.Reconnect(errCertificates)
}

func (m *managed) reloadCertificates(context.Context, *agent.Call, agent.None) (any, error) {
	all, err := m.loadCertificates()
	if err != nil {
		return nil, agent.Failed(protocol.CodePrecond, err)
	}
	time.AfterFunc(reconnectAfter, m.reconnect)
	return all, nil
}
