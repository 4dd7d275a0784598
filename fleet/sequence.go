package fleet

import "slices"

// Range is a run of numbers, both ends included.
type Range struct {
	First uint64 `json:"first"`
	Last  uint64 `json:"last"`
}

// Len returns how many numbers there are in r.
func (r Range) Len() uint64 { return r.Last - r.First + 1 }

// sequence remembers which of the numbers 1, 2, 3 ... have been seen: all up to
// upto, and the islands beyond. It takes 16 bytes per hole, not per number.
//
// Invariant: islands are sorted, do not touch each other, nor upto.
type sequence struct {
	upto    uint64
	islands []Range
}

// has reports whether n was added.
func (s *sequence) has(n uint64) bool {
	if n <= s.upto {
		return true
	}
	i := s.search(n)
	return i < len(s.islands) && s.islands[i].First <= n
}

// search returns the first island that ends at n or beyond.
func (s *sequence) search(n uint64) int {
	i, _ := slices.BinarySearchFunc(s.islands, n, func(r Range, n uint64) int {
		if r.Last < n {
			return -1
		}
		return 1
	})
	return i
}

// opens reports whether adding n, which was not added yet, makes a new hole.
func (s *sequence) opens(n uint64) bool {
	if n == s.upto+1 {
		return false
	}
	i := s.search(n)
	before := i > 0 && s.islands[i-1].Last == n-1
	behind := i < len(s.islands) && s.islands[i].First-1 == n
	return !before && !behind
}

// add takes in n, which was not added yet.
func (s *sequence) add(n uint64) {
	i := s.search(n)
	if n == s.upto+1 {
		s.upto = n
	} else if i > 0 && s.islands[i-1].Last == n-1 {
		i--
		s.islands[i].Last = n
	} else {
		s.islands = slices.Insert(s.islands, i, Range{First: n, Last: n})
	}
	s.join(i)
}

// join closes the hole before island i+1, and before the first, if it is gone.
func (s *sequence) join(i int) {
	if i+1 < len(s.islands) && s.islands[i].Last == s.islands[i+1].First-1 {
		s.islands[i].Last = s.islands[i+1].Last
		s.islands = slices.Delete(s.islands, i+1, i+2)
	}
	if len(s.islands) > 0 && s.upto == s.islands[0].First-1 {
		s.upto = s.islands[0].Last
		s.islands = slices.Delete(s.islands, 0, 1)
	}
}

// highest returns the highest number that was added.
func (s *sequence) highest() uint64 {
	if n := len(s.islands); n > 0 {
		return s.islands[n-1].Last
	}
	return s.upto
}

// gaps returns what is missing below the highest.
func (s *sequence) gaps() []Range {
	var gaps []Range
	from := s.upto + 1
	for _, island := range s.islands {
		gaps = append(gaps, Range{First: from, Last: island.First - 1})
		from = island.Last + 1
	}
	return gaps
}
