package operator_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"edged/fleet/operator"
	"edged/windows/zones"
)

// inText reports whether a time is in a window, by comparing texts. Days of ranges are
// written out.
func inText(window string, at int64) bool {
	fields := strings.Fields(strings.NewReplacer("Mon-Fri", "Mon,Tue,Wed,Thu,Fri").Replace(window))
	zone, err := zones.Load(fields[2])
	if err != nil {
		panic(err)
	}
	from, to, _ := strings.Cut(fields[1], "-")
	t := time.UnixMilli(at).In(zone)
	clock, day := t.Format("15:04"), t.Format("Mon")
	y, m, d := t.Date()
	before := time.Date(y, m, d-1, 12, 0, 0, 0, zone).Format("Mon")
	if from < to {
		return strings.Contains(fields[0], day) && from <= clock && clock < to
	}
	return strings.Contains(fields[0], day) && from <= clock || strings.Contains(fields[0], before) && clock < to
}

func TestWindowTable(t *testing.T) {
	for _, c := range []struct {
		window string
		open   string // as in 2026-11-30T00:00:00Z
		shut   string
	}{
		{"Mon-Fri 01:00-04:00 Europe/Berlin", "2026-11-30T00:00:00Z 2026-12-04T02:59:59Z", "2026-11-29T23:59:59Z 2026-11-30T03:00:00Z 2026-11-29T01:00:00Z"},
		{"Fri 22:00-02:00 UTC", "2026-12-04T22:00:00Z 2026-12-05T01:59:59Z", "2026-12-05T02:00:00Z 2026-12-04T01:00:00Z 2026-12-05T22:30:00Z"},
		{"Sat-Mon,Wed 00:00-24:00 UTC", "2026-11-28T00:00:00Z 2026-11-30T23:59:59Z 2026-12-02T12:00:00Z", "2026-12-01T00:00:00Z 2026-12-03T00:00:00Z"},
		{"12:00-13:00 America/New_York", "2026-12-01T17:30:00Z 2026-07-01T16:30:00Z", "2026-07-01T17:30:00Z"},
		{"Sun 02:00-03:00 Europe/Berlin", "2026-10-25T00:30:00Z 2026-10-25T01:30:00Z", "2026-10-25T02:00:00Z 2026-03-29T00:30:00Z 2026-03-29T01:30:00Z"},
		{"Mon 05:00-05:00 UTC", "2026-11-30T05:00:00Z 2026-12-01T04:59:00Z", "2026-12-01T05:00:00Z"},
	} {
		w, err := operator.ParseWindow(c.window)
		if err != nil {
			t.Error(err)
			continue
		}
		for text, want := range map[string]bool{c.open: true, c.shut: false} {
			for word := range strings.FieldsSeq(text) {
				at, err := time.Parse(time.RFC3339, word)
				if err != nil {
					t.Fatal(err)
				}
				if w.Open(at.UnixMilli()) != want {
					t.Errorf("%s at %s: open %v", c.window, word, !want)
				}
			}
		}
	}
	for _, text := range []string{
		"", "Mon", "Mon 01:00-02:00", "Mon 01:00 UTC", "Mon 1:00-02:00 UTC", "Mon 01:00-25:00 UTC", "Mon 24:00-01:00 UTC", "Mon 01:60-02:00 UTC", "Mo 01:00-02:00 UTC",
		"Mon- 01:00-02:00 UTC", "Mon,,Tue 01:00-02:00 UTC", "Mon 01:00-02:00 Europe/Nowhere", "Mon 01:00-02:00 Local", "Mon 01:00-02:00 UTC x", "Mon +1:00-02:00 UTC",
		"Mon 01:00-02:00 " + strings.Repeat("x", 200),
	} {
		if _, err := operator.ParseWindow(text); !errors.Is(err, operator.ErrWindow) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestWindowAgainstText compares random windows at random times with an oracle, in zones
// with clock changes.
func TestWindowAgainstText(t *testing.T) {
	t.Logf("seed %d", *seed)
	chance := rand.New(rand.NewPCG(*seed, 7))
	all := []string{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"}
	for range 300 {
		days := all[chance.IntN(7)]
		for chance.IntN(2) == 0 {
			days += "," + all[chance.IntN(7)]
		}
		text := fmt.Sprintf("%s %02d:%02d-%02d:%02d %s", days, chance.IntN(24), chance.IntN(60), chance.IntN(24), chance.IntN(60),
			[]string{"UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"}[chance.IntN(5)])
		w, err := operator.ParseWindow(text)
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			at := at(0) + chance.Int64N(400*24*3600)*second
			if got, want := w.Open(at), inText(text, at); got != want {
				t.Fatalf("%s at %v: open %v", text, time.UnixMilli(at).UTC(), got)
			}
		}
	}
}

// TestRolloutWindow: what is outside waits, says until when, also in a new life; what is
// inside goes.
func TestRolloutWindow(t *testing.T) {
	r := begin(t, plan("1,100%", func(p *operator.Policy) { p.Windows = []string{"Tue 01:00-02:00 UTC"} }), fleet(3))
	opens := time.Date(2026, 9, 22, 1, 0, 0, 0, time.UTC).UnixMilli() // a Tuesday
	for life := range 2 {
		e := r.Step(at(int64(life)))
		if len(e.Publish) != 0 || len(e.Events) != 1 || e.Events[0].Kind != operator.EventClosed || e.Events[0].Message != "Tue 2026-09-22 01:00 UTC" {
			t.Errorf("outside: %+v", e)
		}
		if e := r.Step(at(int64(life + 1))); len(e.Events) != 0 {
			t.Errorf("said again: %+v", e)
		}
		if s := r.Snapshot(); s.Opens(at(0)) != opens || s.Opens(opens) != 0 {
			t.Errorf("opens at %d, want %d", s.Opens(at(0)), opens)
		}
		data, err := r.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if r, err = operator.Restore(data); err != nil {
			t.Fatal(err)
		}
	}
	if e := r.Step(opens - 1); len(e.Publish) != 0 {
		t.Errorf("just before: %+v", e)
	}
	if e := r.Step(opens); len(e.Publish) != 1 {
		t.Errorf("when it opens: %+v", e)
	}
	r.Observe("gw-000", applied, opens+second)
	r.Step(opens + 2*second)
	if e := r.Step(opens + 3600*second); r.Snapshot().Waves != 1 || len(e.Events) != 1 || e.Events[0].Kind != operator.EventClosed {
		t.Errorf("when it has shut: %+v", e)
	}
	week := int64(7 * 24 * 3600)
	if e := r.Step(opens + week*second); len(e.Publish) != 2 || e.Events[0].Kind != operator.EventOpen {
		t.Errorf("a week later: %+v", e)
	}
}

// TestRolloutRate: so many in a minute, more with each wave, in a new life as well, and
// not more when the clock is set back.
func TestRolloutRate(t *testing.T) {
	rate, err := operator.ParseRate("2/min")
	if err != nil {
		t.Fatal(err)
	}
	rate.Growth = 3
	r := begin(t, plan("3,100%", func(p *operator.Policy) { p.Rate, p.Bake = &rate, 0 }), fleet(12))
	released := func(now int64, want int) {
		t.Helper()
		for _, m := range r.Snapshot().Members {
			if m.Status == operator.MemberReleased {
				r.Observe(m.Gateway, applied, at(now))
			}
		}
		r.Step(at(now))
		data, err := r.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if r, err = operator.Restore(data); err != nil {
			t.Fatal(err)
		}
		for _, name := range fleet(12)[:want] {
			r.Observe(name, applied, at(now))
		}
		p := r.Progress()
		if n := p.Members - p.Waiting; n != want {
			t.Fatalf("%d were released at %d, want %d", n, now, want)
		}
	}
	released(0, 2)
	released(59, 2)
	released(-30, 2) // the clock was set back: the minute begins anew
	released(29, 2)
	released(30, 3)
	released(31, 8) // the first wave is through, and six a minute may go
	released(89, 8)
	released(90, 9)
	released(91, 12)
	for _, text := range []string{"", "2", "0/min", "-1/min", "10001/min", "1/h", "x/min"} {
		if _, err := operator.ParseRate(text); err == nil {
			t.Errorf("%q is a rate", text)
		}
	}
}

// TestRolloutRefresh: who has the version is told again every hour, with a refresh that
// rises, if the document has promised it.
func TestRolloutRefresh(t *testing.T) {
	s := plan("2,100%", func(p *operator.Policy) { p.Bake = 0 })
	s.Document.Refresh, s.Document.Signed = 1, at(0)
	r := begin(t, s, fleet(5))
	have := func(refresh uint64) operator.Facts { f := same; f.Refresh = refresh; return f }
	for i, name := range fleet(5) {
		f := online
		if i < 2 {
			f = have(1)
		}
		r.Observe(name, f, at(0))
		r.Step(at(0))
	}
	r.Step(at(1))
	r.Observe("gw-002", away, at(2))    // it misses nothing while it is away
	r.Observe("gw-003", newer, at(2))   // somebody else has sent it another one
	r.Observe("gw-004", other, at(2))   // the same version with another content
	r.Observe("gw-001", have(9), at(2)) // this copy of the snapshot is an old one
	r.Step(at(3))
	if e := r.Step(at(3599)); len(e.Publish) != 0 || r.Document().Refresh != 1 {
		t.Errorf("before its time: %+v", e)
	}
	if e := r.Step(at(3600)); fmt.Sprint(e.Publish) != "[gw-000 gw-001]" || !e.Changed || r.Document().Refresh != 10 {
		t.Errorf("after an hour: %+v, refresh %d", e, r.Document().Refresh)
	}
	if e := r.Step(at(3601)); len(e.Publish) != 0 {
		t.Errorf("again: %+v", e)
	}
	r.Observe("gw-002", have(1<<40), at(3602)) // out of reach: not believed
	if e := r.Step(at(7200)); fmt.Sprint(e.Publish) != "[gw-000 gw-001 gw-002]" || r.Document().Refresh != 11 {
		t.Errorf("after two: %+v, refresh %d", e, r.Document().Refresh)
	}
	if e := r.Step(at(10)); len(e.Publish) != 3 || r.Document().Refresh != 12 { // the clock was set back
		t.Errorf("set back: %+v", e)
	}
}

// TestRolloutRefreshOnce: by hand, also where nothing was promised, and with another key.
func TestRolloutRefreshOnce(t *testing.T) {
	r := begin(t, plan("100%", nil), fleet(2))
	if have := r.Refresh("k", 3, at(0)); have != nil || r.Document().Refresh != 0 {
		t.Errorf("nobody has it: %v", have)
	}
	r.Observe("gw-000", online, at(0))
	r.Step(at(0))
	r.Observe("gw-000", taken, at(0))
	r.Step(at(1))
	for now := range int64(5) {
		if e := r.Step(at(now * 3600)); len(e.Publish) != 0 {
			t.Errorf("nothing was promised: %+v", e)
		}
	}
	if have := r.Refresh("k", 3, at(20000)); fmt.Sprint(have) != "[gw-000]" {
		t.Errorf("told %v", have)
	}
	if d := r.Document(); d.Refresh != 1 || d.Issuer != "k" || d.Keyring != 3 || d.Version != 7 {
		t.Errorf("%+v", d)
	}
	if e := r.Step(at(20001)); !e.Changed {
		t.Error("a refresh is not stored")
	}
}
