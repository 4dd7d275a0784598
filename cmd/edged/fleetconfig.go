package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"edged/configs"
	"edged/fleet/operator"
	"edged/fleet/protocol"
	"edged/fleet/strict"
)

// readDesiredConfig reads a configuration as it travels in a desired document.
func readDesiredConfig(file string) (json.RawMessage, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, failed(exitUsage, fmt.Errorf("read the configuration: %w", err))
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, failed(exitConfig, fmt.Errorf("%s is empty", file))
	}
	config, err := travelling(text)
	if err != nil {
		return nil, failed(exitConfig, fmt.Errorf("%s: %w", file, err))
	}
	return config, nil
}

// travelling returns a configuration as it travels: one JSON object, without white
// space. A text that is no JSON is taken for YAML and stands in the member yaml, with its
// comments.
func travelling(text []byte) (config json.RawMessage, err error) {
	text = bytes.TrimSpace(text)
	if bytes.HasPrefix(text, []byte("{")) && json.Valid(text) {
		err = strict.Decode(text, &config, strict.Limits{Bytes: protocol.DesiredBytesMax})
	} else {
		config, err = strict.Encode(map[string]string{"yaml": string(text) + "\n"})
	}
	if err != nil {
		return nil, err
	}
	return strict.Encode(config) // as it stands in what is signed
}

