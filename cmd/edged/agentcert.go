package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"edged/configs"
	"edged/fleet/agent"
	"edged/fleet/protocol"
	"edged/mqtt"
)

// certificatesEvery is how often the files of certificates are looked at.
const certificatesEvery = time.Minute

// reconnectAfter is how long after cert.reload and source.reconnect links are ended: the
// answer leaves before.
const reconnectAfter = 500 * time.Millisecond

var errCertificates = errors.New("certificates have changed")

// brokers returns the brokers that the daemon talks to.
func (m *managed) brokers() []*configs.Broker {
	s := m.daemon.active.Load().settings
	return []*configs.Broker{&s.MQTT.Broker, &s.Upstream.Broker, &s.Fleet.Broker}
}

// stamps tells one content of the files from another.
func (m *managed) stamps() (text string) {
	for _, b := range m.brokers() {
		for _, file := range []string{b.CAFile, b.CertFile, b.KeyFile} {
			if info, err := os.Stat(file); file != "" && err == nil {
				text += fmt.Sprint(file, info.ModTime().UnixNano(), info.Size(), " ")
			}
		}
	}
	return text
}

// watchCertificates connects all links anew when certificates have been replaced on
// disk, and are complete.
func (m *managed) watchCertificates(ctx context.Context) error {
	ticker := time.NewTicker(certificatesEvery)
	defer ticker.Stop()
	before := m.stamps()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		now := m.stamps()
		if now == before {
			continue
		}
		if _, err := m.loadCertificates(); err != nil {
			m.daemon.log.Warn("certificates have changed and cannot be used yet", "err", err)
			continue
		}
		before = now
		m.daemon.log.Info("certificates have changed; connecting anew")
		m.reconnect()
	}
}

// loadedCertificate is part of the result of cert.reload.
type loadedCertificate struct {
	URL     string `json:"url"`
	File    string `json:"file,omitempty"`
	Expires int64  `json:"not_after_ms,omitempty"`
}

// loadCertificates reads all files and returns what is in them.
func (m *managed) loadCertificates() (all []loadedCertificate, err error) {
	for _, b := range m.brokers() {
		if b.CAFile == "" && b.CertFile == "" {
			continue
		}
		if _, err := mqtt.LoadTLS(b.CAFile, b.CertFile, b.KeyFile); err != nil {
			return nil, fmt.Errorf("certificates for broker %s: %w", b.URL, err)
		}
		c := loadedCertificate{URL: b.URL, File: b.CertFile}
		if b.CertFile != "" {
			end, err := leaf(b).end()
			if err != nil {
				return nil, err
			}
			c.Expires = max(end.UnixMilli(), 0)
		}
		all = append(all, c)
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
