package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"edged"
	"edged/fleet/apply"
	"edged/fleet/protocol"
	"edged/query"
)

const contractFile = "pipelines.json"

// contract is what a data directory was written under. Recovery folds the tail
// of the journal again; under another contract that would make other results
// with the same ids, and numbers that continue another gateway's.
type contract struct {
	Gateway   string            `json:"gateway_id"`
	Pipelines map[string]string `json:"pipelines"` // stored name ▸ fingerprint of what it makes of a journal

	// Names are under which names pipelines are stored: those of the configuration that
	// speaks, and of pipelines that are not configured now. One that is not among them is
	// stored under its own.
	Names map[string]identity `json:"names,omitempty"`

	// Version is that of the configuration that speaks.
	Version apply.Version `json:"version,omitzero"`

	// Shadow is the configuration that listens.
	Shadow *shadowContract `json:"shadow,omitempty"`

	// Since holds for a pipeline that was added or changed the last record before
	// that: recovery must make nothing of it and what was before.
	Since map[string]edged.Seq `json:"since,omitempty"`

	// Document is the text of the configuration that the last run used, or went over to.
	// Its variables have the values of now.
	Document string `json:"document,omitempty"`
}

// shadowContract is the part of a configuration that listens.
type shadowContract struct {
	Version apply.Version       `json:"version"`
	Names   map[string]identity `json:"names"` // of all its pipelines
}

func newContract(r *roles) contract {
	s := r.speaks
	c := contract{
		Gateway: s.settings.GatewayID, Pipelines: map[string]string{}, Names: map[string]identity{}, Since: map[string]edged.Seq{},
		Document: s.text, Version: s.version.ID(),
	}
	for _, s := range r.all() {
		for _, p := range s.plans {
			stored := s.identity(p.Name()).Name
			if _, taken := c.Pipelines[stored]; !taken { // otherwise it is at rest
				c.Pipelines[stored] = fingerprint(p)
			}
		}
	}
	for _, p := range s.plans {
		c.Names[p.Name()] = s.identity(p.Name())
	}
	if r.listens != nil {
		c.Shadow = &shadowContract{r.listens.version.ID(), map[string]identity{}}
		for _, p := range r.listens.plans {
			c.Shadow.Names[p.Name()] = r.listens.identity(p.Name())
		}
	}
	return c
}

// identity returns under which name a pipeline is stored.
func (c *contract) identity(name string) identity {
	if id, ok := c.Names[name]; ok {
		return id
	}
	return identity{Name: name}
}

// used reports whether what is stored under a name is some pipeline's.
func (c *contract) used(stored string) bool {
	ids := []identity{c.identity(pipelineOf(stored))}
	if c.Shadow != nil {
		ids = append(ids, c.Shadow.Names[pipelineOf(stored)])
	}
	return slices.ContainsFunc(ids, func(id identity) bool { return stored == id.Name || stored == id.Origin })
}

// cast gives what is to run the names and the roles that it had when the last run ended.
// What is to listen and did not will be tried later, from its beginning.
func (c *contract) cast(r *roles) {
	if c == nil {
		r.listens = nil
		return
	}
	is := func(s *setup, v apply.Version) bool { return s != nil && s.version.ID().Is(v) }
	sh := c.Shadow
	switch {
	case sh == nil || r.listens == nil && !is(r.speaks, sh.Version) || is(r.speaks, c.Version) && !is(r.listens, sh.Version):
		r.speaks.names, r.listens = c.Names, nil
	case r.listens == nil:
		r.speaks.names = sh.Names // it was at rest, or has listened until the end
	case is(r.speaks, c.Version) && is(r.listens, sh.Version):
		r.speaks.names, r.listens.names = c.Names, sh.Names
	case is(r.speaks, sh.Version) && is(r.listens, c.Version):
		r.speaks, r.listens, r.after = r.listens, r.speaks, true
		r.speaks.names, r.listens.names = c.Names, sh.Names
	default:
		r.speaks.names, r.listens = c.Names, nil
	}
}

// tried returns under which names a configuration is stored that is to listen.
func (c *contract) tried(now, next *setup, steps []reloadStep, at edged.Seq) map[string]identity {
	number := uint64(at)
	for known := true; known; number++ {
		known = false
		for name := range c.Pipelines {
			known = known || strings.HasSuffix(name, fmt.Sprint(versionMark, number+1))
		}
	}
	changed := map[string]stepKind{}
	for _, s := range steps {
		if s.what != stepKeep && s.what != stepRemove {
			changed[s.name] = s.what
		}
	}
	for again := true; again; { // what takes the results of one that changed is another, too
		again = false
		for _, p := range next.plans {
			_, up := changed[p.Upstream()]
			if _, here := changed[p.Name()]; up && !here {
				changed[p.Name()], again = stepChange, true
			}
		}
	}
	names := map[string]identity{}
	for _, p := range next.plans {
		name := p.Name()
		id := identity{Name: fmt.Sprint(name, versionMark, number)}
		switch what, here := changed[name]; {
		case !here:
			id = now.identity(name)
		case what == stepChange:
			id.Origin = now.identity(name).Name
		case what == stepAdd:
			if was := c.identity(name).Name; c.Pipelines[was] == fingerprint(p) {
				id.Origin = was // it was there before, and comes back
			}
		}
		names[name] = id
	}
	return names
}

