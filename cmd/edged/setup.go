package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"edged/configs"
	"edged/fleet/apply"
	"edged/mqtt"
	"edged/query"
)

// setup is a configuration that was read, checked and compiled.
type setup struct {
	file     string
	text     string        // of the file
	version  apply.Version // that it is; 0: the gateway's own file
	settings *configs.Settings
	doc      *query.Document
	specs    []query.PipelineSpec // of doc
	plans    []*query.Plan        // of the specs
	names    map[string]identity  // of those that are not stored under their own names
}

// loadSetup reads a configuration file and reports everything that is wrong with
// it. Its errors end the process with exitConfig.
func loadSetup(file string, flags *pflag.FlagSet) (*setup, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, failed(exitConfig, fmt.Errorf("read the configuration: %w; give the path of a YAML file", err))
	}
	return parseSetup(file, text, os.Environ(), flags)
}

func parseSetup(file string, text []byte, env []string, flags *pflag.FlagSet) (*setup, error) {
	settings, doc, err := configs.Load(file, text, env, flags)
	if err != nil {
		return nil, failed(exitConfig, fmt.Errorf("the configuration is not valid:\n%w", err))
	}
	s := &setup{file: file, text: string(text), settings: settings, doc: doc, specs: doc.Pipelines}
	faults := s.compile()
	faults = append(faults, checkLoopback(settings.HTTP.Listen), checkFleet(&settings.Fleet))
	if err := errors.Join(append(faults, s.checkFiles())...); err != nil {
		return nil, failed(exitConfig, fmt.Errorf("the configuration is not valid:\n%w", err))
	}
	return s, nil
}

// compile makes the plans.
func (s *setup) compile() (faults []error) {
	if len(s.specs) == 0 {
		faults = append(faults, &query.Error{File: s.file, Path: "pipelines", Message: "there is none", Hint: "see configs/examples for complete files"})
	}
	plans, err := s.doc.Compile(false)
	if err != nil {
		return append(faults, err)
	}
	s.plans = plans
	return faults
}

// checkFiles refuses two streams that write the same file: each reads from the
// file's last line how far it is.
func (s *setup) checkFiles() error {
	var faults []error
	streams := map[string]string{}
	for _, st := range s.streams() {
		for _, o := range st.outputs {
			if o.Kind != query.OutputFile {
				continue
			}
			if other, taken := streams[o.Path]; taken {
				faults = append(faults, &query.Error{
					File: s.file, Path: "pipelines", Hint: "give each a file of its own",
					Message: fmt.Sprintf("streams %s and %s both write the file %s", other, st.name, o.Path),
				})
			}
			streams[o.Path] = st.name
		}
	}
	return errors.Join(faults...)
}

// stream is where results of one kind go.
type stream struct {
	name    string
	plan    *query.Plan
	outputs []query.OutputSpec
}

// streams returns the streams of all pipelines, also those without outputs.
func (s *setup) streams() []stream {
	var all []stream
	for _, p := range s.plans {
		all = append(all, stream{p.Stream(), p, p.Outputs()}, stream{p.LateStream(), p, p.LateOutputs()}, stream{p.AlarmStream(), p, p.AlarmOutputs()})
	}
	return all
}

// checkLoopback refuses addresses that other machines can reach: metrics and
// health have no access control.
func checkLoopback(listen string) error {
	host, _, err := net.SplitHostPort(listen)
	if listen == "" || err != nil {
		return nil // off, or reported by package configs
	}
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return &query.Error{
		Path: "http.listen", Message: fmt.Sprintf("%q is reachable from other machines, and nothing guards it", listen),
		Hint: "use 127.0.0.1 and, to reach it from elsewhere, a proxy that knows who may",
	}
}

// mqttConfig turns settings into what package mqtt wants.
func mqttConfig(b *configs.Broker, clientID string, log *slog.Logger) (mqtt.Config, error) {
	cfg := mqtt.Config{URL: b.URL, ClientID: clientID, Username: b.Username, Password: b.Password, Logger: log}
	if b.PasswordFile != "" {
		text, err := os.ReadFile(b.PasswordFile)
		if err != nil {
			return cfg, failed(exitConfig, fmt.Errorf("read the password of broker %s: %w", b.URL, err))
		}
		cfg.Password = strings.TrimRight(string(text), " \t\r\n")
	}
	if b.CAFile == "" && b.CertFile == "" {
		return cfg, nil
	}
	// Each connection looks at the files anew, so that replaced ones are used.
	cfg.LoadTLS = (&certificates{files: filesOf(b), log: log}).config
	if _, err := cfg.LoadTLS(); err != nil {
		return cfg, failed(exitConfig, fmt.Errorf("certificates for broker %s: %w", b.URL, err))
	}
	return cfg, nil
}

// addSettings gives a command a flag for every setting, and shows the ones that
// are needed most.
func addSettings(cmd *cobra.Command, shown ...string) {
	configs.AddFlags(cmd.Flags())
	cmd.Flags().VisitAll(func(f *pflag.Flag) { f.Hidden = true })
	for _, name := range shown {
		cmd.Flags().Lookup(name).Hidden = false
	}
}

// newLogger makes the logger that the settings ask for.
func newLogger(cfg configs.Log, cmd *cobra.Command) *slog.Logger {
	var level slog.Level
	// The settings admit only names of levels.
	_ = level.UnmarshalText([]byte(cfg.Level))
	return slog.New(logHandler(cmd.ErrOrStderr(), cfg.Format, &slog.HandlerOptions{Level: level}))
}
