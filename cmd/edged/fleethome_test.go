package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"edged/fleet/operator"
	"edged/fleet/protocol"
)

// TestOperatorNumbers: numbers are given out once, whoever asks at the same time, and
// a lost counter goes on behind what gateways have seen.
func TestOperatorNumbers(t *testing.T) {
	home, err := openHome(t.TempDir(), "plant7")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var all sync.WaitGroup
	taken := map[uint64]bool{}
	for range 20 {
		all.Go(func() {
			for range 5 {
				first, err := home.take("k", 1, 0, 2)
				mu.Lock()
				if err != nil || taken[first] || taken[first+1] {
					t.Errorf("%d again, %v", first, err)
				}
				taken[first], taken[first+1] = true, true
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if n, err := home.take("k", 1, 0, 1); err != nil || n != 201 {
		t.Errorf("then %d, %v", n, err)
	}
	file := home.path("numbers", "k")
	if err := os.WriteFile(file, []byte(`{"v":1,"epoch":1,"last":`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := home.take("k", 1, 500, 1); exitCode(err) != exitStore {
		t.Errorf("a damaged counter: %v", err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if n, err := home.take("k", 1, 500, 1); err != nil || n != 501 {
		t.Errorf("a lost counter goes on with %d, %v", n, err)
	}
}

// TestWriteDurable: a write that fails leaves the old text, and nothing beside it.
func TestWriteDurable(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "x")
	if err := writeDurable(file, []byte("old")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "y"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "y", "z"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := writeDurable(filepath.Join(dir, "y"), []byte("new")); exitCode(err) != exitStore {
		t.Errorf("over a directory: %v", err)
	}
	if err := writeDurable(file, []byte("new")); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if text, _ := os.ReadFile(file); err != nil || len(entries) != 2 || string(text) != "new" {
		t.Errorf("%d files, %q, %v", len(entries), text, err)
	}
	unlock, err := tryLock(filepath.Join(dir, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tryLock(filepath.Join(dir, "lock")); !errors.Is(err, errBusy) || exitCode(err) != exitInUse {
		t.Errorf("a lock that is taken: %v", err)
	}
	unlock()
}

// TestFleetCommandKilled: the process is killed once it has sent; the number it used is
// not used again.
func TestFleetCommandKilled(t *testing.T) {
	p := newPlant(t)
	p.gateways(1)
	var highest uint64
	p.gates["gw-01"].mu.Lock()
	p.gates["gw-01"].onOrder = func(c *protocol.Command) {
		var counter operator.Counter
		text, err := os.ReadFile(filepath.Join(p.home, "plant7", "numbers", string(c.Issuer)))
		if err == nil {
			err = json.Unmarshal(text, &counter)
		}
		if err != nil || counter.Last < c.Seq || c.Seq <= highest {
			t.Errorf("number %d arrived, after %d, and on the disk is %+v, %v", c.Seq, highest, counter, err)
		}
		highest = c.Seq
	}
	p.gates["gw-01"].mu.Unlock()
	for range 3 {
		c := p.controller("cmd", "gw-01", "ping", "--key", p.secret("olga"))
		c.until(`"event":"sent"`, 1)
		c.kill()
	}
	out := p.run(0, "cmd", "gw-01", "ping", "--key", p.secret("olga"), "--json")
	if strings.Contains(out, "denied") {
		t.Errorf("after kills: %s", out)
	}
	p.gates["gw-01"].sound()
}

var (
	keyIDs = regexp.MustCompile(`[0-9a-f]{32}( {2,})?`)
	heads  = regexp.MustCompile(`[0-9]+:[0-9a-f]{64}`)
	hosts  = regexp.MustCompile(`[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+:[0-9]+`)
)

// TestFleetGolden compares a session, from an empty directory to a rollout, with the
// one in testdata. docs/fleet.md shows parts of it.
func TestFleetGolden(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	p.gateways(3)
	p.write("site.json", `{"pipelines":[{"name":"energy","window":{"size":"60s"}}]}`)
	p.write("next.json", `{"pipelines":[{"name":"energy","window":{"size":"30s"}}]}`)
	p.write("bad.json", `{"bad":true}`)
	var session strings.Builder
	run := func(code int, line string) {
		t.Helper()
		args := strings.Fields(line)
		for i, a := range args {
			if strings.HasSuffix(a, ".json") || strings.HasSuffix(a, ".secret") || strings.HasSuffix(a, ".public") {
				args[i] = p.file(a)
			}
		}
		session.WriteString("$ edged fleet " + line + "\n" + p.run(code, args...))
	}
	run(0, "keyring show ring.json")
	run(0, "list")
	run(0, "cmd gw-01 ping --key olga.secret")
	run(exitCheck, "cmd gw-01 pipeline.pause pipeline=energy --key vera.secret")
	run(0, "cmd --selector site=berlin --preview pipeline.pause pipeline=energy --key olga.secret")
	run(0, "apply gw-01 site.json --key dave.secret")
	run(exitCheck, "diff gw-01 next.json")
	rollout := " --selector * --yes --waves 1,2,100% --bake 200ms --key dave.secret"
	run(0, "rollout next.json"+rollout+" --preview")
	run(0, "rollout next.json"+rollout)
	run(exitCheck, "rollout bad.json"+rollout)
	run(0, "rollout status e1v3")
	run(0, "list --selector site=berlin")
	got := strings.ReplaceAll(session.String(), p.dir+string(os.PathSeparator), "")
	got = heads.ReplaceAllString(got, "HEAD")
	got = hosts.ReplaceAllString(keyIDs.ReplaceAllString(got, "KEYID$1"), "BROKER")
	golden := filepath.Join("testdata", "fleet", "session.txt")
	if *rewrite {
		if err := os.MkdirAll(filepath.Dir(golden), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
