package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strconv"

	"edged"
	"edged/query"
)

const contractFile = "pipelines.json"

// contract is what a data directory was written under. Recovery folds the tail
// of the journal again; under another contract that would make other results
// with the same ids, and numbers that continue another gateway's.
type contract struct {
	Gateway   string            `json:"gateway_id"`
	Pipelines map[string]string `json:"pipelines"` // name ▸ fingerprint of what it makes of a journal

	// Since holds for a pipeline that was added or changed the last record before
	// that: recovery must make nothing of it and what was before.
	Since map[string]edged.Seq `json:"since,omitempty"`

	// Document is the text of the configuration that the last run used, or went over to.
	// Its variables have the values of now.
	Document string `json:"document,omitempty"`
}

func newContract(s *setup) contract {
	c := contract{Gateway: s.settings.GatewayID, Pipelines: map[string]string{}, Since: map[string]edged.Seq{}, Document: s.text}
	for _, p := range s.plans {
		c.Pipelines[p.Name()] = fingerprint(p)
	}
	return c
}

func fingerprint(p *query.Plan) string { return strconv.FormatUint(p.ReplayFingerprint(), 16) }

// settleContract compares the contract of a directory with that of the
// configuration, stores the new one, and returns since when it holds for each
// pipeline. Pipelines that are not configured now stay in it.
func settleContract(dir string, s *setup, pos edged.Position, accept bool) (since map[string]edged.Seq, err error) {
	now := newContract(s)
	old, err := readContract(dir)
	if err != nil {
		return nil, err
	}
	if old == nil {
		return nil, now.write(dir)
	}
	if err := old.allows(&now, s, pos, accept); err != nil {
		return nil, failed(exitConfig, fmt.Errorf("data directory %s: %w", dir, err))
	}
	changed := old.Document != now.Document
	maps.Copy(now.Since, old.Since)
	for name, print := range now.Pipelines {
		before, known := old.Pipelines[name]
		if before == print {
			continue
		}
		changed = true
		if !known || pos.Sweep.Start == pos.Seq {
			now.Since[name] = pos.Seq
		}
	}
	for name, print := range old.Pipelines {
		if _, here := now.Pipelines[name]; !here {
			now.Pipelines[name] = print
		}
	}
	if !changed {
		return now.Since, nil
	}
	return now.Since, now.write(dir)
}

// allows says why a configuration must not continue what is stored.
func (c *contract) allows(now *contract, s *setup, pos edged.Position, accept bool) error {
	var faults []error
	if c.Gateway != now.Gateway {
		faults = append(faults, fmt.Errorf("it belongs to gateway_id %q, not %q: stored numbers and broker sessions go by the id; keep the old one, or start with a new data directory", c.Gateway, now.Gateway))
	}
	for _, p := range s.plans {
		print, known := c.Pipelines[p.Name()]
		if !known || print == fingerprint(p) || pos.Sweep.Start == pos.Seq || accept {
			continue
		}
		faults = append(faults, fmt.Errorf("pipeline %s is not what it was (topic, key, fields, filter, dedup, watermark, window or aggregates), and recovery must replay %d records: "+
			"they would give other results under the same ids; start once with the old file and stop it with SIGTERM, which leaves nothing to replay, or give the changed pipeline a new name, or start with a new data directory, or accept that with --accept-changes",
			p.Name(), pos.Seq-pos.Floor))
	}
	return errors.Join(faults...)
}

// predecessor returns the setup that must recover what is stored before s can go on from
// there, nil if s can do so itself. A document whose variables have other values now is
// not the one that it was.
func predecessor(s *setup, pos edged.Position) (*setup, error) {
	c, err := readContract(s.settings.DataDir)
	if err != nil || c == nil || c.Gateway != s.settings.GatewayID || c.Document == s.text || pos.Sweep.Start == pos.Seq {
		return nil, err
	}
	old, err := parseSetup(s.file, []byte(c.Document), os.Environ(), nil)
	if err != nil {
		return nil, nil
	}
	differs := false
	for _, p := range old.plans {
		if c.Pipelines[p.Name()] != fingerprint(p) {
			return nil, nil
		}
		next := s.plan(p.Name())
		differs = differs || next == nil || fingerprint(next) != fingerprint(p)
	}
	if !differs {
		return nil, nil
	}
	old.settings = s.settings
	if _, err := planReload(old, s); err != nil {
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

// write replaces the file as a whole, also when power is cut.
func (c *contract) write(dir string) error {
	text, err := json.MarshalIndent(c, "", "  ")
	if err == nil {
		err = replaceFile(filepath.Join(dir, contractFile), append(text, '\n'))
	}
	if err != nil {
		return failed(exitStore, fmt.Errorf("write what the data is written under: %w", err))
	}
	return nil
}

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
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
