// Package trust says who may tell a gateway what: keys, signatures over exact
// bytes, and the keyring that gives keys their roles. Both ends use it.
//
//	root keys (offline, m of n) ──sign──▶ keyring 1 ──▶ keyring 2 ──▶ ...   each signed by the
//	                                         │                             root before AND its own
//	                                         ▼
//	operator's key ──sign──▶ Envelope ─▶ Ring.Verify ─▶ Signers ─▶ Grant: may they, here?
//	                         (DSSE)      which keys      roles, scope, two persons
//
// # Keys
//
// Keys are Ed25519 (RFC 8032). A [KeyID] is the first 16 bytes of SHA-256 over the
// 32 bytes of the public key, as 32 hexadecimal digits. Keys are written as one line,
// edged-public:BASE64 and edged-secret:BASE64 (of the seed), or as PEM (RFC 8410:
// PUBLIC KEY, PRIVATE KEY), which openssl reads.
//
// # Envelope
//
// An [Envelope] is DSSE v1 (https://github.com/secure-systems-lab/dsse):
//
//	{"payloadType":"application/vnd.edged.cmd.v1+json","payload":BASE64,
//	 "signatures":[{"keyid":KEYID,"sig":BASE64}]}
//
// What is signed is [PAE], "DSSEv1 LEN TYPE LEN PAYLOAD", over the bytes that are
// sent. There is no canonical form that two programs could see differently, and the
// type keeps a signature for one purpose from serving another. The types:
//
//	application/vnd.edged.cmd.v1+json      a command
//	application/vnd.edged.desired.v1+json  a desired configuration
//	application/vnd.edged.trust.v1+json    a keyring
//	application/vnd.edged.time.v1+json     a time beacon
//
// and what gateways sign, which travels without an envelope, see package protocol:
//
//	application/vnd.edged.state.v1+json, info, reported, rsp
//
// # Keyring
//
//	{"v":1,"fleet":"plant7","version":5,"epoch":2,
//	 "root":{"threshold":2,"keys":["edged-public:...", ...]},
//	 "keys":[{"key":"edged-public:...","holder":"alice","roles":["operator"],
//	          "scope":"site=berlin","from":3,"until":9,"revoked":false}, ...],
//	 "classes":{"pipeline.drain":"dangerous"},"expires_ms":1800000000000,
//	 "gateways":[{"gw":"gw-1","key":"edged-public:..."}, ...]}
//
// The keys of gateways are for what these say, and command nothing. The member is left out
// when it is empty: programs that do not know it refuse a keyring that has it.
//
// A [Ring] is a keyring that was verified. [Ring.Advance] takes a higher version if
// the threshold of the present root has signed it and the threshold of its own root,
// as TUF rotates roots; the first one is verified by the root keys that the gateway
// was given ([Pin]). As long as the root stays the same, versions may be left out. A
// gateway that was away during several rotations of the root takes a chain of
// keyrings, oldest first ([Ring.Catch]).
//
// Validity counts in versions of the keyring, not in time: a key may sign under the
// versions From to Until, both included. Revoked keys stay listed, so that a denial can
// say so. The epoch heals what a stolen key has done to the counters: raising it lets
// all commands and documents count anew, and makes those of older epochs worthless.
//
// # Roles
//
//	role      commands of class                              documents
//	viewer    read
//	operator  read, operate
//	deployer  read, operate, configure                       desired
//	admin     read, operate, configure, dangerous, destructive  desired
//	clock                                                    time
//
// Destructive commands need two holders. Classes raises the class of single
// commands for this fleet, and never lowers one. A chain is
//
//	{"v":1,"keyrings":[ENVELOPE, ...]}
//
// # Selectors
//
// A [Selector] is a list of terms, all of which must hold: site=berlin, tier!=canary,
// site (the label exists), !site (it does not); * selects all. Labels of a gateway must
// come from its provisioning, not from what an application on it can write.
//
// # Guarantees
//
//   - A Ring exists only for a keyring that enough root keys have signed; its version
//     never falls, and never rises by more than [VersionJumpMax] at once.
//   - [Ring.Verify] returns only keys that are valid in this version and whose signature
//     is right, each once. [Grant] counts persons: two keys of one holder are one.
//   - No function asks a clock; expires_ms is carried for people and decides nothing.
//   - Public keys of small order, under which anybody can sign, are not accepted.
//   - Secret keys are not printed by package fmt.
//   - All decoders refuse what is ambiguous; see package strict. They never panic.
//
// # Caveats
//
//   - Whoever holds back newer keyrings keeps a gateway at an old one. It cannot
//     notice by itself; a command can name the version that it needs.
//   - A gateway that was away sees a key that was revoked meanwhile as valid until it
//     gets the newer keyring.
//   - Enough stolen root keys are the end: nothing but a visit brings the gateway back.
//   - Payloads are base64 of RFC 4648 section 4 only. DSSE lets verifiers also take the
//     URL-safe alphabet.
package trust
