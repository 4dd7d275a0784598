package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"edged"
	"edged/internal/sim"
	"edged/mqtt"
)

const simulateLong = `Publish the readings of invented devices, or of recorded series, over MQTT.

The same --seed and --start give the same readings in the same order. Devices can misbehave
as real ones do: disorder, late readings, repeated publishes, silence followed by
a burst of history, and wrong clocks.

--rate paces publishing; 0 is as fast as the broker acknowledges. --step is the
event time between two readings of a device and independent of the rate; left
out, it follows from devices and rate, so that event time runs like the clock.

Ends with 0 when everything was published and acknowledged, or when it was
interrupted; with 2 on wrong flags and with 3 when the broker cannot be reached.`

const simulateExample = `  # 1,000 devices, one reading a second each, for a minute
  edged simulate --devices 1000 --rate 1000 --duration 1m

  # a million readings as fast as the broker takes them, with faults
  edged simulate --events 1000000 --rate 0 --step 1s --disorder 2s --duplicate-share 0.01 --backlog-share 0.1

  # recorded series at 500 rows a second
  edged simulate --rate 500 --trace data/hall.csv.gz --trace data/yard.csv.gz

  # no broker: payloads as lines, for a bounded run
  edged simulate --events 100000 --rate 0 --seed 7 --output readings.ndjson`

// simulateFlags are the flags of edged simulate as they were given.
type simulateFlags struct {
	fleet  sim.Config
	trace  sim.TraceConfig
	driver sim.DriverConfig
	mqtt   mqtt.Config

	start        string
	rate         float64
	output       string
	asJSON       bool
	passwordFile string
	caFile       string
	certFile     string
	keyFile      string
}

// simulateError is an error with its exit code.
type simulateError struct {
	code int
	err  error
}

func (e *simulateError) Error() string { return e.err.Error() }
func (e *simulateError) Unwrap() error { return e.err }

// ExitCode is what the process ends with: 1 anything else, 2 usage, 6 no connection.
func (e *simulateError) ExitCode() int { return e.code }

func simulateUsage(err error) error { return &simulateError{code: 2, err: err} }

// newSimulateCmd returns edged simulate. Its errors carry an ExitCode.
func newSimulateCmd() *cobra.Command {
	var f simulateFlags
	cmd := &cobra.Command{
		Use:           "simulate [flags] [more trace files]",
		Short:         "publish the readings of a simulated fleet or of recorded series",
		Long:          simulateLong,
		Example:       simulateExample,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return simulateUsage(err) })
	f.declareFleet(cmd.Flags())
	f.declareTrace(cmd.Flags())
	f.declareOutput(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		f.trace.Files = append(f.trace.Files, args...)
		ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		return f.run(ctx, cmd.OutOrStdout(), cmd.ErrOrStderr())
	}
	return cmd
}

func (f *simulateFlags) declareFleet(flags *pflag.FlagSet) {
	c := &f.fleet
	flags.Uint64Var(&c.Seed, "seed", 0, "which fleet; 0 takes a new one and prints it")
	flags.IntVar(&c.Devices, "devices", 100, "how many devices")
	flags.IntVar(&c.Events, "events", 0, "how many distinct readings; 0 is without end")
	flags.Float64Var(&f.rate, "rate", 1000, "publishes per second over all devices; 0 is as fast as possible")
	flags.DurationVar(&c.Step, "step", 0, "event time between two readings of a device (default devices/rate, or 1s)")
	flags.StringVar(&f.start, "start", "now", "event time of the first reading: now, RFC 3339, or milliseconds since 1970")
	flags.DurationVar(&c.Disorder, "disorder", 0, "how far readings may lie behind their turn in event time")
	flags.Float64Var(&c.LateShare, "late-share", 0, "share of readings that are held back")
	flags.DurationVar(&c.LateBy, "late-by", time.Minute, "for how long they are held back")
	flags.Float64Var(&c.DuplicateShare, "duplicate-share", 0, "share of readings that are published twice")
	flags.Float64Var(&c.BacklogShare, "backlog-share", 0, "share of readings that come in a burst after silence")
	flags.IntVar(&c.BacklogDepth, "backlog-depth", sim.DefaultBacklogDepth, "readings in such a burst")
	flags.Float64Var(&c.ClockFaults, "clock-faults", 0, "share of devices whose clock is off, drifts, or restarts in 1970")
	flags.BoolVar(&c.Sequence, "sequence", false, `add the device's count of readings as member "n"`)
	flags.IntVar(&c.PayloadPad, "payload-pad", 0, "lengthen payloads to this many bytes")
}

