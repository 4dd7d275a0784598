package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"edged/mqtt"
)

const runLong = `Run the pipelines of a configuration file against an MQTT broker.

A message is acknowledged when what it changed is on disk, and a result is
published when the transaction that holds it is. SIGINT or SIGTERM drains: what
was received is processed and committed, outputs get some seconds to confirm, and
the rest waits in the data directory. A second signal ends at once.
SIGHUP reads the file again: pipelines, tables and outputs are swapped while input
flows on.

Settings come from the file, then the environment (EDGED_MQTT_URL ...), then
flags. Every setting has a flag; docs/configuration.md lists them all.`

const runExample = `  edged run --config configs/examples/device-windows.yaml

  EDGED_MQTT_URL=tcp://10.0.0.5:1883 edged run --config site.yaml --data-dir /var/lib/edged --gateway-id hall-7`

// gcPercent trades CPU for memory: a gateway has little of the latter. GOGC and
// GOMEMLIMIT in the environment go before it.
const gcPercent = 20

func newRunCmd() *cobra.Command {
	var file string
	var choice choices
	cmd := &cobra.Command{
		Use: "run --config FILE", Short: "run pipelines against a broker", Long: runLong, Example: runExample, Args: noArgs,
	}
	addSettings(cmd, "data-dir", "mqtt-url", "upstream-url", "gateway-id", "http-listen", "log-level")
	configFlag(cmd, &file)
	cmd.Flags().StringArrayVar(&choice.discard, "discard-stream", nil, "forget the rows of this stream, which has no outputs any more (repeatable)")
	cmd.Flags().BoolVar(&choice.acceptChanges, "accept-changes", false, "replay the journal under pipelines that have changed: windows open at the change may be sent again with other values")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		s, err := loadSetup(file, cmd.Flags())
		if err != nil {
			return err
		}
		if os.Getenv("GOGC") == "" {
			debug.SetGCPercent(gcPercent)
		}
		ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		context.AfterFunc(ctx, stop) // the second signal finds the default behaviour
		return runDaemon(ctx, s, choice, cmd)
	}
	return cmd
}

// runDaemon opens, runs and closes a daemon, and says what it does.
func runDaemon(ctx context.Context, s *setup, choice choices, cmd *cobra.Command) error {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	logs := newLogs(s.settings, cmd)
	log := logs.logger
	log.Info("edged starts", "version", buildVersion(), "config", s.file, "data_dir", s.settings.DataDir,
		"gateway_id", s.settings.GatewayID, "source", s.settings.MQTT.URL, "upstream", s.settings.Upstream.URL)
	own := s
	r, found, err := beginSite(own, log)
	if err != nil {
		return err
	}
	// What a version has crashed on must not be recovered with it.
	choice.acceptChanges = choice.acceptChanges || found.gaveUp
	d, err := openDaemon(r, choice, cmd.OutOrStdout(), log)
	if err != nil {
		return err
	}
	defer d.close()
	s = d.active.Load().setup
	if d.managed, err = d.manage(own, found, logs, end); err != nil {
		return err
	}
	web, err := listen(s.settings.HTTP.Listen, d)
	if err != nil {
		return err
	}
	defer web.close()
	for i, p := range s.plans {
		log.Info("pipeline", "name", p.Name(), "source", s.specs[i].From())
	}
	for _, pair := range overlaps(s.specs) {
		log.Warn("two topic filters overlap: a broker may send a message twice, and only deduplication tells", "filters", pair)
	}
	announcing := start(ctx, d.announce)
	defer announcing.end()
	reloading := start(ctx, func(ctx context.Context) error {
		d.watchTables(ctx, d.tables.Load())
		return hangups(ctx, d, cmd.Flags())
	})
	defer reloading.end()
	advising := start(ctx, func(ctx context.Context) error { return advise(ctx, s, log) })
	defer advising.end()
	managing := d.startManaging(ctx)
	defer managing.end()
	if err := d.run(ctx); err != nil {
		return err
	}
	if err := managing.end(); err != nil {
		return context.Cause(ctx)
	}
	d.kept()
	err = d.close()
	if errors.Is(context.Cause(ctx), errRestart) {
		err = errors.Join(err, failed(exitRestart, errRestart))
	}
	return err
}

// startManaging starts the management link, if there is one. It outlives ctx, so that
// operators see the daemon drain: whoever calls ends it.
func (d *daemon) startManaging(ctx context.Context) *part {
	return start(context.WithoutCancel(ctx), func(ctx context.Context) error {
		if d.managed == nil {
			return nil
		}
		return d.managed.run(ctx)
	})
}

// announce tells when recovery is over.
func (d *daemon) announce(ctx context.Context) error {
	select {
	case <-d.engine.Ready():
		r := d.engine.Recovery()
		d.log.Info("recovered", "records", r.Records, "keys", r.Keys, "took", r.Duration.Round(time.Microsecond))
		shedStartup()
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// advise asks the broker once what it is, and passes on what an operator should
// know about it. That it cannot be asked is no news: the source says so.
func advise(ctx context.Context, s *setup, log *slog.Logger) error {
	cfg, err := mqttConfig(&s.settings.MQTT.Broker, s.settings.MQTT.ClientID, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	version, err := mqtt.ProbeBroker(ctx, cfg)
	if err != nil || version == "" {
		return err
	}
	log.Info("broker", "url", cfg.URL, "version", version)
	if advice := mqtt.BrokerAdvice(version); advice != "" {
		log.Warn(advice)
	}
	return nil
}

// configFlag adds the flag that names the configuration file.
func configFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVarP(file, "config", "c", "", "configuration file (required)")
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		if *file == "" {
			return failed(exitUsage, fmt.Errorf("--config FILE is missing; see edged %s --help", cmd.Name()))
		}
		return nil
	}
}

// noArgs refuses arguments with the exit code of wrong usage.
func noArgs(cmd *cobra.Command, args []string) error {
	return failed(exitUsage, cobra.NoArgs(cmd, args))
}
