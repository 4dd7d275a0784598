// Package protocol is what gateways and operators say to each other over MQTT: the
// topics, the messages with their schemas, and the codes. It sends nothing.
//
//	operator ──desired (signed, retained)────────▶ gateway     what to be
//	         ──cmd/ID (signed, never retained)───▶             what to do, once
//	         ◀──state, info, reported (retained)──             who, what, how far
//	         ◀──rsp/ID, evt/CLASS, hb─────────────             answers, events, health
//
// State travels as a retained document, actions as messages with an id of their own;
// nothing depends on what the broker remembers.
//
// # Topics
//
// All below edged/v1/FLEET ([DefaultPrefix]). FLEET, GW and GROUP are 1 to 64 of
// A-Z a-z 0-9 _ -, the first a letter or digit; CLASS and STREAM may also have dots;
// ID is a ULID.
//
//	topic                  from      QoS  retained  content
//	GW/state               gateway   1    yes       State; also the last will
//	GW/info                gateway   1    yes       Info, after every CONNECT
//	GW/reported            gateway   1    yes       Reported
//	GW/rsp/ID              gateway   1    no        Answer
//	GW/evt/CLASS           gateway   1    no        Event
//	GW/data/STREAM         gateway   1    no        rows of the outbox
//	GW/hb                  gateway   0    no        Heartbeat, every 30 s
//	GW/desired             operator  1    yes       Desired in an envelope
//	GW/cmd/ID              operator  1    never     Command in an envelope
//	GW/ack/STREAM          upstream  1    yes       how far rows are stored there
//	_group/GROUP/cmd/ID    operator  1    never     Command with a selector
//	_time                  operator  1    yes       Beacon in an envelope
//	_trust                 operator  1    yes       chain of keyrings, see package trust
//
// There is no topic in a request: answers go below the gateway's own name, so that
// nobody can make a gateway publish elsewhere.
//
// # Messages
//
// All are JSON objects with v, the version of their schema, which is 1. Times end in
// _ms; mono_ms counts from the start of the process, other times from the Unix epoch.
// Numbers are below 2^53. In what is signed for gateways, unknown members are refused;
// in what gateways say, they are skipped. The schema is the struct of the same name:
//
//	State      v online instance session rev boot nonce mono_ms cause adoption blocked
//	Info       v fleet gw instance session version commit os arch cpus mem_bytes labels ops
//	           limits{cmd_bytes desired_bytes queue} sources[{id kind}] outputs[{id kind}]
//	           keyring cert_not_after_ms config{version hash}
//	Heartbeat  v session boot mono_ms ev_s err_s lag_ms mailbox_max_pct rss_bytes
//	           disk_free_bytes outbox_bytes outbox_age_ms fsync_p99_us ckpt_age_ms dlq
//	Event      v evt_seq instance class code sev subject boot mono_ms ts_ms ts_trusted msg data
//	Desired    v aud{fleet gw instance selector} iss keyring epoch version refresh config|
//	           ref{url sha256 size} apply{health_ms deadline_ms confirm state}
//	Reported   v instance session rev epoch keyring desired_seen refresh applied effective_hash
//	           status phase error{code path msg} failed_versions cmd_watermark audit_head
//	Command    v id op args aud{fleet gw instance selector} iss keyring epoch seq nonce ttl_ms
//	           exp_ms if{config_version config_hash} dry_run timeout_ms
//	Answer     v id gw instance n t status final code step pct msg result result_lost
//	           repeated session boot mono_ms
//	Beacon     v fleet iss epoch n time_ms
//
//	status of an answer    denied (this delivery; says nothing final), accepted, started;
//	                       final: done, failed, interrupted, rejected
//	status of reported     APPLYING APPLIED FAILED ROLLED_BACK REJECTED
//	phase of reported      verify fetch plan dry_run checkpoint switch health_gate confirm
//	                       committed rollback
//	class of an event      lifecycle alarm audit
//	sev                    info minor major critical clear
//	cause                  will shutdown
//	apply.confirm          none session operator
//	apply.state            keep migrate reset
//
// # Signatures of gateways
//
// A gateway may sign State, Info, Reported and Answer with a key of its own ([Sign]): the last
// member is then "sig":{"keyid":KEYID,"sig":BASE64}, over the message without it. Who does
// not know the member skips it. [Believe] verifies it by the keyring.
//
// # Presence
//
// A gateway adds 1 to its session and stores it, then sends CONNECT with the will of
// that session; after CONNACK it says State online, and again with the next rev whenever
// its nonce changes. [Presence] tells late states from new ones.
//
// # Codes
//
//	OK
//	before anybody is believed  E_SIZE E_TOPIC E_RETAINED E_SCHEMA E_SIG E_KEY E_REVOKED
//	who, to whom, since when    E_DUPLICATE E_AUD E_KEYRING E_EPOCH E_ROLE E_HOLDERS
//	again, or too late          E_REPLAY E_JUMP E_STALE E_NONCE E_EXPIRED
//	what, and whether now       E_UNKNOWN_OP E_ARGS E_PRECOND E_BUSY E_QUOTA
//	how it ended                E_TIMEOUT E_CANCELLED E_INTERRUPTED E_HEALTH E_ROLLED_BACK
//	                            E_STORAGE E_INTERNAL
//
// [Code.Hint] says what each means, and what to do. The commands and their classes
// are in operation.go.
//
// # Guarantees
//
//   - What [Encode] writes, [Decode] reads to the same message. Both refuse what
//     Check does; every message is bounded.
//   - [ParseTopic] is the inverse of [Topic.Format], and no name can hold a wildcard or
//     a level.
//   - In whatever order and however often the states of one instance arrive, [Presence]
//     ends with the same one.
//
// # Caveats
//
//   - What gateways say is as credible as the broker's access control, unless [Believe]
//     says that it is signed. Heartbeats and events never are.
//   - Durations that gateways measure stop while they have no power.
package protocol
