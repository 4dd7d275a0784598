//go:build !linux

package main

import "runtime"

// residentBytes returns how much memory the process has, about.
func residentBytes() int64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.Sys)
}

// memoryTotal returns 0: it cannot be told here.
func memoryTotal() int64 { return 0 }
