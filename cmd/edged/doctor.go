package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"edged/configs"
)

const doctorLong = `Check this machine for what edged needs, and say what to do.

It looks at the configuration, the data directory and the disk below it, the
clock, memory and other limits, the brokers with the credentials of the
configuration, certificates, the address for health checks, and the service. Each
check ends as ok, warning, problem or skipped. A warning costs something now and
then; a problem loses data, or keeps edged from running.

It changes nothing. To measure the disk it writes a file of 1 MiB into the data
directory for up to three seconds, and removes it; a daemon that runs there is
slowed down for that long. Run it as the user of the service, who may read less
than root.

Without --config it takes ` + packagedConfig + ` if that is there, and
else the defaults. Ends with 7 when there is a problem, else with 0.`

const doctorExample = `  edged doctor --config site.yaml

  # as the service of the package runs it
  sudo -u edged edged doctor

  # what is not right, for scripts
  edged doctor --json | jq '.checks[] | select(.status == "problem")'`

// packagedConfig is where the package puts the configuration.
const packagedConfig = "/etc/edged/edged.yaml"

// doctorLimit bounds every wait for something else than this machine.
const doctorLimit = 8 * time.Second

// How a check can end.
const (
	statusOK      = "ok"
	statusWarning = "warning"
	statusProblem = "problem"
	statusSkipped = "skipped"
)

// finding is what a check found.
type finding struct {
	Check  string `json:"check"`
	Status string `json:"status"`
	What   string `json:"what"`
	Why    string `json:"why,omitempty"` // it matters
	Do     string `json:"do,omitempty"`
}

func ok(check, format string, args ...any) finding {
	return finding{Check: check, Status: statusOK, What: fmt.Sprintf(format, args...)}
}

func skipped(check, format string, args ...any) finding {
	return finding{Check: check, Status: statusSkipped, What: fmt.Sprintf(format, args...)}
}

// cannot is the finding of a probe that itself failed.
func cannot(check string, err error) finding {
	return finding{check, statusWarning, oneLine(err.Error()), "it cannot be checked", "run edged doctor as the user of the service, or as root"}
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

func newDoctorCmd() *cobra.Command {
	var p patient
	var asJSON bool
	cmd := &cobra.Command{Use: "doctor", Short: "check this machine and say what to do", Long: doctorLong, Example: doctorExample, Args: noArgs}
	addSettings(cmd, "data-dir", "mqtt-url", "upstream-url", "http-listen")
	cmd.Flags().StringVarP(&p.file, "config", "c", "", "configuration file")
	cmd.Flags().IntVar(&p.certDays, "cert-days", 30, "warn of certificates that end within this many days")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if p.certDays < 1 {
			return failed(exitUsage, errors.New("--cert-days must be at least 1"))
		}
		r := newReport(p.examine(cmd.Context(), cmd.Flags()))
		show := r.print
		if asJSON {
			show = r.printJSON
		}
		return errors.Join(show(cmd.OutOrStdout()), r.err())
	}
	return cmd
}

// patient is what is examined.
type patient struct {
	file     string
	certDays int
	settings *configs.Settings
}

// examine runs all checks.
func (p *patient) examine(ctx context.Context, flags *pflag.FlagSet) []finding {
	found := []finding{p.configuration(flags)}
	found = append(found, p.storage()...)
	found = append(found, p.clock(), p.rtc(), p.memory(), p.processors(), p.openFiles())
	found = append(found, p.brokers(ctx)...)
	return append(found, p.listener(ctx), p.service(ctx))
}

// configuration loads the settings that the other checks go by. When they are
// not valid, the defaults must do.
func (p *patient) configuration(flags *pflag.FlagSet) finding {
	const check = "configuration"
	if _, err := os.Stat(packagedConfig); p.file == "" && err == nil {
		p.file = packagedConfig
	}
	var err error
	if p.file != "" {
		var s *setup
		if s, err = loadSetup(p.file, flags); err == nil {
			p.settings = s.settings
			return ok(check, "%s is valid, pipelines: %d", p.file, len(s.plans))
		}
		if text, readErr := os.ReadFile(p.file); readErr == nil {
			p.settings, _, _ = configs.Load(p.file, text, os.Environ(), flags)
		}
	}
	if p.settings == nil {
		p.settings = defaultSettings(os.Environ(), flags)
	}
	if p.file == "" {
		return skipped(check, "no --config, and there is no %s; the other checks go by the defaults", packagedConfig)
	}
	faults := faultsOf(err)
	first := cmp.Or(strings.TrimSpace(strings.TrimPrefix(err.Error(), "the configuration is not valid:")), err.Error())
	return finding{check, statusProblem, fmt.Sprintf("%s cannot be used, faults: %d; %s", p.file, len(faults), oneLine(first)),
		"edged run ends with code 3", "edged validate " + p.file + " shows all faults with their places"}
}

// defaultSettings are those without a file, or without anything.
func defaultSettings(env []string, flags *pflag.FlagSet) *configs.Settings {
	const nothing = "pipelines: []"
	if settings, _, err := configs.Load("", []byte(nothing), env, flags); err == nil {
		return settings
	}
	if settings, _, err := configs.Load("", []byte(nothing), nil, nil); err == nil {
		return settings
	}
	return &configs.Settings{}
}

// report is all findings.
type report struct {
	Version  string    `json:"version"`
	Problems int       `json:"problems"`
	Warnings int       `json:"warnings"`
	Skipped  int       `json:"skipped"`
	Checks   []finding `json:"checks"`
}

func newReport(found []finding) report {
	r := report{Version: buildVersion(), Checks: found}
	for _, f := range found {
		switch f.Status {
		case statusProblem:
			r.Problems++
		case statusWarning:
			r.Warnings++
		case statusSkipped:
			r.Skipped++
		}
	}
	return r
}

// print prints a report for people: what is well on one line each, and under all
// else why it matters and what to do.
func (r report) print(out io.Writer) error {
	var b strings.Builder
	for _, f := range r.Checks {
		fmt.Fprintf(&b, "%-8s %-15s %s\n", f.Status, f.Check, f.What)
		for _, line := range []struct{ label, text string }{{"why", f.Why}, {"do", f.Do}} {
			if line.text != "" {
				fmt.Fprintf(&b, "%24s %-4s %s\n", "", line.label, line.text)
			}
		}
	}
	fmt.Fprintf(&b, "\nproblems: %d, warnings: %d, skipped: %d, of %d checks\n", r.Problems, r.Warnings, r.Skipped, len(r.Checks))
	_, err := io.WriteString(out, b.String())
	return err
}

func (r report) printJSON(out io.Writer) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}

func (r report) err() error {
	if r.Problems == 0 {
		return nil
	}
	return failed(exitCheck, fmt.Errorf("doctor found problems: %d; what to do is said above", r.Problems))
}
