package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"edged"
)

func TestContract(t *testing.T) {
	base := testSetup(t, string(demoDocument))
	longer := testSetup(t, string(demoDocument), "EDGED_WINDOW=7s")
	slack := testSetup(t, strings.Replace(string(demoDocument), "out_of_orderness: 1s", "out_of_orderness: 2s", 1))
	renamed := testSetup(t, strings.Replace(string(demoDocument), "name: device-windows", "name: other", 1), "EDGED_WINDOW=7s")
	moved := testSetup(t, string(demoDocument), "EDGED_GATEWAY_ID=other")
	cosmetic := testSetup(t, strings.Replace(string(demoDocument), "agg/{key}", "results/{key}", 1), "EDGED_MQTT_URL=tcp://elsewhere:1883")
	tail := edged.Position{Floor: 5, Seq: 9, Sweep: edged.Sweep{Start: 7}}
	none := edged.Position{Floor: 5, Seq: 9, Sweep: edged.Sweep{Start: 9}} // the last run ended cleanly
	for _, c := range []struct {
		name   string
		next   *setup
		pos    edged.Position
		accept bool
		says   string
	}{
		{"the same", base, tail, false, ""},
		{"other topics and brokers", cosmetic, tail, false, ""},
		{"another window", longer, tail, false, "replay 4 records"},
		{"another watermark", slack, tail, false, "--accept-changes"},
		{"another watermark, nothing to replay", slack, none, false, ""},
		{"another watermark, accepted", slack, tail, true, ""},
		{"another name", renamed, tail, false, ""},
		{"another gateway", moved, none, true, `belongs to gateway_id "edged"`},
	} {
		dir := t.TempDir()
		if _, err := settleContract(dir, &roles{speaks: base}, edged.Position{}, false, false); err != nil {
			t.Fatal(err)
		}
		_, err := settleContract(dir, &roles{speaks: c.next}, c.pos, c.accept, false)
		if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: %v", c.name, err)
		}
		if err != nil && exitCode(err) != exitConfig {
			t.Errorf("%s: exit code %d", c.name, exitCode(err))
		}
		// What was refused must be refused again, what was accepted is the contract now.
		_, again := settleContract(dir, &roles{speaks: c.next}, c.pos, false, false)
		if (again == nil) != (err == nil) {
			t.Errorf("%s: a second time: %v", c.name, again)
		}
	}
}

// TestContractRemembersAbsentPipelines: leaving a pipeline out for one run must
// not launder a change of it.
func TestContractRemembersAbsentPipelines(t *testing.T) {
	dir, tail := t.TempDir(), edged.Position{Floor: 1, Seq: 2}
	base, changed := testSetup(t, string(demoDocument)), testSetup(t, string(demoDocument), "EDGED_WINDOW=7s")
	other := testSetup(t, strings.Replace(string(demoDocument), "name: device-windows", "name: other", 1))
	for _, s := range []*setup{base, other} {
		if _, err := settleContract(dir, &roles{speaks: s}, tail, false, false); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := settleContract(dir, &roles{speaks: changed}, tail, false, false); err == nil {
		t.Error("a changed pipeline is accepted after a run without it")
	}
}

func TestContractDamaged(t *testing.T) {
	dir := t.TempDir()
	s := testSetup(t, string(demoDocument))
	if _, err := settleContract(dir, &roles{speaks: s}, edged.Position{}, false, false); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, contractFile)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(text) - 2 { // without its last brace and line feed it is no JSON
		if err := os.WriteFile(path, text[:i], 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := settleContract(dir, &roles{speaks: s}, edged.Position{}, false, false); exitCode(err) != exitStore {
			t.Fatalf("cut at %d: %v", i, err)
		}
	}
}

// TestContractSince: what was journaled before a pipeline was added or changed is
// nothing to it, in this run and in the later ones.
func TestContractSince(t *testing.T) {
	dir := t.TempDir()
	base := testSetup(t, string(demoDocument))
	slack := testSetup(t, strings.Replace(string(demoDocument), "out_of_orderness: 1s", "out_of_orderness: 2s", 1))
	renamed := testSetup(t, strings.Replace(string(demoDocument), "name: device-windows", "name: other", 1))
	for _, c := range []struct {
		what  string
		setup *setup
		pos   edged.Position
		name  string
		since edged.Seq
	}{
		{"first start", base, edged.Position{}, "device-windows", 0},
		{"the same", base, edged.Position{Seq: 5, Sweep: edged.Sweep{Start: 5}}, "device-windows", 0},
		{"changed after a clean end", slack, edged.Position{Seq: 9, Sweep: edged.Sweep{Start: 9}}, "device-windows", 9},
		{"the same after a crash", slack, edged.Position{Seq: 20, Sweep: edged.Sweep{Start: 9}}, "device-windows", 9},
		{"a new one", renamed, edged.Position{Seq: 30, Sweep: edged.Sweep{Start: 30}}, "other", 30},
		{"the old one again", slack, edged.Position{Seq: 40, Sweep: edged.Sweep{Start: 40}}, "device-windows", 9},
	} {
		since, err := settleContract(dir, &roles{speaks: c.setup}, c.pos, false, false)
		if err != nil || since[c.name] != c.since {
			t.Errorf("%s: since %v, error %v, want %d", c.what, since, err, c.since)
		}
	}
}

// TestPredecessor: after a crash what is stored is recovered with the configuration that
// was in use, unless that is not to be had.
func TestPredecessor(t *testing.T) {
	demo := string(demoDocument)
	slack := strings.Replace(demo, "out_of_orderness: 1s", "out_of_orderness: 2s", 1)
	tail := edged.Position{Floor: 5, Seq: 9, Sweep: edged.Sweep{Start: 7}}
	none := edged.Position{Floor: 5, Seq: 9, Sweep: edged.Sweep{Start: 9}}
	for _, c := range []struct {
		name  string
		next  string
		env   []string
		pos   edged.Position
		older bool
		says  string
	}{
		{"the same", demo, nil, tail, false, ""},
		{"another watermark", slack, nil, tail, true, ""},
		{"another watermark, nothing to replay", slack, nil, none, false, ""},
		{"another name", strings.Replace(demo, "name: device-windows", "name: other", 1), nil, tail, true, ""},
		{"other topics", strings.Replace(demo, "agg/{key}", "results/{key}", 1), nil, tail, false, ""},
		{"another window", strings.Replace(demo, "${EDGED_WINDOW", "${EDGED_OTHER", 1), []string{"EDGED_OTHER=7s"}, tail, false, "give the changed pipeline a new name"},
		{"another gateway", slack, []string{"EDGED_GATEWAY_ID=other"}, tail, false, ""}, // refused by settleContract
	} {
		dir := "EDGED_DATA_DIR=" + t.TempDir()
		if _, err := settleContract(strings.TrimPrefix(dir, "EDGED_DATA_DIR="), &roles{speaks: testSetup(t, demo, dir)}, edged.Position{}, false, false); err != nil {
			t.Fatal(err)
		}
		contract, err := readContract(strings.TrimPrefix(dir, "EDGED_DATA_DIR="))
		if err != nil {
			t.Fatal(err)
		}
		old, err := predecessor(contract, testSetup(t, c.next, append(c.env, dir)...), c.pos)
		if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: %v", c.name, err)
		}
		if (old != nil) != c.older {
			t.Errorf("%s: a predecessor: %v, want %v", c.name, old != nil, c.older)
		}
	}
}
