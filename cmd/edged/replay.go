package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"edged/actors"
	"edged/mqtt/codec"
	"edged/query"
)

const replayLong = `Run pipelines over a file instead of a broker: the same operators, without a
network and without a data directory. When the input ends, all windows close.

The input has one event per line: NDJSON, whose lines are payloads, or CSV with a
header, whose rows become payloads with a member per column. With --format mqtt a
line is a topic, a space and a payload, as mosquitto_sub -v prints them. Results are
written as lines, byte for byte what would be published. The lines of one stream are in
order; those of several streams are mixed as they come.

Other lines carry no topic. Each pipeline sees them under its own topic, with "replay" in
place of wildcards; --topic sets another one, for pipelines whose key is a level
of it. Joins need topics. Inputs that are no events are counted in the summary, on standard error.`

const replayExample = `  edged replay --config configs/examples/device-windows.yaml --input readings.ndjson

  zcat day.csv.gz | edged replay --config site.yaml --input - --format csv --csv-times timestamp --topic halls/7/data

  # same readings, same results: a bounded run beside a live one
  edged simulate --events 100000 --rate 0 --seed 7 --output - | edged replay -c site.yaml -i - --json >results.ndjson`

// replayFlags are the flags of edged replay as they were given.
type replayFlags struct {
	config, input, output string
	format, topic, comma  string
	pipelines             []string
	csv                   codec.CSVConfig
	strict, asJSON        bool
}

func newReplayCmd() *cobra.Command {
	var f replayFlags
	cmd := &cobra.Command{
		Use: "replay --config FILE --input FILE|-", Short: "run pipelines over a file", Long: replayLong, Example: replayExample, Args: noArgs,
	}
	addSettings(cmd, "gateway-id")
	configFlag(cmd, &f.config)
	flags := cmd.Flags()
	flags.StringVarP(&f.input, "input", "i", "", "file of events, - for standard input (required)")
	flags.StringVarP(&f.output, "output", "o", "-", "file for results, - for standard output")
	flags.StringVar(&f.format, "format", "", "ndjson, csv or mqtt (default: csv for a file that ends in .csv, else ndjson)")
	flags.StringVar(&f.topic, "topic", "", "topic that the events are said to come from")
	flags.StringSliceVar(&f.pipelines, "pipeline", nil, "run only the pipelines of these names")
	flags.StringSliceVar(&f.csv.Times, "csv-times", nil, `columns with times like "2024-05-01 12:00:00" (UTC), which become milliseconds`)
	flags.StringSliceVar(&f.csv.Texts, "csv-texts", nil, "columns that stay texts even when they look like numbers")
	flags.StringVar(&f.comma, "csv-comma", ",", "what separates cells")
	flags.BoolVar(&f.strict, "strict", false, "end with code 7 when an input was no event")
	flags.BoolVar(&f.asJSON, "json", false, "print the summary as JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		s, err := loadSetup(f.config, cmd.Flags())
		if err != nil {
			return err
		}
		ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		context.AfterFunc(ctx, stop)
		return f.run(ctx, s, cmd)
	}
	return cmd
}

// run opens both ends, replays, and prints the summary.
func (f *replayFlags) run(ctx context.Context, s *setup, cmd *cobra.Command) error {
	if err := f.check(); err != nil {
		return failed(exitUsage, err)
	}
	pipes, err := f.choose(s)
	if err != nil {
		return failed(exitUsage, err)
	}
	in, err := f.openInput(cmd.InOrStdin())
	if err != nil {
		return failed(exitUsage, fmt.Errorf("--input: %w", err))
	}
	defer in.Close()
	out, err := f.openOutput(cmd.OutOrStdout())
	if err != nil {
		return failed(exitUsage, fmt.Errorf("--output: %w", err))
	}
	source := &fileSource{in: bufio.NewReaderSize(in, 64<<10), limit: int(s.settings.MQTT.PacketBytesMax), topics: f.format == "mqtt", convert: f.converter()}
	total, err := replay(ctx, s, pipes, source, out, newLogger(s.settings.Log, cmd))
	if err := errors.Join(err, out.Close()); err != nil {
		return err
	}
	if err := total.print(cmd.ErrOrStderr(), f.asJSON); err != nil {
		return err
	}
	switch {
	case ctx.Err() != nil:
		return errors.New("interrupted: windows that were open have not been closed")
	case f.strict && total.DeadLetters > 0:
		return failed(exitCheck, fmt.Errorf("%d inputs were no events", total.DeadLetters))
	}
	return nil
}

func (f *replayFlags) check() error {
	if f.input == "" {
		return errors.New("--input FILE is missing; - is standard input")
	}
	if f.format == "" && strings.EqualFold(filepath.Ext(f.input), ".csv") {
		f.format = "csv"
	}
	f.format = cmp.Or(f.format, "ndjson")
	if f.format != "csv" && f.format != "ndjson" && f.format != "mqtt" {
		return fmt.Errorf("--format %q is none of ndjson, csv and mqtt", f.format)
	}
	if f.format == "mqtt" && f.topic != "" {
		return errors.New("--topic has no meaning with --format mqtt: the lines have topics")
	}
	if len(f.comma) != 1 {
		return fmt.Errorf("--csv-comma %q is not one ASCII character", f.comma)
	}
	f.csv.Comma = f.comma[0]
	return f.csv.Validate()
}

