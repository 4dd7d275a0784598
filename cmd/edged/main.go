// Command edged is the stream engine for IoT gateways: MQTT in, windows over
// event time per device, every result once, MQTT out.
//
// This file has the root command; each command has a file of its own:
//
//	run       daemon.go wires store, source, pipelines and outputs; run.go drives it
//	replay    the same pipelines over a file
//	drive     the same pipelines step by step, in virtual time
//	validate  setup.go reads and checks a configuration, for every command
//	inspect   what is in a data directory
//	demo      a broker, a fleet and a daemon in one process
//	simulate  the fleet alone
//	detect    a detector over a recorded series
//	bench     a detector over a published benchmark
//	fleet     the gateways of a fleet, over MQTT; agent*.go, ops*.go and site.go are
//	          the gateway's end
//	doctor    is this machine fit?
//	manual    pages for man, completions
//
// docs/commands.md describes them for operators.
package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
)

func main() {
	os.Exit(execute(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// execute runs a command line and returns the exit code.
func execute(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRootCmd()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	fmt.Fprintln(stderr, "edged:", err)
	return exitCode(err)
}

const rootLong = `edged computes windows over the event time of every device, on the gateway.

It subscribes to an MQTT broker, keeps one state per device in a file, and
publishes every result once: nothing is acknowledged to the broker, and nothing
is published, before it is on disk.`

const rootExample = `  # a broker, fifty simulated devices and a pipeline, in one process
  edged demo

  # the real thing, against the broker on this machine
  edged run --config configs/examples/device-windows.yaml`

func newRootCmd() *cobra.Command {
	root := &cobra.Command{
		Use: "edged", Short: "stream engine for IoT gateways", Long: rootLong, Example: rootExample,
		SilenceUsage: true, SilenceErrors: true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return failed(exitUsage, fmt.Errorf("%w; see edged %s --help", err, cmd.Name()))
	})
	root.AddCommand(newRunCmd(), newValidateCmd(), newDemoCmd(), newReplayCmd(), newDriveCmd(), newInspectCmd(), newVersionCmd(), newSimulateCmd(),
		newDetectCmd(), newBenchCmd(), newFleetCmd(), newDoctorCmd(), newManualCmd(), newDetectorsTopic(), newExitCodesTopic())
	return root
}
