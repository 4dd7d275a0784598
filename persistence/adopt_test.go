package persistence_test

import (
	"fmt"
	"slices"
	"testing"

	"edged"
)

// States that are moved under another name are the same there, those that are there
// already stay, and neighbours are left alone, also over a restart.
func TestAdopt(t *testing.T) {
	cfg := config(t.TempDir())
	s := open(t, cfg)
	var snaps []edged.Snapshot
	for i := range 10 {
		key := fmt.Sprintf("k%d", i)
		for _, pipeline := range []string{"temp", "temperature", "tem"} {
			snaps = append(snaps, edged.Snapshot{Pipeline: pipeline, Key: key, Seq: 3, Active: 7, Open: i, Twin: i%2 == 0, State: []byte(pipeline + key)})
		}
	}
	snaps = append(snaps, edged.Snapshot{Pipeline: "temp~3", Key: "k4", Seq: 3, State: []byte("its own")})
	commit(t, s, edged.Commit{Generation: 1, Records: messages(0, 3), Snapshots: snaps})
	calls := 0
	for left := true; left; calls++ {
		var err error
		if left, err = s.Adopt("temp~3", "temp", 3); err != nil {
			t.Fatal(err)
		}
	}
	if calls != 4 {
		t.Errorf("ten keys by threes took %d calls", calls)
	}
	for range 2 {
		for i := range 10 {
			key := fmt.Sprintf("k%d", i)
			snap, found, err := s.Snapshot("temp~3", key)
			want := "temp" + key
			if i == 4 {
				want = "its own"
			}
			if err != nil || !found || string(snap.State) != want || i != 4 && (snap.Seq != 3 || snap.Active != 7 || snap.Open != i || snap.Twin != (i%2 == 0)) {
				t.Errorf("%s: %+v %v %v", key, snap, found, err)
			}
			if _, found, _ := s.Snapshot("temp", key); found {
				t.Errorf("%s is left under the old name", key)
			}
		}
		names, err := s.SnapshotPipelines()
		if want := []string{"tem", "temperature", "temp~3"}; err != nil || !slices.Equal(names, want) {
			t.Errorf("stored: %q %v, want %q", names, err, want)
		}
		s.Close()
		s = open(t, cfg)
	}
	for left := true; left; {
		var err error
		if left, err = s.Forget("temp~3", 4); err != nil {
			t.Fatal(err)
		}
	}
	if names, err := s.SnapshotPipelines(); err != nil || !slices.Equal(names, []string{"tem", "temperature"}) {
		t.Errorf("stored: %q %v", names, err)
	}
}
