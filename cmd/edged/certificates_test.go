package main

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"edged/fleet/protocol"
	"edged/internal/mosquitto"
)

// otherNames are broker rules for certificates of gw-1 with another name in them: what the
// broker calls a connection then shows which certificate it was made with.
func otherNames(names ...string) (rules []string) {
	for _, name := range names {
		rules = append(rules, "user "+name, "topic readwrite edged/v1/plant7/gw-1/#", "topic read edged/v1/plant7/+", "topic read edged/v1/plant7/_group/#")
	}
	return rules
}

// connectedAs reports how often gw-1 has connected with a certificate of this name, since the
// broker has started.
func (y *yard) connectedAs(name string) int {
	n := 0
	for line := range strings.Lines(y.broker.Log()) {
		if strings.Contains(line, "as edged-plant7-gw-1 ") && strings.Contains(line, "u'"+name+"'") {
			n++
		}
	}
	return n
}

// replaceByRename puts a pair in the place of gw-1's, as cautious programs do.
func (y *yard) replaceByRename(p pair) {
	y.t.Helper()
	y.write("key.new", p.keyText)
	y.write("pem.new", p.text)
	y.must(os.Rename(y.file("key.new"), y.file("gw-1.key")))
	y.must(os.Rename(y.file("pem.new"), y.file("gw-1.pem")))
}

// replaceInPlace overwrites gw-1's pair.
func (y *yard) replaceInPlace(p pair) {
	y.write("gw-1.key", p.keyText)
	y.write("gw-1.pem", p.text)
}

func (y *yard) valid(name string) pair { return y.pair(name, time.Now().Add(time.Hour), y.ca, y.caKey) }

// TestCertificatesReplaced: a pair that was replaced is used without a restart, however it was
// replaced.
func TestCertificatesReplaced(t *testing.T) {
	t.Parallel()
	y := newYard(t, otherNames("gw-1b", "gw-1c")...)
	d := y.desk()
	y.certify("gw-1")
	y.launch(y.config("gw-1", t.TempDir()))
	s := d.online("gw-1", 0)
	y.replaceByRename(y.valid("gw-1b"))
	s = d.online("gw-1", s.Session)
	if y.connectedAs("gw-1b") == 0 {
		t.Errorf("after a rename: the new certificate is not used:\n%s", y.broker.Log())
	}
	y.replaceInPlace(y.valid("gw-1c"))
	s = d.online("gw-1", s.Session)
	if y.connectedAs("gw-1c") == 0 || s.Boot != 1 {
		t.Errorf("after writing in place: boot %d:\n%s", s.Boot, y.broker.Log())
	}
}

// TestCertificatesRefused: what cannot be used is not taken, also when the link breaks
// meanwhile; it is reported with the file and what to do, and the report ends.
func TestCertificatesRefused(t *testing.T) {
	t.Parallel()
	y := newYard(t, otherNames("gw-1b")...)
	d := y.desk()
	y.certify("gw-1")
	p := y.launch(y.config("gw-1", t.TempDir()))
	s := d.online("gw-1", 0)
	old := pair{text: read(t, y.file("gw-1.pem")), keyText: read(t, y.file("gw-1.key"))}
	fresh := y.valid("gw-1b")
	ended := y.pair("gw-1b", time.Now().Add(-time.Minute), y.ca, y.caKey)
	lines := func() int { return strings.Count(p.log.String(), "cannot be used; those from before stay") }
	for i, c := range []struct {
		name string
		put  func()
		code string
		says []string
	}{
		{"half written", func() { y.write("gw-1.pem", fresh.text[:len(fresh.text)/2]) }, "cert.unreadable", []string{y.file("gw-1.pem"), "whole"}},
		{"of another key", func() { y.write("gw-1.pem", fresh.text) }, "cert.unreadable", []string{y.file("gw-1.pem"), "private key does not match", "key that belongs to it"}},
		{"ended", func() { y.replaceInPlace(ended) }, "cert.ended", []string{y.file("gw-1.pem"), "has ended", "put a valid one there"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := d.lastEvent()
			c.put()
			e := d.event(c.code, func(e protocol.Event) bool {
				return e.Code == c.code && e.Severity == protocol.SeverityMajor && e.Number > before
			})
			y.until("it is in the log", func() bool { return lines() > i })
			for _, part := range c.says {
				if !strings.Contains(e.Message, part) {
					t.Errorf("%q does not say %q", e.Message, part)
				}
			}
			if a := d.do("gw-1", "cert.reload", "", "dave"); a.Code != protocol.CodePrecond || !strings.Contains(a.Message, c.says[0]) {
				t.Errorf("cert.reload: %s: %s", a.Code, a.Message)
			}
			y.broker.Restart()
			s = d.online("gw-1", s.Session)
			if y.connectedAs("gw-1b") != 0 || y.connectedAs("gw-1") == 0 {
				t.Errorf("not the certificate from before:\n%s", y.broker.Log())
			}
			y.replaceInPlace(old)
			d.event("the end of "+c.code, func(e protocol.Event) bool {
				return e.Code == c.code && e.Severity == protocol.SeverityClear && e.Number > before
			})
		})
	}
	if n := lines(); n != 3 {
		t.Errorf("%d lines in the log, want one for each of three:\n%s", n, p.log)
	}
	y.replaceByRename(fresh)
	y.until("the good one is used at last", func() bool { return y.connectedAs("gw-1b") > 0 })
}

