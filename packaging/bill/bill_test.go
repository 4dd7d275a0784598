package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"time"
)

const (
	mit = "Permission is hereby granted, free of charge, to any person obtaining a copy"
	bsd = "Redistribution and use in source and binary forms, with or without modification, are permitted"
)

func TestJudge(t *testing.T) {
	for _, c := range []struct{ module, text, want, fault string }{
		{"a", "MIT License\n" + mit, "MIT", ""},
		{"a", "Apache License\n  Version 2.0, January 2004", "Apache-2.0", ""},
		{"a", bsd + " provided that", "BSD-2-Clause", ""},
		{"a", bsd + ": may be used to endorse or\npromote products", "BSD-3-Clause", ""},
		{"a", "Permission to use, copy, modify, and/or\ndistribute this software", "ISC", ""},
		{"a", mit + "\nApache License\nVersion 2.0", "Apache-2.0 AND MIT", ""},
		{"github.com/eclipse/paho.mqtt.golang", "Eclipse Public License", "EPL-2.0 OR BSD-3-Clause", ""},
		{"a", "GNU GENERAL PUBLIC LICENSE " + mit, "", "GNU GENERAL PUBLIC"},
		{"a", "Mozilla Public License Version 2.0", "", "Mozilla"},
		{"a", "all rights reserved", "", "not recognised"},
		{"a", "", "", "not recognised"},
	} {
		got, err := judge(c.module, c.text)
		if got != c.want || (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%.40q: got %q, %v", c.text, got, err)
		}
	}
}

// TestBill writes the bill of a made-up binary, over real files.
func TestBill(t *testing.T) {
	cache, root := t.TempDir(), t.TempDir()
	write := func(text string, path ...string) {
		name := filepath.Join(path...)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(bsd+" endorse or promote", root, "LICENSE")
	write(mit, cache, "example.org", "!big", "thing@v1.0.0", "LICENSE")
	write("made by people", cache, "example.org", "!big", "thing@v1.0.0", "NOTICE.txt")
	write("package license", cache, "example.org", "!big", "thing@v1.0.0", "license.go")
	write(mit, cache, "example.org", "small@v2.0.0", "COPYING")
	info := &debug.BuildInfo{GoVersion: "go1.26.0", Deps: []*debug.Module{
		{Path: "example.org/Big/thing", Version: "v1.0.0", Sum: "h1:abc="},
		{Path: "example.org/gone", Version: "v0.0.0", Replace: &debug.Module{Path: "example.org/small", Version: "v2.0.0"}},
	}}
	parts, err := collect(info, places{cache, root})
	if err != nil {
		t.Fatal(err)
	}
	b := bill{version: "1.2.3", date: time.Unix(1_800_000_000, 0).UTC(), sum: [32]byte{1, 2, 3}, parts: parts}
	text, err := b.cycloneDX()
	if err != nil {
		t.Fatal(err)
	}
	var d document
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	if len(d.Components) != 3 || d.Components[1].PURL != "pkg:golang/example.org/big/thing@v1.0.0" || d.Components[1].Licences[0].Expression != "MIT" ||
		d.Components[2].Name != "example.org/small" || len(d.Dependencies[0].DependsOn) != 3 || d.Serial != "urn:uuid:01020300-0000-8000-8000-000000000000" {
		t.Errorf("the bill is %s", text)
	}
	notices := string(b.notices())
	for _, want := range []string{"made by people", "COPYING: the same text as example.org/Big/thing LICENSE"} {
		if !strings.Contains(notices, want) {
			t.Errorf("no %q in %s", want, notices)
		}
	}
	if strings.Contains(notices, "package license") {
		t.Error("source code counts as a licence")
	}
	again, err := b.cycloneDX()
	if err != nil || !bytes.Equal(text, again) || notices != string(b.notices()) {
		t.Errorf("written twice it differs: %v", err)
	}
	write("all rights reserved", cache, "example.org", "small@v2.0.0", "COPYING")
	if _, err := collect(info, places{cache, root}); err == nil || !strings.Contains(err.Error(), "example.org/small") {
		t.Errorf("an unknown licence: %v", err)
	}
}
