package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"edged/configs"
)

// certificate is a chain with the leaf first, or why there is none.
type certificate struct {
	chain []*x509.Certificate
	err   error
}

// leaf reads our own certificate, and checks that it belongs to its key.
func leaf(b *configs.Broker) certificate {
	pair, err := tls.LoadX509KeyPair(b.CertFile, b.KeyFile)
	if err != nil {
		return certificate{err: err}
	}
	var c certificate
	for _, der := range pair.Certificate {
		one, err := x509.ParseCertificate(der)
		if err != nil {
			return certificate{err: err}
		}
		c.chain = append(c.chain, one)
	}
	return c
}

// soonest returns the certificate of a chain that ends first.
func soonest(chain []*x509.Certificate) *x509.Certificate {
	return slices.MinFunc(chain, func(a, b *x509.Certificate) int { return a.NotAfter.Compare(b.NotAfter) })
}

// judgeCertificate judges our own certificate.
func judgeCertificate(check, file string, c certificate, now time.Time, days int) finding {
	if c.err != nil {
		return finding{check, statusProblem, oneLine(c.err.Error()), "the broker refuses a client without a valid certificate", "put the certificate and the key that belong together into " + file + " and key_file"}
	}
	for i := range len(c.chain) - 1 {
		if err := c.chain[i].CheckSignatureFrom(c.chain[i+1]); err != nil {
			return finding{check, statusProblem, fmt.Sprintf("%s: certificate %d does not come from the one after it: %s", file, i+1, oneLine(err.Error())),
				"the broker cannot follow the chain to an authority that it knows", "put our certificate first, then the one that signed it, and so on"}
		}
	}
	if f, bad := judgeValidity(check, c.chain, now, days); bad {
		return f
	}
	return ok(check, "%s of %s, valid until %s, chain of %d", file, c.chain[0].Subject.CommonName, c.chain[0].NotAfter.UTC().Format(time.DateOnly), len(c.chain))
}

// judgeServer judges the certificate that a broker shows. That it is trusted was
// found by connecting.
func judgeServer(check string, c certificate, now time.Time, days int) finding {
	if c.err != nil || len(c.chain) == 0 {
		return skipped(check, "it was not shown: %v", c.err)
	}
	if f, bad := judgeValidity(check, c.chain, now, days); bad {
		return f
	}
	return ok(check, "certificate of the broker is valid until %s", c.chain[0].NotAfter.UTC().Format(time.DateOnly))
}

// judgeValidity looks for the certificate of a chain that ends first.
func judgeValidity(check string, chain []*x509.Certificate, now time.Time, days int) (f finding, bad bool) {
	first := soonest(chain)
	for _, c := range chain {
		if now.Before(c.NotBefore) {
			return finding{check, statusProblem, fmt.Sprintf("the certificate of %s is valid only from %s on", c.Subject.CommonName, c.NotBefore.UTC().Format(time.DateOnly)),
				"connections fail until then", "check this machine's clock; it shows " + now.UTC().Format(time.RFC3339)}, true
		}
	}
	const renew = "renew it, and replace its file"
	left := first.NotAfter.Sub(now)
	switch {
	case left <= 0:
		return finding{check, statusProblem, fmt.Sprintf("the certificate of %s ended on %s", first.Subject.CommonName, first.NotAfter.UTC().Format(time.DateOnly)), "connections fail", renew}, true
	case left < time.Duration(days)*24*time.Hour:
		return finding{check, statusWarning, fmt.Sprintf("the certificate of %s ends on %s, in %d days", first.Subject.CommonName, first.NotAfter.UTC().Format(time.DateOnly), int(left.Hours()/24)),
			"connections fail from then on", renew}, true
	}
	return f, false
}
