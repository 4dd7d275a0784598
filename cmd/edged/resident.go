//go:build linux

package main

import (
	"bufio"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
)

// shedStartup gives back the memory that only start-up needed: garbage, and the
// pages of the program itself that will not run again (flags, settings, the
// pipeline compiler). The program's pages are clean and come back from the page
// cache when they are needed.
func shedStartup() {
	debug.FreeOSMemory()
	self, err := os.Executable()
	if err != nil {
		return
	}
	file, err := os.Open("/proc/self/smaps")
	if err != nil {
		return
	}
	defer file.Close()
	var start, end uint64
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		switch {
		case len(fields) == 6 && fields[5] == self && !strings.Contains(fields[1], "w"):
			from, to, _ := strings.Cut(fields[0], "-")
			start, _ = strconv.ParseUint(from, 16, 64)
			end, _ = strconv.ParseUint(to, 16, 64)
		case len(fields) >= 5:
			start, end = 0, 0 // another mapping
		case len(fields) == 3 && fields[0] == "Private_Dirty:" && fields[1] == "0" && end > start:
			const dontNeed = 4 // MADV_DONTNEED; a page that was never written cannot be lost
			_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, uintptr(start), uintptr(end-start), dontNeed)
		}
	}
}
