package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"edged/configs"
	"edged/fleet/agent"
	"edged/fleet/apply"
	"edged/fleet/command"
	"edged/fleet/protocol"
	"edged/fleet/strict"
	"edged/fleet/trust"
	"edged/mqtt"
)

// The pauses between two attempts of the management link, and its keep-alive.
const (
	agentReconnectMin = time.Second
	agentReconnectMax = time.Minute
	agentKeepAlive    = 30 * time.Second
)

// trustBytesMax bounds the file with the root keys.
const trustBytesMax = 64 << 10

// errRestart is why a process ends that was told to start again.
var errRestart = errors.New("the fleet's operators asked for a restart; start edged again")

// managed is a daemon as its management sees it.
type managed struct {
	daemon  *daemon
	logs    *logs
	agent   *agent.Agent
	control *mqtt.Control
	applier *apply.Applier
	site    *site
	certs   watchedCertificates
	end     context.CancelCauseFunc // of the process

	replaying sync.Mutex // held by the replay that runs
	profiling sync.Mutex // held while a profile is taken

	mu     sync.Mutex // guards what follows
	hashed *shown     // whose hash is known
	hash   string
	last   beat
	down   time.Time // since when the source has no connection
}

// manage makes the management of a daemon; nil if the settings do not want one. end ends
// the process. Nothing connects before run. Own is the gateway's own file, and found
// what is known of the configurations that were sent.
func (d *daemon) manage(own *setup, found *sent, logs *logs, end context.CancelCauseFunc) (*managed, error) {
	settings := d.active.Load().settings
	f := &settings.Fleet
	if f.Name == "" {
		return nil, nil
	}
	guard, err := guardConfig(f)
	if err != nil {
		return nil, failed(exitConfig, err)
	}
	signer, err := signerOf(f)
	if err != nil {
		return nil, failed(exitConfig, err)
	}
	m := &managed{daemon: d, logs: logs, end: end, last: beat{at: time.Now()}}
	if m.control, err = m.connect(f); err != nil {
		return nil, err
	}
	m.agent, err = agent.New(agent.Config{
		Guard: guard, Signer: signer, Prefix: f.Prefix, Ops: m.ops(), Heartbeat: f.Heartbeat, Logger: d.log,
		Desired: func(desired *protocol.Desired) { m.applier.Desired(desired) },
	}, controlLink{m.control}, agentStore{d.store}, m)
	if err != nil {
		return nil, storeFailed(err)
	}
	linked := func() bool { return m.control.Stats().Connected }
	m.site = &site{own: own, daemon: d, linked: linked}
	m.applier = apply.New(m.site, desiredStore(settings.DataDir), found.state, m.tellApplied)
	return m, nil
}

// run runs the management until ctx ends. When it fails, so does the process: what is
// decided can no more be kept.
func (m *managed) run(ctx context.Context) error {
	m.agent.Event("edged.started", "", buildVersion())
	watching := start(ctx, m.watchCertificates)
	defer watching.end()
	telling := start(ctx, m.tellRecovery)
	defer telling.end()
	applying := start(ctx, m.apply)
	defer applying.end()
	err := m.agent.Run(ctx)
	if err != nil {
		m.end(failed(exitStore, fmt.Errorf("the management has stopped: %w; edged recovers when it is started again", err)))
	}
	return err
}

func (m *managed) tellRecovery(ctx context.Context) error {
	select {
	case <-m.daemon.engine.Ready():
		r := m.daemon.engine.Recovery()
		m.agent.Event("edged.recovered", "", fmt.Sprintf("%d records, %d keys in %v", r.Records, r.Keys, r.Duration.Round(time.Millisecond)))
	case <-ctx.Done():
	}
	return nil
}

// connect makes the link.
func (m *managed) connect(f *configs.Fleet) (*mqtt.Control, error) {
	cfg, err := mqttConfig(&f.Broker, f.ClientID, m.daemon.log)
	if err != nil {
		return nil, err
	}
	cfg.KeepAlive, cfg.ReconnectMin, cfg.ReconnectMax = agentKeepAlive, agentReconnectMin, agentReconnectMax
	cfg.LoadTLS = withTLSMin(cfg.LoadTLS, f.TLSMin)
	control := mqtt.ControlConfig{Config: cfg}
	for _, filter := range agent.Filters(f.Prefix, f.Name, f.Gateway) {
		control.Subscriptions = append(control.Subscriptions, mqtt.Subscription{Filter: filter, QoS: 1})
	}
	c, err := mqtt.NewControl(control)
	return c, failed(exitConfig, err)
}

