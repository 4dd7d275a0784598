package zones_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"edged/windows/zones"
)

// The archive and the version change together.
func TestArchiveIsTheOneOfTheVersion(t *testing.T) {
	data, err := os.ReadFile("zoneinfo.zip")
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	const version, want = "2025c", "8f55634d05f8bca1f7bc7c69c5933428c69357e0bdf565e5ba224e3f88ff12e8"
	if got := hex.EncodeToString(sum[:]); zones.Version != version || got != want {
		t.Errorf("release %s with checksum %s, want %s with %s", zones.Version, got, version, want)
	}
}

func TestEveryZoneLoads(t *testing.T) {
	names, err := zones.Names()
	if err != nil {
		t.Fatal(err)
	}
	if len(names) < 400 || !slices.Contains(names, "Europe/Berlin") || !slices.Contains(names, "UTC") {
		t.Errorf("%d zones: %v", len(names), names)
	}
	for _, name := range names {
		if zone, err := zones.Load(name); err != nil || zone.String() != name {
			t.Errorf("%s: %v, %v", name, zone, err)
		}
	}
}

func TestUnknownNamesAreRefused(t *testing.T) {
	for _, name := range []string{"", "Local", "Europe", "Europe/", "europe/berlin", "../UTC", "Europe/Berlin\x00"} {
		if _, err := zones.Load(name); !errors.Is(err, zones.ErrZone) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// The host's rules are not asked, whatever its environment says.
func TestTheHostIsNotAsked(t *testing.T) {
	t.Setenv("ZONEINFO", t.TempDir())
	t.Setenv("TZ", "Asia/Tokyo")
	zone, err := zones.Load("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for at, want := range map[int64]int{1_700_000_000: 3600, 1_690_000_000: 7200, 4_100_000_000: 3600} {
		if _, got := time.Unix(at, 0).In(zone).Zone(); got != want {
			t.Errorf("offset at %d is %d, want %d", at, got, want)
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := zones.Load("Europe/Berlin"); err != nil {
			b.Fatal(err)
		}
	}
}
