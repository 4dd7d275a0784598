package command

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"edged/fleet/audit"
	"edged/fleet/protocol"
	"edged/fleet/trust"
	"edged/stored"
)

const (
	// RivalsMax is how many other instances with this gateway's name are remembered.
	RivalsMax = 8

	// AdoptionJumpMax is how far another's adoption may be above ours to be believed: nobody
	// needs more, and a forger must not use the numbers up.
	AdoptionJumpMax = 1 << 20

	opAdopt = "identity.adopt"
)

// sightings are how many news of other instances are written down: a forger must not wear
// the disk out.
var sightings = rate{mills: 200, burst: 10}

// identity is what is known of the gateway's name: how often this instance was told to be
// the one that has it, and who else says so.
type identity struct {
	adoption uint64
	rivals   []rival // sorted by instance
}

// rival is another instance with the gateway's name. One that was never seen alive is the
// disk that was in the machine before.
type rival struct {
	instance          string
	session, adoption uint64
	alive             bool
}

// Instance returns the name of the gateway's data.
func (g *Guard) Instance() string { return g.cfg.Gateway.Instance }

// Adoption returns how often an instance of this name was adopted, up to this one; 0: it
// never was.
func (g *Guard) Adoption() uint64 { return g.identity.adoption }

// Blocked returns the instance because of which nothing that changes something is taken: it
// was seen alive, with an adoption that is at least ours.
func (g *Guard) Blocked() (instance string, blocked bool) {
	for _, r := range g.identity.rivals {
		if r.alive && r.adoption >= g.identity.adoption {
			return r.instance, true
		}
	}
	return "", false
}

// Alive reports whether another instance with this name was seen alive.
func (g *Guard) Alive(instance string) bool {
	i, known := g.rival(instance)
	return known && g.identity.rivals[i].alive
}

// Meet takes into account that another instance says that it is this gateway. Whether it is
// alive, is known in one of two ways: it says that it is online, or it has begun a session
// since we first heard of it. A farewell that the broker has kept is of a disk that
// was replaced.
func (g *Guard) Meet(s protocol.State, at Moment) Effects {
	e := Effects{Code: protocol.OK}
	if s.Instance == g.cfg.Gateway.Instance || s.Adoption > g.identity.adoption+AdoptionJumpMax {
		return e
	}
	i, known := g.rival(s.Instance)
	met := rival{instance: s.Instance, session: s.Session, adoption: s.Adoption, alive: s.Online}
	if known {
		old := g.identity.rivals[i]
		met.session, met.adoption = max(old.session, s.Session), max(old.adoption, s.Adoption)
		met.alive = old.alive || s.Session > old.session
		if met.alive == old.alive && met.adoption == old.adoption {
			return e // its further sessions tell nothing new
		}
	}
	g.meet(&e, met, at)
	return e
}

// Leave gives this instance another name, because another process has its data, too: a disk
// was cloned, or set back. What the other is called now is remembered as a rival, up to the
// session that it has reached.
func (g *Guard) Leave(s protocol.State, alive bool, name string, at Moment) Effects {
	e := Effects{Code: protocol.OK}
	old := g.cfg.Gateway.Instance
	g.cfg.Gateway.Instance = name
	g.write(&e, subject{kind: "identity"}, audit.Entry{Decision: "renamed", Code: string(protocol.OK), Note: fmt.Sprintf("was %s, which another process is; now %s", old, name)}, at)
	g.meet(&e, rival{instance: old, session: max(s.Session, at.Session), adoption: min(s.Adoption, g.identity.adoption+AdoptionJumpMax), alive: alive}, at)
	return e
}

