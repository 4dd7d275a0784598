package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"edged/fleet/apply"
	"edged/fleet/audit"
	"edged/fleet/protocol"
	"edged/mqtt"
)

var (
	phaseWrites = flag.Bool("phases.writes", false, "TestKilledAtEachWrite kills at every durable write, not at some of them")
	phaseTwice  = flag.Bool("phases.twice", false, "TestKilledInEachPhase kills the next process in the same phase, too, in every phase")
)

// blade ends a process at a moment of its work, or not at all.
type blade interface {
	// lay begins to watch a process that runs.
	lay(s *phaseScene, p *process)
	// lift ends that, and says where the process was killed.
	lift() (where string, fell bool)
}

// logBlade kills when the process writes a line into its log that has all of some texts.
type logBlade struct {
	texts []string
	p     *process

	mu   sync.Mutex
	fell bool
}

func (b *logBlade) lay(_ *phaseScene, p *process) {
	b.p = p
	p.log.listen(func(text string) {
		for line := range strings.Lines(text) {
			if slices.ContainsFunc(b.texts, func(part string) bool { return !strings.Contains(line, part) }) {
				continue
			}
			b.mu.Lock()
			// An error means that it has ended already.
			_ = p.cmd.Process.Kill()
			b.fell = true
			b.mu.Unlock()
		}
	})
}

func (b *logBlade) lift() (string, bool) {
	b.p.log.listen(nil)
	b.mu.Lock()
	defer b.mu.Unlock()
	return "", b.fell
}

// writeBlade kills at the n-th durable write that a process makes from now on. strace stops
// the process at each, and lets it go on when it is not yet the one.
type writeBlade struct {
	n      int
	dir    string // of the data
	strace *exec.Cmd
	done   chan struct{} // closed when strace has said all
	where  string        // valid then: the file that was written; empty: nowhere
}

// durableCalls are the system calls at which a process is stopped. What is written becomes
// durable at the first two. A file that replaces another one is cut before and behind it.
const durableCalls = "fdatasync,fsync"

var (
	straceCall = regexp.MustCompile(`^(\d+) +(?:fdatasync|fsync)\(\d+<([^>]*)>`)
	straceStop = regexp.MustCompile(`^(\d+) +--- SIGSTOP \{`)
)

func (b *writeBlade) lay(s *phaseScene, p *process) {
	s.t.Helper()
	b.dir = s.dir
	b.strace = exec.Command("strace", "-f", "-y", "-o", "/dev/stdout", "-p", fmt.Sprint(p.cmd.Process.Pid),
		"-e", "trace="+durableCalls, "-e", "inject="+durableCalls+":signal=STOP")
	stdout, err := b.strace.StdoutPipe()
	s.must(err)
	stderr, err := b.strace.StderrPipe()
	s.must(err)
	s.must(b.strace.Start())
	said := bufio.NewReader(stderr)
	if line, _ := said.ReadString('\n'); !strings.Contains(line, "attached") {
		s.t.Skipf("strace cannot trace a process here: %s. SKIPPED: gateways killed at each durable write; let it (sysctl kernel.yama.ptrace_scope=0, or root)", strings.TrimSpace(line))
	}
	go func() { _, _ = io.Copy(io.Discard, said) }() // what it says later is of no use, and must not block it
	b.done = make(chan struct{})
	go func() {
		defer close(b.done)
		b.follow(bufio.NewScanner(stdout), p)
	}()
}

// follow counts the stops that strace tells of.
func (b *writeBlade) follow(lines *bufio.Scanner, p *process) {
	files := map[string]string{} // thread ▸ what it writes
	for lines.Scan() {
		if call := straceCall.FindStringSubmatch(lines.Text()); call != nil {
			if files[call[1]] = filepath.Base(call[2]); call[2] == b.dir {
				files[call[1]] = "the directory"
			}
		}
		stop := straceStop.FindStringSubmatch(lines.Text())
		if stop == nil {
			continue
		}
		next := syscall.SIGCONT
		if b.n--; b.n == 0 {
			next = syscall.SIGKILL
			b.where = files[stop[1]]
		}
		// An error means that it has ended already.
		_ = p.cmd.Process.Signal(next)
	}
}

