package command_test

import (
	"slices"

	"edged/fleet/command"
	"edged/fleet/protocol"
	"edged/fleet/trust"
)

// jumpMax, queueMax and windowBits are the limits of the hostile tests, in the
// oracle's words.
const (
	jumpMax    = 1 << 20
	queueMax   = 6
	windowBits = 1024
	nonceLife  = 20 * 60 * 1000
)

// attempt is a delivery of a command, and the truth about it, from those who made
// it.
type attempt struct {
	c       protocol.Command
	issuer  string   // who says it issues it
	signers []string // whose signatures are right for these very bytes
	payload string

	broken    bool // anything that a strict reader refuses
	retained  bool
	misrouted bool // topic of another gateway, or another id
	forOthers bool // another audience

	d command.Delivery
}

// oracle knows everything that ever happened and decides in the dumbest way what
// may be done. It shares no code with the guard.
type oracle struct {
	ring    trust.Keyring
	used    map[string]map[uint64]bool // by holder, in this epoch
	first   map[string]uint64          // with which number a holder was introduced
	taken   map[protocol.ID]string     // payloads by id
	open    map[protocol.ID]*job
	made    map[string]command.Monotonic // nonces, and when they were made
	present []string                     // nonces of this session
	beacon  int64
	beaconN uint64
	beaconT string // who
	desired uint64
	content string
}

// job is a command that was accepted and is not final.
type job struct {
	a        *attempt
	deadline command.Monotonic
	started  bool
	leaving  bool
}

func newOracle(ring trust.Keyring) *oracle {
	return &oracle{
		ring: ring, used: map[string]map[uint64]bool{}, first: map[string]uint64{}, taken: map[protocol.ID]string{},
		open: map[protocol.ID]*job{}, made: map[string]command.Monotonic{},
	}
}

// ranks says how far the roles reach: read 0 to destructive 4.
var ranks = map[trust.Role]int{trust.Viewer: 0, trust.Operator: 1, trust.Deployer: 2, trust.Admin: 4, trust.Clock: -1}

// harm says how bad the commands of the tests are.
var harm = map[string]int{"ping": 0, "pipeline.pause": 1, "pipeline.resume": 1, "config.confirm": 2, "engine.restart": 3, "state.reset": 4}

// valid returns the entry of a holder who may sign now.
func (o *oracle) valid(holder string) (trust.Key, bool) {
	for _, k := range o.ring.Keys {
		if k.Holder == holder {
			alive := !k.Revoked && k.From <= o.ring.Version && (k.Until == 0 || o.ring.Version <= k.Until)
			return k, alive
		}
	}
	return trust.Key{}, false
}

// rank returns what a holder may do here at most; -1: nothing.
func (o *oracle) rank(holder string) int {
	k, ok := o.valid(holder)
	if !ok || k.Scope == "site=paris" {
		return -1
	}
	most := -1
	for _, r := range k.Roles {
		most = max(most, ranks[r])
	}
	return most
}

// harmOf returns how bad a command is, in this fleet.
func (o *oracle) harmOf(op string) int { return max(harm[op], int(o.ring.Classes[op])) }

// live says whether a nonce may be quoted.
func (o *oracle) live(nonce string, now command.Monotonic) bool {
	return nonce != "" && slices.Contains(o.present, nonce) && now-o.made[nonce] <= nonceLife
}

// judge says whether a command is to be accepted, and whether its number is used up.
func (o *oracle) judge(a *attempt, at command.Moment) (accept, burn bool) {
	if a.broken || a.retained || a.misrouted || a.forOthers {
		return false, false
	}
	if _, ok := o.valid(a.issuer); !ok || !slices.Contains(a.signers, a.issuer) {
		return false, false
	}
	if a.c.Keyring > o.ring.Version || a.c.Epoch != o.ring.Epoch || o.taken[a.c.ID] != "" {
		return false, false
	}
	if !o.freshNumber(a, at) {
		return false, false
	}
	if n := o.admins(a); o.harmOf(a.c.Op) == 4 && n == 1 {
		return false, false
	}
	_, known := harm[a.c.Op]
	return known && o.entitled(a) && o.timely(a, at) && len(o.open) < queueMax, true
}

