//go:build linux

package campaign

import (
	"os/exec"
	"syscall"
)

// dieWithParent lets the kernel kill the daemon when we are gone.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
