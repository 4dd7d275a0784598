// Package strict reads and writes JSON that must mean one thing only. Two readers
// of the same bytes must not come to different conclusions, least of all when the
// bytes are signed.
//
//	bytes ─▶ size ─▶ UTF-8 ─▶ one walk over the tokens ────────▶ encoding/json ─▶ struct
//	                          depth · duplicates · exact names
//	                          no null · nothing behind the value
//
// encoding/json alone takes the last of two equal members, matches names without
// regard to case, and takes null for "leave it as it is". A signature over such a
// text says little about what it means. [Decode] refuses all of them.
//
// # Guarantees
//
//   - What [Decode] accepts has no repeated member anywhere, is nested at most
//     Limits.Depth deep, and nothing but white space stands before or after it.
//   - Every member of a struct is spelled exactly like its tag. An unknown one is
//     refused, or skipped when Limits.Unknown allows it.
//   - null is refused where the struct expects a value.
//   - An error names the place, like keys[3].roles, and the reason.
//   - Decode never panics, and uses memory in proportion to the size of its input.
//
// # Caveats
//
//   - A member that is absent leaves the zero value. Whoever needs it, asks for it.
//   - Members of json.RawMessage and any are checked for depth and repetitions, but
//     not for their names.
//   - The types that are decoded into have no embedded structs.
package strict
