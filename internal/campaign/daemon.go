package campaign

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// reconnectMax keeps the pauses of our own clients short.
	reconnectMax = 500 * time.Millisecond

	// logTail is how much of the daemon's log an error quotes.
	logTail = 4000
)

// Build builds the daemon into dir, with further flags of go build, and returns
// the path of the binary. root is the folder of the module.
func Build(root, dir string, flags ...string) (string, error) {
	binary := filepath.Join(dir, "edged")
	args := append([]string{"build", "-o", binary}, flags...)
	cmd := exec.Command("go", append(args, "./cmd/edged")...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the daemon: %w\n%s", err, out)
	}
	return binary, nil
}

// Root returns the folder of the module: the nearest one upwards with a go.mod.
func Root() (string, error) {
	dir, err := os.Getwd()
	for ; err == nil; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("find the module: no go.mod above the working directory")
		}
	}
	return "", err
}

// Daemon is an edged process that can be started again and again. Its methods
// are for one goroutine.
type Daemon struct {
	binary string
	args   []string
	env    []string
	log    string // file with the standard error of all starts

	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended
	mu   sync.Mutex
	exit error
}

// NewDaemon returns a daemon that is not started. env is added to an environment
// without any EDGED_ variable; log is the file for its standard error.
func NewDaemon(binary, log string, env []string, args ...string) *Daemon {
	clean := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "EDGED_") })
	return &Daemon{binary: binary, args: args, env: append(clean, env...), log: log}
}

// Start starts the process.
func (d *Daemon) Start() error {
	log, err := os.OpenFile(d.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("start the daemon: %w", err)
	}
	defer log.Close()
	d.cmd = exec.Command(d.binary, d.args...)
	d.cmd.Env, d.cmd.Stderr = d.env, log
	dieWithParent(d.cmd)
	if err := d.cmd.Start(); err != nil {
		return fmt.Errorf("start the daemon: %w", err)
	}
	cmd, done := d.cmd, make(chan struct{})
	d.done = done
	go func() {
		defer close(done)
		err := cmd.Wait()
		d.mu.Lock()
		defer d.mu.Unlock()
		d.exit = err
	}()
	return nil
}

// Done is closed when the process that was started last has ended.
func (d *Daemon) Done() <-chan struct{} { return d.done }

// PID is the process id of the last start.
func (d *Daemon) PID() int { return d.cmd.Process.Pid }

// Kill sends SIGKILL. It is an error when the process had ended before.
func (d *Daemon) Kill() error {
	select {
	case <-d.done:
		return fmt.Errorf("the daemon ended by itself: %w", d.ended())
	default:
	}
	// An error means that it ends in this very moment.
	_ = d.cmd.Process.Kill()
	<-d.done
	if status, ok := d.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
		return fmt.Errorf("the daemon ended before the kill: %w", d.ended())
	}
	return nil
}

// Terminate sends SIGTERM and waits. Anything but exit code 0 is an error.
func (d *Daemon) Terminate(within time.Duration) error {
	_ = d.cmd.Process.Signal(syscall.SIGTERM) // an error: it has ended already
	select {
	case <-d.done:
	case <-time.After(within):
		_ = d.cmd.Process.Kill()
		<-d.done
		return fmt.Errorf("the daemon ignored SIGTERM for %v; its log ends with\n%s", within, d.Log())
	}
	if code := d.cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("after SIGTERM: %w", d.ended())
	}
	return nil
}

// Hangup asks the process to read its configuration again.
func (d *Daemon) Hangup() error { return d.cmd.Process.Signal(syscall.SIGHUP) }

// Grep returns the lines of the log of all starts that hold a text.
func (d *Daemon) Grep(text string) (lines []string) {
	all, err := os.ReadFile(d.log)
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(all)) {
		if strings.Contains(line, text) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// Clean ends the process, if there is one, without asking how.
func (d *Daemon) Clean() {
	if d.done != nil {
		_ = d.cmd.Process.Kill()
		<-d.done
	}
}

// ended describes an end that nobody asked for.
func (d *Daemon) ended() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return fmt.Errorf("exit code %d (%v); its log ends with\n%s", d.cmd.ProcessState.ExitCode(), d.exit, d.Log())
}

// Log returns the end of what the daemon has logged.
func (d *Daemon) Log() string {
	text, err := os.ReadFile(d.log)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-logTail):])
}

// Alarms returns the lines of the log that no campaign may cause: panics, data
// races, and errors of the daemon about itself.
func (d *Daemon) Alarms() []string {
	text, err := os.ReadFile(d.log)
	if err != nil {
		return []string{err.Error()}
	}
	var alarms []string
	for line := range strings.Lines(string(text)) {
		for _, word := range []string{"panic", "DATA RACE", "fatal error", "level=ERROR"} {
			if strings.Contains(line, word) {
				alarms = append(alarms, strings.TrimSpace(line))
				break
			}
		}
	}
	return alarms
}
