package command

import (
	"flag"
	"math/rand/v2"
	"testing"
)

// The window agrees with a list of everything that was used.
func TestWindowAgainstList(t *testing.T) {
	seed := flag.Lookup("seed").Value.(flag.Getter).Get().(uint64)
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 20))
	const jump = 5000
	for range 100 {
		first := 1 + random.Uint64N(3000)
		w := introduce(first)
		list, highest := map[uint64]bool{first: true}, first
		for range 300 {
			n := highest + random.Uint64N(2*jump)
			switch random.IntN(4) {
			case 0:
				n = highest + 1 + random.Uint64N(70)
			case 1, 2:
				n = highest - min(highest-1, random.Uint64N(1100))
			}
			want := fresh
			switch {
			case n > highest && n-highest > jump:
				want = far
			case n <= first || list[n] || n+WindowBits <= highest:
				want = used
			}
			if got := w.check(n, jump); got != want {
				t.Fatalf("%d with highest %d, first %d: %d, want %d", n, highest, first, got, want)
			}
			if want == fresh {
				w.mark(n)
				list[n], highest = true, max(highest, n)
			}
		}
	}
}

// In any stretch of time a bucket gives no more than its rate and its burst, and
// never less than that when it is asked all the time.
func TestBucketAgainstCount(t *testing.T) {
	seed := flag.Lookup("seed").Value.(flag.Getter).Get().(uint64)
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 21))
	for range 200 {
		r := rate{mills: 1 + random.Int64N(20_000), burst: 1 + random.Int64N(20)}
		var b bucket
		now, given := Monotonic(0), int64(0)
		for range 500 {
			now += Monotonic(random.Int64N(300))
			for range random.IntN(4) {
				if b.take(now, r) {
					given++
				}
			}
			if most := r.burst + int64(now)*r.mills/1_000_000 + 1; given > most {
				t.Fatalf("%d at %d of %+v, at most %d", given, now, r, most)
			}
		}
		now += 1 << 60
		for i := range r.burst + 1 {
			if b.take(now, r) != (i < r.burst) {
				t.Fatalf("after a long time token %d of %+v", i, r)
			}
		}
	}
}
