package command_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"edged/fleet/command"
	"edged/fleet/protocol"
	"edged/fleet/trust"
)

// eventful returns a gateway whose state has something of everything.
func eventful(t testing.TB) *rig {
	r := newRig(t, nil)
	r.introduce("olga", "anna")
	r.beacon(buildTime + 5)
	r.accept(seal(t, order("olga", 9, "config.confirm"), "olga"))
	r.accept(seal(t, order("olga", 12, "ping"), "olga"))
	c := order("olga", 13, "ping")
	r.accept(seal(t, c, "olga"))
	e, _ := r.guard.Start(c.ID, r.at)
	r.commit(e)
	e, _ = r.guard.Finish(c.ID, command.Outcome{Code: protocol.OK, Message: "m", Result: json.RawMessage(`{"a":1}`)}, r.at)
	r.commit(e)
	return r
}

// Equal histories give equal bytes, and every bit that is cut off or added shows.
func TestState(t *testing.T) {
	r, same := eventful(t), eventful(t)
	if !bytes.Equal(r.disk, same.disk) || !bytes.Equal(r.log, same.log) {
		t.Error("equal histories differ")
	}
	for n := 1; n < len(r.disk); n++ {
		if _, _, err := command.Restore(r.cfg, r.disk[:n], r.at); !errors.Is(err, command.ErrState) {
			t.Fatalf("%d of %d bytes: %v", n, len(r.disk), err)
		}
	}
	if _, _, err := command.Restore(r.cfg, append(bytes.Clone(r.disk), 0), r.at); !errors.Is(err, command.ErrState) {
		t.Errorf("one byte more: %v", err)
	}
	newer := bytes.Clone(r.disk)
	newer[0]++
	if _, _, err := command.Restore(r.cfg, newer, r.at); !errors.Is(err, command.ErrState) {
		t.Errorf("a newer layout: %v", err)
	}
}

func TestConfigFaults(t *testing.T) {
	good := newRig(t, nil).cfg
	for name, change := range map[string]func(*command.Config){
		"no root":          func(c *command.Config) { c.Pinned = nil },
		"another fleet":    func(c *command.Config) { c.Gateway.Fleet = "plant8" },
		"no gateway":       func(c *command.Config) { c.Gateway.ID = "" },
		"a command of old": func(c *command.Config) { c.Ops = map[string]func(json.RawMessage) error{"shell.exec": nil} },
		"no room":          func(c *command.Config) { c.RecordsMax, c.QueueMax = 5, 5 },
		"too much room":    func(c *command.Config) { c.RecordsMax = 1 << 30 },
	} {
		cfg := good
		change(&cfg)
		if _, _, err := command.Restore(cfg, nil, command.Moment{}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// Any bytes are refused, or are a state that is stored as it was read.
func FuzzRestore(f *testing.F) {
	r := eventful(f)
	r.boot() // so that nothing is open
	f.Add(r.disk)
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, data []byte) {
		g, _, err := command.Restore(r.cfg, data, r.at)
		if err != nil {
			return
		}
		once := g.AppendBinary(nil)
		again, e, err := command.Restore(r.cfg, once, r.at)
		if err != nil || e.Changed || !bytes.Equal(again.AppendBinary(nil), once) {
			t.Fatalf("%v, changed %v", err, e.Changed)
		}
		again.Accept(seal(t, order("olga", 14, "ping"), "olga"), r.at)
	})
}

// Nothing that nobody has signed is accepted on any topic, and nothing panics.
func FuzzAccept(f *testing.F) {
	r := eventful(f)
	f.Add(seal(f, order("olga", 12, "ping"), "olga").Data)
	f.Add(r.trust(r.guard.Ring().Envelope()).Data)
	state := r.disk
	f.Fuzz(func(t *testing.T, data []byte) {
		g, _, err := command.Restore(r.cfg, state, r.at)
		if err != nil {
			t.Fatal(err)
		}
		before := g.Watermarks()
		id := order("olga", 12, "ping").ID
		for _, topic := range []protocol.Topic{
			{Kind: protocol.KindCommand, Fleet: "plant7", Gateway: "gw-1", ID: id}, {Kind: protocol.KindGroupCommand, Fleet: "plant7", Group: "g", ID: id},
			{Kind: protocol.KindDesired, Fleet: "plant7", Gateway: "gw-1"}, {Kind: protocol.KindTime, Fleet: "plant7"}, {Kind: protocol.KindTrust, Fleet: "plant7"}, {},
		} {
			d := command.Delivery{Topic: topic, Data: data}
			for _, e := range []command.Effects{g.Accept(d, r.at), g.AcceptDesired(d, r.at), g.AcceptTime(d, r.at), g.AcceptTrust(d, r.at)} {
				if e.Command != nil || e.Desired != nil || e.Keyring {
					t.Fatalf("accepted %q", data)
				}
			}
		}
		if after := g.Watermarks(); len(after) != len(before) || after[trust.KeyID(newKey("olga").Public().ID())] != before[newKey("olga").Public().ID()] {
			t.Fatal("a number was used up")
		}
	})
}
