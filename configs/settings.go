package configs

import "time"

// Bytes is a size in bytes. It is written with a binary unit: 4096, 64KiB, 4MiB.
type Bytes int64

// Settings configure the daemon. Every field is declared, with its default and
// its meaning, in the table of table.go.
type Settings struct {
	DataDir     string
	GatewayID   string
	MQTT        MQTT
	Upstream    Upstream
	HTTP        HTTP
	Engine      Engine
	Journal     Journal
	Outbox      Outbox
	DeadLetters DeadLetters
	Log         Log
	Fleet       Fleet
}

// MQTT is the broker that events come from.
type MQTT struct {
	Broker
	KeepAlive      time.Duration
	Pace           time.Duration
	PacketBytesMax Bytes
}

// Upstream is the broker that results go to.
type Upstream struct {
	Broker
	Window int
}

// Broker says how to reach and to convince a broker.
type Broker struct {
	URL          string
	ClientID     string
	Username     string
	Password     string // from the environment only
	PasswordFile string
	CAFile       string
	CertFile     string
	KeyFile      string
}

// HTTP is the listener for metrics and health.
type HTTP struct {
	Listen string // "": off
}

// Engine bounds and paces the processing.
type Engine struct {
	CommitInterval  time.Duration
	EpochEventsMax  int
	EpochBytesMax   Bytes
	IntakeEventsMax int
	IntakeBytesMax  Bytes
	TickInterval    time.Duration
	PassivateAfter  time.Duration
	ActiveKeysMax   int
}

// Journal is what the store keeps of the input.
type Journal struct {
	SegmentBytes Bytes
	SweepBytes   Bytes
	HeldBytesMax Bytes
}

// Outbox is what the store keeps of the results.
type Outbox struct {
	BytesMax Bytes
}

// DeadLetters is what the store keeps of inputs that could not be processed.
type DeadLetters struct {
	Max         int
	SampleBytes Bytes
}

// Log says what is logged, and how.
type Log struct {
	Level  string // debug, info, warn or error
	Format string // text or json
}

// Fleet is the link over which the gateway is managed.
type Fleet struct {
	Broker
	Name          string // "": no link
	Gateway       string
	TrustFile     string
	SigningKey    string // from the environment only
	SigningFile   string
	Prefix        string
	Labels        string
	Heartbeat     time.Duration
	TLSMin        string // 1.2 or 1.3
	AuditLinesMax int
	LogTailBytes  Bytes
}
