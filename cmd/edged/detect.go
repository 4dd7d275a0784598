package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"edged/windows/zones"
)

const detectLong = `Score a recorded series with a detector, as it would have been scored live: row by
row, each judged by the rows before it alone.

The file is CSV with a header, gzipped or not. Its first column is a time: RFC 3339,
YYYY-MM-DD hh:mm:ss, or seconds or milliseconds since 1970. Times without an offset
are local times of --zone, and so are hours of the day and days of the week. Rows are
scored in the order of time, and written as they came. A value that is empty or no
number, and a row whose time cannot be read, is counted, and neither scored nor learned.

  text   the series as the terminal can draw it, and a sentence for every alarm
  csv    timestamp,value,anomaly_score,alarm: every row as it was given, and alarm 1
         where an alarm is raised
  html   a page of its own: values, expected band, score, alarms, and a table of them
  svg    the picture alone, and below it what the worst alarms say

Without --detector, it is the one that needs no parameters, auto.`

const detectExample = `  # what would the default have said?
  edged detect press-4.csv

  # a picture for a colleague
  edged detect press-4.csv.gz --column temperature --zone Europe/Berlin --format html --output press-4.html

  # another detector, and its parameters
  edged detect press-4.csv --detector threshold --param high=80

  # for a scorer
  edged detect press-4.csv --format csv --output scores.csv`

// detectFlags are the flags of edged detect as they were given.
type detectFlags struct {
	detector detectorFlags
	column   string
	zone     string
	format   string
	output   string
}

// drawings are the formats of edged detect.
var drawings = map[string]func(io.Writer, *detection) error{
	"csv": writeDetectCSV, "text": drawText, "html": drawHTML, "svg": drawSVG,
}

func newDetectCmd() *cobra.Command {
	var f detectFlags
	cmd := &cobra.Command{
		Use: "detect FILE", Short: "find anomalies in a recorded series", Long: detectLong, Example: detectExample,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return failed(exitUsage, errors.New("give one CSV file, or - for standard input"))
			}
			return nil
		},
	}
	f.detector.register(cmd)
	cmd.Flags().StringVar(&f.column, "column", "", `column with the values (default "value", or else the second one)`)
	cmd.Flags().StringVar(&f.zone, "zone", "UTC", "time zone of the series, such as Europe/Berlin")
	cmd.Flags().StringVar(&f.format, "format", "", `csv, text, html or svg (default: by the name of --output, or else text)`)
	cmd.Flags().StringVarP(&f.output, "output", "o", "-", "file to write, - for standard output")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) }
	return cmd
}

func (f *detectFlags) run(cmd *cobra.Command, file string) error {
	draw, err := f.drawing()
	if err != nil {
		return failed(exitUsage, err)
	}
	zone, err := zones.Load(f.zone)
	if err != nil {
		return failed(exitUsage, fmt.Errorf("--zone: %w", err))
	}
	spec, err := f.detector.spec(zone)
	if err != nil {
		return failed(exitUsage, err)
	}
	s, err := openSeries(cmd.InOrStdin(), file, f.column, zone)
	if err != nil {
		return failed(exitUsage, err)
	}
	for _, fault := range s.faults() {
		fmt.Fprintf(cmd.ErrOrStderr(), "edged: %s: %s\n", file, fault)
	}
	d := detect(s, spec)
	d.title, d.detector = seriesTitle(file, s.column), f.detector.name
	var out bytes.Buffer
	if err := draw(&out, d); err != nil {
		return err
	}
	if f.output == "-" {
		_, err = cmd.OutOrStdout().Write(out.Bytes())
	} else {
		err = os.WriteFile(f.output, out.Bytes(), 0o644) //nolint:gosec // a picture to show around
	}
	if err != nil {
		return failed(exitStore, fmt.Errorf("write --output: %w", err))
	}
	return nil
}

// drawing returns what writes the format that was asked for.
func (f *detectFlags) drawing() (func(io.Writer, *detection) error, error) {
	name := f.format
	if name == "" {
		name = strings.TrimPrefix(filepath.Ext(f.output), ".")
		if drawings[name] == nil {
			name = "text"
		}
	}
	if draw := drawings[name]; draw != nil {
		return draw, nil
	}
	return nil, fmt.Errorf("--format %s: choose csv, text, html or svg", name)
}

// seriesTitle names a series by its file and column.
func seriesTitle(file, column string) string {
	if file == "-" {
		return column
	}
	name := strings.TrimSuffix(filepath.Base(file), ".gz")
	return printable(strings.TrimSuffix(name, ".csv")) + " · " + column
}

// openSeries reads the series of a file, or of standard input for "-".
func openSeries(stdin io.Reader, file, column string, zone *time.Location) (*series, error) {
	in := stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	s, err := readSeries(in, column, zone)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return s, nil
}
