package audit_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"edged/fleet/audit"
	"edged/stored"
)

var seed = flag.Uint64("seed", uint64(time.Now().UnixNano()), "seed of the random tests")

func text(random *rand.Rand) string {
	return []string{"", "ping", "ein Wört", "\x00\xff\"\\\n", strings.Repeat("long", 100), strings.Repeat("\u2028", 100)}[random.IntN(6)]
}

// log returns a chain of n entries and the heads before each line and at the end.
func log(random *rand.Rand, n int) (lines [][]byte, heads []audit.Head) {
	var h audit.Head
	for i := range n {
		heads = append(heads, h)
		counts := map[string]uint64{}
		for range random.IntN(20) {
			counts[fmt.Sprint("E_", random.IntN(30), text(random))] = random.Uint64()
		}
		lines = append(lines, h.Append(audit.Entry{
			Boot: random.Uint64(), Mono: int64(i), Kind: "command", Decision: text(random), ID: text(random), Op: text(random),
			Code: text(random), Actor: text(random), Holder: text(random), Digest: text(random), Note: text(random), Counts: counts,
		}))
	}
	return lines, append(heads, h)
}

// Every part of a chain verifies from its head to its head.
func TestVerify(t *testing.T) {
	t.Logf("seed %d", *seed)
	random := rand.New(rand.NewPCG(*seed, 1))
	lines, heads := log(random, 30)
	for from := range heads {
		for to := from; to < len(heads); to++ {
			got, err := audit.Verify(heads[from], bytes.Join(lines[from:to], nil))
			if err != nil || got != heads[to] {
				t.Fatalf("%d to %d: %v, %v, want %v", from, to, got, err, heads[to])
			}
		}
	}
	for i, line := range lines {
		if len(line) > audit.LineBytesMax+1 || bytes.Count(line, []byte("\n")) != 1 {
			t.Errorf("line %d: %q", i, line)
		}
	}
}

// Whatever is changed, left out, doubled, swapped or cut: it does not verify to
// the head that is known.
func TestTampering(t *testing.T) {
	t.Logf("seed %d", *seed)
	random := rand.New(rand.NewPCG(*seed, 2))
	for range 300 {
		lines, heads := log(random, 2+random.IntN(6))
		whole := bytes.Join(lines, nil)
		i := random.IntN(len(lines))
		var forged []byte
		switch random.IntN(6) {
		case 0: // one bit
			forged = bytes.Clone(whole)
			forged[random.IntN(len(forged))] ^= 1 << random.IntN(8)
		case 1:
			forged = bytes.Join(append(append([][]byte{}, lines[:i]...), lines[i+1:]...), nil)
		case 2:
			forged = bytes.Join(append(append(append([][]byte{}, lines[:i+1]...), lines[i]), lines[i+1:]...), nil)
		case 3:
			j := (i + 1) % len(lines)
			swapped := append([][]byte{}, lines...)
			swapped[i], swapped[j] = swapped[j], swapped[i]
			forged = bytes.Join(swapped, nil)
		case 4:
			forged = whole[:random.IntN(len(whole))]
		case 5: // an entry more
			h := heads[len(heads)-1]
			forged = append(bytes.Clone(whole), h.Append(audit.Entry{Kind: "command"})...)
		}
		if got, err := audit.Verify(audit.Head{}, forged); err == nil && got == heads[len(heads)-1] {
			t.Fatalf("it verifies:\n%s\nfor\n%s", forged, whole)
		} else if err != nil && !errors.Is(err, audit.ErrChain) {
			t.Fatal(err)
		}
	}
}

func TestHeadTexts(t *testing.T) {
	var h audit.Head
	for range 3 {
		got, err := audit.ParseHead(h.String())
		r := stored.Reader{Data: h.AppendBinary(nil)}
		if read := audit.ReadHead(&r); err != nil || got != h || read != h || r.Bad || len(r.Data) > 0 {
			t.Errorf("%v, %v, %v, want %v", got, err, read, h)
		}
		h.Append(audit.Entry{Kind: "command"})
	}
	for _, text := range []string{"", "1", "1:", "1:ab", "x" + h.String(), "0" + h.String(), strings.ToUpper(h.String()), h.String() + "00"} {
		if got, err := audit.ParseHead(text); err == nil {
			t.Errorf("%q became %v", text, got)
		}
	}
}

// Many codes are counted together, and none is lost.
func TestCounts(t *testing.T) {
	counts := map[string]uint64{}
	for i := range 20 {
		counts[fmt.Sprintf("E_%02d", i)] = uint64(i)
	}
	_, e, err := audit.Head{}.Next((&audit.Head{}).Append(audit.Entry{Counts: counts}))
	total := uint64(0)
	for _, n := range e.Counts {
		total += n
	}
	if err != nil || total != 190 || len(e.Counts) != audit.CountsMax || e.Counts["others"] == 0 {
		t.Errorf("%v, %v", e.Counts, err)
	}
}

// Only the line that was written follows.
func FuzzNext(f *testing.F) {
	var h audit.Head
	first := h.Append(audit.Entry{Kind: "command", Code: "OK"})
	f.Add(first)
	f.Add([]byte(`{"v":1,"n":1,"prev":"0000000000000000000000000000000000000000000000000000000000000000","new":{}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		next, e, err := audit.Head{}.Next(line)
		if err != nil {
			return
		}
		if next.N != 1 || e.N != 1 || next == h && string(bytes.TrimSuffix(line, []byte("\n"))) != string(bytes.TrimSuffix(first, []byte("\n"))) {
			t.Fatalf("%q leads to %v", line, next)
		}
	})
}
