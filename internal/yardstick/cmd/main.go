//go:build unix

// Command cmd runs the yardstick in a process of its own. It prints a line
// {"ready":true} once it is subscribed and its report as JSON at the end.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"edged/internal/yardstick"
)

func main() {
	var cfg yardstick.Config
	flag.StringVar(&cfg.URL, "url", "tcp://127.0.0.1:1883", "the broker")
	flag.StringVar(&cfg.Filter, "filter", "sensors/+/data", "what to subscribe to")
	flag.IntVar(&cfg.Events, "events", 1_000_000, "how many messages to receive")
	linger := flag.Bool("linger", false, "after the report, live on until SIGTERM, to be measured from outside")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, cfg); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if *linger {
		<-ctx.Done()
	}
}

func run(ctx context.Context, cfg yardstick.Config) error {
	report, err := yardstick.Run(ctx, cfg, func() { fmt.Println(`{"ready":true}`) })
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(report)
}
