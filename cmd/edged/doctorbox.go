package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"edged/actors"
	"edged/configs"
)

// clock checks this machine's clock.
func (p *patient) clock() finding {
	c, err := readClock()
	if err != nil {
		return skipped("clock", "%v", err)
	}
	c.now = time.Now()
	return judgeClock(c)
}

// clockState is what the kernel says about its clock.
type clockState struct {
	now    time.Time
	synced bool
	error  time.Duration // at most, while it is synced
}

// The years that a clock may show. Before the first one the engine does not
// believe it.
const (
	clockFirstYear = 2024
	clockCeiling   = 2100
)

func judgeClock(c clockState) finding {
	const check = "clock"
	shown := c.now.UTC().Format(time.RFC3339)
	switch {
	case c.now.UnixMilli() < int64(actors.ArrivalFloor):
		return finding{check, statusProblem, shown + " is in the past of this program", "certificates do not count as valid yet, and devices that are ahead are not recognised", "set the clock: run chrony or systemd-timesyncd"}
	case c.now.Year() >= clockCeiling:
		return finding{check, statusProblem, shown + " cannot be", "certificates count as expired", "set the clock: run chrony or systemd-timesyncd; check the battery of the clock chip"}
	case !c.synced:
		return finding{check, statusWarning, shown + ", and nothing keeps it right", "devices with wrong clocks are recognised by this one; windows go by what devices say, and stay right", "run chrony or systemd-timesyncd: timedatectl set-ntp true"}
	}
	return ok(check, "%s, synchronised, off by at most %s; time zones come with edged", shown, roundly(c.error))
}

// rtc looks for a clock that runs while the power is off.
func (p *patient) rtc() finding {
	names, _ := filepath.Glob("/sys/class/rtc/rtc*")
	since := ""
	if len(names) > 0 {
		if text, err := os.ReadFile(filepath.Join(names[0], "date")); err == nil {
			since = strings.TrimSpace(string(text))
		}
	}
	return judgeRTC(runtime.GOOS == "linux", len(names) > 0, since)
}

// judgeRTC judges the clock chip; date is what it shows, or "".
func judgeRTC(linux, present bool, date string) finding {
	const check = "clock chip"
	year, _, _ := strings.Cut(date, "-")
	number, err := strconv.Atoi(year)
	switch {
	case !linux:
		return skipped(check, "only known on Linux")
	case !present:
		return finding{check, statusWarning, "there is none (/sys/class/rtc)", "after a power cut the clock is wrong until the network has told the time; edged notices a clock before 2024, not one that stands still",
			"fit one with a battery, or start edged after time-sync.target"}
	case date == "" || err != nil:
		return ok(check, "present")
	case number < clockFirstYear:
		return finding{check, statusWarning, "it shows " + date, "the clock is wrong after each start until the network has told the time", "hwclock --systohc sets it; if it forgets again, its battery is empty"}
	}
	return ok(check, "present, shows %s", date)
}

// memory checks what the processes of this group may have.
func (p *patient) memory() finding {
	total := meminfo("MemTotal")
	if total == 0 {
		return skipped("memory", "this system does not say how much it has")
	}
	return judgeMemory(memoryState{
		total: total, available: meminfo("MemAvailable"), limit: cgroupBytes(), goLimit: os.Getenv("GOMEMLIMIT"),
		keys: p.settings.Engine.ActiveKeysMax, intake: int64(p.settings.Engine.IntakeBytesMax),
	})
}

// memoryState is what limits the memory, in bytes, and what needs it.
type memoryState struct {
	total, available, limit int64 // limit is 0 without one
	goLimit                 string
	keys                    int
	intake                  int64
}

// Memory that edged needs, measured: see docs/performance.md.
const (
	memoryIdle   = 20 << 20
	memoryPerKey = 2 << 10
)