func (f *replayFlags) converter() func() converter {
	if f.format == "csv" {
		return func() converter { return &csvLines{config: f.csv} }
	}
	return func() converter { return plainLines{} }
}

// choose returns the pipelines to run: those that are named, or all, and those
// whose results they gather.
func (f *replayFlags) choose(s *setup) ([]actors.Pipeline, error) {
	wanted := map[string]bool{}
	for _, name := range f.pipelines {
		if !slices.ContainsFunc(s.plans, func(p *query.Plan) bool { return p.Name() == name }) {
			return nil, fmt.Errorf("--pipeline %s: there is none of that name in %s", name, s.file)
		}
		for name != "" {
			wanted[name] = true
			name = s.plans[slices.IndexFunc(s.plans, func(p *query.Plan) bool { return p.Name() == name })].Upstream()
		}
	}
	var all []actors.Pipeline
	for i, plan := range s.plans {
		if len(f.pipelines) > 0 && !wanted[plan.Name()] {
			continue
		}
		topic := f.topic
		if f.format != "mqtt" {
			if len(s.specs[i].Inputs) > 1 {
				return nil, fmt.Errorf("pipeline %s is a join: lines without topics cannot tell its streams apart; use --format mqtt, or choose others with --pipeline", plan.Name())
			}
			topic = cmp.Or(topic, concreteTopic(s.specs[i].Inputs[0].Source.Topic))
		}
		all = append(all, newReplayPipeline(newPipeline(plan, s.settings.GatewayID), topic))
	}
	return all, nil
}

func (f *replayFlags) openInput(stdin io.Reader) (io.ReadCloser, error) {
	if f.input == "-" {
		return io.NopCloser(stdin), nil
	}
	return os.Open(f.input)
}

func (f *replayFlags) openOutput(stdout io.Writer) (io.WriteCloser, error) {
	if f.output == "-" {
		return writeNopCloser{stdout}, nil
	}
	return os.Create(f.output)
}

type writeNopCloser struct{ io.Writer }

func (writeNopCloser) Close() error { return nil }

// replay runs an engine over a source that ends.
func replay(ctx context.Context, s *setup, pipes []actors.Pipeline, source *fileSource, out io.Writer, log *slog.Logger) (*replaySummary, error) {
	lines := &lockedWriter{w: out}
	var links []actors.Link
	for _, p := range pipes {
		for _, stream := range p.(*replayPipeline).streams() {
			links = append(links, actors.Link{Stream: stream, Name: "lines", Output: newLineOutput(lines)})
		}
	}
	store := &replayStore{MemoryStore: actors.NewMemoryStore(links...), causes: map[string]int64{}}
	_, tables, err := openTables(&roles{speaks: s}, log)
	if err != nil {
		return nil, err
	}
	engine, err := actors.New(engineConfig(s.settings, log), actors.Ports{
		Store: store, Source: source, Pipelines: pipes, Links: links, Tables: tables, Bounded: true,
	})
	if err != nil {
		return nil, failed(exitConfig, err)
	}
	start := time.Now()
	if err := engine.Run(ctx); err != nil {
		return nil, err
	}
	return newReplaySummary(engine.Stats(), store, source, time.Since(start)), nil
}

// replaySummary is what came of a replay.
type replaySummary struct {
	Lines       int64            `json:"lines"`
	Events      int64            `json:"events"`
	Filtered    int64            `json:"filtered"`
	Duplicates  int64            `json:"duplicates"`
	Late        int64            `json:"late"`
	Overflow    int64            `json:"overflow"`
	Results     int64            `json:"results"`
	DeadLetters int64            `json:"dead_letters"`
	Causes      map[string]int64 `json:"causes"`
	Samples     []string         `json:"samples"` // the first dead letters
	WallSeconds float64          `json:"wall_seconds"`
}

func newReplaySummary(st *actors.Stats, store *replayStore, source *fileSource, took time.Duration) *replaySummary {
	t := &replaySummary{
		Lines: source.lines, Events: st.Events.Load(), Filtered: st.Filtered.Load(), Duplicates: st.Duplicates.Load(),
		Late: st.Late.Load(), Overflow: st.Overflow.Load(), Results: st.Rows.Load(), WallSeconds: took.Seconds(),
		Causes: store.causes, Samples: append(source.samples, store.samples...),
	}
	for cause, n := range source.refused {
		t.Causes[cause] += n
	}
	for _, n := range t.Causes {
		t.DeadLetters += n
	}
	t.Samples = append([]string{}, t.Samples[:min(len(t.Samples), samplesMax)]...) // never null in JSON
	return t
}

func (t *replaySummary) print(w io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(t)
	}
	fmt.Fprintf(w, "%d lines, %d events, %d filtered, %d duplicates, %d late, %d over a limit; %d results; %.2f s\n",
		t.Lines, t.Events, t.Filtered, t.Duplicates, t.Late, t.Overflow, t.Results, t.WallSeconds)
	if t.DeadLetters == 0 {
		return nil
	}
	fmt.Fprintf(w, "%d inputs were no events:", t.DeadLetters)
	for _, cause := range slices.Sorted(maps.Keys(t.Causes)) {
		fmt.Fprintf(w, " %s %d", cause, t.Causes[cause])
	}
	_, err := fmt.Fprintf(w, "\n  %s\n", strings.Join(t.Samples, "\n  "))
	return err
}