func fingerprint(p *query.Plan) string { return strconv.FormatUint(p.ReplayFingerprint(), 16) }

// settleContract compares the contract of a directory with that of the
// configuration, stores the new one, and returns since when it holds for each
// pipeline. Pipelines that are not configured now stay in it; with keep also those that
// only what has listened until now had.
func settleContract(dir string, r *roles, pos edged.Position, accept, keep bool) (since map[string]edged.Seq, err error) {
	now := newContract(r)
	old, err := readContract(dir)
	if err != nil {
		return nil, err
	}
	if old == nil {
		return nil, now.write(dir)
	}
	if err := old.allows(&now, pos, accept); err != nil {
		return nil, failed(exitConfig, fmt.Errorf("data directory %s: %w", dir, err))
	}
	maps.Copy(now.Since, old.Since)
	for name, print := range now.Pipelines {
		before, known := old.Pipelines[name]
		if before != print && (!known || pos.Sweep.Start == pos.Seq) {
			now.Since[name] = pos.Seq
		}
	}
	for name, print := range old.Pipelines {
		if _, here := now.Pipelines[name]; !here {
			now.Pipelines[name] = print
		}
	}
	now.carry(old.Names)
	if keep && old.Shadow != nil {
		now.carry(old.Shadow.Names)
	}
	return now.Since, now.replace(dir, old.text())
}

// carry keeps the names of pipelines that are not configured now.
func (c *contract) carry(names map[string]identity) {
	for name, id := range names {
		_, speaks := c.Names[name]
		listens := false
		if c.Shadow != nil {
			_, listens = c.Shadow.Names[name]
		}
		if !speaks && !listens {
			c.Names[name] = id
		}
	}
}

// allows says why a configuration must not continue what is stored.
func (c *contract) allows(now *contract, pos edged.Position, accept bool) error {
	var faults []error
	if c.Gateway != now.Gateway {
		faults = append(faults, fmt.Errorf("it belongs to gateway_id %q, not %q: stored numbers and broker sessions go by the id; keep the old one, or start with a new data directory", c.Gateway, now.Gateway))
	}
	for _, name := range slices.Sorted(maps.Keys(now.Pipelines)) {
		print, known := c.Pipelines[name]
		if !known || print == now.Pipelines[name] || pos.Sweep.Start == pos.Seq || accept {
			continue
		}
		faults = append(faults, fmt.Errorf("pipeline %s is not what it was (topic, key, fields, filter, dedup, watermark, window or aggregates), and recovery must replay %d records: "+
			"they would give other results under the same ids; start once with the old file and stop it with SIGTERM, which leaves nothing to replay, or give the changed pipeline a new name, or start with a new data directory, or accept that with --accept-changes",
			name, pos.Seq-pos.Floor))
	}
	return errors.Join(faults...)
}

// predecessor returns the setup that must recover what is stored before s can go on from
// there, nil if s can do so itself. A document whose variables have other values now is
// not the one that it was.
func predecessor(c *contract, s *setup, pos edged.Position) (*setup, error) {
	if c == nil || c.Gateway != s.settings.GatewayID || c.Document == s.text || pos.Sweep.Start == pos.Seq {
		return nil, nil
	}
	old, err := parseSetup(s.file, []byte(c.Document), os.Environ(), nil)
	if err != nil {
		return nil, nil
	}
	differs := false
	for _, p := range old.plans {
		if c.Pipelines[c.identity(p.Name()).Name] != fingerprint(p) {
			return nil, nil
		}
		next := s.plan(p.Name())
		differs = differs || next == nil || fingerprint(next) != fingerprint(p)
	}
	if !differs {
		return nil, nil
	}
	old.settings, old.names = s.settings, c.Names
	if _, err := planReload(old, s, protocol.StateKeep); err != nil {
		return nil, failed(exitConfig, fmt.Errorf("data directory %s: %w", s.settings.DataDir, err))
	}
	return old, nil
}

func readContract(dir string) (*contract, error) {
	path := filepath.Join(dir, contractFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, failed(exitStore, fmt.Errorf("read what the data was written under: %w", err))
	}
	var c contract
	if err := json.Unmarshal(text, &c); err != nil {
		return nil, failed(exitStore, fmt.Errorf("%s is damaged (%w): restore it, or delete it if neither gateway_id nor pipelines changed since the last run", path, err))
	}
	return &c, nil
}

// text is what stands in the file.
func (c *contract) text() []byte {
	text, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		panic("contract: " + err.Error()) // it has strings and numbers only
	}
	return append(text, '\n')
}

// replace writes the contract unless that is what stands there already.
func (c *contract) replace(dir string, before []byte) error {
	if bytes.Equal(c.text(), before) {
		return nil
	}
	return c.write(dir)
}

// write replaces the file as a whole, also when power is cut.
func (c *contract) write(dir string) error {
	if err := replaceFile(filepath.Join(dir, contractFile), c.text()); err != nil {
		return failed(exitStore, fmt.Errorf("write what the data is written under: %w", err))
	}
	return nil
}

// replaceFile is writeDurable for files that only one process writes: what a kill leaves
// behind has one name, and is overwritten the next time.
func replaceFile(path string, text []byte) error {
	temp := path + ".new"
	file, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}
