package mqtt_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"edged/internal/mosquitto"
	"edged/mqtt"
)

// authority signs certificates into a directory.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t, dir: t.TempDir()}
	a.cert, a.key = a.issue("ca", nil, nil)
	return a
}

func (a *authority) file(name string) string    { return filepath.Join(a.dir, name+".pem") }
func (a *authority) keyFile(name string) string { return filepath.Join(a.dir, name+".key") }

// issue writes name.pem and name.key; without a parent the certificate signs itself.
func (a *authority) issue(name string, parent *x509.Certificate, signer *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	a.must(err)
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true, IsCA: parent == nil,
		KeyUsage:    x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if parent == nil {
		parent, signer = cert, key
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, parent, &key.PublicKey, signer)
	a.must(err)
	secret, err := x509.MarshalECPrivateKey(key)
	a.must(err)
	a.must(os.WriteFile(a.file(name), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	a.must(os.WriteFile(a.keyFile(name), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: secret}), 0o600))
	return cert, key
}

func (a *authority) must(err error) {
	a.t.Helper()
	if err != nil {
		a.t.Fatal(err)
	}
}

// TestTLS talks to a listener that wants client certificates.
func TestTLS(t *testing.T) {
	a := newAuthority(t)
	a.issue("server", a.cert, a.key)
	a.issue("client", a.cert, a.key)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	a.must(err)
	_, port, err := net.SplitHostPort(l.Addr().String())
	a.must(err)
	l.Close()
	b := mosquitto.Start(t, mosquitto.Line("listener "+port+" 127.0.0.1", "cafile "+a.file("ca"),
		"certfile "+a.file("server"), "keyfile "+a.keyFile("server"), "require_certificate true", "allow_anonymous true"))
	cfg := mqtt.Config{URL: "mqtts://127.0.0.1:" + port, ClientID: "gw", KeepAlive: time.Second}
	cfg.TLS, err = mqtt.LoadTLS(a.file("ca"), a.file("client"), a.keyFile("client"))
	a.must(err)
	c := newClient(t, cfg)
	c.ackAll = true
	c.start()
	start := time.Now()
	other := stock(t, b.URL())
	publish(t, other, "in/a", 0, 5000)
	numbers(t, c.awaitMessages(5000), 0, 5000)
	t.Logf("5000 messages in %v", time.Since(start))
	c.quiet(1600 * time.Millisecond) // longer than a link may be silent
	publish(t, other, "in/a", 5000, 5010)
	numbers(t, c.awaitMessages(5010), 0, 5010)
	if st := c.Stats(); st.Connects != 1 {
		t.Errorf("the connection was lost: %+v", st)
	}
	c.stop()

	for name, ca := range map[string]string{"unknown authority": "", "no client certificate": a.file("ca")} {
		cfg.TLS, err = mqtt.LoadTLS(ca, "", "")
		a.must(err)
		_, err := mqtt.ProbeBroker(t.Context(), cfg)
		t.Logf("%s: %v", name, err)
		if err == nil || ca == "" && !strings.Contains(err.Error(), "unknown authority") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLoadTLSFaults(t *testing.T) {
	a := newAuthority(t)
	for name, f := range map[string][3]string{
		"missing file": {a.file("none"), "", ""},
		"not PEM":      {a.keyFile("ca"), "", ""},
		"half a pair":  {"", a.file("ca"), ""},
		"no pair":      {"", a.file("ca"), a.file("ca")},
	} {
		if _, err := mqtt.LoadTLS(f[0], f[1], f[2]); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
