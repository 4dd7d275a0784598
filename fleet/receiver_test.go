package fleet_test

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"edged/fleet"
)

var seed = flag.Uint64("seed", uint64(time.Now().UnixNano()), "seed of the random tests")

// result is a payload as edged publishes it.
func result(gateway string, seq uint64, id, rest string) []byte {
	return fmt.Appendf(nil, `{"device":"d1","start":0,"end":10000,"sum":%q,"pane":"on_time","index":0,"id":%q,"seq":%d,"gateway":%q}`, rest, id, seq, gateway)
}

// dumb is a receiver that keeps everything and searches it all.
type dumb struct {
	seqs []uint64
	ids  []string
	rest []string
}

func (d *dumb) take(seq uint64, id, rest string) fleet.Verdict {
	bySeq, byID := -1, -1
	for i := range d.seqs {
		if d.seqs[i] == seq {
			bySeq = i
		}
		if d.ids[i] == id {
			byID = i
		}
	}
	verdict := fleet.Applied
	switch {
	case byID >= 0 && d.seqs[byID] != seq:
		verdict = fleet.Reissue
	case byID >= 0 && d.rest[byID] != rest:
		return fleet.Conflict
	case byID >= 0:
		return fleet.Repeat
	case bySeq >= 0:
		return fleet.Conflict
	}
	if verdict == fleet.Reissue && bySeq >= 0 {
		return verdict
	}
	if verdict == fleet.Reissue {
		id = fmt.Sprint("reissued ", seq) // the number is used up, the id is not
	}
	d.seqs, d.ids, d.rest = append(d.seqs, seq), append(d.ids, id), append(d.rest, rest)
	return verdict
}

// missing lists all holes one by one.
func (d *dumb) missing() (missing []uint64) {
	for n := uint64(1); len(d.seqs) > 0 && n < slices.Max(d.seqs); n++ {
		if !slices.Contains(d.seqs, n) {
			missing = append(missing, n)
		}
	}
	return missing
}

func TestReceiverAgainstDumbOne(t *testing.T) {
	t.Logf("seed %d", *seed)
	random := rand.New(rand.NewPCG(*seed, 2))
	for range 300 {
		r := fleet.NewReceiver(fleet.Config{})
		want := &dumb{}
		span := 1 + random.Uint64N(60)
		for range random.IntN(150) {
			seq := 1 + random.Uint64N(span)
			id, rest := fmt.Sprint("id", seq), "x"
			switch random.IntN(30) {
			case 0:
				rest = "y"
			case 1:
				id = fmt.Sprint("id", 1+random.Uint64N(span))
			}
			got, err := r.Take("s", result("g", seq, id, rest))
			if verdict := want.take(seq, id, rest); err != nil || got.Verdict != verdict {
				t.Fatalf("seq %d id %s: %v, %v, want %v", seq, id, got.Verdict, err, verdict)
			}
			checkStream(t, r, want)
		}
	}
}

func checkStream(t *testing.T, r *fleet.Receiver, want *dumb) {
	t.Helper()
	s := r.Streams()[0]
	var missing []uint64
	for _, gap := range s.Gaps {
		for n := gap.First; n <= gap.Last; n++ {
			missing = append(missing, n)
		}
	}
	upto := uint64(0)
	for slices.Contains(want.seqs, upto+1) {
		upto++
	}
	if !slices.Equal(missing, want.missing()) || s.Highest != slices.Max(want.seqs) || s.Upto != upto {
		t.Fatalf("%+v, want %d missing %v of %v", s, upto, want.missing(), want.seqs)
	}
	if (r.Check() == nil) != (len(missing) == 0 && s.Defects == 0) {
		t.Fatalf("check says %v, stream %+v", r.Check(), s)
	}
}

// TestReceiverShuffled checks that any order of arrival ends in the same place.
func TestReceiverShuffled(t *testing.T) {
	t.Logf("seed %d", *seed)
	random := rand.New(rand.NewPCG(*seed, 3))
	for range 50 {
		n := 1 + random.IntN(500)
		order := random.Perm(n)
		order = append(order, order[:random.IntN(n)]...)
		random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		r := fleet.NewReceiver(fleet.Config{IDsMax: random.IntN(20)})
		for _, i := range order {
			if _, err := r.Take("s", result("g", uint64(i+1), fmt.Sprint(i), "x")); err != nil {
				t.Fatal(err)
			}
		}
		s := r.Streams()[0]
		if s.Upto != uint64(n) || s.Applied != uint64(n) || s.Repeats != uint64(len(order)-n) || r.Check() != nil {
			t.Fatalf("%+v of %d in %d: %v", s, n, len(order), r.Check())
		}
	}
}

