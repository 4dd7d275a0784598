package operator

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"edged/fleet/protocol"
	"edged/fleet/trust"
)

// Limits of a [View].
const (
	GatewaysMax = 10_000
	AlarmsMax   = 64 // of one gateway; the oldest is forgotten
)

// ErrLimit says that more was asked for than the limits of this package allow.
var ErrLimit = errors.New("operator: above the limit")

// Message is what a broker delivered.
type Message struct {
	Topic    string
	Payload  []byte
	Retained bool // the broker had kept it
}

// News is what a message has told.
type News struct {
	Gateway string
	Kind    protocol.Kind
	Answer  *protocol.Answer // KindAnswer
	Signed  bool             // the gateway has signed it, with a key of the keyring
	Event   *protocol.Event  // KindEvent
	Change  protocol.Change  // KindState
}

// View is what is known of a fleet: the fold of all messages.
type View struct {
	prefix, fleet string
	ring          *trust.Ring // nil: nothing is verified
	gateways      map[string]*Gateway
}

// NewView returns a view that has seen nothing.
func NewView(prefix, fleet string) (*View, error) {
	if err := errors.Join(protocol.CheckPrefix(prefix), trust.CheckName(fleet)); err != nil {
		return nil, fmt.Errorf("view of a fleet: %w", err)
	}
	return &View{prefix: prefix, fleet: fleet, gateways: map[string]*Gateway{}}, nil
}

// Gateway is what is known of one gateway.
type Gateway struct {
	Name     string
	Presence protocol.Presence
	Changed  int64           // when the presence changed last while we watched; 0: it was so before
	Foreign  *protocol.State // another instance that says it is this gateway
	Conflict bool            // the same instance said two things at once: cloned
	Alarms   []Alarm
	Missing  uint64 // events that did not arrive

	Keyed      bool   // the keyring has a key of it, so only what it has signed is believed
	Unverified uint64 // messages that it has not signed, although it should

	info     *protocol.Info
	reported *protocol.Reported
	beat     *protocol.Heartbeat
	beatAt   int64
	nonceAt  int64 // when the present nonce was heard first, if it was not kept by the broker
	events   protocol.Numbering
	eventsOf string // the instance that numbers them

	// The last message of each retained kind that was believed, and that was not: what they
	// are worth is decided anew under another keyring.
	believed, doubted map[protocol.Kind]Message
}

// judged are the kinds of messages that are judged anew under another keyring.
var judged = []protocol.Kind{protocol.KindState, protocol.KindInfo, protocol.KindReported}

// Alarm is an alarm that was raised and not cleared.
type Alarm struct {
	Code     string `json:"code"`
	Subject  string `json:"subject,omitempty"`
	Severity string `json:"sev"`
	Message  string `json:"msg,omitempty"`
	Since    int64  `json:"since_ms"` // on the operator's clock
}

// Trust goes by a keyring from now on, and returns the gateways of which it believes
// something else than before: those whose keys have changed.
func (v *View) Trust(ring *trust.Ring, now int64) (changed []string) {
	before := v.ring
	v.ring = ring
	for name, g := range v.gateways {
		var old []trust.PublicKey
		if before != nil {
			old = before.GatewayKeys(name)
		}
		if slices.Equal(old, ring.GatewayKeys(name)) {
			continue
		}
		changed = append(changed, name)
		v.gateways[name] = &Gateway{
			Name: name, Keyed: v.keyed(name), Alarms: g.Alarms, Missing: g.Missing, events: g.events, eventsOf: g.eventsOf,
			beat: g.beat, beatAt: g.beatAt, believed: map[protocol.Kind]Message{}, doubted: map[protocol.Kind]Message{},
		}
		for _, kind := range judged {
			for _, m := range []Message{g.believed[kind], g.doubted[kind]} {
				if m.Payload != nil {
					// Those that are not believed are counted.
					_, _ = v.Observe(m, now)
				}
			}
		}
	}
	slices.Sort(changed)
	return changed
}

func (v *View) keyed(name string) bool {
	return v.ring != nil && len(v.ring.GatewayKeys(name)) > 0
}