// withTLSMin lowers the least version of TLS, if the settings say so.
func withTLSMin(load func() (*tls.Config, error), least string) func() (*tls.Config, error) {
	if least != "1.2" {
		return load
	}
	return func() (*tls.Config, error) {
		config, err := &tls.Config{}, error(nil)
		if load != nil {
			config, err = load()
		}
		if err == nil {
			config.MinVersion = tls.VersionTLS12
		}
		return config, err
	}
}

// checkFleet returns what is wrong with the settings of the management link.
func checkFleet(f *configs.Fleet) error {
	if f.Name == "" {
		return nil
	}
	_, err := guardConfig(f)
	_, fault := signerOf(f)
	return errors.Join(err, fault)
}

// signerOf returns what signs the word of the gateway; nil if nothing does.
func signerOf(f *configs.Fleet) (*trust.Signer, error) {
	setting, key, err := "signing_key_file", trust.SecretKey{}, error(nil)
	switch {
	case f.SigningFile != "":
		key, err = readSecret(f.SigningFile)
	case f.SigningKey != "":
		setting = "signing_key"
		key, err = trust.ParseSecretKey([]byte(f.SigningKey))
	default:
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("settings.fleet.%s: %w; edged fleet keys new makes a key", setting, err)
	}
	return key.Signer(), nil
}

// guardConfig makes the identity of the gateway, and whom it believes.
func guardConfig(f *configs.Fleet) (command.Config, error) {
	labels, err := parseLabels(f.Labels)
	fault := func(setting string, err error) error {
		if err == nil {
			return nil
		}
		return fmt.Errorf("settings.fleet.%s: %w", setting, err)
	}
	err = errors.Join(fault("name", trust.CheckName(f.Name)), fault("gateway", trust.CheckName(f.Gateway)),
		fault("labels", err), fault("prefix", protocol.CheckPrefix(f.Prefix)))
	if err != nil {
		return command.Config{}, err
	}
	pinned, err := readRoot(f.Name, f.TrustFile)
	if err != nil {
		return command.Config{}, fault("trust_file", err)
	}
	return command.Config{Gateway: trust.Gateway{Fleet: f.Name, ID: f.Gateway, Labels: labels}, Pinned: pinned}, nil
}

// readRoot reads the root keys that the gateway was provisioned with.
func readRoot(fleet, file string) (*trust.Ring, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var root trust.Root
	if err := strict.Decode(text, &root, strict.Limits{Bytes: trustBytesMax}); err != nil {
		return nil, fmt.Errorf("%s: %w; want {\"threshold\": 2, \"keys\": [\"edged-public:...\", ...]}", file, err)
	}
	return trust.Pin(fleet, root)
}

// parseLabels reads site=berlin,tier=canary.
func parseLabels(text string) (map[string]string, error) {
	if text == "" {
		return nil, nil
	}
	labels := map[string]string{}
	for pair := range strings.SplitSeq(text, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(pair), "=")
		if _, err := trust.ParseSelector(name + "=" + value); !ok || err != nil {
			return nil, fmt.Errorf("%q is no label; write site=berlin,tier=canary", pair)
		}
		if _, twice := labels[name]; twice {
			return nil, fmt.Errorf("label %s is given twice", name)
		}
		labels[name] = value
	}
	if len(labels) > protocol.LabelsMax {
		return nil, fmt.Errorf("%d labels, at most %d", len(labels), protocol.LabelsMax)
	}
	return labels, nil
}

// Running implements agent.Gateway. The hash of the gateway's own file is the one that it
// would have in a desired document.
func (m *managed) Running() protocol.Running {
	s := m.daemon.active.Load()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.hashed != s {
		m.hashed, m.hash = s, hashOf(s.text)
		if s.version.Number > 0 {
			m.hash = configHash(s.version.Config)
		}
	}
	return protocol.Running{Version: s.version.Number, Hash: m.hash}
}

// hashOf returns the hash that the text of a configuration has when operators send it.
func hashOf(text string) string {
	config, err := travelling([]byte(text))
	if err != nil {
		return ""
	}
	return configHash(config)
}
