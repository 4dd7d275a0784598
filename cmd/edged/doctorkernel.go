//go:build linux

package main

import (
	"fmt"
	"os"
	"syscall"
	"time"
)

// readClock asks the kernel whether something keeps its clock right.
func readClock() (c clockState, err error) {
	const unsynced, wrong = 0x40, 5 // STA_UNSYNC, TIME_ERROR
	var t syscall.Timex
	state, err := syscall.Adjtimex(&t)
	if err != nil {
		return c, fmt.Errorf("ask the kernel about its clock (adjtimex): %w", err)
	}
	c.synced = state != wrong && t.Status&unsynced == 0
	c.error = time.Duration(t.Maxerror) * time.Microsecond
	return c, nil
}

// roomAt returns what is free for an ordinary user.
func roomAt(dir string) (room, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return room{}, fmt.Errorf("ask for the free space of %s: %w", dir, err)
	}
	r := room{free: int64(s.Bavail) * int64(s.Bsize), inodes: int64(s.Ffree)}
	if s.Files == 0 {
		r.inodes = -1 // btrfs makes them as it needs them
	}
	return r, nil
}

// syncData makes a file's content durable, as the store does.
func syncData(file *os.File) error { return syscall.Fdatasync(int(file.Fd())) }

// fileLimit returns how many files may be open. The Go runtime has raised it to
// what is allowed.
func fileLimit() (uint64, error) {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return 0, fmt.Errorf("ask for the limit of open files: %w", err)
	}
	return l.Max, nil
}

// held reports whether a process has locked a file.
func held(path string) bool {
	file, err := os.Open(path)
	if err != nil {
		return false
	}
	defer file.Close()
	return syscall.Flock(int(file.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) == syscall.EWOULDBLOCK
}
