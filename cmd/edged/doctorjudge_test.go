package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net/url"
	"strings"
	"testing"
	"time"

	"edged/mqtt"
)

// verdicts compares findings with "status: words of what, why or do".
func verdicts(t *testing.T, cases map[string]finding) {
	t.Helper()
	for want, f := range cases {
		status, words, _ := strings.Cut(want, ": ")
		if all := f.What + " | " + f.Why + " | " + f.Do; f.Status != status || !strings.Contains(all, words) {
			t.Errorf("want %s, got %s: %s", want, f.Status, all)
		}
	}
}

func TestJudgeDirectory(t *testing.T) {
	denied := errors.New("permission denied")
	here := func(d directory) finding { d.path, d.found = "/d", "/d"; return judgeDirectory(d) }
	verdicts(t, map[string]finding{
		"ok: writable":                   here(directory{mode: fs.ModeDir | 0o700}),
		"ok: in use":                     here(directory{mode: fs.ModeDir | 0o700, held: true}),
		"warning: chmod 700":             here(directory{mode: fs.ModeDir | 0o755}),
		"warning: mode 0710":             here(directory{mode: fs.ModeDir | 0o710}),
		"problem: not a directory":       here(directory{mode: 0o600}),
		"problem: chown edged /d":        here(directory{mode: fs.ModeDir | 0o700, writeErr: denied}),
		"ok: edged run makes it":         judgeDirectory(directory{path: "/a/d", found: "/a", mode: fs.ModeDir | 0o755}),
		"problem: install -d -m 700":     judgeDirectory(directory{path: "/a/d", found: "/a", mode: fs.ModeDir | 0o755, writeErr: denied}),
		"problem: /f is not a directory": judgeDirectory(directory{path: "/f/d", found: "/f", mode: 0o600, writeErr: denied}),
	})
}

func TestJudgeMount(t *testing.T) {
	m := func(kind, options string) finding {
		return judgeMount(mount{point: "/d", kind: kind, options: strings.Split(options, ",")})
	}
	verdicts(t, map[string]finding{
		"ok: ext4":                         m("ext4", "rw,relatime,errors=remount-ro"),
		"ok: xfs":                          m("xfs", "rw,noatime"),
		"ok: f2fs":                         m("f2fs", "rw,fsync_mode=posix"),
		"problem: nobarrier":               m("ext4", "rw,nobarrier"),
		"problem: barrier=0":               m("ext4", "rw,barrier=0"),
		"problem: fsync_mode=nobarrier":    m("f2fs", "rw,fsync_mode=nobarrier"),
		"problem: read-only":               m("ext4", "ro,relatime"),
		"warning: data=writeback":          m("ext4", "rw,data=writeback"),
		"warning: has no journal":          m("ext2", "rw"),
		"problem: tmpfs on /d is memory":   m("tmpfs", "rw"),
		"problem: overlay on /d":           m("overlay", "rw"),
		"problem: nfs4 on /d is on the ne": m("nfs4", "rw"),
		"problem: vfat on /d has no":       m("vfat", "rw"),
		"skipped: not found":               judgeMount(mount{}),
	})
}

func TestMountOf(t *testing.T) {
	const table = `22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/root rw,errors=remount-ro
30 22 0:25 / /var rw - tmpfs tmpfs rw
31 30 8:2 / /var/lib/edged rw,noatime - f2fs /dev/sdb1 rw,fsync_mode=nobarrier
32 22 8:3 / /mnt/my\040disk rw - ext4 /dev/sdc1 rw
33 22 0:30 / /over rw - tmpfs tmpfs rw
34 33 0:31 / /over rw - ext4 /dev/sdd1 rw
broken line
`
	for path, want := range map[string]string{
		"/home": "/ ext4", "/var": "/var tmpfs", "/var/lib/edged": "/var/lib/edged f2fs", "/var/lib/edged/x": "/var/lib/edged f2fs",
		"/var/lib/edgedata": "/var tmpfs", "/mnt/my disk/x": "/mnt/my disk ext4", "/over/x": "/over ext4",
	} {
		if m := mountOf(table, path); m.point+" "+m.kind != want {
			t.Errorf("%s is on %s %s, want %s", path, m.point, m.kind, want)
		}
	}
	if f := judgeMount(mountOf(table, "/var/lib/edged")); f.Status != statusProblem {
		t.Errorf("options of the file system are not seen: %+v", f)
	}
}

func TestJudgeRoom(t *testing.T) {
	verdicts(t, map[string]finding{
		"ok: 2GiB":                      judgeRoom(room{free: 2 << 30, inodes: -1}, 1<<30),
		"warning: lower outbox":         judgeRoom(room{free: 1 << 29, inodes: 1000}, 1<<30),
		"problem: 10MiB are free":       judgeRoom(room{free: 10 << 20, inodes: 1000}, 1<<30),
		"problem: inodes that are free": judgeRoom(room{free: 2 << 30, inodes: 3}, 1<<30),
	})
}

