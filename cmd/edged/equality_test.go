package main

import (
	"bytes"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"edged"
	"edged/edgedtest"
	"edged/internal/equality"
)

var equalSeed = flag.Uint64("seed", 0, "seed of the inputs that ways are compared with; 0: a new one")

// equalCases returns the documents of package equality as files, each in a folder
// with its tables.
func equalCases(t *testing.T) (all []*equality.Case, paths []string) {
	t.Helper()
	all, err := equality.Cases()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, c := range all {
		path := filepath.Join(dir, c.Name+".yaml")
		if err := os.WriteFile(path, c.Text, 0o600); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
		for _, table := range c.Tables {
			for _, ending := range []string{".csv", ".ndjson"} {
				name := filepath.Join(dir, table.Name+ending)
				if strings.Contains(string(c.Text), "file: "+table.Name+ending) {
					if err := os.WriteFile(name, table.Content, 0o600); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
	return all, paths
}

func equalRand(t *testing.T) *rand.Rand {
	t.Helper()
	seed := *equalSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// TestReplayEqualsFold: the lines of a replay are the rows of the plain fold over
// the same messages, and so of a live engine, down to ids and numbers.
func TestReplayEqualsFold(t *testing.T) {
	r := equalRand(t)
	all, paths := equalCases(t)
	for i, c := range all {
		if !c.Replayable() {
			continue
		}
		// Lines have no topics: a command would be one more message.
		inputs := slices.DeleteFunc(c.Inputs(r, 300), func(in equality.Input) bool { return in.Command != "" })
		var file bytes.Buffer
		for _, in := range inputs {
			file.Write(append(slices.Clone(in.Payload), '\n'))
		}
		code, stdout, stderr := edgedStdin(t, file.String(), "replay", "-c", paths[i], "-i", "-", "--gateway-id", "gw")
		if code != exitOK {
			t.Fatalf("%s: exit code %d: %s", c.Name, code, stderr)
		}
		pipelines, streams, err := c.Pipelines()
		if err != nil {
			t.Fatal(err)
		}
		fold := equality.NewFold(pipelines)
		fold.Take(equality.Journal(c.Tables, inputs, false), true)
		lines := strings.SplitAfter(stdout, "\n")
		lines = lines[:len(lines)-1]
		for _, stream := range streams {
			lines = without(t, c.Name+": stream "+stream, lines, fold.Rows(stream))
		}
		if len(lines) > 0 {
			t.Fatalf("%s: %d lines are too many, the first %s", c.Name, len(lines), lines[0])
		}
	}
}

// without takes the rows of a stream out of lines in which streams are mixed.
func without(t *testing.T, what string, lines []string, rows []edged.Row) (rest []string) {
	t.Helper()
	for _, line := range lines {
		if len(rows) > 0 && line == string(rows[0].Payload)+"\n" {
			rows = rows[1:]
			continue
		}
		rest = append(rest, line)
	}
	if len(rows) > 0 {
		t.Fatalf("%s: there is no line\n%s\nof those left\n%s", what, rows[0].Payload, strings.Join(rest[:min(5, len(rest))], ""))
	}
	return rest
}

// TestDriveEqualsDriver: the command writes what the package says.
func TestDriveEqualsDriver(t *testing.T) {
	r := equalRand(t)
	all, paths := equalCases(t)
	for i, c := range all {
		inputs := c.Inputs(r, 120)
		parts, err := c.Parts()
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range parts {
			d, err := part.Driver()
			if err != nil {
				t.Fatal(err)
			}
			var steps bytes.Buffer
			var want strings.Builder
			take := func(results []edgedtest.Result, err error) {
				if err != nil {
					t.Fatalf("%s: %v: %v", c.Name, part.Names, err)
				}
				for i := range results {
					want.WriteString(results[i].String() + "\n")
				}
			}
			for i := range inputs {
				if ev, ok := part.Event(&inputs[i], true); ok {
					steps.Write(append(equality.Step(&ev), '\n'))
					take(d.Event(ev))
				}
			}
			steps.WriteString(`{"end":true}`)
			take(d.End())
			code, stdout, stderr := edgedStdin(t, steps.String(), "drive", "-p", paths[i], "--name", strings.Join(part.Names, ","))
			if code != exitOK {
				t.Fatalf("%s: %v: exit code %d: %s", c.Name, part.Names, code, stderr)
			}
			if stdout != want.String() {
				t.Fatalf("%s: %v: the command wrote\n%.2000s\nthe package says\n%.2000s", c.Name, part.Names, stdout, want.String())
			}
		}
	}
}
