// Package stored takes the bytes of a stored state apart, for all rooms that keep
// state. What the bytes mean is their business.
//
//	r := stored.Reader{Data: data}
//	n, name := r.Uvarint(), r.Text()
//	if r.Bad { ... }
//
// # Guarantees
//
//   - A Reader never panics and never reads behind its data, whatever the bytes are.
//   - After the first thing that is malformed it is Bad, and everything read is zero.
//
// # Caveats
//
//   - Varints are accepted in longer forms than the shortest one.
package stored