func TestJudgeDisk(t *testing.T) {
	speed := func(sync50, sync99, plain time.Duration) diskSpeed {
		return diskSpeed{synced: timings{n: 200, p50: sync50, p99: sync99, total: 200 * sync50}, plain: timings{n: 200, p50: plain, p99: plain, total: 200 * plain}}
	}
	const us, ms = time.Microsecond, time.Millisecond
	verdicts(t, map[string]finding{
		"ok: p50 800µs":               judgeDisk(speed(800*us, 3*ms, 2*us), 50*ms), // an SSD
		"ok: p50 8ms":                 judgeDisk(speed(8*ms, 40*ms, 5*us), 50*ms),  // an SD card
		"ok: p50 70µs":                judgeDisk(speed(70*us, 200*us, 2*us), 50*ms),
		"warning: p50 2µs":            judgeDisk(speed(2*us, 9*us, 2*us), 50*ms),    // no disk
		"warning: p50 45µs":           judgeDisk(speed(45*us, 90*us, 30*us), 50*ms), // a sync that does nothing
		"warning: replace it":         judgeDisk(speed(30*ms, 900*ms, 5*us), 50*ms),
		"warning: above 140ms":        judgeDisk(speed(70*ms, 90*ms, 5*us), 50*ms),
		"skipped: nothing was measur": judgeDisk(diskSpeed{}, 50*ms),
	})
	s := summarise([]time.Duration{3, 1, 2})
	if s.n != 3 || s.p50 != 2 || s.p99 != 3 || s.total != 6 {
		t.Errorf("%+v", s)
	}
}

func TestJudgeClock(t *testing.T) {
	at := func(year int, synced bool) finding {
		return judgeClock(clockState{now: time.Date(year, 5, 1, 0, 0, 0, 0, time.UTC), synced: synced, error: 3 * time.Millisecond})
	}
	verdicts(t, map[string]finding{
		"ok: at most 3ms":        at(2026, true),
		"warning: chrony":        at(2026, false),
		"problem: in the past":   at(1970, true),
		"problem: cannot be":     at(2106, true),
		"skipped: only known":    judgeRTC(false, false, ""),
		"warning: there is none": judgeRTC(true, false, ""),
		"warning: its battery":   judgeRTC(true, true, "2000-01-01"),
		"ok: 2026-05-01":         judgeRTC(true, true, "2026-05-01"),
		"ok: present":            judgeRTC(true, true, ""),
	})
}

func TestJudgeResources(t *testing.T) {
	m := memoryState{total: 1 << 30, available: 800 << 20, keys: 1000, intake: 8 << 20}
	with := func(change func(*memoryState)) finding { c := m; change(&c); return judgeMemory(c) }
	verdicts(t, map[string]finding{
		"ok: 800MiB of 1GiB are available": with(func(*memoryState) {}),
		"problem: is killed without it":    with(func(m *memoryState) { m.available = 16 << 20 }),
		"warning: engine.active_keys_max":  with(func(m *memoryState) { m.available = 64 << 20; m.keys = 200_000 }),
		"ok: GOMEMLIMIT is not set, 460":   with(func(m *memoryState) { m.limit = 512 << 20 }),
		"ok: allowed by the control group": with(func(m *memoryState) { m.limit = 512 << 20; m.goLimit = "400MiB" }),
		"warning: 0.25 may be used":        judgeProcessors(4, 0.25),
		"ok: 1.50 may be used":             judgeProcessors(4, 1.5),
		"ok: no quota":                     judgeProcessors(4, 0),
		"problem: at most 20":              judgeFiles(20),
		"warning: at most 256":             judgeFiles(256),
		"ok: at most 1024":                 judgeFiles(1024),
		"ok: no limit":                     judgeFiles(1 << 63),
	})
	if got := quota([]string{"max 100000", "150000 100000", "50000 100000", "x"}); got != 0.5 {
		t.Errorf("the least quota is %v", got)
	}
}

