package main

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"edged"
	"edged/anomaly"
	"edged/windows/zones"
)

// ruler is a detector whose verdicts a reader can compute: the range is -10..10,
// the score is how far the value is beyond, in tens; from 1 on it is an alarm. The
// first five values are learned from. It is Timed: an hour without a value alarms.
type ruler struct{}

func (ruler) Validate() error    { return nil }
func (ruler) New() anomaly.State { return &rulerState{} }

type rulerState struct {
	n    int
	last edged.Timestamp
	told bool
}

func (s *rulerState) Observe(t edged.Timestamp, x float64) anomaly.Verdict {
	s.n, s.last, s.told = s.n+1, t, false
	v := anomaly.Verdict{Warm: s.n > 5, Low: -10, High: 10, HasRange: s.n > 5}
	if beyond := (math.Abs(x) - 10) / 10; v.Warm && beyond > 0 {
		v.Score = min(beyond, 5)
		v.Severity = anomaly.Grade(v.Score, 1, 2, 3)
		v.Alarm = v.Score >= 1
		v.Reason = anomaly.Reason{Cause: anomaly.CauseDeviation, Excess: x / 10, Below: x < 0}
	}
	return v
}

func (s *rulerState) Due() edged.Timestamp {
	if s.told || s.n == 0 {
		return edged.MaxTimestamp
	}
	return s.last.Add(time.Hour.Milliseconds())
}

func (s *rulerState) Tick(now edged.Timestamp) anomaly.Verdict {
	s.told = true
	return anomaly.Verdict{Score: 1, Alarm: true, Warm: true, Severity: anomaly.SeverityCritical,
		Reason: anomaly.Reason{Cause: anomaly.CauseSilent, Span: now.Sub(s.last)}}
}

func (s *rulerState) Bytes() int                       { return 24 }
func (s *rulerState) AppendBinary(dst []byte) []byte   { return dst }
func (s *rulerState) Restore(b []byte) ([]byte, error) { return b, nil }

// generated is a series for golden files: a wave every 24 rows of ten minutes, a
// spike of three rows, a hole of five hours, a missing value.
func generated() string {
	var b strings.Builder
	b.WriteString("when,value\n")
	start := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for i := range 300 {
		at := start.Add(time.Duration(i) * 10 * time.Minute)
		if i >= 200 {
			at = at.Add(5 * time.Hour)
		}
		// A triangle: exact on every machine.
		x := strconv.Itoa(8 - abs(i%24-12)*16/12)
		switch {
		case i >= 100 && i < 103:
			x = strconv.Itoa(25 + 10*(i-100))
		case i == 150:
			x = "n/a"
		case i == 250:
			x = "-24.50"
		}
		fmt.Fprintf(&b, "%s,%s\n", at.Format(time.DateTime), x)
	}
	return b.String()
}

func abs(i int) int { return max(i, -i) }

