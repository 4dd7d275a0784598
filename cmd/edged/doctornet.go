package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"edged/configs"
	"edged/mqtt"
)

// brokers checks the broker of the input, and that of the results if it is
// another one.
func (p *patient) brokers(ctx context.Context) []finding {
	in, up := &p.settings.MQTT.Broker, &p.settings.Upstream.Broker
	all := p.broker(ctx, "broker", in)
	if up.URL != in.URL || up.Username != in.Username || up.CertFile != in.CertFile {
		all = append(all, p.broker(ctx, "upstream", up)...)
	}
	return all
}

// broker checks one broker, and the files that its connection needs.
func (p *patient) broker(ctx context.Context, check string, b *configs.Broker) []finding {
	var all []finding
	if b.PasswordFile != "" {
		all = append(all, judgeSecret(check+" password", "mqtt.password_file", look(b.PasswordFile)))
	}
	if b.CertFile != "" {
		all = append(all, judgeSecret(check+" key", "the key", look(b.KeyFile)))
		all = append(all, judgeCertificate(check+" client", b.CertFile, leaf(b), time.Now(), p.certDays))
	}
	at, err := url.Parse(b.URL)
	if err != nil || at.Hostname() == "" {
		return append(all, skipped(check, "its url %q is not valid", b.URL))
	}
	cfg, err := mqttConfig(b, cmp.Or(b.ClientID, "edged-doctor"), slog.New(slog.DiscardHandler))
	if err != nil {
		return append(all, finding{check, statusProblem, oneLine(err.Error()), "edged cannot connect without it", "check that the file is there, and who may read it"})
	}
	ctx, cancel := context.WithTimeout(ctx, doctorLimit)
	defer cancel()
	version, err := mqtt.ProbeBroker(ctx, cfg)
	all = append(all, judgeBroker(check, reached{url: at, version: version, err: err, password: cfg.Password != "", settings: localMosquitto(at)}))
	if err == nil && secureScheme(at) {
		all = append(all, judgeServer(check+" server", presented(ctx, at, cfg.TLS), time.Now(), p.certDays))
	}
	return all
}

func secureScheme(u *url.URL) bool { return slices.Contains([]string{"ssl", "tls", "mqtts"}, u.Scheme) }

