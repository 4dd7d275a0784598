package protocol

import "fmt"

// Code says how a command or a document fared.
type Code string

// The codes.
const (
	OK             Code = "OK"
	CodeSize       Code = "E_SIZE"
	CodeTopic      Code = "E_TOPIC"
	CodeRetained   Code = "E_RETAINED"
	CodeSchema     Code = "E_SCHEMA"
	CodeSignature  Code = "E_SIG"
	CodeKey        Code = "E_KEY"
	CodeRevoked    Code = "E_REVOKED"
	CodeKeyring    Code = "E_KEYRING"
	CodeEpoch      Code = "E_EPOCH"
	CodeAudience   Code = "E_AUD"
	CodeRole       Code = "E_ROLE"
	CodeHolders    Code = "E_HOLDERS"
	CodeReplay     Code = "E_REPLAY"
	CodeJump       Code = "E_JUMP"
	CodeStale      Code = "E_STALE"
	CodeNonce      Code = "E_NONCE"
	CodeExpired    Code = "E_EXPIRED"
	CodePrecond    Code = "E_PRECOND"
	CodeUnknownOp  Code = "E_UNKNOWN_OP"
	CodeArgs       Code = "E_ARGS"
	CodeBusy       Code = "E_BUSY"
	CodeQuota      Code = "E_QUOTA"
	CodeTimeout    Code = "E_TIMEOUT"
	CodeCancelled  Code = "E_CANCELLED"
	CodeInterrupt  Code = "E_INTERRUPTED"
	CodeHealth     Code = "E_HEALTH"
	CodeRolledBack Code = "E_ROLLED_BACK"
	CodeStorage    Code = "E_STORAGE"
	CodeInternal   Code = "E_INTERNAL"
	CodeDuplicate  Code = "E_DUPLICATE"
)

// hints say what each code means and what to do about it.
var hints = map[Code]string{
	OK:             "it went well",
	CodeSize:       "larger than allowed: see limits in info",
	CodeTopic:      "the topic and what is signed name different things: publish under the id that was signed",
	CodeRetained:   "a command came retained: publish it without retain, and clear the topic",
	CodeSchema:     "not what the protocol says: the message names the member",
	CodeSignature:  "the signature is wrong: sign the bytes that are sent",
	CodeKey:        "the keyring does not have the key: add it with edged fleet keys",
	CodeRevoked:    "the key is revoked or not valid in this keyring: use another",
	CodeKeyring:    "the gateway's keyring is older than the one it was signed for: publish the chain on _trust, then send it again",
	CodeEpoch:      "signed for another epoch: take the newest keyring and sign again",
	CodeAudience:   "meant for another gateway",
	CodeRole:       "the key may not do this here: ask somebody who may, or change the keyring",
	CodeHolders:    "another person must sign as well",
	CodeReplay:     "the number or the id was used before: sign again with new ones",
	CodeJump:       "the number is too far ahead: correct the counter, or raise the epoch in the keyring",
	CodeStale:      "not newer than what the gateway has",
	CodeNonce:      "the nonce is missing or not of this session: read state, and sign again",
	CodeExpired:    "its time is over: sign again",
	CodePrecond:    "another configuration runs than the command is about: look at reported",
	CodeUnknownOp:  "this gateway cannot do that: see ops in info",
	CodeArgs:       "the arguments are not those of the command",
	CodeBusy:       "too many commands wait: send a new one later",
	CodeQuota:      "too many commands: send it again more slowly",
	CodeTimeout:    "it took longer than allowed",
	CodeCancelled:  "it was cancelled",
	CodeInterrupt:  "the process ended before it was done: look at its effect before you send a new one",
	CodeHealth:     "the gateway was not healthy afterwards",
	CodeRolledBack: "it was undone",
	CodeStorage:    "the disk refused: see edged doctor",
	CodeDuplicate:  "another instance has this gateway's name: switch one off, or rename it, and adopt the other with identity.adopt",
	CodeInternal:   "a defect of the gateway: see its log",
}

// Hint returns what the code means and what to do about it.
func (c Code) Hint() string { return hints[c] }

// Check returns an error unless it is a code of this protocol, or one of a newer
// gateway that looks like one.
func (c Code) Check() error {
	if hints[c] == "" && (len(c) < 3 || len(c) > 32 || c[:2] != "E_") {
		return fmt.Errorf("%.40q is no code", string(c))
	}
	return nil
}
