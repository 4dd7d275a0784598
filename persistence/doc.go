// Package persistence keeps what must survive: one bbolt file per gateway holds
// the journal, the outbox, the snapshots, the dead letters and the cursors of
// the outputs, and one transaction per epoch changes all of them together.
//
//	Commit ──▶ journal      segments ▸ frames of records     dropped behind a finished sweep, and Keep
//	           outbox/NAME  segments ▸ frames of rows        dropped behind the slowest output
//	           deadletters  segments ▸ frames                dropped beyond DeadLettersMax
//	           retried      letters that are none any more   dropped with them
//	           snapshots/0  key ▸ envelope                   two generations, written in turns
//	           snapshots/1
//	           skips        (seq, pipeline)                  dropped with the journal
//	           fleet        what the management has decided   one value each
//	           audit        line ▸ envelope                  dropped beyond AuditLinesMax
//	           meta         identity, state                  rewritten by every commit
//
// [Open] gives a [Store], [Inspect] reads one that nobody runs and reports all
// damage it finds, and [NDJSON] is an output that appends results to a file.
// The package knows bytes and the vocabulary of package edged, nothing else: no
// windows, no actors. FORMAT.md describes the bytes on disk.
//
// # Guarantees
//
// When Commit returns nil, everything in it is on stable storage; after a crash
// either all of it is there or none. Journal records and the rows of a stream
// are numbered without holes, and a reader sees each exactly once and in order.
//
// Every record, row, snapshot and dead letter, the state and every segment's
// name carry a CRC32C that is checked before the bytes are used. Damage becomes
// an error that wraps [ErrCorrupt] and says where, or a repair from the other
// generation of a snapshot, which is logged and counted.
//
// A database file that vanished, was emptied or was cut off is refused. It never
// becomes a new store by accident.
//
// Disk use is bounded by what the caller keeps: the journal by its sweeps, the
// outbox by its outputs, dead letters by DeadLettersMax, the file by MaxBytes.
//
// # Caveats
//
// The checksums cover values, not the pages of bbolt around them. A damaged page
// is found when bbolt meets it, as an error wrapping ErrCorrupt. A page that the
// disk silently replaced by an older version of itself is found in a log (its
// numbers do not fit) and not in a snapshot.
//
// A failed commit is indeterminate: the store refuses all further commits and
// the process must stop and recover from the disk.
//
// The file never shrinks; freed pages are used again.
//
// Truncation works in whole segments, so a log keeps up to one segment more than
// it needs, and a commit drops at most one segment of each log: to drop it touches all its pages.
package persistence
