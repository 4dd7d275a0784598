//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// options are the flags of the command.
type options struct {
	keys      string
	events    int
	repeat    int
	step      time.Duration
	rate      float64
	lasting   time.Duration
	quick     bool
	asJSON    bool
	only      string
	edged     string
	yardstick string
	config    string
}

func main() {
	o := parseOptions(os.Args[1:])
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := o.run(ctx, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func parseOptions(args []string) *options {
	o := &options{}
	flags := flag.NewFlagSet("bench", flag.ExitOnError)
	flags.StringVar(&o.keys, "keys", "1000,100000", "devices, a list: one comparison each")
	flags.IntVar(&o.events, "events", 1_000_000, "readings per run")
	flags.IntVar(&o.repeat, "repeat", 3, "rounds of each comparison")
	flags.DurationVar(&o.step, "step", time.Second, "event time between two readings of a device")
	flags.Float64Var(&o.rate, "lateness-rate", 5000, "events per second of the lateness run")
	flags.DurationVar(&o.lasting, "lateness-for", 20*time.Second, "how long the lateness run lasts; 0 leaves it out")
	flags.BoolVar(&o.quick, "quick", false, "a smoke: 100 keys, 20,000 events, one round, 3 s of lateness")
	flags.BoolVar(&o.asJSON, "json", false, "print all runs as JSON instead of the table")
	flags.StringVar(&o.only, "only", "", "measure only this candidate: edged or stock")
	flags.StringVar(&o.edged, "edged", "", "the edged binary (default: build it)")
	flags.StringVar(&o.yardstick, "yardstick", "", "the yardstick binary (default: build it)")
	flags.StringVar(&o.config, "config", "", "configuration of edged (default configs/examples/device-windows.yaml)")
	_ = flags.Parse(args) // ExitOnError: it does not return one
	if o.quick {
		o.keys, o.events, o.repeat, o.lasting = "100", 20_000, 1, 3*time.Second
	}
	return o
}

func (o *options) run(ctx context.Context, out, progress io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "edged-bench")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	loads, err := o.loads()
	if err != nil {
		return err
	}
	candidates, edged, err := o.candidates(ctx, dir)
	if err != nil {
		return err
	}
	r := report{Machine: fmt.Sprintf("%s/%s, %d CPUs, %s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())}
	for _, l := range loads {
		c, err := compare(ctx, dir, candidates, l, o.repeat, progress)
		if err != nil {
			return err
		}
		r.Comparisons = append(r.Comparisons, c)
	}
	if edged != nil && o.lasting > 0 {
		fmt.Fprintf(progress, "lateness: %.0f events/s for %v\n", o.rate, o.lasting)
		l, err := measureLateness(ctx, dir, *edged, loads[0].Keys, o.rate, o.lasting)
		if err != nil {
			return err
		}
		r.Lateness = append(r.Lateness, l)
	}
	if o.asJSON {
		return r.writeJSON(out)
	}
	return r.writeTable(out)
}

func (o *options) loads() ([]load, error) {
	var loads []load
	for text := range strings.SplitSeq(o.keys, ",") {
		keys, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil || keys < 1 {
			return nil, fmt.Errorf("--keys: %q is not a number from 1 on", text)
		}
		loads = append(loads, load{Keys: keys, Events: o.events, step: o.step, seed: 1})
	}
	if o.events < 1 || o.repeat < 1 || o.step <= 0 || o.rate <= 0 {
		return nil, errors.New("--events, --repeat, --step and --lateness-rate must be positive")
	}
	return loads, nil
}

// candidates builds what was not given. edged is nil when it is not measured.
func (o *options) candidates(ctx context.Context, dir string) (all []candidate, edged *engine, err error) {
	if o.only != "" && o.only != "edged" && o.only != "stock" {
		return nil, nil, fmt.Errorf("--only: there is no candidate %q; take edged or stock", o.only)
	}
	if o.only != "stock" {
		edged = &engine{}
		if edged.program, err = orBuild(ctx, o.edged, dir, "./cmd/edged"); err != nil {
			return nil, nil, err
		}
		if edged.config, err = o.configFile(); err != nil {
			return nil, nil, err
		}
		all = append(all, *edged)
	}
	if o.only != "edged" {
		program, err := orBuild(ctx, o.yardstick, dir, "./internal/yardstick/cmd")
		if err != nil {
			return nil, nil, err
		}
		all = append(all, stock{program})
	}
	return all, edged, nil
}

func (o *options) configFile() (string, error) {
	if o.config != "" {
		return o.config, nil
	}
	root, err := moduleRoot()
	return filepath.Join(root, "configs", "examples", "device-windows.yaml"), err
}

// orBuild returns the given binary, or builds the package.
func orBuild(ctx context.Context, given, dir, pkg string) (string, error) {
	if given != "" {
		return filepath.Abs(given)
	}
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	program := filepath.Join(dir, filepath.Base(filepath.Dir(pkg))+"-"+filepath.Base(pkg))
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", program, pkg)
	build.Dir = root
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w: %s", pkg, err, text)
	}
	// Pages of a program that are not yet on disk count as dirty memory of the
	// process that runs it; an installed program has none.
	syscall.Sync()
	return program, nil
}

// compare lets the candidates take turns; every other round starts with the
// other one.
func compare(ctx context.Context, dir string, candidates []candidate, l load, rounds int, progress io.Writer) (comparison, error) {
	c := comparison{Load: l, Runs: map[string][]run{}}
	for round := range rounds {
		for i := range candidates {
			next := candidates[(round+i)%len(candidates)]
			r, err := measure(ctx, dir, next, l)
			if err != nil {
				return c, err
			}
			fmt.Fprintf(progress, "%d keys, round %d of %d: %s %.2f us of CPU per event, %.0f events/s\n", l.Keys, round+1, rounds, next.name(), r.CPU, r.Rate)
			c.Runs[next.name()] = append(c.Runs[next.name()], r)
		}
	}
	return c, nil
}
