package zones

import (
	"archive/zip"
	_ "embed" // for the archive
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Version is the release of the IANA Time Zone Database that this package carries.
const Version = "2025c"

// ErrZone says that there is no time zone of that name.
var ErrZone = errors.New("unknown time zone")

//go:embed zoneinfo.zip
var archive string

// Load returns the rules of the zone with that IANA name, such as "Europe/Berlin"
// or "UTC". Errors wrap [ErrZone]. It unpacks the zone each time: keep the result.
func Load(name string) (*time.Location, error) {
	data, err := unpack(name)
	if err != nil {
		return nil, fmt.Errorf("load %q: %w; use a name of the IANA database (release %s), such as Europe/Berlin or UTC", name, ErrZone, Version)
	}
	zone, err := time.LoadLocationFromTZData(name, data)
	if err != nil {
		return nil, fmt.Errorf("load %q from release %s: %w: %v", name, Version, ErrZone, err)
	}
	return zone, nil
}

// Names returns the names of all zones, sorted.
func Names() ([]string, error) {
	files, err := zip.NewReader(strings.NewReader(archive), int64(len(archive)))
	if err != nil {
		return nil, fmt.Errorf("open the time zones of release %s: %w", Version, err)
	}
	var names []string
	for _, f := range files.File {
		if !strings.HasSuffix(f.Name, "/") {
			names = append(names, f.Name)
		}
	}
	return names, nil
}

// unpack returns the stored rules of a zone.
func unpack(name string) ([]byte, error) {
	files, err := zip.NewReader(strings.NewReader(archive), int64(len(archive)))
	if err != nil {
		return nil, err
	}
	for _, f := range files.File {
		if f.Name != name || strings.HasSuffix(name, "/") {
			continue
		}
		r, err := f.Open()
		if err != nil {
			return nil, err
		}
		defer r.Close()
		return io.ReadAll(r)
	}
	return nil, ErrZone
}
