package persistence_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"edged"
)

// BenchmarkCommit measures an epoch of n records, one row per hundred of them
// and one snapshot per hundred, on the disk of the temporary directory. "amp" is
// bytes written to disk per byte of payload.
func BenchmarkCommit(b *testing.B) {
	for _, n := range []int{1, 300, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := open(b, config(b.TempDir()))
			recs := messages(0, n)
			payload := 0
			for i := range recs {
				payload += len(recs[i].Payload)
			}
			var seq edged.Seq
			var row uint64
			var gen uint64
			before, commits := writtenBytes(b), 0
			b.ReportAllocs()
			for b.Loop() {
				for i := range recs {
					seq++
					recs[i].Seq = seq
				}
				c := edged.Commit{Generation: gen, Records: recs, Rows: rows("m", row, n/100), Cursors: []edged.Cursor{{Stream: "m", Output: "o", Seq: row}}}
				row += uint64(n / 100)
				for i := range n / 100 {
					c.Snapshots = append(c.Snapshots, edged.Snapshot{Pipeline: "p", Key: fmt.Sprintf("press-%05d", (int(seq)/100+i)%5000), Seq: seq, State: make([]byte, 200)})
				}
				if commits++; commits%500 == 0 {
					gen++
					c.Sweep = &edged.Sweep{Generation: gen, Start: seq}
				}
				commit(b, s, c)
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(commits*n), "us/record")
			b.ReportMetric(float64(writtenBytes(b)-before)/float64(commits*payload), "amp")
		})
	}
}

// writtenBytes returns what this process has sent to the disk.
func writtenBytes(b *testing.B) int64 {
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		b.Skip(err)
	}
	_, rest, _ := strings.Cut(string(text), "\nwrite_bytes: ")
	var n int64
	fmt.Sscan(rest, &n)
	return n
}

func BenchmarkReplay(b *testing.B) {
	s := open(b, config(b.TempDir()))
	const n = 100_000
	for seq := edged.Seq(0); seq < n; seq += 1000 {
		commit(b, s, edged.Commit{Records: messages(seq, 1000)})
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Replay(0, func(*edged.Record) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/record")
}

// BenchmarkSnapshots measures what recovery and swaps read of 100,000 keys with states of
// 200 bytes: all of them without the states, and one of them with its state.
func BenchmarkSnapshots(b *testing.B) {
	s := open(b, config(b.TempDir()))
	const n = 100_000
	key := func(i int) string { return fmt.Sprint("device-", i*7919%n) }
	for i := 0; i < n; i += 1000 {
		c := edged.Commit{Generation: 1}
		for k := range 1000 {
			c.Snapshots = append(c.Snapshots, edged.Snapshot{Pipeline: "p", Key: key(i + k), Twin: true, State: make([]byte, 200)})
		}
		commit(b, s, c)
	}
	b.Run("all", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := s.Snapshots(func(edged.Snapshot) error { return nil }); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("one", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if _, found, err := s.Snapshot("p", key(i)); !found || err != nil {
				b.Fatal(found, err)
			}
		}
	})
}
