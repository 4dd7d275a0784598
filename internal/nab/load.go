package nab

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"edged"
)

// Labels is the file of a data folder that has the windows.
const Labels = "combined_windows.json"

// Series is one series of the benchmark.
type Series struct {
	Name    string // with its category: "realTweets/Twitter_volume_FB.csv"
	Times   []edged.Timestamp
	Values  []float64
	Windows []Window // in the order of time, not overlapping
}

// Category is the folder that the series is in.
func (s *Series) Category() string { return path.Dir(s.Name) }

// Window is a labelled anomaly: from row From to row To, both inclusive.
type Window struct{ From, To int }

// Load reads all series of a folder that has the layout of the benchmark: files
// category/name.csv, gzipped or not, and the labels. They come in the order of their names.
func Load(dir string) ([]*Series, error) {
	windows, err := readLabels(filepath.Join(dir, Labels))
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(windows))
	for name := range windows {
		names = append(names, name)
	}
	slices.Sort(names)
	all := make([]*Series, 0, len(names))
	for _, name := range names {
		s, err := readSeries(dir, name)
		if err != nil {
			return nil, err
		}
		if err := s.label(windows[name]); err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// readLabels returns the windows of each series, as times.
func readLabels(file string) (map[string][][2]string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the labels: %w", err)
	}
	var windows map[string][][2]string
	if err := json.Unmarshal(text, &windows); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return windows, nil
}

// label finds the rows of the windows.
func (s *Series) label(windows [][2]string) error {
	at := 0
	for _, w := range windows {
		from, err := s.find(w[0], at)
		if err != nil {
			return err
		}
		to, err := s.find(w[1], from)
		if err != nil {
			return err
		}
		s.Windows = append(s.Windows, Window{from, to})
		at = to + 1
	}
	return nil
}

// find returns the first row with that time, from row at on.
func (s *Series) find(text string, at int) (int, error) {
	t, err := parseTime(text)
	if err != nil {
		return 0, fmt.Errorf("labels of %s: %w", s.Name, err)
	}
	for i := at; i < len(s.Times); i++ {
		if s.Times[i] == t {
			return i, nil
		}
	}
	return 0, fmt.Errorf("labels of %s: no row has the time %s", s.Name, text)
}

// parseTime reads a time of the benchmark. It has no zone; UTC is as good as any.
func parseTime(text string) (edged.Timestamp, error) {
	t, err := time.Parse(time.DateTime, text)
	return edged.Timestamp(t.UnixMilli()), err
}

// readSeries reads dir/name or dir/name.gz.
func readSeries(dir, name string) (*Series, error) {
	file, err := os.Open(filepath.Join(dir, filepath.FromSlash(name)))
	if os.IsNotExist(err) {
		file, err = os.Open(filepath.Join(dir, filepath.FromSlash(name)+".gz"))
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var in io.Reader = file
	if strings.HasSuffix(file.Name(), ".gz") {
		if in, err = gzip.NewReader(file); err != nil {
			return nil, fmt.Errorf("%s: %w", file.Name(), err)
		}
	}
	s, err := parseSeries(in)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file.Name(), err)
	}
	s.Name = name
	return s, nil
}

// parseSeries reads lines "time,value" after a header.
func parseSeries(in io.Reader) (*Series, error) {
	s := &Series{}
	lines := bufio.NewScanner(in)
	lines.Scan() // the header
	for n := 2; lines.Scan(); n++ {
		text, number, _ := strings.Cut(strings.TrimSpace(lines.Text()), ",")
		t, err := parseTime(text)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		x, err := strconv.ParseFloat(number, 64)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		s.Times, s.Values = append(s.Times, t), append(s.Values, x)
	}
	return s, lines.Err()
}