func (o *oracle) freshNumber(a *attempt, at command.Moment) bool {
	seq, highest := a.c.Seq, uint64(0)
	for n := range o.used[a.issuer] {
		highest = max(highest, n)
	}
	if highest == 0 {
		return o.live(a.c.Nonce, at.Now) && seq <= jumpMax
	}
	return !o.used[a.issuer][seq] && seq > o.first[a.issuer] && seq+windowBits > highest && (seq < highest || seq-highest <= jumpMax)
}

// admins counts the admins for this gateway among the signers.
func (o *oracle) admins(a *attempt) (n int) {
	for _, s := range a.signers {
		if o.rank(s) == 4 {
			n++
		}
	}
	return n
}

// entitled says whether the keys are enough, in the keyring of now.
func (o *oracle) entitled(a *attempt) bool {
	h := o.harmOf(a.c.Op)
	return o.rank(a.issuer) >= h && (h < 4 || o.admins(a) >= 2)
}

// deadline says when a command is too old.
func (o *oracle) deadline(a *attempt, now command.Monotonic) command.Monotonic {
	if a.c.Nonce != "" {
		return o.made[a.c.Nonce] + command.Monotonic(a.c.TTL)
	}
	return now + command.Monotonic(a.c.TTL)
}

func (o *oracle) timely(a *attempt, at command.Moment) bool {
	if (a.c.Nonce != "" || o.harmOf(a.c.Op) >= 3) && !o.live(a.c.Nonce, at.Now) {
		return false
	}
	return at.Now <= o.deadline(a, at.Now) && o.current(a, at)
}

// current says whether exp and the precondition hold.
func (o *oracle) current(a *attempt, at command.Moment) bool {
	if a.c.Expires != 0 && o.floor() > a.c.Expires {
		return false
	}
	return a.c.If == nil || a.c.If.Hash == at.Running.Hash
}

func (o *oracle) floor() int64 {
	if o.clock(o.beaconT) {
		return max(buildTime, o.beacon)
	}
	return buildTime
}

// clock says whether somebody may send beacons.
func (o *oracle) clock(holder string) bool {
	k, ok := o.valid(holder)
	return ok && slices.Contains(k.Roles, trust.Clock)
}

// note takes what was committed into account.
func (o *oracle) note(a *attempt, accept, burn bool, now command.Monotonic) {
	if !burn {
		return
	}
	if o.used[a.issuer] == nil {
		o.used[a.issuer], o.first[a.issuer] = map[uint64]bool{}, a.c.Seq
	}
	o.used[a.issuer][a.c.Seq] = true
	o.taken[a.c.ID] = a.payload
	if accept {
		o.open[a.c.ID] = &job{a: a, deadline: o.deadline(a, now)}
	}
}

// mayStart says whether an accepted command may run now.
func (o *oracle) mayStart(j *job, at command.Moment) bool {
	a := j.a
	return a.c.Epoch == o.ring.Epoch && o.entitled(a) && at.Now <= j.deadline && o.current(a, at) &&
		(o.harmOf(a.c.Op) < 3 || a.c.Nonce != "")
}

// follow takes another keyring.
func (o *oracle) follow(k trust.Keyring) {
	if k.Epoch != o.ring.Epoch {
		o.used, o.first = map[string]map[uint64]bool{}, map[string]uint64{}
		o.desired, o.content, o.beacon, o.beaconN, o.beaconT = 0, "", 0, 0, ""
	}
	o.ring = k
	for holder := range o.used {
		if !slices.ContainsFunc(k.Keys, func(k trust.Key) bool { return k.Holder == holder }) {
			delete(o.used, holder)
			delete(o.first, holder)
		}
	}
}
