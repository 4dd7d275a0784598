package campaign

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"edged"
	"edged/internal/mosquitto"
	"edged/internal/oracle"
	"edged/internal/sim"
)

const hour = 3_600_000 // ms

// TestRealData replays every recorded series over the broker.
func TestRealData(t *testing.T) {
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(root, "../shared/data/nab/*/*.csv.gz"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skip("the recorded series are not there: ../shared/data/nab")
	}
	replaySeries(t, files)
}

// TestGeneratedData does the same with a few small series of our own, one of
// which has rows without a value, equal times, and an hour that repeats.
func TestGeneratedData(t *testing.T) {
	dir := t.TempDir()
	random := rand.New(rand.NewPCG(1, 2))
	var files []string
	for i := range 5 {
		var text strings.Builder
		text.WriteString("timestamp,value\n")
		at := time.Date(2014, 2, 14, 14, 30, i, 0, time.UTC)
		for row := range 500 + 100*i {
			at = at.Add(time.Duration(random.IntN(600)) * time.Second)
			switch {
			case i == 0 && row == 200:
				at = at.Add(-time.Hour)
			case i == 0 && row%50 == 3:
				fmt.Fprintf(&text, "%s,\n", at.Format(time.DateTime))
			}
			fmt.Fprintf(&text, "%s,%v\n", at.Format(time.DateTime), random.NormFloat64()*1000)
			if i == 0 && row%70 == 5 {
				fmt.Fprintf(&text, "%s,%v\n", at.Format(time.DateTime), 5)
				fmt.Fprintf(&text, "%s,%v\n", at.Format(time.DateTime), 5)
			}
		}
		file := filepath.Join(dir, fmt.Sprintf("series-%d.csv", i))
		if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	replaySeries(t, files)
}

// replaySeries publishes series, checks every window, and then runs edged replay
// on the same input: its results must be the same bytes. Only the end may have
// another reason: silence closes the last windows of the live run, one after the other,
// and the end of the input closes those of the replay, at the end of time.
func replaySeries(t *testing.T, files []string) {
	broker := mosquitto.Start(t)
	s := newScene(t, "internal/campaign/testdata/trace.yaml", broker, nil, "EDGED_WINDOW=1h", "EDGED_OUT_OF_ORDERNESS=2h",
		"EDGED_MQTT_URL="+broker.URL(), "EDGED_UPSTREAM_URL="+broker.URL()) // no wires: they would only cost time
	s.start()
	series, err := OpenSeries(files)
	s.must(err)
	defer series.Close()
	load := s.load(series, 0)
	total, err := load.Wait()
	s.must(err)
	t.Logf("%d rows of %d series at %.0f/s", total.Acked, len(files), total.Rate)
	windows := oracle.Tumbling(readSeries(t, files), hour, 0)
	s.settle(load, expectation{"agg", windows})

	var live [][]byte
	for _, d := range s.results.Deliveries("agg") {
		live = append(live, d.Payload)
	}
	replayed := s.replay(files)
	if len(replayed) != len(live) {
		t.Errorf("live %d results, replayed %d", len(live), len(replayed))
	}
	end := fmt.Appendf(nil, `"watermark":%d`, edged.MaxTimestamp)
	first := slices.IndexFunc(replayed, func(row []byte) bool { return bytes.Contains(row, end) })
	if first < 0 || first > len(live) {
		t.Fatalf("the end of the replay begins at result %d of %d", first, len(live))
	}
	anyEnd(live[first:])
	anyEnd(replayed[first:])
	for i := range min(len(live), len(replayed)) {
		if !bytes.Equal(live[i], replayed[i]) {
			t.Fatalf("result %d differs:\nlive     %s\nreplayed %s", i, live[i], replayed[i])
		}
	}
}

var endMembers = regexp.MustCompile(`"(watermark|seq)":-?[0-9]+`)

// anyEnd makes the last rows of series comparable: silence ends them in the order in which
// they fell silent, the end of the input all at once.
func anyEnd(rows [][]byte) {
	for i := range rows {
		rows[i] = endMembers.ReplaceAll(rows[i], []byte(`"$1":0`))
	}
	slices.SortFunc(rows, bytes.Compare)
}

// readSeries reads the files once more, with nothing but the standard library.
func readSeries(t *testing.T, files []string) []oracle.Event {
	t.Helper()
	var events []oracle.Event
	for _, file := range files {
		name, _, _ := strings.Cut(filepath.Base(file), ".csv")
		for _, row := range readCSV(t, file)[1:] {
			value, err := strconv.ParseFloat(row[1], 64)
			if row[1] == "" || err != nil {
				continue
			}
			at, err := time.Parse(time.DateTime, strings.TrimSuffix(row[0], ".000000"))
			if err != nil {
				t.Fatal(err)
			}
			events = append(events, oracle.Event{Key: name, Time: at.UnixMilli(), Value: value})
		}
	}
	return events
}

func readCSV(t *testing.T, path string) [][]string {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var text io.Reader = file
	if strings.HasSuffix(path, ".gz") {
		if text, err = gzip.NewReader(file); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := csv.NewReader(text).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// replay writes the series as lines and runs edged replay on them, as the same
// gateway with the same configuration.
func (s *scene) replay(files []string) [][]byte {
	s.Helper()
	series, err := OpenSeries(files)
	s.must(err)
	defer series.Close()
	input := filepath.Join(s.TempDir(), "series.ndjson")
	file, err := os.Create(input)
	s.must(err)
	_, err = sim.WriteNDJSON(context.Background(), file, series)
	s.must(err)
	s.must(file.Close())
	path, err := binary()
	s.must(err)
	args := s.daemon.args
	cmd := exec.Command(path, "replay", "--config", args[len(args)-1], "--input", input)
	cmd.Env = s.daemon.env
	cmd.Stderr = s.Output()
	out, err := cmd.Output()
	s.must(err)
	var lines [][]byte
	for line := range bytes.Lines(out) {
		lines = append(lines, bytes.TrimSuffix(line, []byte("\n")))
	}
	return lines
}