func judgeMemory(m memoryState) finding {
	const check = "memory"
	have, of := m.available, "available"
	if m.limit > 0 && m.limit < have {
		have, of = m.limit, "allowed by the control group"
	}
	size := func(n int64) string { return configs.FormatBytes(configs.Bytes(n >> 20 << 20)) }
	full := memoryIdle + m.intake + int64(m.keys)*memoryPerKey
	what := fmt.Sprintf("%s of %s are %s", size(have), size(m.total), of)
	switch {
	case have < memoryIdle+m.intake:
		return finding{check, statusProblem, what, "edged needs about " + size(memoryIdle+m.intake) + " before it knows any device, and is killed without it", "give it more, or lower engine.intake_bytes_max"}
	case have < full:
		fits := (have - memoryIdle - m.intake) / memoryPerKey
		return finding{check, statusWarning, what, fmt.Sprintf("engine.active_keys_max lets %d devices be in memory at a time, which takes about %s", m.keys, size(full)),
			fmt.Sprintf("if you may have so many, set engine.active_keys_max to %d: the others rest on disk", fits)}
	case m.limit > 0 && m.limit < m.total && m.goLimit == "":
		return ok(check, "%s; GOMEMLIMIT is not set, %dMiB would make edged collect garbage before the limit kills it", what, m.limit*9/10>>20)
	}
	return ok(check, "%s", what)
}

// meminfo returns a line of /proc/meminfo in bytes.
func meminfo(name string) int64 {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) >= 2 && fields[0] == name+":" {
			kib, _ := strconv.ParseInt(fields[1], 10, 64)
			return kib << 10
		}
	}
	return 0
}

// cgroupBytes returns the least memory limit of our control group and those
// above it; 0 when there is none.
func cgroupBytes() (least int64) {
	for _, text := range cgroupFiles("memory.max") {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil && (least == 0 || n < least) {
			least = n
		}
	}
	return least
}

// cgroupFiles returns the texts of a file of our control group and of those above
// it. Only version 2 is known: version 1 is on its way out.
func cgroupFiles(name string) (texts []string) {
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(own)) {
		path, v2 := strings.CutPrefix(strings.TrimSpace(line), "0::")
		for ; v2; path = filepath.Dir(path) {
			if text, err := os.ReadFile(filepath.Join("/sys/fs/cgroup", path, name)); err == nil {
				texts = append(texts, strings.TrimSpace(string(text)))
			}
			if path == "/" || path == "." {
				break
			}
		}
	}
	return texts
}

// processors checks how much of the processors we may use.
func (p *patient) processors() finding {
	return judgeProcessors(runtime.NumCPU(), quota(cgroupFiles("cpu.max")))
}

// quota returns the least share of processors in texts like "50000 100000"; 0
// when there is no limit.
func quota(texts []string) (least float64) {
	for _, text := range texts {
		var limit, period float64
		if n, err := fmt.Sscan(text, &limit, &period); n == 2 && err == nil && period > 0 && (least == 0 || limit/period < least) {
			least = limit / period
		}
	}
	return least
}

func judgeProcessors(count int, quota float64) finding {
	const check = "processors"
	if quota > 0 && quota < 0.5 {
		return finding{check, statusWarning, fmt.Sprintf("%d, of which %.2f may be used", count, quota), "the group is stopped for the rest of each period, which delays results and looks like a slow disk", "raise CPUQuota= of the service"}
	}
	if quota > 0 {
		return ok(check, "%d, of which %.2f may be used", count, quota)
	}
	return ok(check, "%d, no quota", count)
}

// openFiles checks how many files and connections we may have.
func (p *patient) openFiles() finding {
	limit, err := fileLimit()
	if err != nil {
		return skipped("open files", "%v", err)
	}
	return judgeFiles(limit)
}

func judgeFiles(limit uint64) finding {
	const check = "open files"
	const least, easy = 64, 512
	switch {
	case limit < least:
		return finding{check, statusProblem, fmt.Sprintf("at most %d", limit), "the store, two brokers, tables and outputs need more", "set LimitNOFILE=1024 in the service, or raise ulimit -n"}
	case limit < easy:
		return finding{check, statusWarning, fmt.Sprintf("at most %d", limit), "many outputs and requests for metrics at a time may need more", "set LimitNOFILE=1024 in the service, or raise ulimit -n"}
	case limit > 1<<40:
		return ok(check, "no limit")
	}
	return ok(check, "at most %d", limit)
}
