package command

// WindowBits is how far below the highest number a command may be and still come
// for the first time.
const WindowBits = 1024

// window remembers which numbers of a key were used: as that of IPsec (RFC 4303
// section 3.4.3), only larger.
//
// Invariant: bit i of used stands for highest-i; what is further below counts as
// used.
type window struct {
	highest uint64
	used    [WindowBits / 64]uint64
}

// number says what a window thinks of a number.
type number uint8

const (
	fresh number = iota
	used         // or so old that nobody knows
	far          // further ahead than allowed
)

// introduce returns the window of a key whose first number is n. What is below is
// used: it may have been, in a life that this state knows nothing of.
func introduce(n uint64) *window {
	w := &window{highest: n}
	for i := range w.used {
		w.used[i] = ^uint64(0)
	}
	return w
}

// check says whether n may be used.
func (w *window) check(n, jumpMax uint64) number {
	switch {
	case n > w.highest && n-w.highest > jumpMax:
		return far
	case n > w.highest:
		return fresh
	case w.highest-n >= WindowBits:
		return used
	}
	below := w.highest - n
	if w.used[below/64]&(1<<(below%64)) != 0 {
		return used
	}
	return fresh
}

// mark notes that n, which was fresh, is used.
func (w *window) mark(n uint64) {
	if n > w.highest {
		w.shift(n - w.highest)
		w.highest = n
	}
	below := w.highest - n
	w.used[below/64] |= 1 << (below % 64)
}

// shift moves all bits up by n.
func (w *window) shift(n uint64) {
	if n >= WindowBits {
		clear(w.used[:])
		return
	}
	words, bits := int(n/64), n%64
	for i := len(w.used) - 1; i >= 0; i-- {
		word := uint64(0)
		if i >= words {
			word = w.used[i-words] << bits
		}
		if bits > 0 && i > words {
			word |= w.used[i-words-1] >> (64 - bits)
		}
		w.used[i] = word
	}
}
