package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"edged"
	"edged/mqtt/codec"
)

// TestReplay compares a replay with a recomputation, and with itself.
func TestReplay(t *testing.T) {
	config := writeFile(t, "demo.yaml", string(demoDocument))
	input := ndjson(t, newFleet(t, 21, 20_000, 1_700_000_000_000))
	path := writeFile(t, "in.ndjson", input)
	code, stdout, stderr := edgedCmd(t, "replay", "-c", config, "-i", path, "--json", "--strict")
	if code != exitOK {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	payloads := strings.Split(strings.TrimSpace(input), "\n")
	results := strings.Split(strings.TrimSpace(stdout), "\n")
	compare(t, results, expected(t, payloads, 3*time.Second))
	s := decode[replaySummary](t, stderr)
	if s.Lines != int64(len(payloads)) || s.Events != s.Lines || s.Duplicates == 0 || s.Results != int64(len(results)) || s.DeadLetters != 0 {
		t.Errorf("summary %+v of %d payloads and %d results", s, len(payloads), len(results))
	}
	for i, r := range results {
		if !strings.Contains(r, fmt.Sprintf(`"seq":%d,`, i+1)) {
			t.Fatalf("result %d is %s", i+1, r)
		}
	}
	out := filepath.Join(t.TempDir(), "out.ndjson")
	if code, _, stderr := edgedStdin(t, input, "replay", "-c", config, "-i", "-", "-o", out); code != exitOK {
		t.Fatal(stderr)
	}
	if again, err := os.ReadFile(out); err != nil || string(again) != stdout {
		t.Errorf("a second replay differs (%v): %d and %d bytes", err, len(again), len(stdout))
	}
}

func TestReplayCountsDeadLetters(t *testing.T) {
	config := writeFile(t, "demo.yaml", string(demoDocument))
	good := ndjson(t, newFleet(t, 22, 200, 1_700_000_000_000))
	bad := "{\"device\":\"d\"}\n\n  \nnot json\n{\"device\":\"d\",\"ts\":1e999,\"temp\":1}\n\"" + strings.Repeat("x", 2<<20) + "\"\n"
	_, clean, _ := edgedStdin(t, good, "replay", "-c", config, "-i", "-")
	for _, strict := range []bool{false, true} {
		args := []string{"replay", "-c", config, "-i", "-", "--json", fmt.Sprintf("--strict=%v", strict)}
		code, stdout, stderr := edgedStdin(t, bad+good, args...)
		if want := map[bool]int{false: exitOK, true: exitCheck}[strict]; code != want {
			t.Errorf("strict %v: exit code %d: %s", strict, code, stderr)
		}
		line, _, _ := strings.Cut(stderr, "\n")
		s := decode[replaySummary](t, line)
		if s.DeadLetters != 4 || s.Causes["syntax"] != 1 || s.Causes["missing_time"] != 1 || s.Causes["bad_time"] != 1 || s.Causes["oversize"] != 1 {
			t.Errorf("causes %v", s.Causes)
		}
		if len(s.Samples) == 0 || s.Lines != int64(strings.Count(bad+good, "\n")) {
			t.Errorf("summary %+v", s)
		}
		if stdout != clean {
			t.Errorf("inputs that are no events changed the results")
		}
	}
	if _, _, stderr := edgedStdin(t, bad+good, "replay", "-c", config, "-i", "-"); !strings.Contains(stderr, "4 inputs were no events:") || !strings.Contains(stderr, "syntax 1") {
		t.Errorf("the summary for people: %s", stderr)
	}
}

// TestReplayOfSeveralPipelines: each sees every line once, whatever the topics.
func TestReplayOfSeveralPipelines(t *testing.T) {
	second := strings.NewReplacer("name: device-windows", "name: by-topic", "sensors/+/data", "sensors/#",
		"key: {field: device}", "key: {topic_level: 1}", "output_key: device", "output_key: place").Replace(string(demoDocument))
	_, second, _ = strings.Cut(second, "pipelines:\n")
	config := writeFile(t, "two.yaml", string(demoDocument)+second)
	input := ndjson(t, newFleet(t, 23, 500, 1_700_000_000_000))
	code, stdout, stderr := edgedStdin(t, input, "replay", "-c", config, "-i", "-", "--topic", "sensors/hall/data")
	if code != exitOK {
		t.Fatal(stderr)
	}
	counts := map[bool]int64{}
	for _, line := range strings.Split(strings.TrimSpace(stdout), "\n") {
		counts[strings.HasPrefix(line, `{"place":"hall"`)] += decode[pane](t, line).Count
	}
	if counts[true] == 0 || counts[true] != counts[false] {
		t.Errorf("events counted by topic and by device: %v", counts)
	}
	_, only, _ := edgedStdin(t, input, "replay", "-c", config, "-i", "-", "--pipeline", "by-topic", "--topic", "sensors/hall/data")
	if strings.Contains(only, "device") || !strings.Contains(only, "place") {
		t.Errorf("--pipeline by-topic gives %.200s", only)
	}
}

func TestReplayCSV(t *testing.T) {
	config := writeFile(t, "csv.yaml", strings.NewReplacer("{field: device}", "{topic_level: 1}", "field: ts", "field: timestamp",
		"name: temp, type: number", "name: temp, path: value, type: number").Replace(string(demoDocument)))
	input := writeFile(t, "in.csv", "timestamp,value\r\n2024-05-01 12:00:00,1\r\n2024-05-01 12:00:01,2.5\r\nyesterday,3\r\n\r\n2024-05-01 12:00:02,3")
	code, stdout, stderr := edgedCmd(t, "replay", "-c", config, "-i", input, "--csv-times", "timestamp", "--topic", "sensors/hall/data")
	if code != exitOK || strings.Count(stdout, "\n") != 1 || !strings.Contains(stdout, `"start":1714564800000,"end":1714564803000,"count":3,"sum":6.5`) {
		t.Errorf("code %d: %s", code, stdout)
	}
	if !strings.Contains(stderr, "1 inputs were no events") || !strings.Contains(stderr, "line 4") {
		t.Errorf("summary: %s", stderr)
	}
	code, _, stderr = edgedCmd(t, "replay", "-c", config, "-i", input, "--csv-times", "nosuch")
	if code != exitUsage || !strings.Contains(stderr, "nosuch") {
		t.Errorf("a column that is not there: code %d: %s", code, stderr)
	}
}

// TestFileSourceLines compares the lines that come out with those put in.
func TestFileSourceLines(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	const limit = 40_000
	for range 40 {
		var text strings.Builder
		var want []string
		long := int64(0)
		count := r.IntN(600)
		for i := range count {
			line := strings.Repeat("x", r.IntN([]int{3, 50, 6_000, 60_000}[r.IntN(4)*r.IntN(2)*r.IntN(2)]))
			end := []string{"\n", "\r\n"}[r.IntN(2)]
			if i == count-1 && line != "" && r.IntN(2) == 0 {
				end = ""
			}
			text.WriteString(line + end)
			switch {
			case len(line)+len(end) > limit:
				long++
			case line != "":
				want = append(want, line)
			}
		}
		s := &fileSource{limit: limit, convert: func() converter { return plainLines{} }}
		s.in = bufio.NewReaderSize(iotest.HalfReader(strings.NewReader(text.String())), 4096)
		var got []string
		err := s.Run(t.Context(), func(_ context.Context, b edged.Batch) error {
			for _, m := range b.Messages {
				got = append(got, string(m.Payload))
			}
			return nil
		})
		if err != nil || !slices.Equal(got, want) || s.refused["oversize"] != long || s.lines != int64(count) {
			t.Fatalf("%v: %d of %d lines, %d of %d too long, %d of %d counted", err, len(got), len(want), s.refused["oversize"], long, s.lines, count)
		}
	}
}

func TestFileSourceReportsReadErrors(t *testing.T) {
	broken := iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader("a,b\n1,2\n")))
	s := &fileSource{in: bufio.NewReaderSize(broken, 16), limit: 100, convert: func() converter { return &csvLines{config: codec.CSVConfig{}} }}
	err := s.Run(t.Context(), func(context.Context, edged.Batch) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "read input after") {
		t.Errorf("the error is %v", err)
	}
}

