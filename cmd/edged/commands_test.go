package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func TestEveryCommandHasAnExample(t *testing.T) {
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		if c.Example == "" && c.Runnable() || c.Long == "" || c.Short == "" {
			t.Errorf("%s: example %q, long %q, short %q", c.CommandPath(), c.Example, c.Long, c.Short)
		}
		if c.Name() != "edged" {
			code, out, _ := edgedCmd(t, append([]string{"help"}, strings.Fields(c.CommandPath())[1:]...)...)
			if code != exitOK || !strings.Contains(out, strings.TrimSpace(c.Example)) {
				t.Errorf("help %s: code %d, output %s", c.Name(), code, out)
			}
		}
		for _, sub := range c.Commands() {
			visit(sub)
		}
	}
	visit(newRootCmd())
}

func TestExitCodes(t *testing.T) {
	good := filepath.Join("..", "..", "configs", "examples", "device-windows.yaml")
	bad := writeFile(t, "bad.yaml", "pipelines: [{name: x}]")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file := writeFile(t, "file", "")
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"version", exitOK, ""},
		{"help exit-codes", exitOK, ""},
		{"frobnicate", exitUsage, "frobnicate"},
		{"run", exitUsage, "--config"},
		{"run --no-such-flag", exitUsage, "--no-such-flag"},
		{"run --config " + good + " extra", exitUsage, "extra"},
		{"validate", exitUsage, "one configuration file"},
		{"validate " + good + " " + bad, exitUsage, "one configuration file"},
		{"validate " + good, exitOK, ""},
		{"validate --config " + good, exitOK, ""},
		{"validate " + bad, exitConfig, "bad.yaml:1:"},
		{"validate /no/such/file.yaml", exitConfig, "no such file"},
		{"validate " + good + " --http-listen 0.0.0.0:9090", exitConfig, "reachable from other machines"},
		{"validate " + good + " --http-listen [::1]:9090", exitOK, ""},
		{"validate " + good + " --log-level loud", exitConfig, "--log-level"},
		{"run --config " + bad, exitConfig, ""},
		{"run --config " + good + " --data-dir " + t.TempDir() + " --http-listen " + taken.Addr().String(), exitConnect, "address already in use"},
		{"run --config " + good + " --http-listen= --data-dir " + filepath.Join(file, "below"), exitStore, "not a directory"},
		{"run --config " + good + " --http-listen= --discard-stream device-windows --data-dir " + t.TempDir(), exitUsage, "has outputs"},
		{"replay --config " + good, exitUsage, "--input"},
		{"replay --config " + good + " --input /no/such/file", exitUsage, "no such file"},
		{"replay --config " + good + " --input - --pipeline nope", exitUsage, "nope"},
		{"replay --config " + good + " --input - --format xml", exitUsage, "xml"},
		{"inspect", exitUsage, "one data directory"},
		{"inspect /no/such/dir", exitUsage, "no such file"},
		{"inspect " + t.TempDir(), exitUsage, "is no data directory of edged (it has no store.json)"},
		{"inspect " + file, exitUsage, file + " is no data directory of edged (it has no store.json)"},
		{"detect", exitUsage, "one CSV file"},
		{"detect /no/such/file.csv", exitUsage, "no such file"},
		{"detect " + file, exitUsage, "empty"},
		{"detect " + file + " --format pdf", exitUsage, "pdf"},
		{"detect " + file + " --zone Mars/Olympus", exitUsage, "Mars/Olympus"},
		{"detect " + file + " --detector crystal_ball", exitUsage, "crystal_ball"},
		{"detect " + file + " --param threshold", exitUsage, "name=value"},
		{"detect " + file + " --param threshold=x", exitUsage, "threshold"},
		{"detect " + file + " --param threshold=-1", exitUsage, "threshold"},
		{"detect " + file + " --param speed=1", exitUsage, "speed"},
		{"detect " + file + " --detector vote --param of=crystal_ball", exitUsage, "crystal_ball"},
		{"detect " + file + " --detector vote --param of=mad:window", exitUsage, "window"},
		{"bench", exitOK, ""},
		{"bench nab extra", exitUsage, "extra"},
		{"bench nab --data /no/such/dir", exitUsage, "no such file"},
		{"demo --window 0s", exitUsage, "--window"},
		{"demo --devices -1", exitUsage, "devices"},
		{"demo --mqtt-url tcp://" + "127.0.0.1:1 --duration 1ms --window -1s", exitUsage, "--window"},
	} {
		code, _, stderr := edgedCmd(t, strings.Fields(c.args)...)
		if code != c.code || !strings.Contains(stderr, c.says) {
			t.Errorf("edged %s\n got code %d: %s\nwant code %d: ...%s...", c.args, code, stderr, c.code, c.says)
		}
	}
}

func TestExitCodesAreDocumented(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "commands.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range newRootCmd().Commands() {
		if !strings.Contains(string(text), "edged "+c.Name()) && !strings.Contains(string(text), "edged help "+c.Name()) {
			t.Errorf("docs/commands.md does not mention edged %s", c.Name())
		}
	}
	// The table has one row per code, in the words of edged help exit-codes.
	for code := exitOK; code <= exitCheck; code++ {
		if !strings.Contains(string(text), "| "+string(rune('0'+code))+" |") {
			t.Errorf("docs/commands.md has no row for exit code %d", code)
		}
		if !strings.Contains(exitCodesText, "\n  "+string(rune('0'+code))+"  ") {
			t.Errorf("edged help exit-codes does not mention %d", code)
		}
	}
}

func TestVersion(t *testing.T) {
	_, out, _ := edgedCmd(t, "version", "--json")
	b := decode[build](t, out)
	if b.Go == "" || b.Platform == "" {
		t.Errorf("version is %+v", b)
	}
	if _, out, _ = edgedCmd(t, "version"); !strings.Contains(out, "edged ") || !strings.Contains(out, b.Platform) {
		t.Errorf("version prints %s", out)
	}
}

// TestVersionWithoutRevision: a build outside of a checkout says that it knows none.
func TestVersionWithoutRevision(t *testing.T) {
	for revision, want := range map[string]string{"": "\nrevision unknown\n", "abc": "\nrevision abc (modified: false)\n"} {
		var out strings.Builder
		if err := (build{Revision: revision}).print(&out); err != nil || !strings.Contains(out.String(), want) {
			t.Errorf("revision %q: %v: %s", revision, err, out.String())
		}
	}
}

// TestValidateGolden compares what edged validate says about wrong files.
func TestValidateGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/validate/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no test files: %v", err)
	}
	for _, file := range files {
		code, stdout, stderr := edgedCmd(t, "validate", file)
		got := strings.ReplaceAll(stdout+stderr, "\\", "/")
		golden := strings.TrimSuffix(file, ".yaml") + ".txt"
		if *rewrite {
			if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s: got\n%s\nwant\n%s", file, got, want)
		}
		if wrong := !strings.HasPrefix(filepath.Base(file), "good"); wrong != (code == exitConfig) {
			t.Errorf("%s: exit code %d", file, code)
		}
		code2, stdout, _ := edgedCmd(t, "validate", "--json", file)
		v := decode[validation](t, stdout)
		if code2 != code || v.Valid != (code == exitOK) || (len(v.Faults) == 0) != v.Valid {
			t.Errorf("%s: JSON: code %d, %+v", file, code2, v)
		}
		for _, f := range v.Faults {
			if f.Message == "" || strings.Contains(f.Message, "\n") {
				t.Errorf("%s: a fault of JSON is not taken apart: %+v", file, f)
			}
		}
	}
}
