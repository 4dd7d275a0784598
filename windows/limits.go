package windows

// OpenMaxDefault is the number of windows that one key may have open unless
// the [Spec] says otherwise.
const OpenMaxDefault = 1024

// openMax returns the limit with its default.
func (s *Spec) openMax() int {
	if s.OpenMax == 0 {
		return OpenMaxDefault
	}
	return s.OpenMax
}
