package command

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"edged/fleet/audit"
	"edged/fleet/protocol"
	"edged/fleet/trust"
)

// ErrPhase says that a command is not where the caller thinks: a defect of the
// caller.
var ErrPhase = errors.New("command: not in that phase")

// Effects are what the world must do because of a decision, in this order: if
// Changed, commit the guard's state ([Guard.AppendBinary]), the lines of Audit and
// Desired in one transaction; then acknowledge the message, publish Answers and
// act. If the commit fails, forget the guard and end the process.
type Effects struct {
	// Code is the decision, and Err says why it is not OK, for a log.
	Code protocol.Code
	Err  error

	Changed bool
	Audit   [][]byte
	Answers []protocol.Answer

	// Command has been accepted just now and waits for [Guard.Start]; or it is the
	// one that may run now, if that is who returns it.
	Command *protocol.Command

	// Desired is a new document, to be applied. It is not returned again.
	Desired *protocol.Desired

	// Keyring says that another keyring is in force.
	Keyring bool
}

// Guard decides what a gateway does of what it is told. See the package comment.
type Guard struct {
	// Configuration.
	cfg Config

	// Durable state: exactly what AppendBinary writes.
	ring    *trust.Ring
	windows map[trust.KeyID]*window // of the keys of ring, in its epoch
	records ledger
	desired document
	floor   floor
	head    audit.Head

	identity identity

	// Derived state.
	rates   map[trust.KeyID]*rates
	sighted bucket
	counts  map[string]uint64 // denials that were not written down
	summed  Monotonic         // when they last were
}

// rates are the buckets of a key; those of strangers are under the empty id.
type rates struct{ commands, denials bucket }

// document is what is known of the last desired document. The zero value is none.
type document struct {
	version, refresh uint64
	digest           [sha256.Size]byte
}

// floor is how late it is at least, as the beacon of a key says.
type floor struct {
	time   int64
	number uint64
	key    trust.KeyID
}

// Desired returns the version and the refresh of the last desired document that
// was accepted; 0 if there was none.
func (g *Guard) Desired() (version, refresh uint64) { return g.desired.version, g.desired.refresh }

// Ring returns the keyring in force.
func (g *Guard) Ring() *trust.Ring { return g.ring }

// Head returns the end of the audit log.
func (g *Guard) Head() audit.Head { return g.head }

// Floor returns what time it is at least, in milliseconds since the Unix epoch. A
// beacon counts as long as its key may still send some.
func (g *Guard) Floor() int64 {
	if key, err := g.ring.Valid(g.floor.key); err == nil && key.MayIssue(trust.TypeTime, g.cfg.Gateway) {
		return max(g.cfg.BuildTime, g.floor.time)
	}
	return g.cfg.BuildTime
}

// Watermarks returns the highest number of each key, for [protocol.Reported].
func (g *Guard) Watermarks() map[trust.KeyID]uint64 {
	marks := map[trust.KeyID]uint64{}
	for id, w := range g.windows {
		marks[id] = w.highest
	}
	return marks
}

// Waiting returns the commands that were accepted and not started, in the order of
// their coming.
func (g *Guard) Waiting() (ids []protocol.ID) {
	for _, r := range g.records.order {
		if r.phase == accepted {
			ids = append(ids, r.id)
		}
	}
	return ids
}

// refusal is why something is not done.
type refusal struct {
	code protocol.Code
	err  error
}

// refuse returns a refusal whose message is built like fmt.Errorf's.
func refuse(code protocol.Code, format string, args ...any) *refusal {
	return &refusal{code: code, err: fmt.Errorf(format, args...)}
}

// distrust returns the refusal that an error of package trust means.
func distrust(err error) *refusal {
	for _, known := range []struct {
		err  error
		code protocol.Code
	}{
		{trust.ErrUnknown, protocol.CodeKey}, {trust.ErrRevoked, protocol.CodeRevoked}, {trust.ErrSignature, protocol.CodeSignature},
		{trust.ErrAudience, protocol.CodeAudience}, {trust.ErrRole, protocol.CodeRole}, {trust.ErrHolders, protocol.CodeHolders},
		{trust.ErrStale, protocol.CodeStale},
	} {
		if errors.Is(err, known.err) {
			return &refusal{code: known.code, err: err}
		}
	}
	return &refusal{code: protocol.CodeSchema, err: err}
}

// signed is a message whose signatures are right.
type signed struct {
	kind    string // for the audit log
	payload []byte
	digest  [sha256.Size]byte
	signers []trust.Key
}

