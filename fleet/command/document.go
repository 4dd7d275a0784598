package command

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"

	"edged/fleet/audit"
	"edged/fleet/protocol"
	"edged/fleet/strict"
	"edged/fleet/trust"
)

// AcceptDesired decides about a desired document. Effects.Desired is set if it is a
// new version; keep it in the same transaction, because the next delivery of it
// is a repetition. A repetition is OK, and its refresh is noted.
func (g *Guard) AcceptDesired(d Delivery, at Moment) Effects {
	e := Effects{Code: protocol.OK}
	g.summarise(&e, at)
	about := subject{kind: "desired"}
	if d.Topic.Kind != protocol.KindDesired || d.Topic.Gateway != g.cfg.Gateway.ID || d.Topic.Fleet != g.cfg.Gateway.Fleet {
		g.deny(&e, about, refuse(protocol.CodeTopic, "it did not come on this gateway's topic"), at)
		return e
	}
	s, refused := g.open(d, trust.TypeDesired, protocol.DesiredBytesMax)
	if refused != nil {
		g.deny(&e, about, refused, at)
		return e
	}
	about.issuer, about.digest = s.signers[0].Public.ID(), hex.EncodeToString(s.digest[:])
	doc, refused := g.readDesired(&s)
	if refused != nil {
		g.deny(&e, about, refused, at)
		return e
	}
	about.issuer = doc.Issuer
	if by, blocked := g.Blocked(); blocked {
		g.deny(&e, about, duplicated(by), at)
		return e
	}
	switch content := contentOf(doc); {
	case doc.Version < g.desired.version:
		g.deny(&e, about, refuse(protocol.CodeStale, "version %d, have %d", doc.Version, g.desired.version), at)
	case doc.Version-g.desired.version > g.cfg.JumpMax:
		g.deny(&e, about, refuse(protocol.CodeJump, "version %d is more than %d above %d", doc.Version, g.cfg.JumpMax, g.desired.version), at)
	case doc.Version > g.desired.version:
		g.desired = document{version: doc.Version, refresh: doc.Refresh, digest: content}
		e.Desired = doc
		g.write(&e, about, audit.Entry{Decision: "accepted", Code: string(protocol.OK)}, at)
	case content != g.desired.digest:
		g.deny(&e, about, refuse(protocol.CodeReplay, "version %d was used for another content", doc.Version), at)
	case doc.Refresh > g.desired.refresh:
		g.desired.refresh = doc.Refresh
		e.Changed = true
	}
	return e
}

// readDesired decodes a document and checks who may say so, to whom.
func (g *Guard) readDesired(s *signed) (*protocol.Desired, *refusal) {
	doc, err := protocol.Decode[protocol.Desired](s.payload)
	if err != nil {
		return nil, &refusal{code: protocol.CodeSchema, err: err}
	}
	issuer, refused := s.issuer(doc.Issuer)
	if refused != nil {
		return nil, refused
	}
	if err := doc.Aud.Includes(g.cfg.Gateway); err != nil {
		return nil, distrust(err)
	}
	if !issuer.MayIssue(trust.TypeDesired, g.cfg.Gateway) {
		return nil, refuse(protocol.CodeRole, "%s may not say what this gateway is to be", issuer.Holder)
	}
	return &doc, g.current(doc.Keyring, doc.Epoch)
}

// contentOf returns the hash of what a document says, apart from who says it again.
func contentOf(doc *protocol.Desired) [sha256.Size]byte {
	same := *doc
	same.Refresh, same.Issuer, same.Keyring = 0, "", 0
	data, err := strict.Encode(same)
	if err != nil {
		panic("command: a document that was decoded does not encode: " + err.Error())
	}
	return sha256.Sum256(data)
}

