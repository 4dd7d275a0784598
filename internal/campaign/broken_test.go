package campaign

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// breakage is a defect planted into the daemon's source, and what a campaign must
// say about it.
type breakage struct {
	name string
	file string // from the module's root
	old  string // stands there once
	new  string
	room string // where the test is; empty: here, as a campaign with the daemon
	test string // that must fail
	sees string // regular expression
}

const (
	crash = "TestCrash/in_flight_unlimited"
	links = "TestBrokenLinks"
	chain = "TestCrashStages"

	reload = "TestReload"

	engine  = "actors"
	holds   = "TestHoldIsAFold"
	silence = "TestTimeIsAFold"

	agent  = "fleet/agent"
	guard  = "fleet/command"
	commit = "TestKilledAtEachCommit"
	step   = "TestKilledAtEachStep"

	gateways = "cmd/edged"
	phase    = "TestKilledInEachPhase"
)

var breakages = []breakage{
	{
		name: "acknowledge before the commit", file: "actors/sequencer.go", test: crash, sees: `events lost [1-9]`,
		old: "s.open.acks = append(s.open.acks, m.Ack)", new: "s.e.source.Ack([]uint64{m.Ack})",
	},
	{
		name: "take redelivered messages for new ones", file: "actors/redelivery.go", test: crash, sees: `raw: .*events lost 0, double [1-9]`,
		old: "if m.Dup {", new: "if false && m.Dup {",
	},
	{
		name: "forget redeliveries over a restart", file: "actors/recovery.go", test: crash, sees: `raw: .*events lost 0, double [1-9]`,
		old: "if rec.PacketID != 0 {", new: "if false && rec.PacketID != 0 {",
	},
	{
		name: "do not deduplicate", file: "query/task.go", test: crash, sees: `agg: .*events lost 0, double [1-9]`,
		old: "repeated := t.duplicate(out, ev)", new: "repeated := t.duplicate(out, ev) && false",
	},
	{
		name: "do not replay the journal", file: "actors/recovery.go", test: crash, sees: `events lost [1-9]`,
		old: "		if clean {", new: "		if true {",
	},
	{
		name: "replay what the snapshot holds", file: "actors/key.go", test: crash, sees: `double [1-9]`,
		old: "if en.event.Seq <= k.applied {", new: "if false && en.event.Seq <= k.applied {",
	},
	{
		name: "replay the snapshot's last record", file: "actors/key.go", test: crash, sees: `double [1-9]`,
		old: "if en.event.Seq <= k.applied {", new: "if en.event.Seq < k.applied {",
	},
	{
		name: "passivate without a snapshot", file: "actors/sequencer.go", test: crash, sees: `events lost [1-9]`,
		old: "snapshot(s.open, ref, true)", new: "ref.changed = 0",
	},
	{
		name: "reuse a number after a restart", file: "actors/engine.go", test: crash, sees: `conflict|reissue|ended by itself|exit code`,
		old: "e.streams[stream] = seq", new: "e.streams[stream] = max(seq, 1) - 1",
	},
	{
		name: "confirm what was only sent", file: "actors/gateway.go", test: links, sees: `missing|lost [1-9]`,
		old: "g.sent += uint64(len(rows))", new: "g.sent += uint64(len(rows)); g.acked = g.sent; g.state.acked.Store(g.acked)",
	},
	{
		name: "do not send again after a loss", file: "actors/gateway.go", test: links, sees: `missing|lost [1-9]`,
		old: "g.up, g.sent = false, g.acked", new: "g.up = false",
	},
	{
		name: "do not journal what is derived", file: "actors/committer.go", test: chain, sees: `stream line, .* faults`,
		old: "	results := e.results[:0]\n", new: "	for i := range c.Records {\n		c.Records[i].Derived = nil\n	}\n	results := e.results[:0]\n",
	},
	{
		name: "derive again in recovery", file: "actors/sequencer.go", test: chain, sees: `stream (line|site), .* faults`,
		old: "return len(s.stages) > 1 && !ep.replay && len(ep.records) > 0", new: "return len(s.stages) > 1 && len(ep.records) > 0",
	},
	{
		name: "one derived result per record", file: "actors/waves.go", test: chain, sees: `stream line, .* faults`,
		old: "				s.offerResult(ep, r, rec, body)\n", new: "				s.offerResult(ep, r, rec, body)\n				return\n",
	},
	{
		name: "apply one entry per record", file: "actors/key.go", test: chain, sees: `stream line, .* faults`,
		old: "		t.cursor = at\n", new: "		if en.kind == derivedEntry {\n			k.applied = max(k.applied, en.event.Seq)\n		}\n		t.cursor = at\n",
	},
	{
		name: "drop retractions", file: "actors/committer.go", test: chain, sees: `stream session, .* faults`,
		old: "		if stream == \"\" {\n", new: "		if stream == \"\" || r.result.Kind == edged.RetractResult {\n",
	},
	{
		name: "keep retractions from the next stage", file: "query/derive.go", test: chain, sees: `stream activity, .* faults`,
		old: "if r.Kind != edged.PaneResult && r.Kind != edged.RetractResult ||", new: "if r.Kind != edged.PaneResult ||",
	},
	{
		name: "do not replay ticks", file: "actors/sequencer.go", test: chain, sees: `reissue|conflict|stream session, .* faults`,
		old: "		if !ep.ends {\n			s.wake(ep, rec, 0)", new: "		if !ep.ends && !ep.replay {\n			s.wake(ep, rec, 0)",
	},
	{
		name: "do not replay tables", file: "actors/sequencer.go", test: chain, sees: `stream device, .* faults`,
		old: "		s.setTable(ep, rec)\n	case", new: "		if !ep.replay {\n			s.setTable(ep, rec)\n		}\n	case",
	},
	{
		name: "swap without storing what changed last", file: "actors/swap.go", test: reload, sees: `the configuration was not taken`,
		old: "	if w.stores && s.checkpoint() {\n		return true\n	}\n	err := s.exchange(w)", new: "	err := s.exchange(w)",
	},
	{
		name: "recover with the new configuration", file: "cmd/edged/contract.go", test: reload, sees: `recovery must replay`,
		old: "	if !differs {\n", new: "	if true {\n",
	},
	{
		name: "cut the journal without saying what is held", file: "actors/tables.go", room: engine, test: holds, sees: `which the fold does not|state of`,
		old: "s.enter(s.stands(r, r.hold.standing))", new: "_ = r",
	},
	{
		name: "do not say it after a swap", file: "actors/sequencer.go", room: engine, test: holds, sees: `which the fold does not|state of`,
		old: "	s.restates()\n	return true", new: "	return true",
	},
	{
		name: "say what is held only once where two checkpoints follow each other", file: "actors/sequencer.go", room: engine, test: "TestHoldOutlivesCheckpoints", sees: `it is flowing`,
		old: "		s.restated() // what", new: "		// what",
	},
	{
		name: "give a pipeline the ticks of the version before", file: "actors/sequencer.go", room: engine, test: silence, sees: `which the fold does not|in the end: state of`,
		old: "if r.hold.held() || rec.Seq <= r.since {", new: "if r.hold.held() {",
	},
	{
		name: "begin a version without the keys that are only stored", file: "actors/swap.go", room: engine, test: silence, sees: `which the fold does not|in the end: state of`,
		old: "	for key, active := range stored {\n		if old", new: "	for key, active := range stored {\n		if false && old",
	},
	{
		name: "forget how much silence was noticed", file: "actors/router.go", room: engine, test: silence, sees: `which the fold does not|in the end: state of`,
		old: "	return min(snap.Rung, r.all()), r", new: "	return 0, r",
	},
	{
		name: "join while something is on its way", file: "actors/again.go", room: engine, test: holds, sees: `inputs, want`,
		old: "if !s.joins || s.inFlight > 0 || s.waving != nil || len(s.open.records) > 0 {", new: "if !s.joins || s.waving != nil {",
	},
	{
		name: "give a held pipeline ticks when it is rebuilt", file: "actors/rebuild.go", room: engine, test: holds, sees: `which the fold does not|state of`,
		old: "rec.Kind == edged.TickRecord && !h.held {", new: "rec.Kind == edged.TickRecord {",
	},
	{
		name: "drop what is kept for a held pipeline", file: "persistence/state.go", room: "persistence", test: "TestStoreAgreesWithModel", sees: `the journal begins after`,
		old: "	if s.Keep > 0 {\n", new: "	if false {\n",
	},
	{
		name: "forget which letters were retried", file: "persistence/deadletters.go", room: "persistence", test: "TestStoreAgreesWithModel", sees: `dead letters, want`,
		old: "retried[d.Number]; gone {", new: "retried[d.Number]; gone && false {",
	},
	{
		name: "acknowledge a command whose commit has failed", file: "fleet/agent/receive.go", room: agent, test: commit, sees: `takes it for a new one`,
		old: "	if err != nil || e.Command == nil {\n		return err", new: "	if err != nil || e.Command == nil {\n		return nil",
	},
	{
		name: "answer before the commit", file: "fleet/agent/agent.go", room: agent, test: commit, sees: `takes it for a new one`,
		old: "	first := a.counters.Event + 1\n", new: "	for _, answer := range e.Answers {\n		a.answer(answer)\n	}\n	first := a.counters.Event + 1\n",
	},
	{
		name: "execute before the commit", file: "fleet/agent/agent.go", room: agent, test: commit, sees: `happened [2-9] times`,
		old: "	a.settle(&e, Change{})\n	return e, a.broken",
		new: "	if c := e.Command; c != nil && c.Op == \"pipeline.pause\" && len(a.guard.Waiting()) > 0 {\n		_, _ = a.ops[c.Op].Run(context.Background(), &Call{Command: *c})\n	}\n	a.settle(&e, Change{})\n	return e, a.broken",
	},
	{
		name: "forget that it was started", file: "fleet/command/codec.go", room: agent, test: commit, sees: `happened 1 times, and the answer is .* no effect`,
		old: "dst = appendFlag(dst, r.begun)", new: "dst = appendFlag(dst, false)",
	},
	{
		name: "forget that it ends the process", file: "fleet/command/run.go", room: agent, test: commit, sees: `nothing was killed, and the answer is .*interrupted`,
		old: "	return Effects{Code: protocol.OK, Changed: true}, nil", new: "	return Effects{Code: protocol.OK}, nil",
	},
	{
		name: "forget ids", file: "fleet/command/accept.go", room: agent, test: commit, sees: `has no end: .*E_REPLAY`,
		old: "if known := g.records.byID[c.ID]; known != nil {", new: "if known := g.records.byID[c.ID]; known != nil && false {",
	},
	{
		name: "do not use numbers up", file: "fleet/command/accept.go", room: guard, test: "TestHostileChannel", sees: `accepted true, the oracle says false`,
		old: "		w.mark(c.Seq)", new: "		_ = w",
	},
	{
		name: "run again after a restart", file: "fleet/command/run.go", room: guard, test: step, sees: `after a power cut: .*accepted`,
		old: "			r.end(interrupted, protocol.CodeInterrupt, \"the process ended after it was started; it may have had an effect\")", new: "			r.phase = accepted",
	},
	{
		name: "run again after a restart, with real gateways", file: "fleet/command/run.go", room: gateways, test: phase, sees: `no such answer to log.level .*accepted`,
		old: "			r.end(interrupted, protocol.CodeInterrupt, \"the process ended after it was started; it may have had an effect\")", new: "			r.phase = accepted",
	},
	{
		name: "forget that it was started, with real gateways", file: "fleet/command/codec.go", room: gateways, test: "TestKilledAtEachWrite/commands",
		sees: `the window is there: false; .*no effect`,
		old:  "dst = appendFlag(dst, r.begun)", new: "dst = appendFlag(dst, false)",
	},
	{
		name: "do not count starts during a trial", file: "fleet/apply/apply.go", room: gateways, test: phase, sees: `good version \d+: .*Status:APPLIED`,
		old: "	if s.Trial.Starts++; s.Trial.Starts >= StartsMax {", new: "	if s.Trial.Starts >= StartsMax {",
	},
	{
		name: "leave what a killed process has left of a trial", file: "fleet/apply/apply.go", room: gateways, test: phase, sees: `good version \d+ does not end`,
		old: "if err := a.settle(ctx, true); err != nil { // a process", new: "if err := error(nil); err != nil { // a process",
	},
}

