package query

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
)

// Fingerprint identifies the meaning of stored state: how event time is cut, what
// is accumulated from which fields, and what identities are remembered. State
// that was stored under another fingerprint cannot be read.
func (p *Plan) Fingerprint() uint64 {
	d := p.digestState()
	return d.sum()
}

// ReplayFingerprint identifies what the pipeline makes of a journal: everything
// in Fingerprint, and what decides which events count, when windows fire and when
// they expire. A journal that is replayed under another fingerprint can fire
// panes that were not fired before, or not fire panes that were.
func (p *Plan) ReplayFingerprint() uint64 {
	d := p.digestState()
	d.text(p.spec.Source.Topic, p.spec.Filter)
	d.number(p.Watermark.OutOfOrderness, p.Watermark.IdleTimeout)
	d.number(p.Dedup.Horizon, int64(p.Dedup.MaxEntries))
	for _, f := range p.spec.Fields {
		d.field(p, f.Name)
		if f.Required {
			d.text("required")
		}
	}
	return d.sum()
}

func (p *Plan) digestState() digest {
	d := digest{}
	d.text("edged state 1", p.name)
	d.text(p.spec.Key.Field)
	d.number(int64(p.keyLevel))
	d.text(p.spec.EventTime.Field, string(p.spec.EventTime.Unit))
	d.text(p.Window.Type)
	// Under a longer lateness a late event would open a window again whose state
	// is gone, and fire it under an identity that has been used.
	d.number(p.Window.Size, p.Window.Offset, p.Window.AllowedLateness)
	d.text(p.Dedup.By)
	for _, name := range p.Dedup.Fields {
		d.field(p, name)
	}
	d.number(int64(len(p.Aggregates)))
	for _, a := range p.Aggregates {
		d.text(a.Function)
		d.field(p, a.Field)
	}
	return d
}

// digest collects what a fingerprint covers, each part with its length.
type digest struct{ parts []byte }

func (d *digest) text(parts ...string) {
	for _, s := range parts {
		d.parts = binary.AppendUvarint(d.parts, uint64(len(s)))
		d.parts = append(d.parts, s...)
	}
}

func (d *digest) number(parts ...int64) {
	for _, n := range parts {
		d.parts = binary.AppendVarint(d.parts, n)
	}
}

// field adds what a field is: not its name, but its path in the payload.
// A computed field is its expression and the fields that it names.
func (d *digest) field(p *Plan, name string) {
	prints := make([]uint64, len(p.fields))
	for i, f := range p.fields {
		one := digest{}
		one.text(f.kind.String(), f.path, f.text)
		for _, j := range f.uses {
			one.text(p.fields[j].name)
			one.parts = binary.LittleEndian.AppendUint64(one.parts, prints[j])
		}
		prints[i] = one.sum()
		if f.name == name {
			d.parts = binary.LittleEndian.AppendUint64(d.parts, prints[i])
			return
		}
	}
	d.text("")
}

func (d *digest) sum() uint64 { return xxhash.Sum64(d.parts) }