// meet remembers a rival, and writes down if that blocks.
func (g *Guard) meet(e *Effects, met rival, at Moment) {
	if !g.sighted.take(at.Now, sightings) {
		return
	}
	_, before := g.Blocked()
	i, known := g.rival(met.instance)
	switch {
	case known:
		g.identity.rivals[i] = met
	case len(g.identity.rivals) < RivalsMax:
		g.identity.rivals = slices.Insert(g.identity.rivals, i, met)
	case !g.displace(met):
		return
	}
	e.Changed = true
	if by, now := g.Blocked(); now && !before {
		g.write(e, subject{kind: "identity"}, audit.Entry{Decision: "blocked", Code: string(protocol.CodeDuplicate),
			Note: fmt.Sprintf("instance %s has this name, too; adoption %d, ours %d", by, met.adoption, g.identity.adoption)}, at)
	}
}

// displace puts a rival into the place of the one that says least, if that says less.
func (g *Guard) displace(met rival) bool {
	weight := func(a, b rival) int {
		if a.alive != b.alive {
			if a.alive {
				return 1
			}
			return -1
		}
		return cmp.Compare(a.adoption, b.adoption)
	}
	least := slices.MinFunc(g.identity.rivals, weight)
	if weight(met, least) <= 0 {
		return false
	}
	i, _ := g.rival(least.instance)
	g.identity.rivals = slices.Delete(g.identity.rivals, i, i+1)
	i, _ = g.rival(met.instance)
	g.identity.rivals = slices.Insert(g.identity.rivals, i, met)
	return true
}

// rival returns where a rival is, or would be.
func (g *Guard) rival(instance string) (int, bool) {
	return slices.BinarySearchFunc(g.identity.rivals, instance, func(r rival, name string) int { return cmp.Compare(r.instance, name) })
}

// Adopt makes this instance the one that has the name: its adoption is then above all that
// were seen.
func (g *Guard) Adopt(at Moment) Effects {
	e := Effects{Code: protocol.OK}
	highest := g.identity.adoption
	for _, r := range g.identity.rivals {
		highest = max(highest, r.adoption)
	}
	g.identity.adoption = highest + 1
	g.write(&e, subject{kind: "identity"}, audit.Entry{Decision: "adopted", Code: string(protocol.OK),
		Note: fmt.Sprintf("instance %s, adoption %d", g.cfg.Gateway.Instance, g.identity.adoption)}, at)
	return e
}

// unblocked returns why a command is not taken while another instance may be the gateway.
// What only reads is, and what ends the doubt.
func (g *Guard) unblocked(op string) *refusal {
	class, known := protocol.ClassOf(op)
	if by, blocked := g.Blocked(); blocked && op != opAdopt && (!known || class > trust.Read) {
		return duplicated(by)
	}
	return nil
}

func duplicated(by string) *refusal {
	return refuse(protocol.CodeDuplicate, "instance %s says it is this gateway, too", by)
}

// named checks that an adoption names the instance: two with one name would both take it.
func (g *Guard) named(c *protocol.Command) *refusal {
	if c.Op == opAdopt && c.Aud.Instance == "" {
		return refuse(protocol.CodeAudience, "%s must name the instance in aud", opAdopt)
	}
	return nil
}

// appendIdentity appends what is known of the name.
func (g *Guard) appendIdentity(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, g.identity.adoption)
	dst = binary.AppendUvarint(dst, uint64(len(g.identity.rivals)))
	for _, r := range g.identity.rivals {
		dst = appendText(dst, r.instance)
		dst = binary.AppendUvarint(dst, r.session)
		dst = binary.AppendUvarint(dst, r.adoption)
		dst = appendFlag(dst, r.alive)
	}
	return dst
}

func (g *Guard) readIdentity(r *stored.Reader) {
	g.identity.adoption = r.Uvarint()
	n := r.Uvarint()
	if n > RivalsMax || n == 0 && g.identity.adoption == 0 {
		r.Fail()
	}
	for i := uint64(0); i < n && !r.Bad; i++ {
		one := rival{instance: r.Text(), session: r.Uvarint(), adoption: r.Uvarint(), alive: r.Flag()}
		if k := len(g.identity.rivals); k > 0 && g.identity.rivals[k-1].instance >= one.instance {
			r.Fail()
		}
		g.identity.rivals = append(g.identity.rivals, one)
	}
}
