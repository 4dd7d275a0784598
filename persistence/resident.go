//go:build linux

package persistence

import "syscall"

// unmapPages drops the mapped pages of a shared file mapping. A later access
// maps them again.
func unmapPages(data, size uintptr) {
	const dontNeed = 4 // MADV_DONTNEED
	// Only the resident set depends on it, so a failure changes nothing.
	_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, data, size, dontNeed)
}
