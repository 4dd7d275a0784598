package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// unitName is the service that the package brings.
const unitName = "edged.service"

// service asks systemd about the service, if this machine runs it.
func (p *patient) service(ctx context.Context) finding {
	const check = "service"
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		return skipped(check, "this machine does not run systemd")
	}
	ctx, cancel := context.WithTimeout(ctx, doctorLimit)
	defer cancel()
	out, err := exec.CommandContext(ctx, "systemctl", "show", unitName,
		"--property=LoadState,ActiveState,UnitFileState,Type,NotifyAccess,WatchdogUSec,Restart,User,NRestarts,Result").Output()
	if err != nil {
		return skipped(check, "systemctl show %s: %v", unitName, err)
	}
	return judgeService(properties(string(out)))
}

// properties reads lines of the form name=value.
func properties(text string) map[string]string {
	all := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, found := strings.Cut(strings.TrimSpace(line), "="); found {
			all[name] = value
		}
	}
	return all
}

// judgeService judges what systemd says about the service.
func judgeService(of map[string]string) finding {
	const check = "service"
	const drop = "remove the line that changes it: systemctl cat edged shows which file has it"
	fault := func(status, why, do, format string, args ...any) finding {
		return finding{check, status, "edged.service " + fmt.Sprintf(format, args...), why, do}
	}
	switch {
	case of["LoadState"] != "loaded":
		return skipped(check, "there is no %s (%s)", unitName, of["LoadState"])
	case of["ActiveState"] == "failed":
		return fault(statusProblem, "edged does not run", "journalctl -u edged -n 50 shows why; systemctl reset-failed edged, then start it", "has failed: %s", of["Result"])
	case of["Type"] != "notify":
		return fault(statusWarning, "systemd takes edged for ready before it has recovered, and what is ordered after it starts too early", drop, "has Type=%s", of["Type"])
	case of["WatchdogUSec"] == "0" || of["WatchdogUSec"] == "" || of["WatchdogUSec"] == "infinity":
		return fault(statusWarning, "a pipeline that hangs stays so until somebody looks", "set WatchdogSec=60", "has no watchdog")
	case of["Restart"] == "no":
		return fault(statusWarning, "after a crash or a full disk edged stays down until somebody looks", "set Restart=on-failure", "has Restart=no")
	case of["User"] == "" || of["User"] == "root":
		return fault(statusWarning, "a defect of edged would have all rights on this machine", drop, "runs as root")
	case of["UnitFileState"] == "disabled":
		return fault(statusWarning, "edged does not start when the machine does", "systemctl enable edged", "is not enabled")
	}
	return ok(check, "edged.service is %s, restarts so far: %s", of["ActiveState"], of["NRestarts"])
}
