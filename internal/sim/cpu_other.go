//go:build !unix

package sim

import "time"

// CPUTime returns the CPU time, user and system, that this process has used. It
// is 0 where the platform does not tell.
func CPUTime() time.Duration { return 0 }