func TestReceiverVerdicts(t *testing.T) {
	type step struct {
		payload []byte
		want    fleet.Verdict
	}
	one := result("g", 1, "a", "x")
	for name, test := range map[string]struct {
		cfg   fleet.Config
		steps []step
		check []string
	}{
		"repeat":                       {fleet.Config{}, []step{{one, fleet.Applied}, {one, fleet.Repeat}}, nil},
		"same id, other bytes":         {fleet.Config{}, []step{{one, fleet.Applied}, {result("g", 1, "a", "y"), fleet.Conflict}}, []string{"conflict: seq 1, id a"}},
		"same seq, other id":           {fleet.Config{}, []step{{one, fleet.Applied}, {result("g", 1, "b", "x"), fleet.Conflict}}, []string{"conflict: seq 1, id b"}},
		"same id, other seq":           {fleet.Config{}, []step{{one, fleet.Applied}, {result("g", 2, "a", "x"), fleet.Reissue}}, []string{"reissue: seq 2, id a"}},
		"gap":                          {fleet.Config{}, []step{{result("g", 3, "c", ""), fleet.Applied}, {result("g", 7, "g", ""), fleet.Applied}}, []string{"1 to 2 are missing", "4 to 6 are missing"}},
		"another gateway":              {fleet.Config{}, []step{{one, fleet.Applied}, {result("h", 1, "a", "x"), fleet.Applied}}, nil},
		"forgotten":                    {fleet.Config{IDsMax: 1}, []step{{one, fleet.Applied}, {result("g", 2, "b", ""), fleet.Applied}, {one, fleet.Repeat}}, nil},
		"forgotten, other bytes":       {fleet.Config{IDsMax: 1}, []step{{one, fleet.Applied}, {result("g", 2, "b", ""), fleet.Applied}, {result("g", 1, "z", ""), fleet.Repeat}}, nil},
		"bounded, conflict remembered": {fleet.Config{IDsMax: 1}, []step{{one, fleet.Applied}, {result("g", 1, "z", ""), fleet.Conflict}}, []string{"conflict: seq 1, id z"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := fleet.NewReceiver(test.cfg)
			for i, step := range test.steps {
				if got, err := r.Take("s", step.payload); err != nil || got.Verdict != step.want {
					t.Errorf("payload %d: %v, %v, want %v", i, got.Verdict, err, step.want)
				}
			}
			var got []string
			if err := r.Check(); err != nil {
				got = strings.Split(err.Error(), "\n")
			}
			if len(got) != len(test.check) {
				t.Fatalf("check: %q, want %q", got, test.check)
			}
			for i := range got {
				if !strings.HasSuffix(got[i], test.check[i]) || !strings.Contains(got[i], `stream "s" of gateway "g"`) {
					t.Errorf("check: %q, want %q", got[i], test.check[i])
				}
			}
		})
	}
}

// TestReceiverForgetsTheOldest tells what is remembered by other bytes: they are
// a conflict with what is known and a repeat of what is forgotten.
func TestReceiverForgetsTheOldest(t *testing.T) {
	const kept = 3
	for n := uint64(1); n < 12; n++ {
		for probe := uint64(1); probe <= n; probe++ {
			r := fleet.NewReceiver(fleet.Config{IDsMax: kept})
			for seq := uint64(1); seq <= n; seq++ {
				if _, err := r.Take("s", result("g", seq, fmt.Sprint(seq), "x")); err != nil {
					t.Fatal(err)
				}
			}
			want := fleet.Conflict
			if probe+kept <= n {
				want = fleet.Repeat
			}
			if got, err := r.Take("s", result("g", probe, fmt.Sprint(probe), "y")); err != nil || got.Verdict != want {
				t.Errorf("%d of %d: %v, %v, want %v", probe, n, got.Verdict, err, want)
			}
		}
	}
}