// open verifies an envelope of a type, cheap checks first.
func (g *Guard) open(d Delivery, payloadType string, bytesMax int) (signed, *refusal) {
	if len(d.Data) > bytesMax {
		return signed{}, refuse(protocol.CodeSize, "%d bytes are more than %d", len(d.Data), bytesMax)
	}
	e, err := trust.Open(d.Data, bytesMax)
	if err != nil {
		return signed{}, distrust(err)
	}
	if e.Type != payloadType {
		return signed{}, refuse(protocol.CodeSchema, "a payload of type %.100q, want %q", e.Type, payloadType)
	}
	signers, err := g.ring.Verify(&e)
	if err != nil {
		return signed{}, distrust(err)
	}
	return signed{payload: e.Payload, digest: sha256.Sum256(trust.PAE(e.Type, e.Payload)), signers: signers}, nil
}

// issuer returns the key that says it issues the payload, if it has signed it.
func (s *signed) issuer(id trust.KeyID) (trust.Key, *refusal) {
	for _, key := range s.signers {
		if key.Public.ID() == id {
			return key, nil
		}
	}
	return trust.Key{}, refuse(protocol.CodeSignature, "iss is %.40q, who has not signed it", string(id))
}

// current checks the keyring and the epoch that something was signed for.
func (g *Guard) current(keyring, epoch uint64) *refusal {
	switch {
	case keyring > g.ring.Version():
		return refuse(protocol.CodeKeyring, "it needs keyring %d, this gateway has %d", keyring, g.ring.Version())
	case epoch != g.ring.Epoch():
		return refuse(protocol.CodeEpoch, "signed in epoch %d, this is %d", epoch, g.ring.Epoch())
	}
	return nil
}

// subject is what an entry of the audit log is about.
type subject struct {
	kind   string
	id     protocol.ID
	op     string
	issuer trust.KeyID
	digest string
}

// about describes a record.
func (r *record) about() subject {
	return subject{kind: "command", id: r.id, op: r.op, issuer: r.issuer, digest: hex.EncodeToString(r.digest[:])}
}

// write appends an entry to the audit log.
func (g *Guard) write(e *Effects, s subject, entry audit.Entry, at Moment) {
	entry.Boot, entry.Mono, entry.Floor, entry.Keyring = at.Boot, int64(at.Now), g.Floor(), g.ring.Version()
	entry.Kind, entry.ID, entry.Op, entry.Actor, entry.Digest = s.kind, string(s.id), s.op, string(s.issuer), s.digest
	if key, ok := g.ring.Key(s.issuer); ok {
		entry.Holder = key.Holder
	}
	e.Audit = append(e.Audit, g.head.Append(entry))
	e.Changed = true
}

// deny turns a refusal into effects. It is written down and answered as long as
// the key, or all strangers together if issuer is empty, have not been denied too
// often; then it is counted. Nothing else of the state changes.
func (g *Guard) deny(e *Effects, s subject, why *refusal, at Moment) {
	e.Code, e.Err = why.code, why.err
	b := &g.rate(s.issuer).denials
	if !b.take(at.Now, g.cfg.denials()) {
		g.counts[string(why.code)]++
		return
	}
	g.write(e, s, audit.Entry{Decision: "denied", Code: string(why.code), Note: why.err.Error()}, at)
	if s.id != "" && why.code != protocol.CodeAudience {
		answer := g.answer(&record{id: s.id, code: why.code, message: clip(why.err.Error())}, at)
		answer.N, answer.Status = 0, protocol.StatusDenied
		e.Answers = append(e.Answers, answer)
	}
}

// rate returns the buckets of a key of the ring, or of strangers.
func (g *Guard) rate(id trust.KeyID) *rates {
	if g.rates[id] == nil {
		g.rates[id] = &rates{}
	}
	return g.rates[id]
}

// Tick writes down what was denied and only counted, at most once a minute. It is
// part of every decision; call it now and then when nothing is to decide.
func (g *Guard) Tick(at Moment) Effects {
	e := Effects{Code: protocol.OK}
	g.summarise(&e, at)
	return e
}

func (g *Guard) summarise(e *Effects, at Moment) {
	if len(g.counts) == 0 || at.Now-g.summed < summaryEvery {
		return
	}
	g.write(e, subject{kind: "denials"}, audit.Entry{Decision: "denied", Counts: g.counts}, at)
	g.counts, g.summed = map[string]uint64{}, at.Now
}

// answer says how far a command is.
func (g *Guard) answer(r *record, at Moment) protocol.Answer {
	return protocol.Answer{
		V: protocol.Version, ID: r.id, Gateway: g.cfg.Gateway.ID, Instance: g.cfg.Gateway.Instance,
		N: steps[r.phase], Status: statuses[r.phase], Final: r.phase.final(), Code: r.code, Message: r.message,
		Result: bytes.Clone(r.result), Lost: r.lost, Session: at.Session, Boot: at.Boot, Mono: int64(at.Now),
	}
}

// ids returns the names of keys.
func ids(keys []trust.Key) []trust.KeyID {
	names := make([]trust.KeyID, 0, len(keys))
	for _, key := range keys {
		names = append(names, key.Public.ID())
	}
	return slices.Clip(names)
}
