package equality_test

import (
	"testing"
	"time"

	"edged/internal/equality"
)

// TestBounded: an input that ends, with epochs, batches, sweeps and passivation as
// they come, gives the rows of the plain fold, and those of any other such run.
func TestBounded(t *testing.T) {
	r := newRand(t)
	rows := 0
	for _, c := range cases(t) {
		for range *long {
			inputs := c.Inputs(r, 250)
			w := newWorld(t, r, c, inputs)
			w.broker.bounded = true
			store := w.open(t.TempDir())
			w.live(store, w.config(false), -1, 0)
			if err := store.Close(); err != nil {
				t.Fatal(err)
			}
			w.judge("bounded")
			pipelines, streams, err := c.Pipelines()
			if err != nil {
				t.Fatal(err)
			}
			fold := equality.NewFold(pipelines)
			fold.Take(equality.Journal(c.Tables, inputs, true), true)
			for _, name := range streams {
				want := fold.Rows(name)
				if len(c.Tables) > 0 {
					// Where a sweep begins tables are journaled again, and take a number.
					for i := range want {
						want[i].Payload = []byte(bare(want[i].Payload))
						w.streams[name].rows[i].Payload = []byte(bare(w.streams[name].rows[i].Payload))
					}
				}
				same(t, c.Name+": planned journal: stream "+name, w.streams[name], want)
				rows += len(w.streams[name].rows)
				if len(w.streams[name].rows) == 0 {
					t.Logf("%s: no rows in %s", c.Name, name)
				}
			}
		}
	}
	t.Logf("%d rows", rows)
}

// TestLives: engines whose power fails at any commit, on a real store whose journal
// is cut, and whose broker sends again what was not acknowledged, give together the
// rows and states of one that never failed.
func TestLives(t *testing.T) {
	r := newRand(t)
	lives, swept, again := 0, 0, 0
	for _, c := range cases(t) {
		rounds := *long
		if len(c.Tables) > 0 {
			rounds *= 4 // tables are lost only by a few of all ways to fail
		}
		for range rounds {
			w := newWorld(t, r, c, c.Inputs(r, 200))
			w.reloads = true
			dir := t.TempDir()
			for w.broker.acked < len(w.broker.messages) {
				left := -1
				if w.lives < 8 {
					left = 1 + r.IntN(25)
				}
				store := w.open(dir)
				w.live(store, w.config(false), left, 0)
				if err := store.Close(); err != nil {
					t.Fatal(err)
				}
			}
			w.settle(dir, false)
			w.judgeStates(dir, w.judge("lives"))
			lives, swept = lives+w.lives, swept+w.swept
			for _, u := range w.streams {
				again += u.again
			}
		}
	}
	t.Logf("%d lives, %d complete sweeps, %d rows sent again", lives, swept, again)
	if swept == 0 || again == 0 {
		t.Error("too little happened for this test to fail")
	}
}

// settle lets one more engine come up and end cleanly, so that the last rows are
// delivered and all states stored, also when the power failed after the last message.
func (w *world) settle(dir string, ticks bool) {
	w.t.Helper()
	store := w.open(dir)
	cfg := w.config(ticks)
	w.idle(store, cfg)
	if err := store.Close(); err != nil {
		w.t.Fatal(err)
	}
}

// judgeStates compares the stored states with those of the fold.
func (w *world) judgeStates(dir string, fold *equality.Fold) {
	w.t.Helper()
	store := w.open(dir)
	defer store.Close()
	for id, want := range fold.States() {
		snap, found, err := store.Snapshot(id[0], id[1])
		if err != nil || !found || string(snap.State) != want {
			w.t.Fatalf("%s: state of %q (found %t, %v)\n got %x\nwant %x", w.c.Name, id, found, err, snap.State, want)
		}
	}
}

// TestTicks: real time passes, triggers and silence take their ticks from it, and
// engines fail; what comes out is the plain fold over what was journaled.
func TestTicks(t *testing.T) {
	r := newRand(t)
	causes := map[string]int{}
	for _, c := range cases(t) {
		if c.Name != "ticks" {
			continue
		}
		for range 3 * *long {
			w := newWorld(t, r, c, c.Inputs(r, 300))
			w.broker.pace = 700 * time.Microsecond
			dir := t.TempDir()
			for w.broker.acked < len(w.broker.messages) {
				left := -1
				if w.lives < 6 {
					left = 1 + r.IntN(60)
				}
				store := w.open(dir)
				w.live(store, w.config(true), left, 30*time.Millisecond)
				if err := store.Close(); err != nil {
					t.Fatal(err)
				}
			}
			w.settle(dir, true)
			w.judgeStates(dir, w.judge("ticks"))
			for _, rec := range w.journal {
				causes[string('0'+rune(rec.Kind))]++
			}
		}
	}
	t.Logf("records by kind %v", causes)
	if causes["2"] < 50 {
		t.Error("too little happened for this test to fail")
	}
}