// local reports whether a URL leads to this machine.
func local(u *url.URL) bool {
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// reached is what came of connecting to a broker.
type reached struct {
	url      *url.URL
	version  string // "" when it tells none
	err      error
	password bool
	settings string // of a mosquitto on this machine, as far as we may read them
}

func judgeBroker(check string, r reached) finding {
	what := fmt.Sprintf("%s answers", r.url)
	if r.version != "" {
		what += ", " + r.version
	}
	switch {
	case errors.Is(r.err, mqtt.ErrRefused):
		return finding{check, statusProblem, oneLine(r.err.Error()), "nothing is received or delivered", "correct username, password or certificate here, or the rights of this client at the broker"}
	case r.err != nil:
		return finding{check, statusProblem, oneLine(r.err.Error()), "edged run waits for it; devices get no acknowledgement and results none either",
			"start the broker, and check address, firewall and certificates"}
	case r.password && !secureScheme(r.url) && !local(r.url):
		return finding{check, statusWarning, what + "; the password goes there unencrypted", "anybody on the way can read it, and publish as this gateway", "use an ssl:// url, and ca_file for the broker's certificate"}
	case mqtt.BrokerAdvice(r.version) == "":
		return ok(check, "%s", what)
	case r.settings == "":
		return finding{check, statusWarning, what + "; its settings cannot be seen from here", "mosquitto's defaults drop messages that it has confirmed, when edged is away or slow",
			"set max_queued_messages 0, max_inflight_messages 1000, persistence true, autosave_interval 10; see docs/brokers.md"}
	}
	if faults := mosquittoFaults(r.settings); len(faults) > 0 {
		return finding{check, statusProblem, what + "; in its files: " + strings.Join(faults, ", "), "it drops messages that it has confirmed, when edged is away or slow or the broker restarts",
			"set max_queued_messages 0, persistence true, autosave_interval 10; see docs/brokers.md"}
	}
	return ok(check, "%s; its settings on this machine keep messages", what)
}

// mosquittoFaults returns what in the settings of a mosquitto loses messages.
// The last line for a setting counts.
func mosquittoFaults(settings string) (faults []string) {
	set := map[string]string{"max_queued_messages": "1000", "max_queued_bytes": "0", "persistence": "false", "autosave_interval": "1800"}
	for line := range strings.Lines(settings) {
		if name, value, found := strings.Cut(strings.TrimSpace(line), " "); found {
			set[name] = strings.TrimSpace(value)
		}
	}
	const enough, soon = 100_000, 60
	number := func(name string) int { n, _ := strconv.Atoi(set[name]); return n }
	if n := number("max_queued_messages"); n > 0 && n < enough {
		faults = append(faults, fmt.Sprintf("max_queued_messages %d", n))
	}
	if set["persistence"] != "true" {
		return append(faults, "persistence "+set["persistence"])
	}
	if n := number("autosave_interval"); n == 0 || n > soon {
		faults = append(faults, fmt.Sprintf("autosave_interval %d", n))
	}
	if life := set["persistent_client_expiration"]; strings.HasSuffix(life, "h") || life == "1d" || life == "2d" {
		faults = append(faults, "persistent_client_expiration "+life)
	}
	return faults
}

// localMosquitto returns the settings of a mosquitto of this machine's packages;
// "" when the broker is elsewhere or they cannot be read.
func localMosquitto(at *url.URL) string {
	const folder = "/etc/mosquitto"
	if !local(at) || at.Port() != "1883" && at.Port() != "8883" {
		return "" // another instance than the packaged one
	}
	main, err := os.ReadFile(filepath.Join(folder, "mosquitto.conf"))
	if err != nil {
		return ""
	}
	text := string(main)
	more, _ := filepath.Glob(filepath.Join(folder, "conf.d", "*.conf"))
	for _, name := range more {
		part, err := os.ReadFile(name)
		if err != nil {
			return "" // half of the settings would mislead
		}
		text += "\n" + string(part)
	}
	return text
}

// secretFile is a file that others should not read.
type secretFile struct {
	path string
	mode fs.FileMode
	err  error
}

func look(path string) secretFile {
	info, err := os.Stat(path)
	if err == nil {
		var file *os.File
		if file, err = os.Open(path); err == nil {
			err = file.Close()
		}
	}
	if info == nil {
		return secretFile{path: path, err: err}
	}
	return secretFile{path: path, mode: info.Mode(), err: err}
}

func judgeSecret(check, name string, f secretFile) finding {
	switch perm := f.mode.Perm(); {
	case f.err != nil:
		return finding{check, statusProblem, oneLine(f.err.Error()), "edged cannot connect without it", "check the path of " + name + ", and that the user of the service may read it"}
	case perm&0o007 != 0:
		return finding{check, statusProblem, fmt.Sprintf("%s has the mode %04o", f.path, perm), "every user of this machine can act as this gateway", "chmod 600 " + f.path}
	case perm&0o070 != 0:
		return finding{check, statusWarning, fmt.Sprintf("%s has the mode %04o", f.path, perm), "its group can act as this gateway", "chmod 600 " + f.path + ", unless the service gets it by that group"}
	default:
		return ok(check, "%s is readable for us alone, mode %04o", f.path, perm)
	}
}

// listener checks the address for metrics and health: is it free, or ours?
func (p *patient) listener(ctx context.Context) finding {
	const check = "http.listen"
	addr := p.settings.HTTP.Listen
	if addr == "" {
		return skipped(check, "it is off")
	}
	listener, err := net.Listen("tcp", addr)
	if err == nil {
		listener.Close()
		return ok(check, "%s is free", addr)
	}
	ctx, cancel := context.WithTimeout(ctx, doctorLimit)
	defer cancel()
	return judgeListener(addr, err, askHealth(ctx, "http://"+addr+"/readyz"))
}

// askHealth returns the checks of the edged that answers there; nil when none does.
func askHealth(ctx context.Context, url string) []check {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil
	}
	defer response.Body.Close()
	var body struct{ Checks []check }
	if json.NewDecoder(http.MaxBytesReader(nil, response.Body, 1<<16)).Decode(&body) != nil {
		return nil
	}
	return body.Checks
}

func judgeListener(addr string, err error, answer []check) finding {
	const name = "http.listen"
	recovered := slices.ContainsFunc(answer, func(c check) bool { return c.Name == "recovered" })
	if !recovered {
		return finding{name, statusProblem, oneLine(err.Error()), "edged run ends with code 6", "find the other process (ss -ltnp), or choose another http.listen"}
	}
	var failing []string
	for _, c := range answer {
		if !c.OK {
			failing = append(failing, strings.TrimSpace(c.Name+" "+c.Detail))
		}
	}
	if len(failing) > 0 {
		return finding{name, statusWarning, addr + " is a running edged that is not ready: " + strings.Join(failing, "; "), "it receives nothing", "see the log: journalctl -u edged"}
	}
	return ok(name, "%s is a running edged, and it is ready", addr)
}

// presented connects to a broker and returns what its certificate says.
func presented(ctx context.Context, at *url.URL, config *tls.Config) certificate {
	if config == nil {
		config = &tls.Config{MinVersion: tls.VersionTLS13}
	}
	conn, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", at.Host)
	if err != nil {
		return certificate{err: err}
	}
	defer conn.Close()
	return certificate{chain: conn.(*tls.Conn).ConnectionState().PeerCertificates}
}