func (b *writeBlade) lift() (string, bool) {
	// An error means that strace has ended with the process.
	_ = b.strace.Process.Signal(syscall.SIGTERM)
	<-b.done
	_ = b.strace.Wait()
	return b.where, b.where != ""
}

// phaseScene is a gateway that is killed again and again while it does something, and all
// that is known of it.
type phaseScene struct {
	*shadowTrial
	up      *upstream
	dir     string
	devices *mqtt.Control // publishes what no simulated device does
	boots   uint64        // processes that were started
	applied apply.Version // what must be in effect between trials; its Config is not kept
	hash    string        // of that
	version uint64        // of the document that was sent last
	kills   map[string]int
	past    strings.Builder // the logs of processes that have ended
}

// sidePipeline is a pipeline beside the demo's, with a topic of its own. Its windows do
// not close.
func sidePipeline(name, fields string) string {
	return fmt.Sprintf(`  - name: %s
    source: {topic: "sensors/+/%[1]s", qos: 1, format: json}
    key: {field: device}
    event_time: {field: ts, unit: ms}
    fields: [%s]
    watermark: {out_of_orderness: 1s, idle_timeout: 10m}
    window: {type: tumbling, size: 10m}
    aggregates: [{name: count, function: count}]
    outputs: [{mqtt: {topic: "agg/%[1]s", qos: 1}}]
`, name, fields)
}

// goodVersion is a configuration that differs from those with other numbers, and gives the
// same windows.
func goodVersion(number uint64) string {
	slack := fmt.Sprintf("out_of_orderness: %dms", 2000+number)
	return strings.Replace(unhurried(demoConfig), "out_of_orderness: 1s", slack, 1) + sidePipeline("side", "{name: temp, type: number}")
}

// troubleOf names the pipeline of a bad version that fits no message.
func troubleOf(number uint64) string { return fmt.Sprint("trouble-", number) }

// badVersion is such a configuration with a pipeline that fits no message.
func badVersion(number uint64) string {
	return goodVersion(number) + sidePipeline(troubleOf(number), "{name: nope, type: number, required: true}")
}

// trialKind is a version that is tried, and what must become of it.
type trialKind struct {
	name    string
	config  func(number uint64) string
	confirm string
	health  time.Duration
	fails   string   // the phase in which it gets messages that it cannot take; empty: it is good
	phases  []string // those that it goes through and the others do not
}

var trialKinds = []trialKind{
	{"good", goodVersion, protocol.ConfirmOperator, trialShort, "", []string{
		protocol.PhaseVerify, protocol.PhasePlan, protocol.PhaseDryRun, protocol.PhaseCheckpoint, protocol.PhaseShadow, protocol.PhaseConfirm,
		protocol.PhaseSwitch, protocol.PhaseHealthGate, protocol.PhaseCommitted,
	}},
	{"bad while it listens", badVersion, protocol.ConfirmNone, time.Second, protocol.PhaseShadow, []string{protocol.PhaseRollback}},
	{"bad once it speaks", badVersion, protocol.ConfirmNone, time.Second, protocol.PhaseHealthGate, []string{protocol.PhaseRollback}},
}

func newPhaseScene(t *testing.T) *phaseScene {
	t.Helper()
	s := &phaseScene{dir: t.TempDir(), boots: 1, kills: map[string]int{}}
	s.shadowTrial, s.up = newShadowTrial(t, s.dir, 20_000)
	s.devices = s.publisher()
	for _, holder := range []string{"vera", "olga", "dave", "anna", "alan"} {
		s.desk.done("gw-1", "ping", "", holder) // introduces the keys
	}
	s.trial(&trialKinds[0])
	return s
}

// ended reports whether the process that runs now does so no more.
func (s *phaseScene) ended() bool { return len(s.process.code) > 0 }

