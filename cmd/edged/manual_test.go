package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestManual writes the pages of all commands and has them formatted, if man is here.
func TestManual(t *testing.T) {
	dir := t.TempDir()
	if code, _, stderr := edgedCmd(t, "manual", "--dir", dir); code != exitOK {
		t.Fatalf("code %d: %s", code, stderr)
	}
	for _, name := range []string{"bash-completion/completions/edged", "zsh/vendor-completions/_edged", "fish/vendor_completions.d/edged.fish"} {
		if text, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !strings.Contains(string(text), "edged") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, c := range documented(newRootCmd()) {
		file := filepath.Join(dir, "man", "man1", pageName(c)+".1")
		text, err := os.ReadFile(file)
		if err != nil {
			t.Error(err)
			continue
		}
		if _, err := exec.LookPath("groff"); err == nil {
			out, err := exec.Command("groff", "-man", "-ww", "-z", "-Kutf8", file).CombinedOutput()
			if err != nil || len(out) > 0 {
				t.Errorf("groff %s: %v: %s", file, err, out)
			}
		}
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "'") || strings.HasPrefix(line, ".") && !strings.ContainsAny(line[1:3], "TSPBRbnfaI") {
				t.Errorf("%s: a line of text is a command: %s", file, line)
			}
		}
	}
}

func TestManualOfOneCommand(t *testing.T) {
	for args, want := range map[string]string{
		"manual":           `.TH "EDGED"`,
		"manual run":       `.TH "EDGED-RUN"`,
		"manual bench nab": `.TH "EDGED-BENCH-NAB"`,
	} {
		code, out, stderr := edgedCmd(t, strings.Fields(args)...)
		if code != exitOK || !strings.HasPrefix(out, want) {
			t.Errorf("edged %s: code %d: %s%.80s", args, code, stderr, out)
		}
	}
	for _, args := range []string{"manual frobnicate", "manual run --dir x"} {
		if code, _, stderr := edgedCmd(t, strings.Fields(args)...); code != exitUsage {
			t.Errorf("edged %s: code %d: %s", args, code, stderr)
		}
	}
}

func TestRoff(t *testing.T) {
	for text, want := range map[string]string{
		`a\b`:      `a\eb`,
		"--flag":   `\-\-flag`,
		".profile": `\&.profile`,
		"'s":       `\&'s`,
		`say "x"`:  `say \(dqx\(dq`,
	} {
		if got := roff(text); got != want {
			t.Errorf("roff(%q) is %q, want %q", text, got, want)
		}
	}
}
