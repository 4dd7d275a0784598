package command

// rate is how many of something are allowed: Burst at once, and then Mills
// thousandths in a second.
type rate struct{ mills, burst int64 }

// bucket holds the tokens of a rate. The zero value is full.
type bucket struct {
	missing int64 // thousandths of tokens
	at      Monotonic
}

// take takes a token out, if there is one.
func (b *bucket) take(now Monotonic, r rate) bool {
	if since := int64(now - b.at); since > 0 {
		// More than this fills every bucket; it also keeps the product small.
		since = min(since, 1000*1000*r.burst/max(r.mills, 1)+1)
		b.missing = max(0, b.missing-since*r.mills/1000)
		b.at = now
	}
	if b.missing+1000 > 1000*r.burst {
		return false
	}
	b.missing += 1000
	return true
}
