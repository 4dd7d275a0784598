package configs

import (
	"math"
	"strings"
	"time"
)

// setting declares one setting.
type setting struct {
	path  string // in the settings section: mqtt.keep_alive
	value string // the default, as one would write it
	doc   string
	to    any // where it goes: *string, *int, *Bytes or *time.Duration

	least  int64    // bound of a number, a size or a duration in nanoseconds
	most   int64    // 0: math.MaxInt32, or math.MaxInt64 for sizes and durations
	words  []string // a text must be one of them
	secret bool     // comes from the environment only
}

// env returns the name of the environment variable.
func (s *setting) env() string {
	return "EDGED_" + strings.ToUpper(strings.ReplaceAll(s.path, ".", "_"))
}

// flag returns the name of the flag, without its dashes.
func (s *setting) flag() string {
	return strings.NewReplacer(".", "-", "_", "-").Replace(s.path)
}

// key returns the name under which viper keeps the setting.
func (s *setting) key() string { return strings.ReplaceAll(s.path, ".", delimiter) }

// kind describes the values of the setting.
func (s *setting) kind() string {
	if s.words != nil {
		return strings.Join(s.words, "|")
	}
	switch s.to.(type) {
	case *int:
		return "whole number"
	case *Bytes:
		return "size"
	case *time.Duration:
		return "duration"
	}
	return "text"
}

// limit returns the upper bound.
func (s *setting) limit() int64 {
	if _, ok := s.to.(*int); ok && s.most == 0 {
		return math.MaxInt32
	}
	if s.most == 0 {
		return math.MaxInt64
	}
	return s.most
}

const (
	kib = 1 << 10
	mib = 1 << 20
)

// table declares all settings, bound to the fields of s.
func table(s *Settings) []setting {
	e := &s.Engine
	list := []setting{
		{path: "data_dir", value: "./edged-data", to: &s.DataDir,
			doc: "Directory of everything durable. One process at a time can use it."},
		{path: "gateway_id", value: "edged", to: &s.GatewayID,
			doc: "Names this gateway in results and to brokers. Give every gateway its own, and never change it: stored sequence numbers and broker sessions belong to it. It is not derived from the host, whose name may change."},
	}
	list = append(list, brokerTable("mqtt", &s.MQTT.Broker)...)
	list = append(list, []setting{
		{path: "mqtt.keep_alive", value: "30s", to: &s.MQTT.KeepAlive, least: int64(time.Second), most: int64(65535 * time.Second),
			doc: "Longest silence on the connection; also how fast a dead link is noticed."},
		{path: "mqtt.pace", value: "5ms", to: &s.MQTT.Pace, most: int64(time.Second),
			doc: "How long the source waits before it reads again from a drained connection, so that one read serves many messages. 0s: not at all."},
		{path: "mqtt.packet_bytes_max", value: "1088KiB", to: &s.MQTT.PacketBytesMax, least: kib, most: 256 * mib,
			doc: "Largest packet. A larger one goes to the dead letters, cut to a sample."},
	}...)
	list = append(list, brokerTable("upstream", &s.Upstream.Broker)...)
	list = append(list, []setting{
		{path: "upstream.window", value: "1000", to: &s.Upstream.Window, least: 1, most: 1000,
			doc: "Results that may be on the way without confirmation."},
		{path: "http.listen", value: "127.0.0.1:9090", to: &s.HTTP.Listen,
			doc: "Address for metrics and health checks. Empty: off."},
		{path: "engine.commit_interval", value: "50ms", to: &e.CommitInterval, least: int64(time.Millisecond), most: int64(time.Minute),
			doc: "Shortest time between two commits. Longer saves flash and CPU, and delays acknowledgements and results by as much."},
		{path: "engine.epoch_events_max", value: "2048", to: &e.EpochEventsMax, least: 1,
			doc: "Events in one commit."},
		{path: "engine.epoch_bytes_max", value: "1MiB", to: &e.EpochBytesMax, least: kib, most: 256 * mib,
			doc: "Bytes of input in one commit."},
		{path: "engine.intake_events_max", value: "16384", to: &e.IntakeEventsMax, least: 1,
			doc: "Events that may wait in memory. When they are reached the source stops reading, and the broker keeps the rest."},
		{path: "engine.intake_bytes_max", value: "8MiB", to: &e.IntakeBytesMax, least: 64 * kib, most: 1024 * mib,
			doc: "Bytes that may wait in memory. At least mqtt.packet_bytes_max."},
		{path: "engine.tick_interval", value: "250ms", to: &e.TickInterval, least: int64(10 * time.Millisecond), most: int64(time.Minute),
			doc: "How often silent keys are looked after; idle timeouts are exact to this."},
		{path: "engine.passivate_after", value: "5m", to: &e.PassivateAfter, least: int64(time.Second),
			doc: "Silence after which a key leaves memory. Its state stays on disk."},
		{path: "engine.active_keys_max", value: "200000", to: &e.ActiveKeysMax, least: 1,
			doc: "Keys in memory. Beyond it the longest silent ones leave first."},
		{path: "journal.segment_bytes", value: "4MiB", to: &s.Journal.SegmentBytes, least: 64 * kib, most: 256 * mib,
			doc: "Size of the pieces in which the journal is deleted."},
		{path: "journal.sweep_bytes", value: "8MiB", to: &s.Journal.SweepBytes, least: 64 * kib,
			doc: "Journal written between two sweeps of snapshots; bounds the journal and the time of a restart. At least journal.segment_bytes."},
		{path: "journal.held_bytes_max", value: "256MiB", to: &s.Journal.HeldBytesMax, least: mib,
			doc: "Journal kept for a pipeline that is held. Beyond it the pipeline goes on by itself."},
		{path: "outbox.bytes_max", value: "1GiB", to: &s.Outbox.BytesMax, least: mib,
			doc: "Results kept on disk while the upstream is away."},
		{path: "dead_letters.max", value: "10000", to: &s.DeadLetters.Max, least: 1,
			doc: "Dead letters kept. Beyond it the oldest are deleted; their counters stay."},
		{path: "dead_letters.sample_bytes", value: "4096", to: &s.DeadLetters.SampleBytes, most: mib,
			doc: "Bytes of the payload kept in a dead letter."},
		{path: "log.level", value: "info", to: &s.Log.Level, words: []string{"debug", "info", "warn", "error"},
			doc: "Least level that is logged."},
		{path: "log.format", value: "text", to: &s.Log.Format, words: []string{"text", "json"},
			doc: "Form of log lines."},
	}...)
	return append(list, fleetTable(&s.Fleet)...)
}

