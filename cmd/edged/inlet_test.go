package main

import (
	"strings"
	"testing"
)

// TestMarkOversize: the bytes of a mark are part of journals, and a redelivery is
// recognised by them, so they must not change.
func TestMarkOversize(t *testing.T) {
	mark := markOversize(1<<20, []byte(`{"device":`))
	if want := "\x00oversize\x00\x80\x80\x40" + `{"device":`; string(mark) != want {
		t.Errorf("mark %q, want %q", mark, want)
	}
	if poison := oversizePoison(mark); poison.Cause != "oversize" || !strings.Contains(poison.Detail, "1048576 bytes") {
		t.Errorf("poison %+v", poison)
	}
}