func detected(t testing.TB, text string) *detection {
	t.Helper()
	s, err := readSeries(strings.NewReader(text), "", time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	d := detect(s, ruler{})
	d.title, d.detector = `a <b> & "c" · value`, "ruler"
	return d
}

// TestDetectGolden compares every format with a file that a person has looked at.
func TestDetectGolden(t *testing.T) {
	d := detected(t, generated())
	for name, draw := range drawings {
		var got bytes.Buffer
		if err := draw(&got, d); err != nil {
			t.Fatal(err)
		}
		golden := filepath.Join("testdata", "detect", "generated."+name)
		if *rewrite {
			if err := errors.Join(os.MkdirAll(filepath.Dir(golden), 0o750), os.WriteFile(golden, got.Bytes(), 0o600)); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%s differs; run with -rewrite and look at the difference", golden)
		}
	}
}

// TestDetectAlarms: an alarm is one row, however long it lasts, and what time
// raises is on the first row after it.
func TestDetectAlarms(t *testing.T) {
	d := detected(t, generated())
	var rows []int
	for i := range d.scored {
		if d.scored[i].alarm {
			rows = append(rows, i)
		}
	}
	if fmt.Sprint(rows) != "[100 200 250]" {
		t.Errorf("alarms on rows %v", rows)
	}
	want := []string{
		"100 2026-03-01 16:40:00 25 minor 2.5 deviations above the expected value; expected -10..10, got 25",
		"200 2026-03-02 10:10:00 NaN critical nothing received for 60 minutes",
		"250 2026-03-02 22:40:00 -24.5 minor 2.45 deviations below the expected value; expected -10..10, got -24.5",
	}
	for i, a := range d.alarms {
		got := fmt.Sprint(a.row, " ", d.alarmTime(&a), " ", a.x, " ", a.severity, " ", a.sentence)
		if i >= len(want) || got != want[i] {
			t.Errorf("alarm %d is %s", i, got)
		}
	}
	if len(d.alarms) != len(want) || d.learned != 5 {
		t.Errorf("%d alarms, learned from %d", len(d.alarms), d.learned)
	}
}

// TestReadSeries reads every way to write a file. All have the same two rows.
func TestReadSeries(t *testing.T) {
	berlin, err := zones.Load("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	const first, second = 1772366700000, 1772366705000 // 2026-03-01T12:05:00Z and 5 s later
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write([]byte("t,value\n2026-03-01 12:05:00,1.5\n2026-03-01 12:05:05,\n"))
	_ = z.Close()
	for name, c := range map[string]struct {
		text, column string
		zone         *time.Location
	}{
		"date and time":   {"t,x\n2026-03-01 12:05:00,1.5\n2026-03-01 12:05:05,\n", "", time.UTC},
		"fraction":        {"t,x\n2026-03-01 12:05:00.000,1.5\n2026-03-01 12:05:05.000000,\n", "", time.UTC},
		"zone":            {"t,x\n2026-03-01 13:05:00,1.5\n2026-03-01T13:05:05,\n", "", berlin},
		"offset":          {"t,x\n2026-03-01T13:05:00+01:00,1.5\n2026-03-01T12:05:05Z,\n", "", berlin},
		"mixed":           {"t,x\n2026-03-01 12:05,1.5\n2026-03-01T12:05:05,\n", "", time.UTC},
		"seconds":         {"t,x\n1772366700,1.5\n1772366705,\n", "", berlin},
		"milliseconds":    {"t,x\n1772366700000,1.5\n1772366705000,\n", "", berlin},
		"nanoseconds":     {"t,x\n1772366700000000000,1.5\n1772366705000000000,\n", "", berlin},
		"exponent":        {"t,x\n1.7723667e9,1.5\n1.772366705E+09,\n", "", berlin},
		"carriage return": {"t,x\r\n2026-03-01 12:05:00,1.5\r\n2026-03-01 12:05:05,\r\n", "", time.UTC},
		"semicolon":       {"t;x;y\n2026-03-01 12:05:00;1.5;7\n2026-03-01 12:05:05;;7\n", "", time.UTC},
		"tab":             {"t\tx\n2026-03-01 12:05:00\t1.5\n2026-03-01 12:05:05\t\n", "", time.UTC},
		"mark":            {"\ufefft,x\n2026-03-01 12:05:00,1.5\n2026-03-01 12:05:05,-\n", "", time.UTC},
		"quotes":          {"\"t\",\"x\"\n\"2026-03-01 12:05:00\",\"1.5\"\n\"2026-03-01 12:05:05\",nan\n", "", time.UTC},
		"value's column":  {"t,y,value\n2026-03-01 12:05:00,2,1.5\n2026-03-01 12:05:05,2,+Inf\n", "", time.UTC},
		"chosen column":   {"t,value, y\n2026-03-01 12:05:00,2, 1.5\n2026-03-01 12:05:05,2,1e999\n", "y", time.UTC},
		"short row":       {"t,x\n2026-03-01 12:05:00,1.5\n2026-03-01 12:05:05\n", "", time.UTC},
		"no line feed":    {"t,x\n2026-03-01 12:05:00,1.5\n2026-03-01 12:05:05,", "", time.UTC},
		"gzip":            {packed.String(), "", time.UTC},
	} {
		s, err := readSeries(strings.NewReader(c.text), c.column, c.zone)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(s.rows) != 2 || s.rows[0].t != first || s.rows[1].t != second || s.rows[0].x != 1.5 || !math.IsNaN(s.rows[1].x) || s.missing() != 1 {
			t.Errorf("%s: %+v", name, s.rows)
		}
	}
}

// TestReadSeriesRefuses names what is wrong with a file.
func TestReadSeriesRefuses(t *testing.T) {
	for text, says := range map[string]string{
		"":                        "empty",
		"t\n1\n":                  "one column",
		"t,x\n":                   "no rows",
		"t,x\n1,a\n":              "no number",
		"1,2\n3,4\n":              "must be a header",
		"2026-03-01 12:05:00,2\n": "must be a header",
		"t,x\nsoon,1\n":           `"soon"`,
		"t,x\nNaN,1\n":            "no row has a time",
		"t,x\n1e300,1\n":          "no row has a time",
		"t,x\nsoon,1\n1,x\n":      "both",
		"t,x\n1,\"2\n":            "row 1: a quote",
		"t,x\n1,2\n2,\"3\n3,4\n":  "row 2: a quote",
		"\x1f\x8bno gzip":         "gzip",
	} {
		if s, err := readSeries(strings.NewReader(text), "", time.UTC); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %+v, %v; want ...%s...", text, s, err, says)
		}
	}
	if _, err := readSeries(strings.NewReader("t,x,y\n1,2,3\n"), "z", time.UTC); err == nil || !strings.Contains(err.Error(), "x, y") {
		t.Errorf("a column that is not there: %v", err)
	}
}

// TestBadRows: what cannot be used is counted, and does not hurt the rest. Rows come
// out as they went in, and are judged in the order of time.
func TestBadRows(t *testing.T) {
	good := "2,2\n4,4\n"
	for name, c := range map[string]struct{ text, says, order string }{
		"no time":      {"t,x\n2,2\nsoon,3\n4,4\n", `1 of 3 rows have no time and are not scored; the first is row 2, "soon"`, "[0 2]"},
		"a date":       {"t,x\n2026-03-01 12:05:00,3\n2,2\n4,4\n", `2 of 3 rows have no time`, "[0]"},
		"no number":    {"t,x\n2,2\n3,-\n4,4\n", "1 of 3 values of column x are missing or no number", "[0 1 2]"},
		"stray quote":  {"t,x\n2,2\n3,3\"\n4,4\n", "1 of 3 values", "[0 1 2]"},
		"out of order": {"t,x\n4,4\n2,2\n3,3\n", "not in the order of time", "[1 2 0]"},
		"all good":     {"t,x\n" + good, "", "[0 1]"},
		"decimals":     {"t;x\n2;2,0\n4;4,0\n", "", "[0 1]"},
		"one odd time": {"t,x\n1e18,7\n" + good + "5,5\n", "1 of 4 rows have no time", "[1 2 3]"},
	} {
		s, err := readSeries(strings.NewReader(c.text), "", time.UTC)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if said := strings.Join(s.faults(), "; "); !strings.Contains(said, c.says) || (c.says == "") != (said == "") || fmt.Sprint(s.order) != c.order {
			t.Errorf("%s: %q, order %v", name, said, s.order)
		}
		var out bytes.Buffer
		if err := writeDetectCSV(&out, detect(s, anomaly.NewAuto())); err != nil || strings.Count(out.String(), "\n") != strings.Count(c.text, "\n") {
			t.Errorf("%s: %v, %s", name, err, out.String())
		}
	}
}

// TestDetectCommand runs the default detector over a wave with one spike, in every format.
func TestDetectCommand(t *testing.T) {
	var b strings.Builder
	b.WriteString("time,temperature\n")
	for i := range 600 {
		x := 20 + 3*math.Sin(float64(i)/10) + 0.1*float64(i*7919%13)
		if i == 500 {
			x += 40
		}
		fmt.Fprintf(&b, "%d,%.3f\n", 1772366400+60*i, x)
	}
	file := writeFile(t, "press.csv", b.String())
	code, out, stderr := edgedCmd(t, "detect", file, "--format", "csv")
	if code != exitOK || stderr != "" {
		t.Fatalf("code %d: %s", code, stderr)
	}
	rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil || len(rows) != 601 || strings.Join(rows[0], ",") != "timestamp,value,anomaly_score,alarm" {
		t.Fatalf("%v: %d rows", err, len(rows))
	}
	given := strings.Split(b.String(), "\n")
	for i, r := range rows[1:] {
		if r[0]+","+r[1] != given[i+1] {
			t.Fatalf("row %d is %v, given %s", i, r, given[i+1])
		}
		score, err := strconv.ParseFloat(r[2], 64)
		if err != nil || !(score >= 0) || r[3] == "1" && score < 0.07 {
			t.Errorf("row %d: %v", i, r)
		}
	}
	if rows[501][3] != "1" {
		t.Errorf("the spike is %v", rows[501])
	}
	for _, format := range []string{"text", "svg", "html"} {
		output := filepath.Join(t.TempDir(), "out."+format)
		code, out, stderr = edgedCmd(t, "detect", file, "--output", output, "--param", "cooldown=50", "--zone", "Europe/Berlin")
		text, err := os.ReadFile(output)
		if code != exitOK || out != "" || stderr != "" || err != nil || !strings.Contains(string(text), "press · temperature") {
			t.Errorf("%s: code %d, %v: %s%s", format, code, err, stderr, text)
		}
		if is := strings.Contains(string(text), "<svg"); is != (format != "text") {
			t.Errorf("%s: --output does not tell the format", format)
		}
	}
	if code, _, stderr = edgedCmd(t, "detect", file, "--output", filepath.Join(file, "below")); code != exitStore {
		t.Errorf("an output that cannot be written: code %d: %s", code, stderr)
	}
	code, out, stderr = edgedStdin(t, "t,x\n1,1\n2,\n", "detect", "-")
	if code != exitOK || !strings.Contains(stderr, "1 of 2 values of column x") || !strings.Contains(out, "2 rows") {
		t.Errorf("standard input: code %d: %s%s", code, stderr, out)
	}
}

// TestDetectEvery runs every detector of the catalogue over the generated series. Those
// that see a spike see it; the rest at least says nothing wrong.
func TestDetectEvery(t *testing.T) {
	file := writeFile(t, "generated.csv", generated())
	params := map[string]string{
		"threshold": "--param high=20", "range": "--param low=-20 --param high=20", "rate_of_change": "--param limit=0.01",
		"likelihood": "--param of=zscore", "stuck": "--param window=1h", "dead_man": "--param interval=10m", "missing": "--param window=5h --param interval=10m",
		"vote": "--param k=1 --param of=threshold:high=20 --param of=zscore:window=50",
	}
	sees := map[string]bool{"threshold": true, "rate_of_change": true, "vote": true}
	for _, name := range anomaly.Names() {
		args := append([]string{"detect", file, "--format", "csv", "--detector", name, "--zone", "Asia/Kathmandu"}, strings.Fields(params[name])...)
		code, out, stderr := edgedCmd(t, args...)
		if code != exitOK || strings.Count(out, "\n") != 301 {
			t.Errorf("%s: code %d: %s", name, code, stderr)
			continue
		}
		if sees[name] && !strings.Contains(strings.Join(strings.Split(out, "\n")[101:104], " "), ",1 ") {
			t.Errorf("%s: no alarm at the spike: %v", name, strings.Split(out, "\n")[98:106])
		}
	}
	_, out, _ := edgedCmd(t, "help", "detectors")
	for _, d := range anomaly.Describe() {
		if !strings.Contains(out, "\n"+d.Name+"\n") || len(d.Params) > 0 && !strings.Contains(out, d.Params[0].Doc) {
			t.Errorf("help does not describe %s", d.Name)
		}
	}
}

func TestParseParam(t *testing.T) {
	for text, want := range map[string]float64{"1.5": 1.5, "-2e3": -2000, "15m": 900000, "1.5d": 129_600_000, "1.5ms": 1.5, "on": 1, "false": 0} {
		if got, err := parseParam(text); err != nil || got != want {
			t.Errorf("%s is %g, %v", text, got, err)
		}
	}
	if _, err := parseParam("soon"); err == nil || !strings.Contains(err.Error(), "soon") {
		t.Errorf("soon: %v", err)
	}
}

// TestDetectZone: the zone reaches every detector that goes by a clock, and no other.
func TestDetectZone(t *testing.T) {
	zone := time.FixedZone("test", 3600)
	c, err := chooseDetector("vote", []string{"k=1", "of=auto:threshold=0.1,cooldown=7", "of=zscore"}, zone)
	if err != nil {
		t.Fatal(err)
	}
	of := c.Params.Of
	if len(of) != 2 || c.Params.Zone != nil || of[0].Params.Zone != zone || of[1].Params.Zone != nil ||
		of[0].Params.Numbers["threshold"] != 0.1 || of[0].Params.Numbers["cooldown"] != 7 || c.Params.Numbers["k"] != 1 {
		t.Errorf("%+v", c)
	}
}

// FuzzDetect draws whatever can be read: nothing panics, the picture is well
// formed, and no coordinate is NaN or infinite.
func FuzzDetect(f *testing.F) {
	f.Add([]byte(generated()))
	f.Add([]byte("t,x\n1,1\n"))
	f.Add([]byte("t,\x10\xff\n0,1\n"))
	f.Add([]byte("t,x\n1,1e308\n2,-1e308\n3,1e-308\n4,0\n5,5\n6,5\n7,nan\n8,-1e308\n"))
	f.Add([]byte("t,x\n-9e18,1\n9e18,2\n"))
	f.Add([]byte("t;x\n2026-01-01;1\n2020-01-01;2\n0001-01-01;2\n9999-12-31;5e-324\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := readSeries(bytes.NewReader(text), "", time.UTC)
		if err != nil {
			return
		}
		for _, spec := range []anomaly.Spec{ruler{}, anomaly.NewAuto()} {
			d := detect(s, spec)
			d.title = s.column
			for name, draw := range drawings {
				var b bytes.Buffer
				if err := draw(&b, d); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if name == "svg" {
					wellFormed(t, b.Bytes())
				}
			}
		}
	})
}

// wellFormed checks that a picture is XML whose paths are numbers.
func wellFormed(t *testing.T, text []byte) {
	t.Helper()
	for in := xml.NewDecoder(bytes.NewReader(text)); ; {
		token, err := in.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		element, _ := token.(xml.StartElement)
		for _, a := range element.Attr {
			if a.Name.Local != "class" && (strings.Contains(a.Value, "NaN") || strings.Contains(a.Value, "Inf")) {
				t.Errorf("%s has %s=%q", element.Name.Local, a.Name.Local, a.Value)
			}
		}
	}
}