// TestReplayInterrupted: an interrupted replay says so, and closes no window that
// its input might still have changed.
func TestReplayInterrupted(t *testing.T) {
	t.Parallel()
	config := writeFile(t, "demo.yaml", string(demoDocument))
	in, feed := io.Pipe()
	defer feed.Close()
	var stdout, stderr syncBuffer
	ctx, interrupt := context.WithCancel(t.Context())
	code := make(chan int, 1)
	go func() { code <- execute(ctx, []string{"replay", "-c", config, "-i", "-"}, in, &stdout, &stderr) }()
	lines := strings.SplitAfter(ndjson(t, newFleet(t, 24, 5000, 1_700_000_000_000)), "\n")
	for _, line := range lines {
		if _, err := io.WriteString(feed, line); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "results come before the end", func() bool { return stdout.String() != "" }, stderr.String)
	interrupt()
	if got := <-code; got != exitUnexpected || !strings.Contains(stderr.String(), "interrupted") {
		t.Errorf("code %d: %s", got, stderr.String())
	}
	all := strings.Count(stdout.String(), "\n")
	_, whole, _ := edgedStdin(t, strings.Join(lines, ""), "replay", "-c", config, "-i", "-")
	if !strings.HasPrefix(whole, stdout.String()) || all >= strings.Count(whole, "\n") {
		t.Errorf("%d results before the interruption, %d in all", all, strings.Count(whole, "\n"))
	}
}
