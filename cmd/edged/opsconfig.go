package main

import (
	"context"
	"errors"
	"os"

	"edged/fleet/agent"
	"edged/fleet/protocol"
)

// configResult is the result of config.get. The text holds no secret: passwords cannot
// stand in it, and variables stand there by their names.
type configResult struct {
	Version uint64 `json:"version"`
	Hash    string `json:"hash"`
	File    string `json:"file"`
	YAML    string `json:"yaml"`
}

func (m *managed) showConfig(context.Context, *agent.Call, agent.None) (any, error) {
	s, running := m.daemon.active.Load(), m.Running()
	return configResult{Version: running.Version, Hash: running.Hash, File: s.file, YAML: s.text}, nil
}

// configDiffArgs are the arguments of config.diff: a whole configuration file.
type configDiffArgs struct {
	YAML string `json:"yaml"`
}

// Check returns what is wrong with them.
func (a configDiffArgs) Check() error {
	if a.YAML == "" {
		return errors.New("yaml: the text of a configuration is missing")
	}
	return nil
}

// configDiffResult is the result of config.diff.
type configDiffResult struct {
	Same      bool             `json:"same"` // the texts are equal
	Hash      string           `json:"hash"` // of what was sent
	Settings  []string         `json:"settings,omitempty"`
	Pipelines []pipelineChange `json:"pipelines,omitempty"`
	Refused   string           `json:"refused,omitempty"` // why it could not be put to use while running
}

type pipelineChange struct {
	Name   string `json:"name"`
	Change string `json:"change"`
}

// diffConfig says what a configuration would change here. Nothing is changed.
func (m *managed) diffConfig(_ context.Context, _ *agent.Call, args configDiffArgs) (any, error) {
	now := m.daemon.active.Load()
	next, err := parseSetup("yaml", []byte(args.YAML), os.Environ(), nil)
	if err != nil {
		return nil, agent.Failed(protocol.CodeArgs, err)
	}
	r := configDiffResult{Same: hashOf(args.YAML) == hashOf(now.text), Hash: hashOf(args.YAML), Settings: changedSettings(now.settings, next.settings)}
	steps, err := planReload(now.setup, next, protocol.StateMigrate)
	if err != nil {
		r.Refused = err.Error()
	}
	for _, s := range steps {
		r.Pipelines = append(r.Pipelines, pipelineChange{s.name, string(s.what)})
	}
	return r, nil
}
