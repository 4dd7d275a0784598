//go:build linux

package mosquitto

import (
	"os/exec"
	"syscall"
)

// dieWithParent lets the kernel kill the broker when we are gone.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
