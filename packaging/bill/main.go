// Command bill says what is in a binary of edged: a bill of materials in the form
// of CycloneDX, and the licences and notices that come with the modules.
//
// It reads the build information that the Go linker leaves in every binary, so it
// lists what is linked and not what go.mod mentions. Texts of licences come from
// the module cache.
//
// # Guarantees
//
// Equal binaries and equal dates give equal bytes. A module whose licence is not
// recognised, or not one that may be linked into edged, is an error.
//
// # Caveats
//
// Build information has no graph: all modules stand directly below edged. The
// licence of a module is that of the files in its root.
package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
	"unicode"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bill:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	flags := flag.NewFlagSet("bill", flag.ContinueOnError)
	binary := flags.String("binary", "", "the binary to describe")
	version := flags.String("version", "", "its version")
	epoch := flags.Int64("epoch", 0, "its date, in seconds since 1970")
	sbom := flags.String("sbom", "", "where to write the bill of materials")
	notices := flags.String("notices", "", "where to write licences and notices")
	if err := flags.Parse(args); err != nil {
		return err
	}
	info, err := buildinfo.ReadFile(*binary)
	if err != nil {
		return fmt.Errorf("%w; give a binary that go build wrote", err)
	}
	content, err := os.ReadFile(*binary)
	if err != nil {
		return err
	}
	places, err := goPlaces()
	if err != nil {
		return err
	}
	parts, err := collect(info, places)
	if err != nil {
		return err
	}
	b := bill{version: *version, date: time.Unix(*epoch, 0).UTC(), sum: sha256.Sum256(content), settings: info.Settings, parts: parts}
	text, err := b.cycloneDX()
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(*sbom, text, 0o644), os.WriteFile(*notices, b.notices(), 0o644))
}

// places is where the texts of licences are.
type places struct{ cache, root string }

func goPlaces() (p places, err error) {
	out, err := exec.Command("go", "env", "GOMODCACHE", "GOROOT").Output()
	if err != nil {
		return p, fmt.Errorf("go env: %w", err)
	}
	lines := strings.Split(string(out), "\n")
	return places{cache: lines[0], root: lines[1]}, nil
}

// bill is all that is known about a binary.
type bill struct {
	version  string
	date     time.Time
	sum      [sha256.Size]byte
	settings []debug.BuildSetting
	parts    []part
}

// part is one module that is linked, or the standard library.
type part struct {
	name, version string
	sum           string // of go.sum
	licence       string // in the words of SPDX
	texts         []text
}

// text is a file of a module that must go where the module goes.
type text struct{ file, content string }

// collect lists the standard library and the modules of a binary, in the order of
// the build information, which is that of their names.
func collect(info *debug.BuildInfo, p places) ([]part, error) {
	std := part{name: "std", version: strings.TrimPrefix(info.GoVersion, "go")}
	all := []part{std}
	folders := []string{p.root}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		all = append(all, part{name: m.Path, version: m.Version, sum: m.Sum})
		folders = append(folders, filepath.Join(p.cache, filepath.FromSlash(escape(m.Path))+"@"+escape(m.Version)))
	}
	var faults []error
	for i := range all {
		faults = append(faults, all[i].read(folders[i]))
	}
	return all, errors.Join(faults...)
}

// escape writes capitals as the module cache does: !a for A.
func escape(path string) string {
	var b strings.Builder
	for _, r := range path {
		if unicode.IsUpper(r) {
			b.WriteByte('!')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// read collects the texts of a module and judges its licence.
func (p *part) read(folder string) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return fmt.Errorf("%s: %w; build the binary on this machine first", p.name, err)
	}
	var licences []string
	for _, e := range entries {
		if e.IsDir() || !legal(e.Name()) {
			continue
		}
		content, err := os.ReadFile(filepath.Join(folder, e.Name()))
		if err != nil {
			return err
		}
		p.texts = append(p.texts, text{e.Name(), strings.ReplaceAll(string(content), "\r\n", "\n")})
		if !isNotice(e.Name()) {
			licences = append(licences, string(content))
		}
	}
	p.licence, err = judge(p.name, strings.Join(licences, "\n"))
	return err
}

// legal reports whether the name of a file is that of a licence or a notice.
func legal(name string) bool {
	upper := strings.ToUpper(name)
	for _, begin := range []string{"LICENSE", "LICENCE", "COPYING", "UNLICENSE", "NOTICE", "PATENTS", "EDL-", "EPL-"} {
		if strings.HasPrefix(upper, begin) && !strings.HasSuffix(upper, ".GO") {
			return true
		}
	}
	return false
}

func isNotice(name string) bool {
	upper := strings.ToUpper(name)
	return strings.HasPrefix(upper, "NOTICE") || strings.HasPrefix(upper, "PATENTS")
}

// chosen are modules with a choice of licences, and what SPDX says of them.
func chosen(module string) string {
	if module == "github.com/eclipse/paho.mqtt.golang" {
		return "EPL-2.0 OR BSD-3-Clause" // its second licence is EDL 1.0, which is that text
	}
	return ""
}

// judge recognises licences by their words. All that it recognises may be linked
// into edged; anything else needs a person.
func judge(module, text string) (string, error) {
	if licence := chosen(module); licence != "" {
		return licence, nil
	}
	text = strings.Join(strings.Fields(text), " ")
	has := func(words string) bool { return strings.Contains(text, words) }
	var found []string
	if has("Apache License") && has("Version 2.0") {
		found = append(found, "Apache-2.0")
	}
	if has("Redistribution and use in source and binary forms") {
		if has("endorse or promote") {
			found = append(found, "BSD-3-Clause")
		} else {
			found = append(found, "BSD-2-Clause")
		}
	}
	if has("Permission to use, copy, modify, and/or distribute this software") || has("Permission to use, copy, modify, and distribute this software") {
		found = append(found, "ISC")
	}
	if has("Permission is hereby granted, free of charge") {
		found = append(found, "MIT")
	}
	if has("free and unencumbered software released into the public domain") {
		found = append(found, "Unlicense")
	}
	for _, other := range []string{"GNU GENERAL PUBLIC", "GNU LESSER GENERAL PUBLIC", "GNU AFFERO", "Mozilla Public License", "Business Source License", "Server Side Public License", "Commons Clause"} {
		if has(other) {
			return "", fmt.Errorf("%s: its licence names %s, which is not among those that may be linked; leave the module out, or have somebody judge it", module, strconv.Quote(other))
		}
	}
	if len(found) == 0 {
		return "", fmt.Errorf("%s: its licence is not recognised; read it, and add its words to packaging/bill", module)
	}
	return strings.Join(found, " AND "), nil
}
