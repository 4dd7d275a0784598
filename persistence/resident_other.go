//go:build !linux

package persistence

// unmapPages does nothing where the call is not known to be harmless.
func unmapPages(data, size uintptr) {}
