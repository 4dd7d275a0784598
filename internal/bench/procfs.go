//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of CPU times in /proc: USER_HZ is 100 on all Linux ports
// that Go supports.
const tick = 10 * time.Millisecond

// usage is what a process has used so far.
type usage struct {
	cpu     time.Duration // user and system, all threads
	written int64         // bytes that went to storage
	peak    int64         // bytes, highest resident set
	anon    int64         // bytes resident now that no file backs
}

func readUsage(pid int) (usage, error) {
	var u usage
	var err error
	if u.cpu, err = readCPU(pid); err != nil {
		return u, err
	}
	io, err := readFields(pid, "io")
	if err != nil {
		return u, err
	}
	status, err := readFields(pid, "status")
	if err != nil {
		return u, err
	}
	u.written = io["write_bytes"]
	u.peak, u.anon = status["VmHWM"]*1024, status["RssAnon"]*1024
	return u, nil
}

func readCPU(pid int) (time.Duration, error) {
	text, err := os.ReadFile(procFile(pid, "stat"))
	if err != nil {
		return 0, fmt.Errorf("read the CPU time of process %d: %w", pid, err)
	}
	return parseCPU(text)
}

// parseCPU reads the fields 14 and 15 of /proc/PID/stat. The second field is a
// name in parentheses that may itself contain spaces and parentheses.
func parseCPU(stat []byte) (time.Duration, error) {
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("read CPU time: %d fields in %q", len(fields), stat)
	}
	user, err := strconv.ParseInt(fields[11], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read CPU time: %w", err)
	}
	system, err := strconv.ParseInt(fields[12], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read CPU time: %w", err)
	}
	return time.Duration(user+system) * tick, nil
}

// readFields reads the numbers of a file of lines like "VmHWM:  1234 kB".
func readFields(pid int, name string) (map[string]int64, error) {
	text, err := os.ReadFile(procFile(pid, name))
	if err != nil {
		return nil, fmt.Errorf("read /proc of process %d: %w", pid, err)
	}
	fields := map[string]int64{}
	for line := range strings.Lines(string(text)) {
		key, rest, _ := strings.Cut(line, ":")
		number, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
		if n, err := strconv.ParseInt(number, 10, 64); err == nil {
			fields[key] = n
		}
	}
	return fields, nil
}

func procFile(pid int, name string) string {
	return "/proc/" + strconv.Itoa(pid) + "/" + name
}
