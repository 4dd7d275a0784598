package main

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"edged/internal/mosquitto"
)

// finds runs edged doctor and returns what it found, by check.
func finds(t *testing.T, args ...string) (map[string]finding, int) {
	t.Helper()
	code, out, stderr := edgedCmd(t, append([]string{"doctor", "--json"}, args...)...)
	r := decode[report](t, out)
	found := map[string]finding{}
	for _, f := range r.Checks {
		if _, twice := found[f.Check]; twice || f.What == "" || strings.Contains(f.What+f.Why+f.Do, "\n") {
			t.Errorf("a finding is not one line each, or comes twice: %+v", f)
		}
		if bad := f.Status == statusWarning || f.Status == statusProblem; bad != (f.Why != "" && f.Do != "") {
			t.Errorf("%+v: why and what to do belong to what is wrong", f)
		}
		found[f.Check] = f
	}
	if want := map[bool]int{true: exitCheck, false: exitOK}[r.Problems > 0]; code != want {
		t.Errorf("%d problems and exit code %d: %s", r.Problems, code, stderr)
	}
	return found, code
}

// expectStatus checks how checks ended.
func expectStatus(t *testing.T, found map[string]finding, want map[string]string) {
	t.Helper()
	for check, status := range want {
		if f, done := found[check]; !done || f.Status != status {
			t.Errorf("%s: got %+v, want %s", check, f, status)
		}
	}
}

// TestDoctor runs all checks for real: before the first start, and beside a
// running daemon.
func TestDoctor(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("most checks are for Linux")
	}
	b := mosquitto.Start(t)
	config := writeFile(t, "demo.yaml", string(demoDocument))
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := free.Addr().String()
	free.Close()
	dir := filepath.Join(t.TempDir(), "data")
	args := []string{"--config", config, "--data-dir", dir, "--mqtt-url", b.URL(), "--http-listen", addr}

	found, _ := finds(t, args...)
	expectStatus(t, found, map[string]string{"configuration": statusOK, "data directory": statusOK, "free space": statusOK, "open files": statusOK, "http.listen": statusOK})
	if f := found["broker"]; f.Status != statusWarning || !strings.Contains(f.Do, "max_queued_messages 0") {
		t.Errorf("a mosquitto whose settings cannot be seen: %+v", f)
	}
	if f := found["disk sync"]; f.Status == statusSkipped || !strings.Contains(f.What, "synced writes/s") {
		t.Errorf("disk: %+v", f)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("the doctor made the data directory")
	}

	r := startRun(t, args...)
	r.says("recovered")
	eventually(t, "the source is connected", func() bool { return len(askHealth(t.Context(), "http://"+addr+"/readyz")) > 0 }, r.err.String)
	found, _ = finds(t, args...)
	expectStatus(t, found, map[string]string{"data directory": statusOK})
	if f := found["data directory"]; !strings.Contains(f.What, "running edged") {
		t.Errorf("beside a daemon: %+v", f)
	}
	if f := found["http.listen"]; !strings.Contains(f.What, "running edged") {
		t.Errorf("beside a daemon: %+v", f)
	}
	left, err := filepath.Glob(filepath.Join(dir, ".edged-doctor*"))
	if err != nil || len(left) > 0 {
		t.Errorf("the doctor left %v behind, %v", left, err)
	}
}

// TestDoctorFindsProblems: each is a problem, and one does not hide the others.
func TestDoctorFindsProblems(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	go closeAll(taken)
	found, code := finds(t, "--config", writeFile(t, "bad.yaml", "pipelines: [{name: x}]"), "--mqtt-url", "tcp://127.0.0.1:1",
		"--data-dir", writeFile(t, "file", ""), "--http-listen", taken.Addr().String())
	if code != exitCheck {
		t.Errorf("exit code %d", code)
	}
	expectStatus(t, found, map[string]string{"configuration": statusProblem, "data directory": statusProblem, "broker": statusProblem, "http.listen": statusProblem})

	secret := writeFile(t, "password", "x")
	if err := os.Chmod(secret, 0o644); err != nil {
		t.Fatal(err)
	}
	config := writeFile(t, "tls.yaml", "settings: {mqtt: {url: 'ssl://127.0.0.1:1', username: u, password_file: "+secret+", cert_file: /no/such/cert, key_file: /no/such/key}}\n"+string(demoDocument))
	found, _ = finds(t, "--config", config, "--data-dir", t.TempDir())
	expectStatus(t, found, map[string]string{"configuration": statusOK, "broker password": statusProblem, "broker key": statusProblem, "broker client": statusProblem, "broker": statusProblem})
}

// closeAll answers every connection with nothing.
func closeAll(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		conn.Close()
	}
}

// TestDoctorRefused: a broker that knows us not is another problem than none.
func TestDoctorRefused(t *testing.T) {
	b := mosquitto.Start(t, mosquitto.Line("allow_anonymous false"))
	found, _ := finds(t, "--mqtt-url", b.URL(), "--data-dir", t.TempDir(), "--http-listen=")
	if f := found["broker"]; f.Status != statusProblem || !strings.Contains(f.Do, "password") {
		t.Errorf("%+v", f)
	}
	expectStatus(t, found, map[string]string{"http.listen": statusSkipped})
}

func TestDoctorPrints(t *testing.T) {
	code, out, stderr := edgedCmd(t, "doctor", "--mqtt-url", "tcp://127.0.0.1:1", "--data-dir", t.TempDir(), "--http-listen=")
	if code != exitCheck || !strings.Contains(stderr, "problems: ") {
		t.Errorf("code %d: %s", code, stderr)
	}
	for _, want := range []string{"problem  broker ", " why  ", " do   ", "skipped  http.listen", "\nproblems: "} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
	if code, _, _ := edgedCmd(t, "doctor", "--cert-days", "0"); code != exitUsage {
		t.Errorf("--cert-days 0: code %d", code)
	}
}

// TestMeasureDisk measures a real disk.
func TestMeasureDisk(t *testing.T) {
	speed, err := measureDisk(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if speed.synced.n == 0 || speed.plain.n == 0 || speed.synced.p50 > speed.synced.p99 {
		t.Errorf("%+v", speed)
	}
	if _, err := measureDisk("/no/such/dir"); err == nil {
		t.Error("a folder that is not there was measured")
	}
}

func TestHeld(t *testing.T) {
	if held("/no/such/file") || held(writeFile(t, "free", "")) {
		t.Error("a file that nobody holds is held")
	}
}

func TestServiceWithoutSystemd(t *testing.T) {
	f := (&patient{}).service(context.Background())
	if !slices.Contains([]string{statusOK, statusWarning, statusProblem, statusSkipped}, f.Status) {
		t.Errorf("%+v", f)
	}
}