// next starts the next process on the disk of one that has ended, if that is sound.
func (s *phaseScene) next() {
	s.t.Helper()
	s.process.end()
	s.past.WriteString(s.process.log.String())
	verifyDisk(s.t, s.dir)
	s.process = s.launch(s.config)
	s.boots++
}

// there waits until the process that was started last is there, or has ended.
func (s *phaseScene) there() {
	s.t.Helper()
	s.until(fmt.Sprintf("process %d is online", s.boots), func() bool {
		now, r := s.desk.state("gw-1"), s.desk.report("gw-1")
		return s.ended() || now.Online && now.Boot == s.boots && r.Session == now.Session && r.Keyring > 0
	})
}

var phaseSaid = regexp.MustCompile(`version=(\d+) (?:status=\w+ )?phase=(\w+)`)

// phase returns in which phase the newest version was last, as the process says in its log.
func (s *phaseScene) phase() string {
	all := phaseSaid.FindAllStringSubmatch(s.process.log.String(), -1)
	if len(all) == 0 || all[len(all)-1][1] != fmt.Sprint(s.version) {
		return "seen"
	}
	return all[len(all)-1][2]
}

// trial sends the next version, kills the process as the blades say, one after the other,
// and sees the trial to its end. It returns how often a process was killed.
func (s *phaseScene) trial(kind *trialKind, blades ...blade) (fell int) {
	s.t.Helper()
	s.version++
	config := kind.config(s.version)
	sent, phase := false, ""
	for _, b := range append(blades, nil) {
		if b != nil {
			b.lay(s, s.process)
		}
		if !sent {
			s.desk.send("gw-1", s.version, config, kind.confirm, kind.health)
			s.more(10)
			sent = true
		}
		last := time.Time{}
		if !await(testLimit, func() bool {
			s.urge(kind, &last)
			return s.ended() || s.settled()
		}) {
			s.t.Fatalf("%s version %d does not end; it is in phase %s: %+v", kind.name, s.version, s.phase(), s.desk.report("gw-1"))
		}
		if b == nil {
			break
		}
		where, cut := b.lift()
		if !cut {
			break
		}
		s.process.end()
		phase = s.phase()
		s.kills[strings.TrimSpace(kind.name+": "+phase+" "+where)]++
		fell++
		s.next()
		if fell == len(blades) {
			s.there()
			s.whole(config)
		}
	}
	// A process that ends twice while the gate watches is what a bad version looks like.
	good := kind.fails == "" && (fell < 2 || phase != protocol.PhaseShadow && phase != protocol.PhaseHealthGate)
	s.judge(kind, config, good, fell < 2 || !good)
	return fell
}

// urge does what somebody outside does during a trial: operators confirm, devices send
// what does not fit.
func (s *phaseScene) urge(kind *trialKind, last *time.Time) {
	switch phase := s.phase(); {
	case time.Since(*last) < 500*time.Millisecond:
	case phase == kind.fails:
		*last = time.Now()
		for range 5 {
			s.device(s.devices, "dev", troubleOf(s.version))
		}
	case phase == protocol.PhaseConfirm:
		*last = time.Now()
		c := s.desk.order("gw-1", "dave", "config.confirm", fmt.Sprintf(`{"epoch":1,"version":%d}`, s.version))
		s.desk.publish(commandTopic("gw-1", c.ID), s.desk.seal(c, "dave"), false)
	}
}

// settled reports whether a trial has ended, and nothing is left of it on the disk.
func (s *phaseScene) settled() bool {
	r := s.desk.report("gw-1")
	taken, failed := r.Status == protocol.StatusApplied && r.Applied == s.version, slices.Contains(r.Failed, s.version)
	if r.Seen != s.version || !taken && !failed {
		return false
	}
	return settledAt(s.t, s.dir)
}

// settledAt reports whether nothing of a trial is left in a data directory.
func settledAt(t testing.TB, dir string) bool {
	t.Helper()
	c, err := readContract(dir)
	if err != nil {
		t.Fatal(err)
	}
	for stored := range c.Pipelines {
		if id := c.identity(pipelineOf(stored)); id.Name != stored || id.Origin != "" {
			return false
		}
	}
	return c.Shadow == nil
}

