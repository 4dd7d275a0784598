package operator_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"edged/fleet/operator"
	"edged/fleet/protocol"
)

func order(n int) operator.Order {
	return operator.Order{ID: protocol.NewID(int64(n), [10]byte{9}), Gateway: "gw-1", Topic: "t", Data: []byte("bytes"), Until: at(600)}
}

func answer(o operator.Order, n uint64, status protocol.Status, code protocol.Code) protocol.Answer {
	return protocol.Answer{V: 1, ID: o.ID, Gateway: o.Gateway, N: n, Status: status, Final: status.Final(), Code: code}
}

// sentAt returns the seconds at which a sender publishes, up to a time.
func sentAt(s *operator.Sender, from, upto int64) (all []int64) {
	for now := from; now <= upto; now++ {
		publish, _ := s.Step(at(now))
		for range publish {
			all = append(all, now)
		}
	}
	return all
}

func TestSenderBackOff(t *testing.T) {
	s := operator.NewSender()
	if err := s.Add(order(1)); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(sentAt(s, 0, 200)); got != "[0 1 3 7 15 31 63 123 183]" {
		t.Errorf("published at %s", got)
	}
	s.Hurry("gw-1") // it came back
	if got := fmt.Sprint(sentAt(s, 201, 210)); got != "[201 202 204 208]" {
		t.Errorf("after it came back at %s", got)
	}
	s.Observe(answer(order(1), 1, protocol.StatusAccepted, protocol.OK), at(210))
	if got := fmt.Sprint(sentAt(s, 211, 400)); got != "[270 330 390]" {
		t.Errorf("once accepted at %s", got)
	}
	if _, late := s.Step(at(600)); len(late) != 1 || s.Open() != 0 {
		t.Errorf("at the end: %+v", late)
	}
}

// TestSenderDenied: a denial ends nothing; whoever reaches the broker can bring it about.
func TestSenderDenied(t *testing.T) {
	s, o := operator.NewSender(), order(1)
	if err := s.Add(o); err != nil {
		t.Fatal(err)
	}
	denied := answer(o, 0, protocol.StatusDenied, protocol.CodeSignature)
	if _, news := s.Observe(denied, at(1)); !news || s.Open() != 1 {
		t.Error("the first denial is no news, or ends it")
	}
	if _, news := s.Observe(denied, at(2)); news {
		t.Error("the same denial is news again")
	}
	if got := len(sentAt(s, 3, 20)); got == 0 {
		t.Error("nothing is sent after a denial")
	}
	if out, news := s.Observe(answer(o, 3, protocol.StatusDone, protocol.OK), at(30)); !news || !out.Over || s.Open() != 0 {
		t.Errorf("done: %+v", out)
	}
	if got := sentAt(s, 31, 300); got != nil {
		t.Errorf("published after the end at %v", got)
	}
	if err := s.Add(o); err == nil {
		t.Error("the same command twice")
	}
}

// TestSenderAnyOrder: answers in any order, repeated, of others: the one that says most
// stays, and no other bytes are ever published.
func TestSenderAnyOrder(t *testing.T) {
	t.Logf("seed %d", *seed)
	chance := rand.New(rand.NewPCG(*seed, 3))
	for range 300 {
		s, o := operator.NewSender(), order(1)
		if err := s.Add(o); err != nil {
			t.Fatal(err)
		}
		foreign := answer(o, 3, protocol.StatusError, protocol.CodeInternal)
		foreign.Gateway = "gw-2"
		tick := answer(o, 2, protocol.StatusStarted, protocol.OK)
		tick.Tick = 4
		all := []protocol.Answer{answer(o, 0, protocol.StatusDenied, protocol.CodeNonce), answer(o, 1, protocol.StatusAccepted, protocol.OK),
			answer(o, 2, protocol.StatusStarted, protocol.OK), tick, foreign, answer(order(2), 3, protocol.StatusDone, protocol.OK)}
		all = append(all, all...)
		chance.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		for i, a := range all {
			s.Observe(a, at(int64(i)))
			publish, _ := s.Step(at(int64(i)))
			if slices.ContainsFunc(publish, func(p operator.Order) bool { return string(p.Data) != "bytes" }) {
				t.Fatal("other bytes")
			}
		}
		if out := s.Outcomes()[0]; out.Over || out.Answer == nil || out.Answer.Tick != 4 {
			t.Fatalf("%+v", out)
		}
	}
}

