package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"edged"
	"edged/persistence"
)

const inspectLong = `Show what is in a data directory, and check all of it: every page of the
database, every frame of the journal and the outbox, every snapshot. Nothing is
changed. A directory in use is refused (code 4): stop the process, or copy the
directory and inspect the copy. Damage ends with code 7, or with 5 when the store
cannot be read at all.`

const inspectExample = `  edged inspect /var/lib/edged

  cp -r /var/lib/edged /tmp/copy && edged inspect --json /tmp/copy | jq .streams`

func newInspectCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{Use: "inspect DATA_DIR", Short: "show and check a data directory", Long: inspectLong, Example: inspectExample}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Args = func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return failed(exitUsage, errors.New("give one data directory; see edged inspect --help"))
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if _, err := os.Stat(args[0]); err != nil {
			return failed(exitUsage, fmt.Errorf("inspect: %w; give the directory that data_dir names", err))
		}
		if !holdsStore(args[0]) {
			return failed(exitUsage, fmt.Errorf("%s is no data directory of edged (it has no store.json)", args[0]))
		}
		report, err := persistence.Inspect(args[0])
		if errors.Is(err, persistence.ErrInUse) {
			return err // its text says what to do
		}
		if errors.Is(err, persistence.ErrCorrupt) {
			err = fmt.Errorf("%w: too much is damaged to show the rest; restore a backup", err)
		}
		if err != nil {
			return failed(exitStore, err)
		}
		if asJSON {
			encoder := json.NewEncoder(cmd.OutOrStdout())
			encoder.SetIndent("", "  ")
			err = encoder.Encode(report)
		} else {
			err = printReport(cmd.OutOrStdout(), report)
		}
		if err == nil && report.ProblemCount > 0 {
			err = failed(exitCheck, fmt.Errorf("%s: %d problems found", filepath.Clean(args[0]), report.ProblemCount))
		}
		return err
	}
	return cmd
}

// holdsStore reports whether a path is a directory with a store. A database that
// has lost its store.json is a store, and a damaged one.
func holdsStore(dir string) bool {
	for _, name := range []string{"store.json", "edged.db"} {
		_, err := os.Stat(filepath.Join(dir, name))
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
			return true // it is there, or the store tells why it cannot be read
		}
	}
	return false
}

// printReport prints a report for people.
func printReport(w io.Writer, r *persistence.Report) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(t, "%s\t"+format+"\n", append([]any{name}, args...)...)
	}
	row("data directory", "%s", r.Dir)
	row("store", "%s, format %d, made %s, %s", r.StoreID, r.Format, r.Created, size(r.FileBytes))
	row("records", "%d committed in %d commits, the last at %s", r.Seq, r.Commits, moment(r.Time))
	row("journal", "%d records after %d, %s in %d segments", r.Journal.Items, r.Floor, size(r.Journal.Bytes), r.Journal.Segments)
	row("last sweep", "generation %d, begun at record %d", r.Generation, r.SweepStart)
	row("keys", "%d with a snapshot, %d open windows in them", r.Keys, r.OpenWindows)
	if r.KeysLost+r.KeysRepair > 0 {
		row("damaged keys", "%d lost, %d repairable", r.KeysLost, r.KeysRepair)
	}
	for i, g := range r.Generations {
		row(fmt.Sprintf("snapshot slot %d", i), "%d intact, %d damaged, %s", g.Intact, g.Damaged, size(g.Bytes))
	}
	printStreams(row, r.Streams)
	row("dead letters", "%d kept, of them %d retried, %d dropped, %d to skip", r.DeadLetters.Kept.Items, r.Retried, r.DeadLetters.Kept.Dropped, r.Skips)
	for _, c := range r.DeadLetters.Causes {
		row("  "+c.Cause, "%d", c.Count)
	}
	for _, d := range r.DeadLetters.Last {
		row("  record "+fmt.Sprint(d.Seq), "%s %s, topic %q: %s: %q, %d bytes: %s",
			moment(d.Time), d.Pipeline, d.Topic, d.Cause, d.Detail, d.Size, sample(d.Payload))
	}
	if r.ProblemCount == 0 {
		row("integrity", "every checksum is right, every page accounted for")
	}
	for _, p := range r.Problems {
		row("PROBLEM", "%s", p)
	}
	return t.Flush()
}

func printStreams(row func(string, string, ...any), streams []persistence.StreamReport) {
	for _, s := range streams {
		row("stream "+s.Name, "%d rows, %d wait (%s)", s.Last, s.PendingRows, size(s.PendingBytes))
		for _, o := range s.Outputs {
			row("  "+o.Output, "confirmed up to %d, %d wait", o.Confirmed, o.Pending)
		}
	}
}

// sampleBytesMax is how much of a payload the text form shows.
const sampleBytesMax = 80

// sample shortens a quoted payload to its first bytes, quoted again.
func sample(quoted string) string {
	payload, err := strconv.Unquote(quoted)
	if err != nil || len(payload) <= sampleBytesMax {
		return quoted
	}
	return strconv.Quote(payload[:sampleBytesMax]) + "..."
}

// size writes bytes for people.
func size(b int64) string {
	switch {
	case b >= 10<<20:
		return fmt.Sprintf("%d MiB", b>>20)
	case b >= 10<<10:
		return fmt.Sprintf("%d KiB", b>>10)
	}
	return fmt.Sprintf("%d bytes", b)
}

func moment(t edged.Timestamp) string {
	return time.UnixMilli(int64(t)).UTC().Format("2006-01-02T15:04:05.000Z")
}