func (f *simulateFlags) declareTrace(flags *pflag.FlagSet) {
	c := &f.trace
	flags.StringArrayVar(&c.Files, "trace", nil, "replay this CSV file as a device, gzipped or not (repeatable)")
	flags.StringVar(&c.TimeColumn, "time-column", "", "column of the time (default the first)")
	flags.StringVar(&c.ValueColumn, "value-column", "", "column of the value (default the second)")
	flags.StringVar(&c.ValueName, "value-name", "temp", "member of the payload that carries the value")
	flags.BoolVar(&c.Sequential, "sequential", false, "replay one file after the other instead of merging by time")
}

func (f *simulateFlags) declareOutput(flags *pflag.FlagSet) {
	c := &f.mqtt
	url := cmp.Or(os.Getenv("EDGED_MQTT_URL"), "tcp://127.0.0.1:1883")
	flags.StringVar(&c.URL, "mqtt-url", url, "the broker; environment EDGED_MQTT_URL")
	flags.StringVar(&c.ClientID, "client-id", "", "MQTT client id (default: the broker chooses)")
	flags.StringVar(&c.Username, "username", "", "MQTT user name; the password is EDGED_MQTT_PASSWORD or --password-file")
	flags.StringVar(&f.passwordFile, "password-file", "", "file with the MQTT password")
	flags.StringVar(&f.caFile, "ca-file", "", "certificates that the broker's must be signed by")
	flags.StringVar(&f.certFile, "cert-file", "", "our certificate")
	flags.StringVar(&f.keyFile, "key-file", "", "our certificate's key")
	flags.StringVar(&f.fleet.TopicPattern, "topic", sim.DefaultTopic, "topic of a device")
	flags.IntVar(&f.driver.Window, "window", sim.WindowMax, "unacknowledged publishes at a time")
	flags.DurationVar(&f.driver.Duration, "duration", 0, "stop publishing after this long")
	flags.DurationVar(&f.driver.ConnectTimeout, "connect-timeout", 5*time.Second, "give up when there was no connection by then")
	flags.StringVar(&f.output, "output", "", "write payloads as lines to this file, - for stdout, instead of publishing")
	flags.BoolVar(&f.asJSON, "json", false, "print the summary as JSON")
}

// run opens the source, publishes or writes it, and prints the summary.
func (f *simulateFlags) run(ctx context.Context, stdout, stderr io.Writer) error {
	src, err := f.open()
	if err != nil {
		return simulateUsage(err)
	}
	defer src.close()
	if len(f.trace.Files) == 0 {
		fmt.Fprintf(stderr, "seed %d\n", f.fleet.Seed)
	}
	total, err := f.send(ctx, src, stdout, stderr)
	total.Skipped = src.skipped()
	summary := stdout
	if f.output == "-" {
		summary = stderr
	}
	if code := (*simulateError)(nil); !errors.As(err, &code) { // nothing began otherwise
		err = errors.Join(err, f.print(summary, total))
	}
	if err != nil && ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) {
		return nil // interrupted: what was done has been told
	}
	return err
}

func (f *simulateFlags) send(ctx context.Context, src simulateSource, stdout, stderr io.Writer) (sim.Summary, error) {
	switch f.output {
	case "":
		return f.publish(ctx, src, stderr)
	case "-":
		return sim.WriteNDJSON(ctx, stdout, src)
	}
	file, err := os.Create(f.output)
	if err != nil {
		return sim.Summary{}, simulateUsage(err)
	}
	total, err := sim.WriteNDJSON(ctx, file, src)
	return total, errors.Join(err, file.Close())
}