func TestJudgeBroker(t *testing.T) {
	at := func(text string) *url.URL {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	here, far, safe := at("tcp://127.0.0.1:1883"), at("tcp://broker:1883"), at("ssl://broker:8883")
	const version = "mosquitto version 2.0.11"
	const good = "max_queued_messages 0\npersistence true\nautosave_interval 10\n"
	verdicts(t, map[string]finding{
		"ok: tcp://broker:1883 answers":  judgeBroker("b", reached{url: far}),
		"problem: rights of this client": judgeBroker("b", reached{url: here, err: fmt.Errorf("connect %w: not authorised", mqtt.ErrRefused)}),
		"problem: start the broker":      judgeBroker("b", reached{url: here, err: errors.New("connection refused")}),
		"warning: unencrypted":           judgeBroker("b", reached{url: far, password: true}),
		"ok: ssl://broker:8883":          judgeBroker("b", reached{url: safe, password: true}),
		"ok: 127.0.0.1:1883 answers":     judgeBroker("b", reached{url: here, password: true}),
		"warning: cannot be seen":        judgeBroker("b", reached{url: safe, version: version}),
		"ok: keep messages":              judgeBroker("b", reached{url: here, version: version, settings: good}),
		"problem: persistence false":     judgeBroker("b", reached{url: here, version: version, settings: "max_queued_messages 0\n"}),
		"problem: max_queued_messages 1": judgeBroker("b", reached{url: here, version: version, settings: "persistence true\nautosave_interval 10"}),
		"problem: autosave_interval 180": judgeBroker("b", reached{url: here, version: version, settings: "persistence true\nmax_queued_messages 0"}),
		"problem: expiration 1h":         judgeBroker("b", reached{url: here, version: version, settings: good + "persistent_client_expiration 1h"}),
	})
}

func TestJudgeSecretAndListener(t *testing.T) {
	denied := errors.New("permission denied")
	unready := []check{{Name: "recovered", OK: true}, {Name: "source", Detail: "refused"}}
	verdicts(t, map[string]finding{
		"ok: mode 0600":           judgeSecret("s", "it", secretFile{path: "/k", mode: 0o600}),
		"ok: mode 0400":           judgeSecret("s", "it", secretFile{path: "/k", mode: 0o400}),
		"warning: its group":      judgeSecret("s", "it", secretFile{path: "/k", mode: 0o640}),
		"problem: every user":     judgeSecret("s", "it", secretFile{path: "/k", mode: 0o644}),
		"problem: denied":         judgeSecret("s", "it", secretFile{path: "/k", err: denied}),
		"problem: ss -ltnp":       judgeListener("a", denied, nil),
		"problem: other process":  judgeListener("a", denied, []check{{Name: "database", OK: true}}),
		"warning: source refused": judgeListener("a", denied, unready),
		"ok: ready":               judgeListener("a", denied, unready[:1]),
	})
}

func TestJudgeCertificates(t *testing.T) {
	now := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	day := 24 * time.Hour
	root, rootKey := makeCertificate(t, "root", nil, nil, now.Add(-day), now.Add(3650*day))
	other, _ := makeCertificate(t, "other", nil, nil, now.Add(-day), now.Add(3650*day))
	until := func(end time.Time) []*x509.Certificate {
		c, _ := makeCertificate(t, "gw", root, rootKey, now.Add(-day), end)
		return []*x509.Certificate{c, root}
	}
	long := until(now.Add(300 * day))
	later, _ := makeCertificate(t, "gw", root, rootKey, now.Add(day), now.Add(300*day))
	own := func(chain ...*x509.Certificate) finding {
		return judgeCertificate("c", "gw.pem", certificate{chain: chain}, now, 30)
	}
	verdicts(t, map[string]finding{
		"ok: valid until 2027-03-28, chain of 2":   own(long...),
		"ok: chain of 1":                           own(long[0]),
		"warning: in 10 days":                      own(until(now.Add(10*day + time.Hour))...),
		"problem: ended on 2026-05-31":             own(until(now.Add(-time.Hour))...),
		"problem: valid only from":                 own(later, root),
		"problem: does not come from the one":      own(long[0], other),
		"problem: no such file":                    judgeCertificate("c", "gw.pem", certificate{err: errors.New("no such file")}, now, 30),
		"ok: certificate of the broker is valid":   judgeServer("s", certificate{chain: long}, now, 30),
		"warning: the certificate of gw ends on":   judgeServer("s", certificate{chain: until(now.Add(5 * day))}, now, 30),
		"skipped: it was not shown: no connection": judgeServer("s", certificate{err: errors.New("no connection")}, now, 30),
	})
}

func makeCertificate(t *testing.T, name string, parent *x509.Certificate, parentKey *ecdsa.PrivateKey, from, until time.Time) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: from, NotAfter: until,
		BasicConstraintsValid: true, IsCA: parent == nil, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	if parent == nil {
		parent, parentKey = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, parentKey)
	if err != nil {
		t.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return made, key
}

func TestJudgeService(t *testing.T) {
	const shown = "LoadState=loaded\nActiveState=active\nUnitFileState=enabled\nType=notify\nWatchdogUSec=1min\nRestart=on-failure\nUser=edged\nNRestarts=0\nResult=success\n"
	with := func(name, value string) finding {
		of := properties(shown)
		of[name] = value
		return judgeService(of)
	}
	verdicts(t, map[string]finding{
		"ok: active, restarts so far: 0":       judgeService(properties(shown)),
		"skipped: there is no edged.service":   with("LoadState", "not-found"),
		"problem: has failed: exit-code":       judgeService(properties(strings.Replace(strings.Replace(shown, "=active", "=failed", 1), "success", "exit-code", 1))),
		"warning: Type=simple":                 with("Type", "simple"),
		"warning: has no watchdog":             with("WatchdogUSec", "infinity"),
		"warning: Restart=no":                  with("Restart", "no"),
		"warning: runs as root":                with("User", ""),
		"warning: systemctl enable edged":      with("UnitFileState", "disabled"),
		"ok: edged.service is inactive, resta": with("ActiveState", "inactive"),
	})
}
