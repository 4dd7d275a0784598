//go:build unix

package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// errBusy says that another process holds a lock.
var errBusy = errors.New("another process has it")

// lockFile waits for a lock on a file, which ends with the process at the latest.
func lockFile(path string) (unlock func(), err error) { return lock(path, syscall.LOCK_EX) }

// tryLock takes a lock, or returns an error that wraps errBusy.
func tryLock(path string) (unlock func(), err error) {
	return lock(path, syscall.LOCK_EX|syscall.LOCK_NB)
}

func lock(path string, how int) (func(), error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, failed(exitStore, fmt.Errorf("lock %s: %w", path, err))
	}
	for {
		err = syscall.Flock(int(file.Fd()), how)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = errBusy
	}
	if err != nil {
		return nil, errors.Join(failed(exitInUse, fmt.Errorf("lock %s: %w", path, err)), file.Close())
	}
	return func() { _ = file.Close() }, nil // closing gives the lock up
}
