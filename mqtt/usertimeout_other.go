//go:build !linux

package mqtt

import (
	"net"
	"time"
)

// setUserTimeout does nothing where the platform has no such option.
func setUserTimeout(net.Conn, time.Duration) error { return nil }