func TestReceiverLimits(t *testing.T) {
	r := fleet.NewReceiver(fleet.Config{StreamsMax: 1, GapsMax: 2})
	take := func(stream string, seq uint64) error {
		_, err := r.Take(stream, result("g", seq, fmt.Sprint(seq), ""))
		return err
	}
	for _, seq := range []uint64{2, 4} {
		if err := take("s", seq); err != nil {
			t.Fatal(err)
		}
	}
	if err := take("s", 6); !errors.Is(err, fleet.ErrLimit) {
		t.Errorf("third gap: %v", err)
	}
	if err := take("t", 1); !errors.Is(err, fleet.ErrLimit) {
		t.Errorf("second stream: %v", err)
	}
	for _, seq := range []uint64{5, 3, 1, 6} { // none opens a gap
		if err := take("s", seq); err != nil {
			t.Errorf("seq %d: %v", seq, err)
		}
	}
	if s := r.Streams()[0]; s.Upto != 6 || s.OutOfOrder != 2 {
		t.Errorf("%+v", s)
	}
}

func TestReceiverCountsAllDefects(t *testing.T) {
	r := fleet.NewReceiver(fleet.Config{})
	for i := range uint64(100) {
		if _, err := r.Take("s", result("g", 2*i+2, "same", "")); err != nil {
			t.Fatal(err)
		}
	}
	text := r.Check().Error()
	if n := strings.Count(text, "\n") + 1; n != 2*fleet.DefectsKept+2 || !strings.Contains(text, "80 more gaps") || !strings.Contains(text, "79 more defects") {
		t.Errorf("%d lines:\n%s", n, text)
	}
}

func TestReceiverRefuses(t *testing.T) {
	r := fleet.NewReceiver(fleet.Config{})
	long := strings.Repeat("x", 300)
	for _, payload := range []string{
		"", "{", "[]", "1", "null", `{}`, `{"id":"a","seq":1}`, `{"id":"a","gateway":"g"}`, `{"seq":1,"gateway":"g"}`,
		`{"id":"a","seq":0,"gateway":"g"}`, `{"id":"a","seq":-1,"gateway":"g"}`, `{"id":"a","seq":1.5,"gateway":"g"}`,
		`{"id":"a","seq":"1","gateway":"g"}`, `{"id":"a","seq":18446744073709551616,"gateway":"g"}`,
		`{"id":1,"seq":1,"gateway":"g"}`, `{"id":"","seq":1,"gateway":"g"}`, `{"id":"a","seq":1,"gateway":null}`,
		`{"id":"` + long + `","seq":1,"gateway":"g"}`, `{"id":"a","seq":1,"gateway":"` + long + `"}`, "{\"id\":\"\xff\",\"seq\":1,\"gateway\":\"g\"}",
	} {
		if got, err := r.Take("s", []byte(payload)); !errors.Is(err, fleet.ErrEnvelope) {
			t.Errorf("%s: %+v, %v", payload, got, err)
		}
	}
	if len(r.Streams()) != 0 {
		t.Error("a refused payload left a trace")
	}
	if got, err := r.Take("s", []byte(`{"id":"a","seq":18446744073709551615,"gateway":"g"}`)); err != nil || got.Seq != 1<<64-1 {
		t.Errorf("the last number of all: %+v, %v", got, err)
	}
}

// FuzzReceiver feeds arbitrary payloads twice: the second time must be a repeat.
func FuzzReceiver(f *testing.F) {
	f.Add(result("g", 1, "a", "x"), result("g", 2, "b", "x"))
	f.Add(result("g", 1<<64-1, "a", "x"), result("g", 1<<64-2, "b", "x"))
	f.Add([]byte(`{"id":"\u0061","seq":1e0,"gateway":"g"}`), []byte(`{"id":1}`))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		r := fleet.NewReceiver(fleet.Config{IDsMax: 1})
		for _, payload := range [][]byte{a, b, a} {
			got, err := r.Take("s", payload)
			if err != nil {
				if !errors.Is(err, fleet.ErrEnvelope) {
					t.Fatalf("%q: %v", payload, err)
				}
				continue
			}
			if again, err := r.Take("s", payload); err != nil || again.Verdict == fleet.Applied || got.Verdict == fleet.Applied && again.Verdict != fleet.Repeat {
				t.Fatalf("%q: %v, then %v, %v", payload, got.Verdict, again.Verdict, err)
			}
		}
		r.Check()
	})
}

func BenchmarkTake(b *testing.B) {
	for _, ids := range []int{0, 1000} {
		b.Run(fmt.Sprint("ids=", ids), func(b *testing.B) {
			r := fleet.NewReceiver(fleet.Config{IDsMax: ids})
			var seq uint64
			b.ReportAllocs()
			for b.Loop() {
				seq++
				if _, err := r.Take("s", result("g", seq, fmt.Sprint(seq), "x")); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
