//go:build linux

package main

import (
	"os"
	"strconv"
	"strings"
	"syscall"
)

// residentBytes returns how much memory the process has; 0 if it cannot be told.
func residentBytes() int64 {
	text, err := os.ReadFile("/proc/self/statm")
	fields := strings.Fields(string(text))
	if err != nil || len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

// memoryTotal returns how much memory the machine has; 0 if it cannot be told.
func memoryTotal() int64 {
	var info syscall.Sysinfo_t
	if syscall.Sysinfo(&info) != nil {
		return 0
	}
	return int64(info.Totalram) * int64(info.Unit)
}
