// Package edgedtest runs pipelines synchronously in virtual time, so that a
// pipeline document can be tested like a function: events in, results out, and
// no broker, no disk, no waiting.
//
//	                    ┌───────────────── Driver ─────────────────┐
//	steps ──▶ one event │ every pipeline ─▶ its task of the key ─▶  │ ──▶ results
//	          W, time … │        ▲ second stages take results ┘     │
//	                    └────────────────────────────────────────────┘
//
// A [Driver] is made by [Open] from the text of a document. It is told what
// happens by its methods, one call a step, or by lines of JSON with
// [Driver.Step]; "edged drive" is the same on the command line. Nothing happens
// between two steps: time moves only when a step moves it.
//
//	{"event":{"key":"d1","ts":1000,"value":20.5}}    an event; other members are fields by name
//	{"bundle":[{"key":"d1","ts":1000}, ...]}         several events as one step
//	{"watermark":60000}                              no event before 60000 is expected (watermark type manual)
//	{"processing_time":5000}                         our clock comes to 5000
//	{"idle":"s1"}  {"active":"s1"}                   a source falls silent, a source is back
//	{"command":{"command":"acknowledge", ...}}       an operator wants something of an alarm
//	{"checkpoint_restore":true}                      all state is encoded, thrown away, and read back
//	{"end":true}                                     the input has ended: everything fires
//
// An event has the members key, ts (milliseconds), stream (of a join, or the name
// of the pipeline that it is for), source (where watermarks are kept per source),
// arrival (the gateway's clock), id (equal ids at an equal ts are one event), and
// the fields of the pipeline. A field that is called like one of these gets its
// value, too. [RunScript] compares the results of a file of steps with a file of
// expected results.
//
// A document for this package may leave out what only a daemon needs: name,
// source, key, event_time and outputs. Without fields there is one, the number
// "value".
//
// # Guarantees
//
//   - The operators are those of the daemon: the same document, the same events in
//     the same order and the same times give the same results.
//   - Equal steps give equal results. There is no clock, no goroutine and no chance.
//   - A step that is refused changes nothing.
//   - A [Driver.CheckpointRestore] is invisible in the results that follow. It
//     fails when a state does not come back byte for byte.
//   - Results come in a fixed order: per event; then stage by stage, pipelines in
//     document order, and keys in byte order where a step concerns several.
//
// # Caveats
//
//   - Topics and payload paths are not used; what decodes payloads is not tested.
//   - Processing time is 0 until a step says otherwise, and never moves back.
//   - A document with a lookup needs [Driver.Table] for each table.
//   - Results are kept in memory per step. It is a tool for tests: each event costs
//     some microseconds.
package edgedtest
