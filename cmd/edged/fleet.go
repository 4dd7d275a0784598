package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"edged/fleet/protocol"
	"edged/fleet/trust"
	"edged/mqtt"
)

const fleetLong = `See and change a fleet of gateways through an MQTT broker; nothing else is needed.

Everything that changes a gateway is signed with your key. Sequence numbers,
keyrings and rollouts are kept in --home; do not share one home between machines.
Flags can be set for all commands by the environment: --fleet by EDGED_FLEET,
--broker, --key and --home by EDGED_FLEET_BROKER, EDGED_FLEET_KEY and
EDGED_FLEET_HOME, --ca, --cert and --cert-key by EDGED_FLEET_CA, EDGED_FLEET_CERT
and EDGED_FLEET_CERT_KEY.

With --json each command prints one JSON object per line, as things happen.
docs/fleet.md leads from the first key to a rollout.`

const fleetExample = `  export EDGED_FLEET=plant7 EDGED_FLEET_BROKER=tcp://localhost:1883 EDGED_FLEET_KEY=keys/olga.secret

  edged fleet list
  edged fleet cmd gw-1 pipeline.pause pipeline=energy
  edged fleet rollout site.yaml --selector site=berlin`

// fleetFlags are what all commands for a fleet need.
type fleetFlags struct {
	fleet, prefix, home             string
	broker, username, passwordFile  string
	caFile, certFile, brokerKeyFile string
	keys                            []string
	settle, connect                 time.Duration
	asJSON                          bool
}

func newFleetCmd() *cobra.Command {
	f := &fleetFlags{}
	cmd := &cobra.Command{Use: "fleet", Short: "see and change a fleet of gateways", Long: fleetLong, Example: fleetExample}
	flags := cmd.PersistentFlags()
	flags.StringVar(&f.fleet, "fleet", os.Getenv("EDGED_FLEET"), "name of the fleet")
	flags.StringVar(&f.prefix, "prefix", protocol.DefaultPrefix, "what all topics begin with")
	flags.StringVar(&f.home, "home", os.Getenv("EDGED_FLEET_HOME"), "directory for sequence numbers, keyrings and rollouts (default: edged/fleet below the user's configuration)")
	flags.StringVar(&f.broker, "broker", os.Getenv("EDGED_FLEET_BROKER"), "MQTT broker, as in ssl://broker:8883")
	flags.StringVar(&f.username, "username", "", "user name at the broker")
	flags.StringVar(&f.passwordFile, "password-file", "", "file with the password at the broker")
	flags.StringVar(&f.caFile, "ca", os.Getenv("EDGED_FLEET_CA"), "certificate authorities of the broker, PEM")
	flags.StringVar(&f.certFile, "cert", os.Getenv("EDGED_FLEET_CERT"), "our certificate for the broker, PEM")
	flags.StringVar(&f.brokerKeyFile, "cert-key", os.Getenv("EDGED_FLEET_CERT_KEY"), "key of our certificate, PEM")
	flags.StringArrayVar(&f.keys, "key", envList("EDGED_FLEET_KEY"), "file with the secret key that signs (repeatable)")
	flags.DurationVar(&f.settle, "settle", 500*time.Millisecond, "how long the broker must be silent until all it has kept is believed to be here")
	flags.DurationVar(&f.connect, "connect", 10*time.Second, "how long to try to reach the broker")
	flags.BoolVar(&f.asJSON, "json", false, "print JSON, one object per line")
	cmd.AddCommand(newFleetKeysCmd(f), newFleetKeyringCmd(f), newFleetListCmd(f), newFleetWatchCmd(f), newFleetShowCmd(f),
		newFleetCmdCmd(f), newFleetSignCmd(f), newFleetSendCmd(f), newFleetApplyCmd(f), newFleetDiffCmd(f), newFleetRolloutCmd(f),
		newFleetRefreshCmd(f), newFleetAuditCmd(f), newFleetTimeCmd(f))
	return group(cmd)
}

// group makes a command that only has others below it say so, instead of taking a word
// that is none of them for an argument.
func group(cmd *cobra.Command) *cobra.Command {
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return failed(exitUsage, fmt.Errorf("unknown command %q for %q; see %s --help", args[0], cmd.CommandPath(), cmd.CommandPath()))
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	return cmd
}

// atMostOne refuses more than one argument.
func atMostOne(cmd *cobra.Command, args []string) error {
	return failed(exitUsage, cobra.MaximumNArgs(1)(cmd, args))
}

func envList(name string) []string {
	if v := os.Getenv(name); v != "" {
		return []string{v}
	}
	return nil
}

