package mosquitto

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// ErrNotInstalled says that there is no mosquitto binary on this machine.
var ErrNotInstalled = errors.New("mosquitto is not installed; run scripts/install-test-deps")

const (
	readyWait   = 10 * time.Second
	stopWait    = 10 * time.Second
	launchTries = 3
)

// Process is one mosquitto. Its methods are not safe for concurrent use.
type Process struct {
	binary string
	dir    string
	lines  []string
	addr   string // host:port

	cmd  *exec.Cmd
	done chan struct{} // closed when cmd has ended
	log  *tail
}

// Launch starts a broker on a free loopback port and waits until it accepts
// connections. Its files lie in dir; lines are added to its configuration, which
// otherwise only lets everybody in.
func Launch(dir string, lines ...string) (*Process, error) {
	binary, err := lookUp()
	if err != nil {
		return nil, err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, fmt.Errorf("start mosquitto: %w", err)
	}
	p := &Process{binary: binary, dir: dir, lines: lines}
	for range launchTries {
		if p.addr, err = freeAddr(); err != nil {
			return nil, err
		}
		if err = p.start(); err == nil {
			return p, nil
		}
	}
	return nil, err
}

// URL is the broker's address as mqtt.Config wants it.
func (p *Process) URL() string { return "tcp://" + p.addr }

// Addr is the broker's host:port.
func (p *Process) Addr() string { return p.addr }

// Log returns the end of what the broker has written.
func (p *Process) Log() string { return p.log.String() }

// PID is the broker's process id, for measuring it.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Stop ends the broker with SIGTERM, upon which it saves its sessions.
func (p *Process) Stop() error { return p.end(syscall.SIGTERM) }

// Kill ends the broker with SIGKILL.
func (p *Process) Kill() error { return p.end(syscall.SIGKILL) }

// Restart starts the broker again on the same port, stopping it first if it runs.
func (p *Process) Restart() error {
	if err := p.Stop(); err != nil {
		return err
	}
	return p.start()
}

func (p *Process) start() error {
	_, port, err := net.SplitHostPort(p.addr)
	if err != nil {
		return fmt.Errorf("start mosquitto: %w", err)
	}
	// mosquitto started by root gives its rights up, and then cannot read our files.
	conf := "listener " + port + " 127.0.0.1\nallow_anonymous true\nuser root\n" + strings.Join(p.lines, "\n") + "\n"
	file := filepath.Join(p.dir, "mosquitto.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		return fmt.Errorf("start mosquitto: %w", err)
	}
	p.log = &tail{}
	p.cmd = exec.Command(p.binary, "-c", file)
	p.cmd.Dir = p.dir
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	dieWithParent(p.cmd)
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("start mosquitto: %w", err)
	}
	done := make(chan struct{})
	p.done = done
	go func() {
		defer close(done)
		// How it ended is seen from its log; that it ended is what counts.
		_ = p.cmd.Wait()
	}()
	return p.awaitReady()
}

func (p *Process) awaitReady() error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(readyWait)
	for {
		conn, err := net.Dial("tcp", p.addr)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-p.done:
			return fmt.Errorf("mosquitto ended at once on %s: %s", p.addr, p.log)
		case <-deadline:
			return errors.Join(fmt.Errorf("mosquitto does not listen on %s after %v: %s", p.addr, readyWait, p.log), p.Kill())
		case <-tick.C:
		}
	}
}

func (p *Process) end(signal syscall.Signal) error {
	// An error means that it has ended already.
	_ = p.cmd.Process.Signal(signal)
	select {
	case <-p.done:
		return nil
	case <-time.After(stopWait):
	}
	err := fmt.Errorf("mosquitto on %s ignored %v for %v and was killed", p.addr, signal, stopWait)
	_ = p.cmd.Process.Kill()
	<-p.done
	return err
}

func lookUp() (string, error) {
	for _, name := range []string{"mosquitto", "/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", ErrNotInstalled
}

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// tail keeps the end of what is written to it.
type tail struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

const tailBytes = 16 << 10

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf.Write(p)
	if extra := t.buf.Len() - tailBytes; extra > 0 {
		t.buf.Next(extra)
	}
	return len(p), nil
}

// String returns what is kept.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.buf.String()
}
