//go:build !linux

package persistence

import "os"

// unmapPages does nothing where the call is not known to be harmless.
func unmapPages(data, size uintptr) {}

// unlock leaves the lock to the end of the process.
func unlock(*os.File) {}
