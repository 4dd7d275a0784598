package command

import (
	"crypto/sha256"
	"slices"
	"strings"

	"edged/fleet/protocol"
	"edged/fleet/trust"
)

// phase is how far a command has come.
//
//	accepted ─▶ started ─▶ done | failed
//	    │          ├─▶ leaving ─▶ done            by the next start of the process
//	    │          └─▶ interrupted                if the process ended
//	    ├─▶ failed                                not allowed any more when it was to start
//	    └─▶ interrupted                           if the process ended
//	rejected                                      from the beginning
type phase uint8

const (
	accepted phase = iota
	started
	leaving // it ends the process, on purpose
	done
	failed
	interrupted
	rejected
	phases
)

// final reports whether nothing comes after it.
func (p phase) final() bool { return p >= done }

var statuses = [phases]protocol.Status{
	accepted: protocol.StatusAccepted, started: protocol.StatusStarted, leaving: protocol.StatusStarted,
	done: protocol.StatusDone, failed: protocol.StatusError, interrupted: protocol.StatusInterrupted, rejected: protocol.StatusRefused,
}

// steps are the numbers of answers.
var steps = [phases]uint64{accepted: 1, started: 2, leaving: 2, done: 3, failed: 3, interrupted: 3, rejected: 3}

// messageBytesMax is how much of a message is remembered.
const messageBytesMax = 128

// record is a command that was taken, whatever became of it.
type record struct {
	// Durable state.
	id      protocol.ID
	digest  [sha256.Size]byte // of what was signed
	issuer  trust.KeyID
	op      string
	phase   phase
	begun   bool // it was started at some time
	code    protocol.Code
	message string
	result  []byte
	lost    bool // the result was too large to remember

	// Derived state: gone when the process ends, and then not needed.
	command  *protocol.Command // until it is final
	signers  []trust.KeyID
	deadline Monotonic // not to be started later
	ticks    uint64    // numbers progress
	progress hush
	repeats  hush
}

// end makes the record final.
func (r *record) end(p phase, code protocol.Code, message string) {
	r.phase, r.code, r.message, r.command, r.signers = p, code, clip(message), nil, nil
	r.repeats = hush{}
}

// hushMs is the time between two answers of the same kind about one command.
const hushMs = 1000

// hush keeps answers apart. Progress and repetitions have one each, so that who
// repeats a command cannot silence its progress.
type hush struct {
	last  Monotonic
	spoke bool
}

// quiet reports whether it is too early to say something, and notes the time if
// not.
func (h *hush) quiet(now Monotonic) bool {
	if h.spoke && now-h.last < hushMs {
		return true
	}
	h.spoke, h.last = true, now
	return false
}

// clip makes a message short enough to be remembered.
func clip(text string) string {
	if len(text) > messageBytesMax {
		text = text[:messageBytesMax]
	}
	return strings.ToValidUTF8(text, "")
}

// ledger has the records in the order of their coming.
//
// Invariant: byID has exactly those of order.
type ledger struct {
	order []*record
	byID  map[protocol.ID]*record
}

// add takes in a record and forgets old ones that are final until at most so many
// are left.
func (l *ledger) add(r *record, most int) {
	l.order = append(l.order, r)
	l.byID[r.id] = r
	for i := 0; len(l.order) > most && i < len(l.order); {
		if !l.order[i].phase.final() {
			i++
			continue
		}
		delete(l.byID, l.order[i].id)
		l.order = slices.Delete(l.order, i, i+1)
	}
}

// open returns how many are not final.
func (l *ledger) open() (n int) {
	for _, r := range l.order {
		if !r.phase.final() {
			n++
		}
	}
	return n
}
