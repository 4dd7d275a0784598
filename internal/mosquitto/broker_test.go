package mosquitto_test

import (
	"net"
	"testing"

	"edged/internal/mosquitto"
)

func reachable(addr string) bool {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

func TestLifecycle(t *testing.T) {
	b := mosquitto.Start(t, mosquitto.Persistent())
	addr := b.Addr()
	if b.URL() != "tcp://"+addr {
		t.Errorf("URL %s for address %s", b.URL(), addr)
	}
	for name, end := range map[string]func(){"stop": b.Stop, "kill": b.Kill} {
		if !reachable(addr) {
			t.Fatalf("not reachable before %s", name)
		}
		end()
		if reachable(addr) {
			t.Fatalf("reachable after %s", name)
		}
		b.Restart()
	}
	if !reachable(addr) {
		t.Fatal("not reachable on the old port after restart")
	}
}

func TestBadConfiguration(t *testing.T) {
	if p, err := mosquitto.Launch(t.TempDir(), "no_such_option 1"); err == nil {
		p.Kill()
		t.Fatal("a broker with an unknown option was reported as ready")
	}
}