// TestBrokenDaemonsFail proves that the campaigns find what they are for.
func TestBrokenDaemonsFail(t *testing.T) {
	if !*brokenFlag {
		t.Skip("builds a daemon per defect; run with -broken")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range breakages {
		t.Run(b.name, func(t *testing.T) {
			pattern := "^" + strings.ReplaceAll(b.test, "/", "$/^") + "$"
			var test *exec.Cmd
			if b.room == "" {
				// It draws when it kills: that can be at harmless moments only.
				test = exec.Command(self, "-test.v", "-test.run", pattern, "-test.count", "3", "-test.failfast", "-daemon", b.build(t))
			} else {
				root, overlay := b.overlay(t)
				test = exec.Command("go", "test", "-v", "-timeout", "60s", "-overlay", overlay, "-run", pattern, "-count", "5", "./"+b.room)
				test.Dir = root
			}
			out, err := test.CombinedOutput()
			if err == nil {
				t.Fatalf("the campaign %s saw nothing:\n%s", b.test, out)
			}
			if seen := regexp.MustCompile(b.sees).Find(out); seen == nil {
				t.Fatalf("the campaign %s failed, but for another reason:\n%s", b.test, out)
			}
		})
	}
}

// TestBreakagesFit: a defect whose place is gone would not be planted.
func TestBreakagesFit(t *testing.T) {
	for _, b := range breakages {
		b.source(t)
	}
}

// source returns the module's root, and the path and the text of the file that gets the
// defect.
func (b *breakage) source(t *testing.T) (root, path, text string) {
	t.Helper()
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(root, filepath.FromSlash(b.file))
	bytes, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(bytes), b.old); n != 1 {
		t.Errorf("%s: %s has %q %d times: adapt the defect to the source", b.name, b.file, b.old, n)
	}
	return root, path, string(bytes)
}

// build builds a daemon with the defect.
func (b *breakage) build(t *testing.T) string {
	t.Helper()
	root, overlay := b.overlay(t)
	binary, err := Build(root, filepath.Dir(overlay), "-overlay", overlay)
	if err != nil {
		t.Fatal(fmt.Errorf("with the defect: %w", err))
	}
	return binary
}

// overlay writes what makes the go command read the source with the defect. The source
// tree is not touched.
func (b *breakage) overlay(t *testing.T) (root, overlay string) {
	t.Helper()
	root, path, text := b.source(t)
	dir := t.TempDir()
	overlay = filepath.Join(dir, "overlay.json")
	broken := filepath.Join(dir, "broken.go")
	list, err := json.Marshal(map[string]map[string]string{"Replace": {path: broken}})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{broken: strings.Replace(text, b.old, b.new, 1), overlay: string(list)} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root, overlay
}