// AcceptTrust takes keyrings from a chain as far as they are sound. It needs no
// right but the signatures of the root. Raising the epoch forgets all numbers.
func (g *Guard) AcceptTrust(d Delivery, at Moment) Effects {
	e := Effects{Code: protocol.OK}
	g.summarise(&e, at)
	about := subject{kind: "keyring"}
	if d.Topic.Kind != protocol.KindTrust || d.Topic.Fleet != g.cfg.Gateway.Fleet {
		g.deny(&e, about, refuse(protocol.CodeTopic, "it did not come on the topic for keyrings"), at)
		return e
	}
	ring, err := g.ring.Catch(d.Data)
	if ring != g.ring {
		sum := sha256.Sum256(ring.Envelope())
		about.digest = hex.EncodeToString(sum[:])
		g.follow(ring)
		e.Keyring = true
		g.write(&e, about, audit.Entry{Decision: "accepted", Code: string(protocol.OK)}, at)
	}
	switch {
	case err == nil:
	case errors.Is(err, trust.ErrStale) && e.Keyring:
	case errors.Is(err, trust.ErrStale): // kept by the broker, and delivered after every CONNECT
		e.Code, e.Err = protocol.CodeStale, err
	default:
		g.deny(&e, about, distrust(err), at)
	}
	return e
}

// follow puts another keyring in force.
func (g *Guard) follow(ring *trust.Ring) {
	if ring.Epoch() != g.ring.Epoch() {
		clear(g.windows)
		g.desired, g.floor = document{}, floor{}
	}
	g.ring = ring
	for id := range g.windows {
		if _, listed := ring.Key(id); !listed {
			delete(g.windows, id) // it must introduce itself, should it come back
		}
	}
	for id := range g.rates {
		if _, listed := ring.Key(id); !listed && id != "" {
			delete(g.rates, id)
		}
	}
}

// AcceptTime takes a beacon. Time only moves forward, as far as the beacons of keys
// that may send some say.
func (g *Guard) AcceptTime(d Delivery, at Moment) Effects {
	e := Effects{Code: protocol.OK}
	g.summarise(&e, at)
	about := subject{kind: "time"}
	if d.Topic.Kind != protocol.KindTime || d.Topic.Fleet != g.cfg.Gateway.Fleet {
		g.deny(&e, about, refuse(protocol.CodeTopic, "it did not come on the topic for beacons"), at)
		return e
	}
	s, refused := g.open(d, trust.TypeTime, protocol.CommandBytesMax)
	if refused != nil {
		g.deny(&e, about, refused, at)
		return e
	}
	about.issuer = s.signers[0].Public.ID()
	beacon, refused := g.readTime(&s)
	if refused != nil {
		g.deny(&e, about, refused, at)
		return e
	}
	// The number tells an old beacon from a new one when the floor has fallen back
	// because its key was not valid for a while.
	if same := g.floor.key == beacon.Issuer; beacon.Time <= g.Floor() || same && beacon.Number <= g.floor.number {
		e.Code, e.Err = protocol.CodeStale, trust.ErrStale
		return e
	}
	g.floor = floor{time: beacon.Time, number: beacon.Number, key: beacon.Issuer}
	e.Changed = true
	return e
}

// readTime decodes a beacon and checks who may say so.
func (g *Guard) readTime(s *signed) (*protocol.Beacon, *refusal) {
	beacon, err := protocol.Decode[protocol.Beacon](s.payload)
	if err != nil {
		return nil, &refusal{code: protocol.CodeSchema, err: err}
	}
	issuer, refused := s.issuer(beacon.Issuer)
	switch {
	case refused != nil:
		return nil, refused
	case beacon.Fleet != g.cfg.Gateway.Fleet:
		return nil, refuse(protocol.CodeAudience, "a beacon of fleet %q", beacon.Fleet)
	case !issuer.MayIssue(trust.TypeTime, g.cfg.Gateway):
		return nil, refuse(protocol.CodeRole, "%s may not say what time it is", issuer.Holder)
	}
	return &beacon, g.current(0, beacon.Epoch)
}
