package agent

import (
	"context"
	"encoding/json"
	"time"

	"edged/fleet/protocol"
	"edged/fleet/strict"
)

// Message is what goes over the link.
type Message struct {
	Topic    string
	Payload  []byte
	QoS      byte
	Retained bool // sent: to be kept by the broker; received: it had been kept
}

// Hooks are what the agent does for the link. They are called one after the other,
// from one goroutine.
type Hooks struct {
	Greet    func(ctx context.Context) (will Message, err error) // before each CONNECT
	Up       func()                                              // connected and subscribed
	Receive  func(m Message) error                               // nil: acknowledge it; an error ends Run
	Down     func()
	Farewell func() []Message // before a clean DISCONNECT
}

// Link is the connection to the broker.
type Link interface {
	// Run keeps connected until ctx ends, or Greet or Receive fails.
	Run(ctx context.Context, h Hooks) error

	// Send does not wait. done, if it is not nil, is called once with what became of
	// a message that was taken: nil when the broker has confirmed it. It is not called
	// before Send returns.
	Send(m Message, done func(error)) error

	// Reconnect ends the present connection; the next one uses the certificates of then.
	Reconnect(why error)
}

// Stored is what the agent has on disk.
type Stored struct {
	Guard    []byte
	Desired  []byte // a protocol.Desired; nil: none
	Instance string // "": not named yet
	Counters
}

// Counters count since the instance was made. They never fall.
type Counters struct {
	Boot    uint64 // starts of the process
	Session uint64 // CONNECTs
	Event   uint64 // events that were numbered
}

// Change is one decision. What is nil or empty stays as it was.
type Change struct {
	Guard      []byte
	Desired    []byte
	Instance   string
	Counters   Counters
	Audit      [][]byte
	AuditFirst uint64 // number of the first line
}

// Store keeps what was decided.
type Store interface {
	Load() (Stored, error)
	Commit(Change) error // durable when it returns nil; after an error the process must end

	// Audit returns lines behind a number, at least one if there is one, and the
	// number of the first of them.
	Audit(after uint64, bytesMax int) (first uint64, lines [][]byte, err error)
}

// Gateway is what is managed. Its methods must not call the agent, and return soon.
type Gateway interface {
	// Describe fills in version, machine, sources, outputs, certificate.
	Describe() protocol.Info

	// Heartbeat fills in the numbers of the engine.
	Heartbeat() protocol.Heartbeat

	// Running returns the configuration in effect.
	Running() protocol.Running

	// Alarms returns what needs a person now. One that is not returned any more is
	// cleared.
	Alarms() []Alarm
}

// Alarm is something that needs a person. Code and subject name it.
type Alarm struct {
	Code, Subject string
	Severity      string
	Message       string
}

// Call is a command that runs.
type Call struct {
	Command protocol.Command

	// Progress tells how far it is; it may be called often.
	Progress func(step string, percent int)

	// Handover says that the operation is about to end the process on purpose. When it
	// has returned nil and the operation returns nil, the command stays open, and is
	// done when the process has started again.
	Handover func() error
}

// Op is what can be asked of a gateway.
type Op struct {
	// Version is told in info; 0 means 1.
	Version int

	// Check returns what is wrong with arguments; nil: there must be none.
	Check func(args json.RawMessage) error

	// Timeout is how long it may run if the command does not say; 0: [TimeoutDefault].
	Timeout time.Duration

	// Dry says that Run understands Command.DryRun. A command with dry_run is refused
	// otherwise, unless the operation only reads.
	Dry bool

	// Run does it, and must return soon when ctx ends. The result becomes JSON of at
	// most protocol.ResultBytesMax bytes. An error that is or wraps a *[Fault] has its
	// code; any other is E_INTERNAL.
	Run func(ctx context.Context, c *Call) (result any, err error)
}

// Fault is an error with a code for the answer.
type Fault struct {
	Code protocol.Code
	Err  error
}

// Error returns the text of the error.
func (f *Fault) Error() string { return f.Err.Error() }

// Unwrap returns the error.
func (f *Fault) Unwrap() error { return f.Err }

// Failed gives an error a code for the answer; nil stays nil.
func Failed(code protocol.Code, err error) error {
	if err == nil {
		return nil
	}
	return &Fault{Code: code, Err: err}
}

// argsDepthMax bounds how deep arguments may be nested.
const argsDepthMax = 8

// Do makes an operation of a function with typed arguments: a struct, whose members
// are the only ones that may be there. If it has a method Check() error, that is asked,
// too.
func Do[T any](run func(ctx context.Context, c *Call, args T) (any, error)) Op {
	decode := func(raw json.RawMessage) (args T, err error) {
		if len(raw) > 0 {
			if err := strict.Decode(raw, &args, strict.Limits{Bytes: protocol.CommandBytesMax, Depth: argsDepthMax}); err != nil {
				return args, err
			}
		}
		if c, ok := any(args).(interface{ Check() error }); ok {
			return args, c.Check()
		}
		return args, nil
	}
	return Op{
		Check: func(raw json.RawMessage) error { _, err := decode(raw); return err },
		Run: func(ctx context.Context, c *Call) (any, error) {
			args, err := decode(c.Command.Args)
			if err != nil {
				return nil, Failed(protocol.CodeArgs, err)
			}
			return run(ctx, c, args)
		},
	}
}

// None are the arguments of an operation that takes none.
type None struct{}
