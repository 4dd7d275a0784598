package protocol

import "edged/fleet/trust"

// operations has all commands of this version, with their classes.
var operations = map[string]trust.Class{
	"ping":             trust.Read,
	"info.get":         trust.Read,
	"health.check":     trust.Read,
	"config.get":       trust.Read,
	"config.diff":      trust.Read,
	"pipeline.list":    trust.Read,
	"pipeline.status":  trust.Read,
	"window.dump":      trust.Read,
	"key.inspect":      trust.Read,
	"source.status":    trust.Read,
	"sink.status":      trust.Read,
	"outbox.status":    trust.Read,
	"metrics.snapshot": trust.Read,
	"log.tail":         trust.Read,
	"trace.sample":     trust.Read,
	"dlq.list":         trust.Read,
	"shadow.status":    trust.Read,
	"audit.export":     trust.Read,
	"profile.capture":  trust.Operate, // costs up to 30 s of a core
	"pipeline.pause":   trust.Operate,
	"pipeline.resume":  trust.Operate,
	"pipeline.drain":   trust.Operate,
	"checkpoint.now":   trust.Operate,
	"outbox.flush":     trust.Operate,
	"outbox.throttle":  trust.Operate,
	"source.reconnect": trust.Operate,
	"log.level":        trust.Operate,
	"dlq.retry":        trust.Operate,
	"command.cancel":   trust.Operate,
	"config.apply":     trust.Configure,
	"config.rollback":  trust.Configure,
	"config.confirm":   trust.Configure,
	"config.retry":     trust.Configure,
	"shadow.start":     trust.Configure,
	"shadow.promote":   trust.Configure,
	"shadow.drop":      trust.Configure,
	"cert.reload":      trust.Configure,
	"cert.rotate":      trust.Configure,
	"engine.restart":   trust.Dangerous,
	"log.replay":       trust.Dangerous,
	"trust.update":     trust.Dangerous,
	"binary.update":    trust.Dangerous,
	"state.reset":      trust.Destructive,
	"dlq.purge":        trust.Destructive,
	"gateway.wipe":     trust.Destructive,
	"identity.adopt":   trust.Destructive,
}

// ClassOf returns the class of a command, before the keyring raises it, and whether
// there is such a command. What a gateway can do of it is in its [Info].
func ClassOf(op string) (trust.Class, bool) {
	c, ok := operations[op]
	return c, ok
}
