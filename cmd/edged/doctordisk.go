package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"edged/configs"
)

// storage checks the data directory and what is below it. Where it is not there
// yet, the nearest folder above it tells about the disk.
func (p *patient) storage() []finding {
	dir, err := filepath.Abs(p.settings.DataDir)
	if err != nil {
		return []finding{cannot("data directory", err)}
	}
	at, info, err := nearest(dir)
	if err != nil {
		return []finding{cannot("data directory", err)}
	}
	d := directory{path: dir, found: at, mode: info.Mode(), held: held(filepath.Join(dir, "edged.db"))}
	d.writeErr = tryWrite(at)
	all := []finding{judgeDirectory(d)}
	if mounts, err := os.ReadFile("/proc/self/mountinfo"); err != nil {
		all = append(all, skipped("file system", "this system does not list its mounts: %v", err))
	} else {
		all = append(all, judgeMount(mountOf(string(mounts), resolved(at))))
	}
	room, err := roomAt(at)
	if err != nil {
		all = append(all, skipped("free space", "%v", err))
	} else {
		all = append(all, judgeRoom(room, int64(p.settings.Outbox.BytesMax)+4*int64(p.settings.Journal.SweepBytes)))
	}
	if d.writeErr != nil {
		return append(all, skipped("disk sync", "nothing can be written to %s", at))
	}
	speed, err := measureDisk(at)
	if err != nil {
		return append(all, finding{"disk sync", statusProblem, oneLine(err.Error()), "edged ends at the first commit that fails", "look into the kernel's log (dmesg) and replace the disk"})
	}
	return append(all, judgeDisk(speed, p.settings.Engine.CommitInterval))
}

// nearest returns the folder itself, or the first one above it that is there.
func nearest(dir string) (at string, info fs.FileInfo, err error) {
	for at = dir; ; at = filepath.Dir(at) {
		info, err = os.Stat(at)
		if err == nil || !errors.Is(err, fs.ErrNotExist) || at == filepath.Dir(at) {
			return at, info, err
		}
	}
}

// resolved returns the path without symbolic links, as mounts are named.
func resolved(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}

// tryWrite makes a file and removes it.
func tryWrite(dir string) error {
	file, err := os.CreateTemp(dir, ".edged-doctor-*")
	if err != nil {
		return err
	}
	return errors.Join(file.Close(), os.Remove(file.Name()))
}

// directory is what is known about the data directory.
type directory struct {
	path, found string // found is the nearest folder that is there
	mode        fs.FileMode
	held        bool // a process has the store open
	writeErr    error
}

func judgeDirectory(d directory) finding {
	const check = "data directory"
	switch {
	case !d.mode.IsDir():
		return finding{check, statusProblem, d.found + " is not a directory", "edged run ends with code 5", "move it away, or choose another data_dir"}
	case d.writeErr != nil && d.found == d.path:
		return finding{check, statusProblem, oneLine(d.writeErr.Error()), "edged run ends with code 5",
			"give the directory to the user of the service: chown edged " + d.path + "; or run edged doctor as that user"}
	case d.writeErr != nil:
		return finding{check, statusProblem, fmt.Sprintf("%s is not there, and cannot be made in %s", d.path, d.found), "edged run ends with code 5",
			"make it for the user of the service: install -d -m 700 -o edged " + d.path}
	case d.found != d.path:
		return ok(check, "%s is not there; edged run makes it, in %s", d.path, d.found)
	case d.mode.Perm()&0o077 != 0:
		return finding{check, statusWarning, fmt.Sprintf("%s has the mode %04o", d.path, d.mode.Perm()), "other users of this machine can read the readings of your devices",
			"chmod 700 " + d.path}
	case d.held:
		return ok(check, "%s is in use by a running edged", d.path)
	}
	return ok(check, "%s is writable, mode %04o", d.path, d.mode.Perm())
}

// mount is a line of /proc/self/mountinfo.
type mount struct {
	point, kind string
	options     []string // of the mount and of its file system
}