// fleetTable declares the settings of the management link.
func fleetTable(f *Fleet) []setting {
	return []setting{
		{path: "fleet.name", to: &f.Name,
			doc: "Fleet that this gateway belongs to. Empty: it is not managed over MQTT, and nothing below matters."},
		{path: "fleet.gateway", to: &f.Gateway,
			doc: "Name of this gateway in the fleet: letters, digits, - and _. By default gateway_id."},
		{path: "fleet.url", to: &f.URL, doc: "Broker of the management link. By default the same as mqtt.url, with the same user, password and TLS files."},
		{path: "fleet.client_id", to: &f.ClientID, doc: "Client id. By default edged-, the fleet, - and the gateway."},
		{path: "fleet.username", to: &f.Username, doc: "User name. Empty: none. Without fleet.url, that of mqtt."},
		{path: "fleet.password", to: &f.Password, secret: true, doc: "Password. Only the environment variable can give it; a file is the better place."},
		{path: "fleet.password_file", to: &f.PasswordFile, doc: "File that holds the password. White space at its end is ignored."},
		{path: "fleet.ca_file", to: &f.CAFile, doc: "Certificates in PEM that the broker's must come from. Empty: those of the system."},
		{path: "fleet.cert_file", to: &f.CertFile, doc: "Our certificate in PEM. Its common name is what the broker's access rules go by. When a whole and valid pair has replaced it, links connect anew with that; until then, the one from before is used."},
		{path: "fleet.key_file", to: &f.KeyFile, doc: "The key of cert_file in PEM."},
		{path: "fleet.tls_min", value: "1.3", to: &f.TLSMin, words: []string{"1.2", "1.3"}, doc: "Least version of TLS."},
		{path: "fleet.trust_file", to: &f.TrustFile,
			doc: "JSON file with the public root keys that this gateway believes: {\"threshold\": 2, \"keys\": [\"edged-public:...\"]}. They sign the keyring; it arrives over the link."},
		{path: "fleet.signing_key_file", to: &f.SigningFile,
			doc: "File with the secret key that this gateway signs its word with: states, reports, answers. Only its owner may read it; edged fleet keys new makes one. Empty: nothing is signed. Not the key of a certificate, which is key_file."},
		{path: "fleet.signing_key", to: &f.SigningKey, secret: true, doc: "The key itself: edged-secret:... Only the environment variable can give it; a file is the better place."},
		{path: "fleet.prefix", value: "edged/v1", to: &f.Prefix, doc: "What all topics of the link begin with."},
		{path: "fleet.labels", to: &f.Labels, doc: "What selectors of operators select by: site=berlin,tier=canary. Only who provisions the gateway should be able to write them."},
		{path: "fleet.heartbeat", value: "30s", to: &f.Heartbeat, least: int64(time.Second), most: int64(time.Hour),
			doc: "How often the gateway says how it is."},
		{path: "fleet.audit_lines_max", value: "20000", to: &f.AuditLinesMax, least: 100,
			doc: "Lines of the audit log that are kept. Beyond it the oldest are deleted."},
		{path: "fleet.log_tail_bytes", value: "256KiB", to: &f.LogTailBytes, least: kib, most: 16 * mib,
			doc: "Newest log lines kept in memory for the command log.tail."},
	}
}

// brokerTable declares the settings that both brokers have.
func brokerTable(at string, b *Broker) []setting {
	url, client, rest := "tcp://127.0.0.1:1883", "", ""
	urlDoc := "Broker that events come from: tcp://host:port, or ssl://host:port for TLS."
	clientDoc := "Client id. By default edged- and the gateway's id. The broker keeps our session under it."
	if at == "upstream" {
		url = ""
		urlDoc = "Broker that results go to. By default the same as mqtt.url, with the same user, password and TLS files."
		clientDoc = "Client id. By default that of mqtt with -up after it."
		rest = " Without upstream.url, that of mqtt."
	}
	return []setting{
		{path: at + ".url", value: url, to: &b.URL, doc: urlDoc},
		{path: at + ".client_id", value: client, to: &b.ClientID, doc: clientDoc},
		{path: at + ".username", to: &b.Username, doc: "User name. Empty: none." + rest},
		{path: at + ".password", to: &b.Password, secret: true,
			doc: "Password. Only the environment variable can give it; a file is the better place." + rest},
		{path: at + ".password_file", to: &b.PasswordFile, doc: "File that holds the password. White space at its end is ignored." + rest},
		{path: at + ".ca_file", to: &b.CAFile, doc: "Certificates in PEM that the broker's must come from. Empty: those of the system." + rest},
		{path: at + ".cert_file", to: &b.CertFile, doc: "Our certificate in PEM, when the broker asks for one." + rest},
		{path: at + ".key_file", to: &b.KeyFile, doc: "The key of cert_file in PEM." + rest},
	}
}
