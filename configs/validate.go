package configs

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
)

// gatewayIDMax bounds the gateway's id, which every result carries.
const gatewayIDMax = 64

// derive fills in the defaults that depend on other settings.
func (s *Settings) derive() {
	if s.MQTT.ClientID == "" {
		s.MQTT.ClientID = "edged-" + s.GatewayID
	}
	if s.Upstream.ClientID == "" {
		s.Upstream.ClientID = s.MQTT.ClientID + "-up"
	}
	if s.Upstream.URL == "" {
		s.Upstream.inherit(s.MQTT.Broker)
	}
	s.Fleet.derive(s)
}

// derive fills in the defaults of the management link.
func (f *Fleet) derive(s *Settings) {
	if f.Name == "" {
		return
	}
	if f.Gateway == "" {
		f.Gateway = s.GatewayID
	}
	if f.ClientID == "" {
		f.ClientID = "edged-" + f.Name + "-" + f.Gateway
	}
	if f.URL == "" {
		f.inherit(s.MQTT.Broker)
	}
}

// inherit takes over what reaches another broker, apart from the client id.
func (b *Broker) inherit(from Broker) {
	b.URL = from.URL
	if b.Username == "" {
		b.Username = from.Username
		if b.Password == "" && b.PasswordFile == "" {
			b.Password, b.PasswordFile = from.Password, from.PasswordFile
		}
	}
	if b.CAFile == "" {
		b.CAFile = from.CAFile
	}
	if b.CertFile == "" && b.KeyFile == "" {
		b.CertFile, b.KeyFile = from.CertFile, from.KeyFile
	}
}

// Validate reports every fault of the settings among each other. [Load] has
// checked already each setting's own bounds.
func (s *Settings) Validate() error {
	var list []error
	for _, f := range s.faults() {
		list = append(list, fmt.Errorf("%s: %w", f.path, f.err))
	}
	return errors.Join(list...)
}

// settingFault is what is wrong with one setting.
type settingFault struct {
	path string
	err  error
}

func (s *Settings) faults() []settingFault {
	var list []settingFault
	check := func(path string, ok bool, format string, args ...any) {
		if !ok {
			list = append(list, settingFault{path, fmt.Errorf(format, args...)})
		}
	}
	check("data_dir", s.DataDir != "", "is empty")
	odd := strings.IndexFunc(s.GatewayID, func(r rune) bool {
		return !strings.ContainsRune("-_.", r) && (r < '0' || r > '9') && (r|0x20 < 'a' || r|0x20 > 'z')
	})
	check("gateway_id", s.GatewayID != "" && len(s.GatewayID) <= gatewayIDMax && odd < 0,
		"%q must be 1 to %d letters, digits, - _ or .", s.GatewayID, gatewayIDMax)
	list = append(list, s.MQTT.faults("mqtt")...)
	list = append(list, s.Upstream.faults("upstream")...)
	if s.Upstream.URL == s.MQTT.URL { // most likely inherited: one report is enough
		list = slices.DeleteFunc(list, func(f settingFault) bool { return f.path == "upstream.url" })
	}
	check("upstream.client_id", s.Upstream.ClientID != s.MQTT.ClientID || s.Upstream.URL != s.MQTT.URL,
		"is that of mqtt: the broker would close one connection for the other")
	if s.HTTP.Listen != "" {
		_, _, err := net.SplitHostPort(s.HTTP.Listen)
		check("http.listen", err == nil, "%q is not host:port", s.HTTP.Listen)
	}
	check("engine.intake_bytes_max", s.Engine.IntakeBytesMax >= s.MQTT.PacketBytesMax,
		"is less than mqtt.packet_bytes_max: the largest message would never fit")
	check("engine.intake_events_max", s.Engine.IntakeEventsMax >= s.Engine.EpochEventsMax,
		"is less than engine.epoch_events_max: no epoch would ever be full")
	list = append(list, s.Fleet.faults(s)...)
	check("journal.sweep_bytes", s.Journal.SweepBytes >= s.Journal.SegmentBytes, "is less than journal.segment_bytes")
	return list
}

// faults returns what is wrong with the management link. Names, labels and keys are
// checked by who uses them.
func (f *Fleet) faults(s *Settings) []settingFault {
	if f.Name == "" {
		return nil
	}
	list := f.Broker.faults("fleet")
	if f.URL == s.MQTT.URL { // most likely inherited: one report is enough
		list = slices.DeleteFunc(list, func(f settingFault) bool { return f.path == "fleet.url" })
	}
	if f.TrustFile == "" {
		list = append(list, settingFault{"fleet.trust_file", errors.New("is empty: without root keys this gateway would believe nobody")})
	}
	if f.SigningKey != "" && f.SigningFile != "" {
		list = append(list, settingFault{"fleet.signing_key_file", errors.New("is given together with a key in the environment; choose one")})
	}
	if f.ClientID == s.MQTT.ClientID && f.URL == s.MQTT.URL {
		list = append(list, settingFault{"fleet.client_id", errors.New("is that of mqtt: the broker would close one connection for the other")})
	}
	return list
}

func (b *Broker) faults(at string) []settingFault {
	var list []settingFault
	check := func(name string, ok bool, format string, args ...any) {
		if !ok {
			list = append(list, settingFault{at + "." + name, fmt.Errorf(format, args...)})
		}
	}
	secure, err := b.checkURL()
	check("url", err == nil, "%w", err)
	check("password_file", b.Password == "" || b.PasswordFile == "", "is given together with a password in the environment; choose one")
	check("username", b.Username != "" || b.Password == "" && b.PasswordFile == "", "is empty, but there is a password")
	check("key_file", (b.CertFile == "") == (b.KeyFile == ""), "and cert_file must be given together")
	check("ca_file", secure || err != nil || b.CAFile == "", "is given, but the url does not ask for TLS; write ssl://")
	check("cert_file", secure || err != nil || b.CertFile == "", "is given, but the url does not ask for TLS; write ssl://")
	return list
}

// checkURL reports whether the URL asks for TLS.
func (b *Broker) checkURL() (secure bool, err error) {
	u, err := url.Parse(b.URL)
	if err != nil {
		return false, fmt.Errorf("is not a URL; write for example tcp://127.0.0.1:1883")
	}
	secure = slices.Contains([]string{"ssl", "tls", "mqtts"}, u.Scheme)
	switch {
	case !secure && !slices.Contains([]string{"tcp", "mqtt"}, u.Scheme):
		return false, fmt.Errorf("has the scheme %q; it must be tcp or mqtt, or ssl, tls or mqtts for TLS", u.Scheme)
	case u.User != nil:
		return secure, fmt.Errorf("must not hold a user or password; use username and password_file")
	case u.Hostname() == "" || u.Port() == "":
		return secure, fmt.Errorf("%q needs a host and a port", b.URL)
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "":
		return secure, fmt.Errorf("%q has more than a host and a port", b.URL)
	}
	return secure, nil
}
