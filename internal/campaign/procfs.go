package campaign

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// clockTick is the unit of CPU times in /proc: USER_HZ is 100 on all Linux ports
// that Go supports.
const clockTick = 10 * time.Millisecond

// CPU returns the CPU time, user and system, that a process has used.
func CPU(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("read the CPU time: %w", err)
	}
	// The second field is a name in parentheses that may itself contain some.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("read the CPU time: %d fields in %q", len(fields), stat)
	}
	user, err := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * clockTick, errors.Join(err, err2)
}

// memory reads a value of /proc/PID/status, in bytes: RssAnon is what the process
// itself holds; VmHWM is the peak with mapped files, whose pages the kernel may
// drop.
func memory(pid int, name string) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("read memory: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kib * 1024, err
		}
	}
	return 0, fmt.Errorf("read memory: no %s for process %d", name, pid)
}

// Peak follows a process's own memory.
type Peak struct {
	stop chan struct{}
	done sync.WaitGroup
	most int64
	err  error
}

// WatchPeak looks at a process's RssAnon a hundred times a second. The kernel
// keeps a peak only of the sum with mapped files.
func WatchPeak(pid int) *Peak {
	p := &Peak{stop: make(chan struct{})}
	p.done.Go(func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			anon, err := memory(pid, "RssAnon")
			if err != nil {
				p.err = err
				return
			}
			p.most = max(p.most, anon)
			select {
			case <-tick.C:
			case <-p.stop:
				return
			}
		}
	})
	return p
}

// End stops watching and returns the peak in bytes.
func (p *Peak) End() (int64, error) {
	close(p.stop)
	p.done.Wait()
	return p.most, p.err
}