// whole checks that what runs is one of two configurations, and not half of each.
func (s *phaseScene) whole(config string) {
	s.t.Helper()
	r := s.desk.report("gw-1")
	before := r.Applied == s.applied.Number && r.Effective == s.hash
	if after := r.Applied == s.version && r.Effective == hashOf(config); !before && !after && s.applied.Number > 0 {
		s.t.Errorf("version %d, killed in phase %s: what runs is neither %d nor that: %+v", s.version, s.phase(), s.applied.Number, r)
	}
}

// judge checks what has become of a version, in what is reported and on the disk: it must
// be in effect or not, if that is sure.
func (s *phaseScene) judge(kind *trialKind, config string, good, sure bool) {
	s.t.Helper()
	r := s.desk.report("gw-1")
	if taken := r.Applied == s.version; sure && taken != good {
		s.t.Errorf("%s version %d: %+v, %+v", kind.name, s.version, r, r.Error)
	}
	if r.Applied == s.version {
		s.applied, s.hash = apply.Version{Epoch: 1, Number: s.version}, hashOf(config)
	}
	c, err := readContract(s.dir)
	s.must(err)
	state, err := desiredStore(s.dir).Load()
	s.must(err)
	if r.Applied != s.applied.Number || r.Effective != s.hash || !c.Version.Is(s.applied) || !state.Active.Is(s.applied) || state.Trial != nil {
		s.t.Errorf("after %s version %d: %+v runs, %+v is on the disk, want %+v", kind.name, s.version, r, state, s.applied)
	}
}

// finish closes all windows, and compares them with those that there must be.
func (s *phaseScene) finish() {
	t := s.t.(*testing.T)
	t.Helper()
	s.version++
	last := strings.Replace(demoConfig, "idle_timeout: 5s", "idle_timeout: 1s", 1)
	s.desk.send("gw-1", s.version, last, protocol.ConfirmSession, trialShort)
	s.desk.runs(s.version, last)
	windows := expected(t, s.payloads, 3*time.Second)
	eventually(t, "all windows have closed", func() bool { return len(s.up.results()) >= len(windows) }, func() string {
		return fmt.Sprintf("%d windows; %d results", len(windows), len(s.up.results()))
	})
	compare(t, s.up.results(), windows)
	for _, where := range slices.Sorted(maps.Keys(s.kills)) {
		t.Logf("%3d killed in %s", s.kills[where], where)
	}
}

// orders are commands on their way to a gateway.
type orders struct {
	device   string // whose window a reset must end
	commands []protocol.Command
	sealed   [][]byte
	wrong    []protocol.ID // of commands that must not run
}

// orders gives a window to the pipeline beside, and makes commands; the last one begins that
// pipeline anew. Among them are some without a right.
func (s *phaseScene) orders() *orders {
	s.t.Helper()
	o := &orders{device: fmt.Sprint("dev-", s.boots)}
	s.device(s.devices, o.device, "side")
	s.until("the window of "+o.device+" is stored", func() bool {
		s.desk.done("gw-1", "checkpoint.now", "", "olga")
		return s.has(o.device)
	})
	add := func(c protocol.Command, holders ...string) {
		o.commands, o.sealed = append(o.commands, c), append(o.sealed, s.desk.seal(c, holders...))
	}
	wrong := func(c protocol.Command, holders ...string) {
		o.wrong = append(o.wrong, c.ID)
		s.desk.publish(commandTopic("gw-1", c.ID), s.desk.seal(c, holders...), false)
	}
	const reset = `{"pipeline":"side"}`
	wrong(s.desk.order("gw-1", "vera", "checkpoint.now", ""), "vera")
	wrong(s.desk.order("gw-1", "anna", "state.reset", reset), "anna")
	wrong(withIssuer(s.desk.order("gw-1", "mallory", "state.reset", reset), "mallory"), "mallory")
	level := s.desk.order("gw-1", "olga", "log.level", `{"level":"info"}`)
	level.Nonce = "" // it outlives the session
	add(level, "olga")
	add(s.desk.order("gw-1", "anna", "state.reset", reset), "anna", "alan")
	return o
}

