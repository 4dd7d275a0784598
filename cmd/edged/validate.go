package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"edged/query"
)

const validateLong = `Check a configuration file without running anything, and say what it does:
what each pipeline costs per key and under which conditions its results are
counted exactly once. All faults are reported, with line and column.

Environment variables and flags count as they would for edged run.`

const validateExample = `  edged validate configs/examples/cold-chain.yaml

  edged validate --json site.yaml | jq '.faults[].message'`

func newValidateCmd() *cobra.Command {
	var file string
	var asJSON bool
	cmd := &cobra.Command{Use: "validate FILE", Short: "check a configuration file", Long: validateLong, Example: validateExample}
	addSettings(cmd)
	cmd.Flags().StringVarP(&file, "config", "c", "", "configuration file, instead of FILE")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Args = func(_ *cobra.Command, args []string) error {
		if len(args) == 1 && file == "" {
			file = args[0]
			return nil
		}
		if len(args) > 0 || file == "" {
			return failed(exitUsage, errors.New("give one configuration file; see edged validate --help"))
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		s, err := loadSetup(file, cmd.Flags())
		if asJSON {
			return errors.Join(printValidation(cmd.OutOrStdout(), s, err), err)
		}
		if err != nil {
			return err
		}
		out := cmd.OutOrStdout()
		for _, p := range s.plans {
			fmt.Fprintln(out, p.Describe())
		}
		for _, pair := range overlaps(s.specs) {
			fmt.Fprintf(out, "warning: the topic filters %s overlap: a broker may send a message twice, and only deduplication tells\n", pair)
		}
		_, err = fmt.Fprintf(out, "%s is valid\n", file)
		return err
	}
	return cmd
}

// fault is one fault for machines.
type fault struct {
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
	Path    string `json:"path,omitempty"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

// validation is the outcome for machines.
type validation struct {
	Valid     bool          `json:"valid"`
	Faults    []fault       `json:"faults"`
	Warnings  []string      `json:"warnings"`
	Pipelines []description `json:"pipelines"`
}

type description struct {
	Name       string   `json:"name"`
	Topic      string   `json:"topic"`
	Conditions []string `json:"conditions"`
}

func printValidation(out io.Writer, s *setup, err error) error {
	v := validation{Valid: err == nil, Faults: faultsOf(err), Warnings: []string{}, Pipelines: []description{}}
	if err == nil {
		v.Warnings = append(v.Warnings, overlaps(s.specs)...)
		for i, p := range s.plans {
			v.Pipelines = append(v.Pipelines, description{p.Name(), s.specs[i].From(), p.Conditions()})
		}
	}
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}

// faultsOf takes joined errors apart.
func faultsOf(err error) []fault {
	switch e := err.(type) {
	case nil:
		return []fault{}
	case *query.Error:
		return []fault{{e.File, e.Line, e.Column, e.Path, e.Message, e.Hint}}
	case interface{ Unwrap() []error }:
		var all []fault
		for _, one := range e.Unwrap() {
			all = append(all, faultsOf(one)...)
		}
		return all
	}
	if _, structured := errors.AsType[*query.Error](err); structured {
		return faultsOf(errors.Unwrap(err))
	}
	return []fault{{Message: err.Error()}}
}