// mountOf returns the mount that a path is on: of the longest mount points the
// last one, which hides those before it.
func mountOf(mountinfo, path string) (found mount) {
	for line := range strings.Lines(mountinfo) {
		own, super, _ := strings.Cut(line, " - ")
		a, b := strings.Fields(own), strings.Fields(super)
		if len(a) < 6 || len(b) < 3 {
			continue
		}
		point := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(a[4])
		if len(point) >= len(found.point) && (path == point || strings.HasPrefix(path, strings.TrimSuffix(point, "/")+"/")) {
			found = mount{point: point, kind: b[0], options: strings.Split(a[5]+","+b[2], ",")}
		}
	}
	return found
}

// judgeMount looks for file systems that forget, and for options that let them.
func judgeMount(m mount) finding {
	const check = "file system"
	has := func(names ...string) string {
		for _, name := range names {
			if slices.Contains(m.options, name) {
				return name
			}
		}
		return ""
	}
	fault := func(status, what, why, do string) finding {
		return finding{check, status, m.kind + " on " + m.point + what, why, do}
	}
	barrier := has("nobarrier", "barrier=0", "fsync_mode=nobarrier")
	switch {
	case m.kind == "":
		return skipped(check, "its mount was not found")
	case has("ro") != "":
		return fault(statusProblem, " is mounted read-only", "nothing can be stored; the kernel does this by itself after errors", "look into dmesg, check the disk, and mount it rw")
	case slices.Contains([]string{"tmpfs", "ramfs"}, m.kind):
		return fault(statusProblem, " is memory", "everything that edged has acknowledged is gone with the next power cut", "put data_dir on a disk")
	case m.kind == "overlay":
		return fault(statusProblem, " is the upper layer of a container, or of a read-only root", "it is thrown away with the container, or at the next start", "put data_dir on a volume or a partition of its own")
	case slices.Contains([]string{"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "glusterfs"}, m.kind) || strings.HasPrefix(m.kind, "fuse.sshfs"):
		return fault(statusProblem, " is on the network", "locks, and when a commit is durable, depend on another machine and on the link to it", "put data_dir on a disk of this machine")
	case slices.Contains([]string{"vfat", "msdos", "exfat"}, m.kind):
		return fault(statusProblem, " has no journal and no permissions", "a power cut can take the whole file system, and every user can read the data", "use ext4, f2fs or xfs for data_dir")
	case barrier != "":
		return fault(statusProblem, " is mounted with "+barrier, "the disk's cache is never told to write, so a power cut loses what was acknowledged", "remove that option in /etc/fstab and mount it again")
	case m.kind == "ext2":
		return fault(statusWarning, " has no journal", "after a power cut it needs a check that may cost files", "tune2fs -j adds one while it is not mounted, which makes it ext3; ext4 is better")
	case has("data=writeback") != "":
		return fault(statusWarning, " is mounted with data=writeback", "edged syncs its store and is safe, but files that results go to may hold foreign blocks after a power cut", "use data=ordered, the default")
	}
	return ok(check, "%s on %s, no option that loses data", m.kind, m.point)
}

// room is what is free on a disk.
type room struct{ free, inodes int64 } // inodes is negative where there are none to count

// judgeRoom compares what is free with what the store may grow to.
func judgeRoom(r room, wanted int64) finding {
	const check, least = "free space", 64 << 20
	switch free := configs.FormatBytes(configs.Bytes(r.free >> 20 << 20)); {
	case r.free < least:
		return finding{check, statusProblem, free + " are free", "edged ends with code 5 when a commit finds no room", "make room, or put data_dir on another disk"}
	case r.inodes >= 0 && r.inodes < 100:
		return finding{check, statusProblem, fmt.Sprintf("inodes that are free: %d", r.inodes), "no file can be made, whatever space there is", "remove small files; df -i shows where"}
	case r.free < wanted:
		return finding{check, statusWarning, fmt.Sprintf("%s are free, the store may want %s", free, configs.FormatBytes(configs.Bytes(wanted))),
			"the disk may be full before outbox.bytes_max makes the input wait, and then edged ends with code 5", "lower outbox.bytes_max, or make room"}
	default:
		return ok(check, "%s", free)
	}
}

// diskSpeed is how fast small writes are.
type diskSpeed struct {
	synced, plain timings
}

// timings is the quantiles of some durations.
type timings struct {
	n        int
	p50, p99 time.Duration
	total    time.Duration
}

func (s timings) rate() float64 { return float64(s.n) / max(s.total.Seconds(), 1e-9) }

const (
	probeBytes  = 1 << 20
	probePage   = 4 << 10
	probeWrites = 200
	probeTime   = 1500 * time.Millisecond // for the synced half
)

// measureDisk writes pages into a file that has its full size already, as the
// store does, each with a sync and then without.
func measureDisk(dir string) (speed diskSpeed, err error) {
	file, err := os.CreateTemp(dir, ".edged-doctor-*")
	if err != nil {
		return speed, err
	}
	defer func() { err = errors.Join(err, file.Close(), os.Remove(file.Name())) }()
	if _, err := file.Write(make([]byte, probeBytes)); err != nil {
		return speed, err
	}
	if err := file.Sync(); err != nil {
		return speed, err
	}
	page := make([]byte, probePage)
	run := func(sync bool) (timings, error) {
		var took []time.Duration
		for begin := time.Now(); len(took) < probeWrites && time.Since(begin) < probeTime; {
			from := time.Now()
			page[0]++
			if _, err := file.WriteAt(page, int64(len(took)*7%(probeBytes/probePage)*probePage)); err != nil {
				return timings{}, err
			}
			if sync {
				if err := syncData(file); err != nil {
					return timings{}, fmt.Errorf("sync %s: %w", file.Name(), err)
				}
			}
			took = append(took, time.Since(from))
		}
		return summarise(took), nil
	}
	if speed.synced, err = run(true); err != nil {
		return speed, err
	}
	speed.plain, err = run(false)
	return speed, err
}

func summarise(took []time.Duration) (s timings) {
	if s.n = len(took); s.n == 0 {
		return s
	}
	for _, d := range took {
		s.total += d
	}
	slices.Sort(took)
	s.p50, s.p99 = took[s.n/2], took[s.n*99/100]
	return s
}

const (
	syncSuspicious = 30 * time.Microsecond  // no flash is as fast
	syncSlow       = 250 * time.Millisecond // p99
)

// judgeDisk judges the syncs of a disk. interval is the least time between two
// commits.
func judgeDisk(s diskSpeed, interval time.Duration) finding {
	const check = "disk sync"
	what := fmt.Sprintf("%.0f synced writes/s, p50 %s, p99 %s; without sync %.0f/s, p50 %s, p99 %s", s.synced.rate(), roundly(s.synced.p50), roundly(s.synced.p99),
		s.plain.rate(), roundly(s.plain.p50), roundly(s.plain.p99))
	switch {
	case s.synced.n == 0:
		return skipped(check, "nothing was measured")
	case s.synced.p50 < syncSuspicious || s.synced.p50 < 2*s.plain.p50 && s.synced.p50 < time.Millisecond:
		return finding{check, statusWarning, what, "no disk writes so fast: it, or the host of this virtual machine, confirms what it has not written, and a power cut loses it",
			"use a disk with power-loss protection, or set the virtual disk's cache to writethrough or none; with memory behind it on purpose, ignore this"}
	case s.synced.p99 > syncSlow:
		return finding{check, statusWarning, what, "a commit waits for a sync: results and acknowledgements come that much later",
			"raise engine.commit_interval to 1s, move other writers off this disk, or replace it: flash becomes slow before it fails"}
	case s.synced.p50 > interval:
		return finding{check, statusWarning, what, fmt.Sprintf("a sync takes longer than engine.commit_interval (%s), so commits follow each other without a pause", interval),
			"raise engine.commit_interval above " + roundly(2*s.synced.p50)}
	}
	return ok(check, "%s", what)
}

// roundly rounds a duration for people.
func roundly(d time.Duration) string {
	switch {
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d >= 10*time.Millisecond:
		return d.Round(time.Millisecond).String()
	case d >= time.Millisecond:
		return d.Round(100 * time.Microsecond).String()
	case d >= 10*time.Microsecond:
		return d.Round(time.Microsecond).String()
	}
	return d.Round(100 * time.Nanosecond).String()
}
