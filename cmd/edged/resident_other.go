//go:build !linux

package main

import "runtime/debug"

// shedStartup gives back the memory that only start-up needed.
func shedStartup() { debug.FreeOSMemory() }
