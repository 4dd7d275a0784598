//go:build linux

package persistence

import (
	"os"
	"syscall"
)

// unmapPages drops the mapped pages of a shared file mapping. A later access
// maps them again.
func unmapPages(data, size uintptr) {
	const dontNeed = 4 // MADV_DONTNEED
	// Only the resident set depends on it, so a failure changes nothing.
	_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, data, size, dontNeed)
}

// unlock lets go of the lock that bbolt has on the file. A closed file has none.
func unlock(file *os.File) { _ = syscall.Flock(int(file.Fd()), syscall.LOCK_UN) }