// has reports whether the pipeline beside has a window of a device.
func (s *phaseScene) has(device string) bool {
	s.t.Helper()
	all := resultOf[dumpResult](s.t, s.desk.done("gw-1", "window.dump", `{"pipeline":"side"}`, "olga"))
	return slices.ContainsFunc(all.Keys, func(k keyResult) bool { return k.Key == device })
}

// command sends commands, kills the process as the blade says, and sees each command to its
// end.
func (s *phaseScene) command(b blade) bool {
	s.t.Helper()
	o := s.orders()
	b.lay(s, s.process)
	for i, c := range o.commands {
		s.desk.publish(commandTopic("gw-1", c.ID), o.sealed[i], false)
	}
	s.until("all commands have an end", func() bool {
		return s.ended() || !slices.ContainsFunc(o.commands, func(c protocol.Command) bool { _, ok := s.desk.answered(c.ID, final); return !ok })
	})
	_, fell := b.lift()
	if fell {
		s.process.end()
		s.kills["commands: "+o.stage(verifyDisk(s.t, s.dir))]++
		s.next()
		s.there()
	}
	for i, c := range o.commands {
		s.sentAgain(o, i, c, fell)
	}
	return fell
}

// stage says how far the first of the commands is that has no end.
func (o *orders) stage(log []audit.Entry) string {
	for _, c := range o.commands {
		last := "sent"
		for _, e := range log {
			if e.ID == string(c.ID) {
				last = e.Decision
			}
		}
		if last != "done" {
			return c.Op + " " + last
		}
	}
	return "all done"
}

// sentAgain sends a command again, as operators do, and checks how it has ended.
func (s *phaseScene) sentAgain(o *orders, i int, c protocol.Command, fell bool) {
	s.t.Helper()
	class, _ := protocol.ClassOf(c.Op)
	// The nonce of a session that has ended is good no more, whether or not it was accepted there.
	stale := func(a protocol.Answer) bool {
		return (denied(a) || a.Status == protocol.StatusRefused) && a.Code == protocol.CodeNonce && class.NeedsNonce() && fell
	}
	a := s.desk.await("gw-1", c, o.sealed[i], func(a protocol.Answer) bool { return final(a) || stale(a) })
	if a.Status != protocol.StatusDone && !(fell && a.Status == protocol.StatusInterrupted) && !stale(a) {
		s.t.Errorf("%s: %+v", c.Op, a)
	}
	if c.Op != "state.reset" {
		return
	}
	here, none := s.has(o.device), stale(a) || strings.Contains(a.Message, "no effect")
	if (a.Status == protocol.StatusDone && here) || (none && !here) {
		s.t.Errorf("%s: the window is there: %t; the answer is %+v", c.Op, here, a)
	}
	log := s.past.String() + s.process.log.String()
	if n := strings.Count(log, "because a command says so\" pipeline=side id="+string(c.ID)); n > 1 || n == 0 && a.Status == protocol.StatusDone || n > 0 && none {
		s.t.Errorf("%s was executed %d times; the answer is %+v", c.Op, n, a)
	}
}

// restart sends a command that ends the process, and kills it as the blade says, if that
// is earlier.
func (s *phaseScene) restart(b blade) bool {
	s.t.Helper()
	c := s.desk.order("gw-1", "anna", "engine.restart", "")
	data := s.desk.seal(c, "anna")
	b.lay(s, s.process)
	s.desk.publish(commandTopic("gw-1", c.ID), data, false)
	code := s.process.end()
	where, fell := b.lift()
	if fell == (code == exitRestart) {
		s.t.Errorf("killed: %t; the code is %d", fell, code)
	}
	if fell {
		o := &orders{commands: []protocol.Command{c}}
		s.kills["restart: "+o.stage(verifyDisk(s.t, s.dir))+" "+where]++
	}
	s.next()
	s.there()
	s.sentAgain(&orders{sealed: [][]byte{data}}, 0, c, fell)
	return fell
}