func (f *simulateFlags) publish(ctx context.Context, src sim.Source, stderr io.Writer) (sim.Summary, error) {
	cfg, err := f.mqttConfig()
	if err != nil {
		return sim.Summary{}, simulateUsage(err)
	}
	cfg.Logger = slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	pub, err := mqtt.NewPublisher(cfg)
	if err != nil {
		return sim.Summary{}, simulateUsage(err)
	}
	f.driver.Rate = f.rate
	if err := f.driver.Validate(); err != nil {
		return sim.Summary{}, simulateUsage(err)
	}
	total, err := sim.Drive(ctx, pub, src, f.driver)
	if errors.Is(err, sim.ErrNotConnected) {
		err = fmt.Errorf("%w: %s: %s; is a broker running there? See --mqtt-url", err, cfg.URL, cmp.Or(pub.Stats().LastError, "no answer"))
		return total, &simulateError{code: exitConnect, err: err}
	}
	return total, err
}

func (f *simulateFlags) mqttConfig() (mqtt.Config, error) {
	cfg := f.mqtt
	cfg.Password = os.Getenv("EDGED_MQTT_PASSWORD")
	if f.passwordFile != "" {
		text, err := os.ReadFile(f.passwordFile)
		if err != nil {
			return cfg, fmt.Errorf("read the password: %w", err)
		}
		cfg.Password = strings.TrimRight(string(text), "\r\n")
	}
	if f.caFile == "" && f.certFile == "" && f.keyFile == "" {
		return cfg, nil
	}
	var err error
	cfg.TLS, err = mqtt.LoadTLS(f.caFile, f.certFile, f.keyFile)
	return cfg, err
}

// simulateSource is a source and what only traces have.
type simulateSource struct {
	sim.Source
	skipped func() int
	close   func() error
}

// open makes the source that the flags ask for.
func (f *simulateFlags) open() (simulateSource, error) {
	if len(f.trace.Files) > 0 {
		f.trace.TopicPattern = f.fleet.TopicPattern
		trace, err := sim.OpenTrace(f.trace)
		if err != nil {
			return simulateSource{}, err
		}
		return simulateSource{Source: trace, skipped: trace.Skipped, close: trace.Close}, nil
	}
	if err := f.completeFleet(time.Now()); err != nil {
		return simulateSource{}, err
	}
	fleet, err := sim.NewFleet(f.fleet)
	return simulateSource{Source: fleet, skipped: func() int { return 0 }, close: func() error { return nil }}, err
}

// completeFleet fills in what the flags leave to us.
func (f *simulateFlags) completeFleet(now time.Time) error {
	c := &f.fleet
	if c.Seed == 0 {
		c.Seed = uint64(now.UnixMicro())
	}
	c.Rate = f.rate
	if f.rate == 0 && c.Step == 0 {
		c.Step = time.Second
	}
	if f.output != "" && c.Events == 0 && f.driver.Duration > 0 {
		c.Events = int(f.rate * f.driver.Duration.Seconds())
	}
	if f.output != "" && f.output != "-" && c.Events == 0 {
		return errors.New("--output FILE needs --events, or --rate and --duration: a fleet never ends")
	}
	var err error
	c.Start, err = parseStart(f.start, now)
	return err
}

func parseStart(text string, now time.Time) (edged.Timestamp, error) {
	if text == "now" {
		return edged.Timestamp(now.UnixMilli()), nil
	}
	if ms, err := strconv.ParseInt(text, 10, 64); err == nil {
		return edged.Timestamp(ms), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return 0, fmt.Errorf("--start %q is neither now, nor RFC 3339, nor milliseconds since 1970", text)
	}
	return edged.Timestamp(at.UnixMilli()), nil
}

func (f *simulateFlags) print(out io.Writer, total sim.Summary) error {
	if f.asJSON {
		return json.NewEncoder(out).Encode(struct {
			Seed uint64 `json:"seed"`
			sim.Summary
		}{f.fleet.Seed, total})
	}
	_, err := fmt.Fprintf(out, "sent %d, acknowledged %d, duplicates %d, late %d, backlog %d, skipped %d, sent again %d after %d reconnects\n"+
		"%.2f s, %.0f events/s, %.2f us of CPU per event\n",
		total.Sent, total.Acked, total.Duplicates, total.Late, total.Backlog, total.Skipped, total.Resent, total.Reconnects,
		total.WallSeconds, total.Rate, total.CPU)
	return err
}
