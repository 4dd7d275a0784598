package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"edged/edgedtest"
)

const driveLong = `Run pipelines step by step in virtual time, to see or to test what a document
does. Steps are lines of JSON on standard input, results are lines of JSON on
standard output, each with the number of the step after which it appeared, from 0.
Lines that are empty or begin with # are passed over.

  {"event":{"key":"d1","ts":1000,"value":20.5}}   an event; other members are fields by name
  {"bundle":[{"key":"d1","ts":1000}, ...]}        several events as one step
  {"watermark":60000}                             nothing before 60000 is expected (watermark type manual)
  {"processing_time":5000}                        the clock comes to 5000
  {"idle":"s1"}  {"active":"s1"}                  a source falls silent, a source is back
  {"checkpoint_restore":true}                     all state is encoded, thrown away and read back
  {"end":true}                                    the input has ended: everything fires

Times are milliseconds. The document may leave out name, source, key, event_time
and outputs; settings and outputs that it has are not used. The operators are those
of edged run.`

const driveExample = `  edged drive --pipeline window.yaml <steps.ndjson

  echo '{"event":{"key":"a","ts":1,"value":2}}' | edged drive --pipeline window.yaml --script -

  # a name chooses one pipeline of a file, with those it gathers results of
  edged drive --pipeline site.yaml --name per-line --script day.ndjson`

// driveFlags are the flags of edged drive as they were given.
type driveFlags struct {
	file, script string
	names        []string
}

func newDriveCmd() *cobra.Command {
	var f driveFlags
	cmd := &cobra.Command{
		Use: "drive --pipeline FILE", Short: "run pipelines step by step in virtual time", Long: driveLong, Example: driveExample, Args: noArgs,
	}
	cmd.Flags().StringVarP(&f.file, "pipeline", "p", "", "file with the pipelines (required)")
	cmd.Flags().StringSliceVar(&f.names, "name", nil, "run only the pipelines of these names")
	cmd.Flags().StringVar(&f.script, "script", "-", "file of steps, - for standard input")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return f.run(cmd) }
	return cmd
}

func (f *driveFlags) run(cmd *cobra.Command) error {
	if f.file == "" {
		return failed(exitUsage, errors.New("--pipeline FILE is missing; it is a YAML document with pipelines"))
	}
	d, err := f.open()
	if err != nil {
		return failed(exitConfig, err)
	}
	in := cmd.InOrStdin()
	name := "standard input"
	if f.script != "-" {
		file, err := os.Open(f.script)
		if err != nil {
			return failed(exitUsage, fmt.Errorf("--script: %w", err))
		}
		defer file.Close()
		in, name = file, f.script
	}
	return drive(d, name, in, cmd.OutOrStdout())
}

// open makes the driver and gives it the reference tables of the document.
func (f *driveFlags) open() (*edgedtest.Driver, error) {
	text, err := os.ReadFile(f.file)
	if err != nil {
		return nil, fmt.Errorf("read the pipelines: %w; give the path of a YAML file", err)
	}
	d, err := edgedtest.Open(f.file, text, f.names...)
	if err != nil {
		return nil, fmt.Errorf("the pipelines are not valid:\n%w", err)
	}
	tables, err := edgedtest.Tables(f.file, text)
	if err != nil {
		return nil, err
	}
	for _, t := range tables {
		content, err := os.ReadFile(tablePath(f.file, t.File))
		if err != nil {
			return nil, fmt.Errorf("read table %s: %w", t.Name, err)
		}
		if err := d.Table(t.Name, content); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// drive carries out the steps of in. What appears in a step is written before the
// next one is waited for.
func drive(d *edgedtest.Driver, name string, in io.Reader, out io.Writer) error {
	lines := bufio.NewWriter(out)
	var line []byte
	err := d.Run(in, func(results []edgedtest.Result) error {
		for i := range results {
			line = append(results[i].AppendJSON(line[:0]), '\n')
			if _, err := lines.Write(line); err != nil {
				return fmt.Errorf("write results: %w", err)
			}
		}
		if err := lines.Flush(); err != nil {
			return fmt.Errorf("write results: %w", err)
		}
		return nil
	})
	var step *edgedtest.StepError
	if errors.As(err, &step) {
		return failed(exitCheck, fmt.Errorf("%s:%w", name, err))
	}
	return err
}
