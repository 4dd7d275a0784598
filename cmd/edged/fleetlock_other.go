//go:build !unix

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// errBusy says that another process holds a lock.
var errBusy = errors.New("another process has it")

// lockFile waits for a lock. Where the kernel keeps none, a file stands for it, which
// is left behind by a process that crashes.
func lockFile(path string) (unlock func(), err error) {
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	for range 100 {
		if unlock, err = tryLock(path); !errors.Is(err, errBusy) {
			return unlock, err
		}
		<-poll.C
	}
	return nil, fmt.Errorf("%w; if no edged fleet runs, delete it", err)
}

// tryLock takes a lock, or returns an error that wraps errBusy.
func tryLock(path string) (unlock func(), err error) {
	file, err := os.OpenFile(path+".held", os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, failed(exitInUse, fmt.Errorf("lock %s.held: %w", path, errBusy))
	}
	if err != nil {
		return nil, failed(exitStore, fmt.Errorf("lock %s: %w", path, err))
	}
	return func() { _ = errors.Join(file.Close(), os.Remove(path+".held")) }, nil
}