// Names returns the names of all gateways, sorted.
func (v *View) Names() []string {
	names := make([]string, 0, len(v.gateways))
	for name := range v.gateways {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Gateway returns what is known of a gateway, nil if nothing is.
func (v *View) Gateway(name string) *Gateway { return v.gateways[name] }

// Select returns the names of the gateways whose labels a selector selects, sorted.
// One that has not said its labels is selected by * only.
func (v *View) Select(s trust.Selector) []string {
	return slices.DeleteFunc(v.Names(), func(name string) bool {
		info := v.gateways[name].Info()
		if info == nil {
			return !s.Selects(nil)
		}
		return !s.Selects(info.Labels)
	})
}

// Observe takes a message into account. An error says why it tells nothing.
func (v *View) Observe(m Message, now int64) (News, error) {
	topic, err := protocol.ParseTopic(v.prefix, m.Topic)
	if err != nil {
		return News{}, err
	}
	n := News{Gateway: topic.Gateway, Kind: topic.Kind}
	if topic.Fleet != v.fleet || topic.Gateway == "" || len(m.Payload) == 0 {
		return n, nil // an empty one deletes what the broker had kept
	}
	switch topic.Kind {
	case protocol.KindState:
		err := believe(v, topic, m, func(g *Gateway, s protocol.State) { n.Change = g.state(&s, m.Retained, now) })
		return n, err
	case protocol.KindInfo:
		return n, believe(v, topic, m, func(g *Gateway, i protocol.Info) { g.describe(&i) })
	case protocol.KindReported:
		return n, believe(v, topic, m, func(g *Gateway, r protocol.Reported) { g.report(&r) })
	case protocol.KindHeartbeat:
		return n, keep(v, topic, m, func(g *Gateway, h protocol.Heartbeat) { g.beat, g.beatAt = &h, now })
	case protocol.KindEvent:
		return n, keep(v, topic, m, func(g *Gateway, e protocol.Event) { g.event(&e, now); n.Event = &e })
	case protocol.KindAnswer:
		a, signed, err := protocol.Believe[protocol.Answer](v.ring, topic.Gateway, m.Payload)
		if errors.Is(err, protocol.ErrUnverified) {
			err = v.doubt(topic, m, err)
		}
		if err == nil && (a.Gateway != topic.Gateway || a.ID != topic.ID) {
			err = fmt.Errorf("%w: an answer of %s to %s came as one of %s to %s", protocol.ErrMessage, a.Gateway, a.ID, topic.Gateway, topic.ID)
		}
		if err != nil {
			return n, err
		}
		n.Answer, n.Signed = &a, signed
	}
	return n, nil
}

// believe hands a message that a gateway may sign to its gateway, unless it should be
// signed and is not.
func believe[S protocol.Statement](v *View, t protocol.Topic, m Message, take func(*Gateway, S)) error {
	s, _, err := protocol.Believe[S](v.ring, t.Gateway, m.Payload)
	if errors.Is(err, protocol.ErrUnverified) {
		return v.doubt(t, m, err)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", t.Gateway, err)
	}
	g, err := v.gateway(t.Gateway)
	if err == nil {
		take(g, s)
		g.believed[t.Kind] = m
	}
	return err
}

// doubt counts a message that is not signed by its gateway, and returns why.
func (v *View) doubt(t protocol.Topic, m Message, why error) error {
	g, err := v.gateway(t.Gateway)
	if err != nil {
		return err
	}
	g.Unverified++
	if slices.Contains(judged, t.Kind) {
		g.doubted[t.Kind] = m
	}
	return why
}

// keep decodes a message and hands it to its gateway.
func keep[M protocol.Message](v *View, t protocol.Topic, m Message, take func(*Gateway, M)) error {
	msg, err := protocol.Decode[M](m.Payload)
	if err != nil {
		return fmt.Errorf("%s: %w", t.Gateway, err)
	}
	g, err := v.gateway(t.Gateway)
	if err == nil {
		take(g, msg)
	}
	return err
}

func (v *View) gateway(name string) (*Gateway, error) {
	if g := v.gateways[name]; g != nil {
		return g, nil
	}
	if len(v.gateways) >= GatewaysMax {
		return nil, fmt.Errorf("%w: more than %d gateways; split the fleet", ErrLimit, GatewaysMax)
	}
	v.gateways[name] = &Gateway{Name: name, Keyed: v.keyed(name), believed: map[protocol.Kind]Message{}, doubted: map[protocol.Kind]Message{}}
	return v.gateways[name], nil
}

// state follows the presence.
func (g *Gateway) state(s *protocol.State, retained bool, now int64) protocol.Change {
	before := g.Presence.Now
	change := g.Presence.Observe(*s)
	switch change {
	case protocol.Newer:
		if s.Nonce != before.Nonce {
			g.nonceAt = 0
			if !retained {
				g.nonceAt = now
			}
		}
		if before.Session != 0 && s.Online != before.Online {
			g.Changed = now
		}
	case protocol.Foreign:
		if old := g.Foreign; old == nil || old.Instance != s.Instance || s.Session >= old.Session {
			g.Foreign = s
		}
	case protocol.Conflict:
		g.Conflict = true
	}
	return change
}

// describe keeps what is newer: what a gateway has signed can be sent again.
func (g *Gateway) describe(i *protocol.Info) {
	if old := g.info; old == nil || old.Instance != i.Instance || i.Session >= old.Session {
		g.info = i
	}
}

// report keeps what is newer. The broker may keep an older one for a while, and one
// of an instance that is gone.
func (g *Gateway) report(r *protocol.Reported) {
	if old := g.reported; old != nil && old.Instance == r.Instance {
		if r.Session < old.Session || r.Epoch < old.Epoch || r.Session == old.Session && r.Revision < old.Revision {
			return
		}
	}
	g.reported = r
}

// event follows alarms. Events of a gateway's other instances count anew.
func (g *Gateway) event(e *protocol.Event, now int64) {
	if g.eventsOf != e.Instance { // what came before we listened is not missing
		g.eventsOf, g.events = e.Instance, protocol.Numbering{Highest: e.Number - 1}
	}
	missing, fresh := g.events.Observe(e.Number)
	if !fresh {
		return
	}
	g.Missing += missing
	if e.Class != protocol.ClassAlarm {
		return
	}
	g.Alarms = slices.DeleteFunc(g.Alarms, func(a Alarm) bool { return a.Code == e.Code && a.Subject == e.Subject })
	if e.Severity == protocol.SeverityClear {
		return
	}
	if len(g.Alarms) >= AlarmsMax {
		g.Alarms = slices.Delete(g.Alarms, 0, 1)
	}
	g.Alarms = append(g.Alarms, Alarm{Code: e.Code, Subject: e.Subject, Severity: e.Severity, Message: e.Message, Since: now})
}

// Online reports whether the gateway is, as far as its state tells.
func (g *Gateway) Online() bool { return g.Presence.Now.Online }

// StateOf returns the state of an instance that says it is the gateway; without a name, that of
// the one that is taken for it.
func (g *Gateway) StateOf(instance string) protocol.State {
	switch {
	case g == nil:
		return protocol.State{}
	case instance == "" || g.Presence.Now.Instance == instance:
		return g.Presence.Now
	case g.Foreign != nil && g.Foreign.Instance == instance:
		return *g.Foreign
	}
	return protocol.State{}
}

// of reports whether an instance is the one whose presence is known, or none is.
func (g *Gateway) of(instance string) bool {
	now := g.Presence.Now
	return now.Session == 0 || now.Instance == instance || g.Foreign != nil && g.Foreign.Instance == instance
}

// Info returns what the gateway is, nil if the present instance has not said it.
func (g *Gateway) Info() *protocol.Info {
	if g.info == nil || !g.of(g.info.Instance) {
		return nil
	}
	return g.info
}

// Reported returns what became of its configuration, nil if the present instance has
// not said it.
func (g *Gateway) Reported() *protocol.Reported {
	if g.reported == nil || !g.of(g.reported.Instance) {
		return nil
	}
	return g.reported
}

// Heartbeat returns the last health numbers of the present session and when they came;
// nil if there were none yet.
func (g *Gateway) Heartbeat() (*protocol.Heartbeat, int64) {
	if g.beat == nil || g.beat.Session < g.Presence.Now.Session {
		return nil, 0
	}
	return g.beat, g.beatAt
}

// NonceAge returns how old a nonce is, as far as is known: at least the first, at most the
// second number of milliseconds.
func (g *Gateway) NonceAge(now int64, nonce string) (least, most int64) {
	s := g.Presence.Now
	if nonce != s.Nonce { // of another instance
		return 0, nonceLifeMax
	}
	if g.nonceAt != 0 {
		return now - g.nonceAt, now - g.nonceAt + flightMax
	}
	if g.beat != nil && g.beat.Session == s.Session && g.beat.Boot == s.Boot {
		age := g.beat.Mono - s.Mono + now - g.beatAt
		return age, age + flightMax
	}
	return 0, nonceLifeMax
}

const (
	flightMax    = 60_000 // how long a message may be on its way
	nonceLifeMax = 20 * 60_000
)

// Facts are what a rollout decides by.
type Facts struct {
	Online  bool
	Epoch   uint64
	Seen    uint64 // the version that it has taken
	Refresh uint64 // the newest refresh of that
	Applied uint64 // the version that it runs
	Hash    string // of the configuration that it runs; empty: not said
	Status  string
	Phase   string
	Failed  []uint64
	Fault   *protocol.Fault

	Unverified uint64 // messages in its name that it has not signed
}

// Facts returns what is known of a gateway's configuration.
func (g *Gateway) Facts() Facts {
	if g == nil {
		return Facts{}
	}
	f := Facts{Online: g.Online(), Unverified: g.Unverified}
	if r := g.Reported(); r != nil {
		f.Epoch, f.Seen, f.Refresh, f.Applied, f.Hash = r.Epoch, r.Seen, r.Refresh, r.Applied, r.Effective
		f.Status, f.Phase, f.Failed, f.Fault = r.Status, r.Phase, r.Failed, r.Error
	}
	return f
}

// Labels returns the labels of a gateway as one text.
func (g *Gateway) Labels() string {
	info := g.Info()
	if info == nil {
		return ""
	}
	var all []string
	for name, value := range info.Labels {
		all = append(all, name+"="+value)
	}
	slices.Sort(all)
	return strings.Join(all, ",")
}
