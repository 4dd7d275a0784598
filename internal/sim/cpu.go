//go:build unix

package sim

import (
	"syscall"
	"time"
)

// CPUTime returns the CPU time, user and system, that this process has used. It
// is 0 where the platform does not tell.
func CPUTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
