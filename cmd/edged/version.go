package main

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// release is set by the linker: -X main.release=v1.2.3.
var release string

// build is what a binary knows about itself.
type build struct {
	Version  string `json:"version"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
	Revision string `json:"revision,omitempty"`
	Time     string `json:"time,omitempty"` // of the revision
	Modified bool   `json:"modified"`       // the checkout had changes
	Broker   bool   `json:"broker"`         // the embedded broker is in
	Tags     string `json:"tags,omitempty"`
}

// readBuild collects what the linker and the go command left in the binary.
func readBuild() build {
	b := build{Version: release, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, Broker: true}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if b.Version == "" {
		b.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.time":
			b.Time = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		case "-tags":
			b.Tags = s.Value
			b.Broker = !strings.Contains(","+s.Value+",", ",nobroker,")
		}
	}
	return b
}

func buildVersion() string { return readBuild().Version }

func newVersionCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "version", Short: "print version and build", Args: noArgs,
		Long:    "Print the version, what it was built from and with, and whether the embedded broker is in.",
		Example: "  edged version --json",
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		b := readBuild()
		if asJSON {
			return json.NewEncoder(cmd.OutOrStdout()).Encode(b)
		}
		return b.print(cmd.OutOrStdout())
	}
	return cmd
}

// print prints a build for people.
func (b build) print(w io.Writer) error {
	broker, revision := "in", "unknown" // a build outside of a checkout has no revision
	if !b.Broker {
		broker = "left out"
	}
	if b.Revision != "" {
		revision = fmt.Sprintf("%s (modified: %v)", b.Revision, b.Modified)
	}
	_, err := fmt.Fprintf(w, "edged %s\nbuilt with %s for %s\nrevision %s\nembedded broker: %s\n",
		b.Version, b.Go, b.Platform, revision, broker)
	return err
}