// configHash returns the hash of a configuration as it travels.
func configHash(config []byte) string {
	sum := sha256.Sum256(config)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// difference describes how a configuration differs from what a gateway runs.
func (d *desk) difference(g *operator.Gateway, config json.RawMessage) (lines []string, known bool, err error) {
	if g == nil {
		return nil, false, nil
	}
	r := rowOf(g, false)
	if r.Config == nil || r.Config.Hash == "" {
		return nil, false, nil
	}
	if r.Config.Hash == configHash(config) {
		return nil, true, nil
	}
	old := d.home.recall(r.Config.Hash)
	if old == nil {
		return nil, false, nil
	}
	lines, err = differences(old, config, r.Config.Version == 0)
	return lines, true, err
}

// differences lists the differences of two configurations that do not travel as the same
// bytes. The settings of a gateway's own file are no concern of what is sent.
func differences(old, config json.RawMessage, own bool) ([]string, error) {
	var trees [2]json.RawMessage
	for i, c := range []json.RawMessage{old, config} {
		tree, err := configs.JSON(sentText(c))
		if err != nil {
			return nil, failed(exitConfig, err)
		}
		var members map[string]json.RawMessage
		if err := json.Unmarshal(tree, &members); err == nil && own {
			delete(members, "settings")
			if tree, err = json.Marshal(members); err != nil {
				return nil, err
			}
		}
		trees[i] = tree
	}
	lines, err := operator.Diff(trees[0], trees[1])
	if len(lines) == 0 && err == nil {
		lines = []string{"~ comments, spelling or settings only"}
	}
	return lines, err
}

// fetchFor is how long a gateway may take to say what it runs.
const fetchFor = 20 * time.Second

// fetch asks a gateway for the configuration that it runs, if we have a key and it is
// online, and keeps it. It returns why it is still not known.
func (d *desk) fetch(ctx context.Context, g *operator.Gateway) (why string, err error) {
	switch {
	case len(d.flags.keys) == 0:
		return "with --key it is asked", nil
	case !g.Online():
		return "it is not online to be asked", nil
	}
	answer, err := d.ask(ctx, protocol.Command{Op: "config.get"}, g.Name, fetchFor)
	if answer == nil && err != nil && exitCode(err) != exitCheck {
		return "", err
	}
	if answer == nil || !answer.Final {
		return "it was asked and says nothing", nil
	}
	if answer.Code != protocol.OK {
		return fmt.Sprintf("it was asked and says %s: %s", answer.Code, cleanText(answer.Message)), nil
	}
	var said configResult
	if err := json.Unmarshal(answer.Result, &said); err != nil || answer.Lost {
		return "it was asked, and its answer is not kept, or is none", nil
	}
	running, err := travelling([]byte(said.YAML))
	if err != nil || configHash(running) != said.Hash {
		return "it was asked, and the text that it says has not the hash that it says", nil
	}
	return "", d.home.remember(said.Hash, running)
}

const fleetDiffLong = `Compare a configuration with what a gateway says it runs. Gateways say a hash; what
is behind it is known for configurations that were sent from this operator's home. For
others, the gateway is asked with the command config.get, if --key is given. Ends with code 7 if they differ.`

func newFleetDiffCmd(f *fleetFlags) *cobra.Command {
	return &cobra.Command{
		Use: "diff GW FILE", Short: "compare a configuration with what a gateway runs", Long: fleetDiffLong,
		Args: exactly(2, "a gateway and a file"), Example: "  edged fleet diff gw-1 site.json",
		RunE: func(cmd *cobra.Command, args []string) error {
			config, err := readDesiredConfig(args[1])
			if err != nil {
				return err
			}
			filters, err := gatewayFilters(f, args[0])
			if err != nil {
				return err
			}
			return withDesk(f, cmd, func(ctx context.Context, d *desk) error {
				g := d.view.Gateway(args[0])
				if g == nil {
					return failed(exitCheck, fmt.Errorf("the broker knows no gateway %s of fleet %s", args[0], f.fleet))
				}
				return d.printDiff(ctx, &printer{cmd.OutOrStdout(), f.asJSON}, g, config)
			}, filters...)
		},
	}
}

func (d *desk) printDiff(ctx context.Context, out *printer, g *operator.Gateway, config json.RawMessage) error {
	lines, known, err := d.difference(g, config)
	why := ""
	if err == nil && !known {
		if why, err = d.fetch(ctx, g); err == nil && why == "" {
			lines, known, err = d.difference(g, config)
			why = "it has changed meanwhile"
		}
	}
	if err != nil {
		return err
	}
	r := rowOf(g, false)
	same := known && len(lines) == 0
	text := fmt.Sprintf("%s runs %s; the file has %s", g.Name, r.config(), trimHash(configHash(config))[:shortHash])
	switch {
	case same:
		text += ": the same"
	case !known:
		text += ": not the same, and what the gateway runs was not sent from here; " + why
	}
	if err := out.say(map[string]any{"event": "diff", "gw": g.Name, "same": same, "known": known, "running": r.Config, "hash": configHash(config), "lines": lines}, "%s", text); err != nil {
		return err
	}
	if !out.asJSON {
		for _, line := range lines {
			if _, err := fmt.Fprintln(out.out, "  "+cleanText(line)); err != nil {
				return err
			}
		}
	}
	if !same {
		return failed(exitCheck, errors.New("the configurations differ"))
	}
	return nil
}

// applyFlags say how gateways put a configuration into effect.
type applyFlags struct {
	health, deadline time.Duration
	confirm, state   string
	version          uint64
}

func (a *applyFlags) add(cmd *cobra.Command) {
	cmd.Flags().DurationVar(&a.health, "health", time.Minute, "how long the gateway watches its own health before it keeps the configuration")
	cmd.Flags().DurationVar(&a.deadline, "deadline", 10*time.Minute, "when the gateway goes back by itself if it could not confirm")
	cmd.Flags().StringVar(&a.confirm, "confirm", protocol.ConfirmSession, "what else must hold: none, session (the management link is back) or operator (somebody sends config.confirm)")
	cmd.Flags().StringVar(&a.state, "state", protocol.StateMigrate, "what becomes of window state: keep (refuse what would lose some), migrate or reset")
	cmd.Flags().Uint64Var(&a.version, "version", 0, "version of the document; 0: the next one")
}

func (a *applyFlags) apply() protocol.Apply {
	return protocol.Apply{Health: a.health.Milliseconds(), Deadline: a.deadline.Milliseconds(), Confirm: a.confirm, State: a.state}
}
