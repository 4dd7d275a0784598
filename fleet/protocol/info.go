package protocol

import (
	"maps"
	"slices"

	"edged/fleet/strict"
	"edged/fleet/trust"
)

// Limits of an [Info].
const (
	LabelsMax     = 64
	EndpointsMax  = 1000
	textBytesMax  = 128
	valueBytesMax = 64
)

// Endpoint is a source or an output of a gateway.
type Endpoint struct {
	ID   string `json:"id"`
	Kind string `json:"kind"`
}

// Bounds are the limits of a gateway that others should know.
type Bounds struct {
	CommandBytes int `json:"cmd_bytes"`
	DesiredBytes int `json:"desired_bytes"`
	Queue        int `json:"queue"` // commands that may wait
}

// Running says which configuration a gateway runs.
type Running struct {
	Version uint64 `json:"version"` // of the desired document; 0: from its own disk
	Hash    string `json:"hash"`    // sha256:HEX64 of what is in effect
}

// Info is what a gateway is, retained on info after every CONNECT.
type Info struct {
	V        int               `json:"v"`
	Fleet    string            `json:"fleet"`
	Gateway  string            `json:"gw"`
	Instance string            `json:"instance"`
	Session  uint64            `json:"session"`
	Version  string            `json:"version"`
	Commit   string            `json:"commit,omitempty"`
	OS       string            `json:"os"`
	Arch     string            `json:"arch"`
	CPUs     int               `json:"cpus"`
	Memory   int64             `json:"mem_bytes"`
	Labels   map[string]string `json:"labels,omitempty"`
	Ops      map[string]int    `json:"ops,omitempty"` // what it can do, and in which version
	Limits   Bounds            `json:"limits"`
	Sources  []Endpoint        `json:"sources,omitempty"`
	Outputs  []Endpoint        `json:"outputs,omitempty"`
	Keyring  uint64            `json:"keyring"` // its version; 0: none yet
	Expires  int64             `json:"cert_not_after_ms,omitempty"`
	Config   Running           `json:"config"`
}

// Check returns what is wrong with the message.
func (i Info) Check() error {
	var f faults
	f.version(i.V)
	f.err("fleet", trust.CheckName(i.Fleet))
	f.err("gw", trust.CheckName(i.Gateway))
	f.unless(subject.MatchString(i.Instance), "instance", "%.80q is none", i.Instance)
	f.number("session", i.Session)
	for _, text := range []struct{ member, text string }{{"version", i.Version}, {"commit", i.Commit}, {"os", i.OS}, {"arch", i.Arch}} {
		f.text(text.member, text.text, textBytesMax)
	}
	f.unless(len(i.Labels) <= LabelsMax, "labels", "%d are more than %d", len(i.Labels), LabelsMax)
	for _, label := range slices.Sorted(maps.Keys(i.Labels)) {
		f.text("labels", label, valueBytesMax)
		f.text("labels."+label, i.Labels[label], valueBytesMax)
	}
	f.unless(len(i.Ops) <= EndpointsMax, "ops", "%d are more than %d", len(i.Ops), EndpointsMax)
	f.unless(len(i.Sources)+len(i.Outputs) <= EndpointsMax, "sources, outputs", "more than %d", EndpointsMax)
	for _, e := range slices.Concat(i.Sources, i.Outputs) {
		f.text("id", e.ID, textBytesMax)
		f.text("kind", e.Kind, textBytesMax)
	}
	f.unless(i.Config.Hash == "" || sha256.MatchString(i.Config.Hash), "config.hash", "want sha256: and 64 hexadecimal digits")
	return f.joined()
}

func (Info) limits() strict.Limits { return report() }

// Heartbeat has the numbers that say how a gateway is. It is sent every 30 s, with
// QoS 0, and not kept.
type Heartbeat struct {
	V             int     `json:"v"`
	Session       uint64  `json:"session"`
	Boot          uint64  `json:"boot"`
	Mono          int64   `json:"mono_ms"`         // since the start of the process
	Events        float64 `json:"ev_s"`            // events taken in a second
	Errors        float64 `json:"err_s"`           // dead letters in a second
	Lag           int64   `json:"lag_ms"`          // of the committed behind the received
	Mailbox       float64 `json:"mailbox_max_pct"` // the fullest mailbox
	RSS           int64   `json:"rss_bytes"`
	DiskFree      int64   `json:"disk_free_bytes"`
	Outbox        int64   `json:"outbox_bytes"`
	OutboxAge     int64   `json:"outbox_age_ms"` // of the oldest row
	Fsync         int64   `json:"fsync_p99_us"`
	CheckpointAge int64   `json:"ckpt_age_ms"`
	DeadLetters   int64   `json:"dlq"` // how many are kept
}

// Check returns what is wrong with the message.
func (h Heartbeat) Check() error {
	var f faults
	f.version(h.V)
	f.number("session", h.Session)
	f.number("boot", h.Boot)
	f.unless(h.Mono >= 0, "mono_ms", "%d is negative", h.Mono)
	return f.joined()
}

func (Heartbeat) limits() strict.Limits { return report() }