// TestSenderGroup: what is signed once for several is published once for all of them, as
// long as one has not answered.
func TestSenderGroup(t *testing.T) {
	s := operator.NewSender()
	members := fleet(3)
	for _, name := range members {
		o := order(1)
		o.Gateway = name
		if err := s.Add(o); err != nil {
			t.Fatal(err)
		}
	}
	if got := fmt.Sprint(sentAt(s, 0, 10)); got != "[0 1 3 7]" {
		t.Errorf("published at %s", got)
	}
	for i, name := range members {
		a := answer(order(1), 3, protocol.StatusDone, protocol.OK)
		a.Gateway = name
		if out, news := s.Observe(a, at(11)); !news || !out.Over || s.Open() != 2-i {
			t.Errorf("%s: %+v, %d open", name, out, s.Open())
		}
		if got := sentAt(s, 15+int64(i)*200, 16+int64(i)*200); (got == nil) != (i == 2) {
			t.Errorf("with %d open it is sent at %v", s.Open(), got)
		}
	}
	a := answer(order(1), 3, protocol.StatusDone, protocol.OK)
	if a.Gateway = "gw-9"; s.Follows(a.ID, a.Gateway) {
		t.Error("a stranger is followed")
	}
	if _, news := s.Observe(a, at(12)); news {
		t.Error("a stranger's answer is news")
	}
}

func TestCounter(t *testing.T) {
	for name, c := range map[string]struct {
		have           operator.Counter
		epoch, seen, n uint64
		last           uint64
		err            error
	}{
		"the first":                      {operator.Counter{}, 1, 0, 1, 1, nil},
		"the next three":                 {operator.Counter{Epoch: 1, Last: 4}, 1, 0, 3, 7, nil},
		"a lost one goes on":             {operator.Counter{}, 1, 311, 1, 312, nil},
		"what is far ahead is a lie":     {operator.Counter{Epoch: 1, Last: 4}, 1, operator.CatchUpMax + 5, 1, 5, nil},
		"a new epoch":                    {operator.Counter{Epoch: 1, Last: 4}, 2, 0, 1, 1, nil},
		"an old keyring":                 {operator.Counter{Epoch: 2, Last: 4}, 1, 0, 1, 0, operator.ErrNumber},
		"there is an end to all numbers": {operator.Counter{Epoch: 1, Last: 1<<53 - 1}, 1, 0, 1, 0, operator.ErrNumber},
	} {
		got, err := c.have.Take(c.epoch, c.seen, c.n)
		if !errors.Is(err, c.err) || err == nil && (got.Last != c.last || got.Epoch != c.epoch) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestWaves(t *testing.T) {
	for text, want := range map[string]string{
		"1,5%,25%,100%": "[1 5 25 100]", "100%": "[100]", "1,1,1%,2": "[1 2]", "1000": "[100]", "7,3,50%": "[7 50]",
	} {
		w, err := operator.ParseWaves(text)
		if got := fmt.Sprint(operator.Ends(w, 100)); err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s", text, got, err, want)
		}
	}
	if w, _ := operator.ParseWaves("1,5%,25%,100%"); fmt.Sprint(operator.Ends(w, 3)) != "[1 3]" {
		t.Errorf("of three: %v", operator.Ends(w, 3))
	}
	if w, _ := operator.ParseWaves("5%"); fmt.Sprint(operator.Ends(w, 3)) != "[1]" {
		t.Errorf("5%% of three: %v", operator.Ends(w, 3))
	}
	for _, text := range []string{"", "0", "-1", "101%", "x", "1,,2", "5 %"} {
		if _, err := operator.ParseWaves(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
	up := func(name string) bool { return name > "gw-004" }
	got := operator.Spread("x", append(fleet(8), "gw-003"), up)
	if len(got) != 8 || slices.ContainsFunc(got[:3], func(n string) bool { return !up(n) }) || !slices.Equal(got, operator.Spread("x", fleet(8), up)) {
		t.Errorf("spread %v", got)
	}
}

func TestDiff(t *testing.T) {
	old := `{"a":1,"list":[{"name":"x","v":1},{"name":"y","v":2}],"gone":true,"deep":{"n":12345678901234567890}}`
	new := `{"a":2,"list":[{"name":"y","v":3},{"name":"z"}],"deep":{"n":12345678901234567890},"more":[1]}`
	got, err := operator.Diff([]byte(old), []byte(new))
	want := []string{"~ a: 1 -> 2", "- gone: true", `- list[x]: {"name":"x","v":1}`, "~ list[y].v: 2 -> 3", `+ list[z]: {"name":"z"}`, "+ more: [1]"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v", got, err)
	}
	if got, err := operator.Diff([]byte(old), []byte(old)); err != nil || len(got) != 0 {
		t.Errorf("the same: %q, %v", got, err)
	}
	if _, err := operator.Diff([]byte("{"), []byte(old)); err == nil {
		t.Error("not JSON")
	}
}
