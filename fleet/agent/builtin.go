package agent

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"edged/fleet/audit"
	"edged/fleet/command"
	"edged/fleet/protocol"
)

const opCancel = "command.cancel"

// builtin returns the operations that need nothing but the agent.
func (a *Agent) builtin() map[string]Op {
	return map[string]Op{
		"ping":         Do(a.ping),
		"info.get":     Do(func(context.Context, *Call, None) (any, error) { return a.info(), nil }),
		"audit.export": Do(a.exportAudit),
		"trust.update": Do(a.updateTrust),
		opCancel:       Do(a.cancel),

		"identity.adopt": Do(a.adopt),
	}
}

// Pong is the result of ping.
type Pong struct {
	Up       int64  `json:"up_ms"`
	Boot     uint64 `json:"boot"`
	Session  uint64 `json:"session"`
	Instance string `json:"instance"`
}

func (a *Agent) ping(context.Context, *Call, None) (any, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return Pong{Up: int64(a.now()), Boot: a.counters.Boot, Session: a.counters.Session, Instance: a.self.Instance}, nil
}

// The bounds of an export.
const (
	exportBytesDefault = 64 << 10
	exportBytesMax     = 96 << 10 // JSON needs some more for the quotes in it
)

// AuditArgs are the arguments of audit.export.
type AuditArgs struct {
	After uint64 `json:"after"`
	Bytes int    `json:"bytes"`
}

// Check returns what is wrong with them.
func (x AuditArgs) Check() error {
	if x.Bytes < 0 || x.Bytes > exportBytesMax {
		return fmt.Errorf("bytes: %d is not within 0 and %d", x.Bytes, exportBytesMax)
	}
	return nil
}

// AuditPage is the result of audit.export: whole lines, and the heads before the first
// and behind the last of them.
type AuditPage struct {
	Before string `json:"before"`
	Head   string `json:"head"`
	Lines  string `json:"lines"`
	More   bool   `json:"more"`
}

// exportAudit returns a page of the log. Quotes are doubled in JSON, so fewer lines
// than asked for may fit.
func (a *Agent) exportAudit(_ context.Context, _ *Call, args AuditArgs) (any, error) {
	for size := cmp.Or(args.Bytes, exportBytesDefault); ; size /= 2 {
		page, err := a.auditPage(args.After, size)
		if err != nil {
			return nil, Failed(protocol.CodeStorage, err)
		}
		if text, err := json.Marshal(page); err != nil || len(text) <= protocol.ResultBytesMax || size < audit.LineBytesMax {
			return page, err
		}
	}
}

func (a *Agent) auditPage(after uint64, size int) (page AuditPage, err error) {
	a.mu.Lock()
	end := a.guard.Head()
	a.mu.Unlock()
	first, lines, err := a.store.Audit(min(after, end.N), size)
	if err != nil || len(lines) == 0 {
		return AuditPage{Before: end.String(), Head: end.String()}, err
	}
	head := audit.Head{N: first - 1}
	var entry audit.Entry
	if err := json.Unmarshal(lines[0], &entry); err != nil {
		return page, fmt.Errorf("audit line %d: %w", first, err)
	}
	if n, err := hex.Decode(head.Hash[:], []byte(entry.Prev)); err != nil || n != len(head.Hash) {
		return page, fmt.Errorf("audit line %d: prev is no hash", first)
	}
	page.Before = head.String()
	text := bytes.Join(lines, nil)
	if head, err = audit.Verify(head, text); err != nil {
		return page, err
	}
	page.Head, page.Lines, page.More = head.String(), string(text), head.N < end.N
	return page, nil
}

// TrustArgs are the arguments of trust.update: a chain of keyrings, as on the topic
// _trust.
type TrustArgs struct {
	Chain json.RawMessage `json:"chain"`
}

// Check returns what is wrong with them.
func (x TrustArgs) Check() error {
	if len(x.Chain) == 0 {
		return errors.New("chain is missing: the keyrings as they are published on _trust")
	}
	return nil
}

// TrustState is the result of trust.update.
type TrustState struct {
	Keyring uint64 `json:"keyring"`
	Epoch   uint64 `json:"epoch"`
	Changed bool   `json:"changed"`
}

func (a *Agent) updateTrust(_ context.Context, _ *Call, args TrustArgs) (any, error) {
	d := command.Delivery{Topic: protocol.Topic{Kind: protocol.KindTrust, Fleet: a.self.Fleet}, Data: args.Chain}
	e, err := a.judge(d, a.guard.AcceptTrust)
	if err != nil {
		return nil, Failed(protocol.CodeStorage, err)
	}
	if e.Code != protocol.OK && e.Code != protocol.CodeStale {
		return nil, Failed(e.Code, e.Err)
	}
	ring := a.ring()
	return TrustState{Keyring: ring.Version(), Epoch: ring.Epoch(), Changed: e.Keyring}, nil
}

// CancelArgs are the arguments of command.cancel.
type CancelArgs struct {
	ID protocol.ID `json:"id"`
}

// Check returns what is wrong with them.
func (x CancelArgs) Check() error { return x.ID.Check() }

// cancel ends the context of a command that runs.
func (a *Agent) cancel(_ context.Context, _ *Call, args CancelArgs) (any, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	end, running := a.running[args.ID]
	if !running {
		return nil, Failed(protocol.CodePrecond, fmt.Errorf("command %s does not run", args.ID))
	}
	end(errCancelled)
	return nil, nil
}

// Adopted is the result of identity.adopt.
type Adopted struct {
	Instance string `json:"instance"`
	Adoption uint64 `json:"adoption"`
}

// adopt makes this instance the one that has the gateway's name.
func (a *Agent) adopt(context.Context, *Call, None) (any, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	e := a.guard.Adopt(a.moment())
	a.settle(&e, Change{})
	if a.broken != nil {
		return nil, Failed(protocol.CodeStorage, a.broken)
	}
	a.sayState()
	time.AfterFunc(adoptedAfter, func() { a.link.Reconnect(errors.New("fleet: this instance was adopted")) })
	return Adopted{Instance: a.self.Instance, Adoption: a.guard.Adoption()}, nil
}
