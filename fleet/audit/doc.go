// Package audit chains the entries of a log, so that none can be changed, left
// out or added without it showing.
//
//	line 1 ──sha256──▶ prev of line 2 ──sha256──▶ prev of line 3 ... ──▶ Head{N, Hash}
//	{"v":1,"n":1,"prev":"000…"}                                            told to others:
//	                                                                       now it binds
//
// An entry is one line of JSON (NDJSON):
//
//	{"v":1,"n":12,"prev":HEX64,"boot":3,"mono_ms":93211,"floor_ms":1790000000000,
//	 "keyring":5,"kind":"command","decision":"denied","code":"E_ROLE","id":"01JD...",
//	 "op":"engine.restart","actor":KEYID,"holder":"alice","digest":HEX64,
//	 "counts":{"E_SIGNATURE":40},"note":"..."}
//
//	member      meaning
//	n, prev     number from 1 without holes; SHA-256 of the line before without its line
//	            feed, zeros for the first
//	boot        counts starts of the process; mono_ms is the time since this one
//	floor_ms    what time it is at least, in milliseconds since the Unix epoch; 0: unknown.
//	            The wall clock of a gateway proves nothing, so no entry has it
//	keyring     version of the keyring that was decided by
//	kind        command, desired, keyring, time (denied beacons only), or denials
//	decision    accepted, started, done, failed, interrupted, rejected, denied
//	code        why; see package protocol
//	actor       key id of who signed, and its holder
//	digest      SHA-256 of the payload that was signed
//	counts      kind denials: how often which code was not written down by itself
//
// # Guarantees
//
//   - [Verify] succeeds only for lines that follow each other, from the head it is
//     given to the head it returns. Two logs with the same head are the same.
//   - Equal entries after equal heads give equal bytes.
//   - A line has at most [LineBytesMax] bytes, whatever texts go into it.
//
// # Caveats
//
//   - Whoever can write the file can write another chain, or cut this one short. It
//     shows only to those who know the head: publish it, as reported.audit does.
//   - The beginning may be dropped, if the head where the rest begins is kept.
package audit