// TestKilledInEachPhase kills a gateway in each phase of a configuration's trial and of a
// command's life, by name. The next process ends what was begun: a good version is in effect
// then, and nothing is left of a bad one; a command is done once or interrupted; and no
// window has lost or doubled anything.
func TestKilledInEachPhase(t *testing.T) {
	t.Parallel()
	s := newPhaseScene(t)
	for _, texts := range [][]string{
		{"fleet: command accepted", "op=log.level"}, {"log level changed"}, {"fleet: command ended", "op=log.level"},
		{"fleet: command accepted", "op=state.reset"}, {"begins anew because a command says so"}, {"fleet: command ended", "op=state.reset"},
	} {
		if !s.command(&logBlade{texts: texts}) {
			t.Errorf("it was not killed when it said %v", texts)
		}
	}
	if !s.restart(&logBlade{texts: []string{"restarting because a command says so"}}) {
		t.Error("it was not killed when it was to end")
	}
	in := func(phase string) blade {
		return &logBlade{texts: []string{fmt.Sprintf("version=%d status=", s.version+1), "phase=" + phase}}
	}
	for i := range trialKinds {
		kind := &trialKinds[i]
		for _, phase := range kind.phases {
			if s.trial(kind, in(phase)) != 1 {
				t.Errorf("%s: it was not killed in phase %s", kind.name, phase)
			}
			if gate := phase == protocol.PhaseShadow || phase == protocol.PhaseHealthGate; gate || *phaseTwice {
				if s.trial(kind, in(phase), in(phase)) != 2 && gate {
					t.Errorf("%s: it was not killed twice in phase %s", kind.name, phase)
				}
			}
		}
	}
	s.finish()
}

// durableSteps are the steps that write something, and so must be hit when every write is.
var durableSteps = []string{
	"commands: log.level sent", "commands: log.level accepted", "commands: log.level started", "commands: state.reset accepted",
	"commands: state.reset started", "restart: engine.restart started", "good: seen", "good: checkpoint", "good: shadow", "good: confirm",
	"good: switch", "good: health_gate", "good: committed", "bad while it listens: rollback", "bad once it speaks: rollback",
}

// TestKilledAtEachWrite kills a gateway at the first durable write, at the second, and so on, of
// commands and of trials, until one comes through without. What must hold is as above.
func TestKilledAtEachWrite(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("strace is not installed. SKIPPED: gateways killed at each durable write; install it with scripts/install-test-deps")
	}
	r := agentChance(t)
	s := newPhaseScene(t)
	each := func(name string, step int, cut func(blade) bool) {
		t.Run(name, func(t *testing.T) {
			began, kills, n := time.Now(), 0, 1+r.IntN(step)
			for ; cut(&writeBlade{n: n}); n += step {
				if kills++; n > 300 {
					t.Fatal("it goes on writing")
				}
			}
			if kills == 0 {
				t.Error("nothing was killed")
			}
			t.Logf("%d kills at one in %d of the durable writes up to the one before number %d, in %v", kills, step, n, time.Since(began).Round(time.Millisecond))
		})
	}
	some := func(step int) int {
		if *phaseWrites {
			return 1
		}
		return step
	}
	each("commands", some(3), s.command)
	each("restart", some(3), s.restart)
	for i := range trialKinds {
		kind := &trialKinds[i]
		each(kind.name, some(30), func(b blade) bool { return s.trial(kind, b) > 0 })
	}
	s.finish()
	for _, step := range durableSteps {
		hit := slices.ContainsFunc(slices.Collect(maps.Keys(s.kills)), func(where string) bool { return strings.HasPrefix(where, step) })
		if !hit && *phaseWrites {
			t.Errorf("nothing was killed in %s: %v", step, s.kills)
		}
	}
}