// mqttConfig returns how to reach the broker.
func (f *fleetFlags) mqttConfig() (mqtt.Config, error) {
	cfg := mqtt.Config{URL: f.broker, Username: f.username, ReconnectMax: 5 * time.Second}
	if f.fleet == "" || f.broker == "" {
		return cfg, failed(exitUsage, errors.New("which fleet, at which broker? Give --fleet and --broker, or set EDGED_FLEET and EDGED_FLEET_BROKER"))
	}
	if f.passwordFile != "" {
		text, err := os.ReadFile(f.passwordFile)
		if err != nil {
			return cfg, failed(exitConfig, fmt.Errorf("read the password for the broker: %w", err))
		}
		cfg.Password = strings.TrimRight(string(text), " \t\r\n")
	}
	if f.caFile != "" || f.certFile != "" {
		tls, err := mqtt.LoadTLS(f.caFile, f.certFile, f.brokerKeyFile)
		if err != nil {
			return cfg, failed(exitConfig, fmt.Errorf("certificates for the broker: %w", err))
		}
		cfg.TLS = tls
	}
	return cfg, nil
}

// signers loads the keys that sign; there must be one at least.
func (f *fleetFlags) signers() ([]trust.SecretKey, error) {
	if len(f.keys) == 0 {
		return nil, failed(exitUsage, errors.New("whose signature? Give --key FILE, or set EDGED_FLEET_KEY; edged fleet keys new makes one"))
	}
	var all []trust.SecretKey
	for _, file := range f.keys {
		key, err := readSecret(file)
		if err != nil {
			return nil, err
		}
		all = append(all, key)
	}
	return all, nil
}

// readSecret reads a secret key from a file that nobody else may read.
func readSecret(file string) (trust.SecretKey, error) {
	info, err := os.Stat(file)
	if err != nil {
		return trust.SecretKey{}, failed(exitUsage, fmt.Errorf("read a secret key: %w", err))
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && os.PathSeparator == '/' {
		return trust.SecretKey{}, failed(exitUsage, fmt.Errorf("the secret key %s can be read by others (mode %#o): chmod 600 it, and think of who may have copied it", file, mode))
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return trust.SecretKey{}, failed(exitUsage, fmt.Errorf("read a secret key: %w", err))
	}
	key, err := trust.ParseSecretKey(text)
	if err != nil {
		return trust.SecretKey{}, failed(exitUsage, fmt.Errorf("%s: %w", file, err))
	}
	return key, nil
}

// readPublic reads a public key from a file, or the public half of a secret one, or
// the key itself from the command line.
func readPublic(word string) (trust.PublicKey, error) {
	if key, err := trust.ParsePublicKey([]byte(word)); err == nil {
		return key, nil
	}
	text, err := os.ReadFile(word)
	if err != nil {
		return trust.PublicKey{}, failed(exitUsage, fmt.Errorf("read a public key: %w", err))
	}
	key, err := trust.ParsePublicKey(text)
	if err != nil {
		if secret, fault := trust.ParseSecretKey(text); fault == nil {
			return secret.Public(), nil
		}
		return key, failed(exitUsage, fmt.Errorf("%s: %w", word, err))
	}
	return key, nil
}

// printer writes what happens: lines for people, or one JSON object per line.
type printer struct {
	out    io.Writer
	asJSON bool
}

// say prints a value as JSON, or else the line; an empty line is left out.
func (p *printer) say(value any, format string, args ...any) error {
	if p.asJSON {
		return json.NewEncoder(p.out).Encode(value)
	}
	if format == "" {
		return nil
	}
	_, err := fmt.Fprintf(p.out, format+"\n", args...)
	return err
}

// confirm asks a person whether to go on, unless that was said beforehand.
func confirm(cmd *cobra.Command, yes bool, what string) error {
	if yes {
		return nil
	}
	if !terminal(cmd.InOrStdin()) {
		return failed(exitUsage, fmt.Errorf("%s: nobody can be asked here; look with --preview, then give --yes", what))
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s. Go on? [y/N] ", what)
	answer, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the answer: %w", err)
	}
	if word := strings.ToLower(strings.TrimSpace(answer)); word != "y" && word != "yes" {
		return failed(exitUsage, errors.New("nothing was done"))
	}
	return nil
}

// terminal reports whether a stream is one.
func terminal(stream any) bool {
	file, ok := stream.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && cmp.Or(os.Getenv("TERM"), "dumb") != "dumb"
}

// exactly checks the number of arguments.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return failed(exitUsage, fmt.Errorf("give %s; see %s --help", what, cmd.CommandPath()))
		}
		return nil
	}
}

// atLeast checks the number of arguments.
func atLeast(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < n {
			return failed(exitUsage, fmt.Errorf("give %s; see %s --help", what, cmd.CommandPath()))
		}
		return nil
	}
}