// lastEvent returns the highest number of the events that have come.
func (d *operatorDesk) lastEvent() (n uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range d.events {
		n = max(n, e.Number)
	}
	return n
}

func read(t testing.TB, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestCertificatesOutlived: an ended certificate is refused only in place of one that has not.
func TestCertificatesOutlived(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	past, future := now.Add(-time.Hour), now.Add(time.Hour)
	for _, c := range []struct {
		ends, before time.Time
		refused      bool
	}{
		{past, future, true}, {past, past, false}, {future, past, false}, {future, future, false}, {past, time.Time{}, false}, {time.Time{}, future, false},
		{now, future, true}, {past, now, false},
	} {
		err := outlived("f", c.ends, c.before, now)
		if (err != nil) != c.refused || err != nil && !errors.Is(err, errEnded) {
			t.Errorf("%v after %v: %v", c.ends, c.before, err)
		}
	}
}

// TestCertificatesAuthorities: the authorities of the broker are watched as well, and what was
// taken stays.
func TestCertificatesAuthorities(t *testing.T) {
	y := &yard{t: t, dir: t.TempDir()}
	y.ca, y.caKey = y.issue("ca", nil, nil)
	c := &certificates{files: tlsFiles{ca: y.file("ca.pem")}, log: discardLogger()}
	take := func(changed bool, fault string) *tls.Config {
		t.Helper()
		got, err := c.take(time.Now())
		if got != changed || (err == nil) != (fault == "") || err != nil && !strings.Contains(err.Error(), fault) {
			t.Errorf("changed %t, %v; want %t, %q", got, err, changed, fault)
		}
		config, err := c.config()
		if err != nil {
			t.Fatal(err)
		}
		return config
	}
	first := take(true, "")
	take(false, "")
	y.write("ca.pem", "nonsense")
	if kept := take(false, y.file("ca.pem")); !kept.RootCAs.Equal(first.RootCAs) {
		t.Error("the authorities from before are gone")
	}
	y.issue("ca", nil, nil)
	if next := take(true, ""); next.RootCAs.Equal(first.RootCAs) {
		t.Error("the new authorities are not taken")
	}
}

// oldTLS lets mosquitto speak TLS 1.2 at most; its own setting is for the least version.
const oldTLS = `openssl_conf = all
[all]
ssl_conf = ssl
[ssl]
system_default = old
[old]
MaxProtocol = TLSv1.2
`

// TestLinkTLS: a broker that speaks less than TLS 1.3 is refused, unless the settings allow it.
func TestLinkTLS(t *testing.T) {
	t.Setenv("OPENSSL_CONF", writeFile(t, "openssl.cnf", oldTLS))
	y := &yard{t: t, dir: t.TempDir()}
	y.ca, y.caKey = y.issue("ca", nil, nil)
	y.certify("broker")
	y.certify("gw-1")
	y.write("root.json", `{"threshold":1,"keys":["`+holderKey("root").Public().String()+`"]}`)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	y.must(err)
	_, port, err := net.SplitHostPort(l.Addr().String())
	y.must(err)
	l.Close()
	y.url = "ssl://127.0.0.1:" + port
	y.broker = mosquitto.Start(t, mosquitto.Line("listener "+port+" 127.0.0.1", "cafile "+y.file("ca.pem"), "certfile "+y.file("broker.pem"),
		"keyfile "+y.file("broker.key"), "require_certificate true", "use_identity_as_username true"))
	config := y.config("gw-1", t.TempDir())
	p := y.launch(config)
	y.until("the link is refused", func() bool { return strings.Contains(p.log.String(), "protocol version not supported") })
	if y.connectedAs("gw-1") != 0 {
		t.Error("it has connected all the same")
	}
	p.kill()
	y.must(os.WriteFile(config, []byte(strings.Replace(read(t, config), "    labels:", "    tls_min: \"1.2\"\n    labels:", 1)), 0o600))
	y.launch(config)
	y.until("the link is up", func() bool { return y.connectedAs("gw-1") > 0 })
}
