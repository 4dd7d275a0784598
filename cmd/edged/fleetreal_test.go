package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFleetOfRealGateways: the operator's commands against edged run as processes, over
// TLS with client certificates and the access rules that are shipped.
func TestFleetOfRealGateways(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	y.certify("olga")
	home := t.TempDir()
	fleet := func(code int, args ...string) string {
		t.Helper()
		got, stdout, stderr := edgedCmd(t, append([]string{"fleet", "--fleet", "plant7", "--broker", y.url, "--home", home, "--settle", "300ms",
			"--ca", y.file("ca.pem"), "--cert", y.file("olga.pem"), "--cert-key", y.file("olga.key")}, args...)...)
		if got != code {
			t.Fatalf("edged fleet %s: code %d, want %d\n%s%s", strings.Join(args, " "), got, code, stdout, stderr)
		}
		return stdout + stderr
	}
	for _, holder := range []string{"root", "olga", "dave", "anna"} {
		key := y.root
		if holder != "root" {
			key = holderKey(holder)
		}
		y.write(holder+".secret", key.Line()+"\n")
	}
	ring, err := json.Marshal(y.ring)
	y.must(err)
	y.write("ring.json", string(ring))
	fleet(0, "keyring", "sign", y.file("ring.json"), "--key", y.file("root.secret"))
	fleet(0, "keyring", "pin", y.file("ring.json"))
	fleet(0, "keyring", "publish", y.file("ring.json"))
	const gateways = 3
	for i := range gateways {
		name := fmt.Sprintf("gw-%d", i+1)
		y.certify(name)
		y.launch(y.config(name, t.TempDir()))
	}
	eventually(t, "all are online with the keyring", func() bool {
		return strings.Count(fleet(0, "list", "--json"), `"presence":"online"`) == gateways &&
			strings.Count(fleet(0, "list", "--json"), `"keyring":1`) >= gateways
	}, func() string { return fleet(0, "list") })

	if out := fleet(0, "cmd", "--selector", "site=berlin", "--yes", "ping", "--key", y.file("olga.secret")); strings.Count(out, "  done") < gateways {
		t.Errorf("ping: %s", out)
	}
	next := strings.Replace(string(demoDocument), "idle_timeout: 5s", "idle_timeout: 6s", 1)
	y.write("next.yaml", next)
	y.write("broken.yaml", strings.Replace(next, "type: tumbling", "type: falling", 1))
	rollout := []string{"--selector", "site=berlin", "--yes", "--waves", "1,100%", "--bake", "300ms", "--health", "1s", "--deadline", "30s", "--confirm", "none", "--key", y.file("dave.secret")}
	out := fleet(exitCheck, append([]string{"rollout", y.file("broken.yaml")}, rollout...)...)
	if !strings.Contains(out, "failed  E_SCHEMA") || !strings.Contains(out, "2 waiting") {
		t.Errorf("a broken one: %s", out)
	}
	out = fleet(0, append([]string{"rollout", y.file("next.yaml")}, rollout...)...)
	if !strings.Contains(out, "done: 3 of 3 gateways run it") {
		t.Errorf("a good one: %s", out)
	}
	fleet(0, "diff", "gw-1", y.file("next.yaml"))
	if out = fleet(0, "audit", "gw-1", "--key", y.file("olga.secret"), "--out", filepath.Join(t.TempDir(), "log")); !strings.Contains(out, "lines are sound") {
		t.Errorf("audit: %s", out)
	}
	if dump := os.Getenv("EDGED_TEST_DUMP"); dump != "" {
		y.must(os.WriteFile(dump, []byte(fleet(0, "list")+fleet(0, "show", "gw-1")+out), 0o600))
	}
}
