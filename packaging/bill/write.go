package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// The parts of CycloneDX 1.6 that a bill uses.
type (
	document struct {
		Format       string        `json:"bomFormat"`
		Spec         string        `json:"specVersion"`
		Serial       string        `json:"serialNumber"`
		Version      int           `json:"version"`
		Metadata     metadata      `json:"metadata"`
		Components   []component   `json:"components"`
		Dependencies []dependency  `json:"dependencies"`
		Compositions []composition `json:"compositions"`
	}
	metadata struct {
		Timestamp string    `json:"timestamp"`
		Tools     tools     `json:"tools"`
		Component component `json:"component"`
	}
	tools struct {
		Components []component `json:"components"`
	}
	component struct {
		Type       string     `json:"type"`
		Ref        string     `json:"bom-ref,omitempty"`
		Name       string     `json:"name"`
		Version    string     `json:"version,omitempty"`
		Scope      string     `json:"scope,omitempty"`
		Hashes     []hash     `json:"hashes,omitempty"`
		Licences   []licence  `json:"licenses,omitempty"`
		PURL       string     `json:"purl,omitempty"`
		Properties []property `json:"properties,omitempty"`
	}
	hash struct {
		Algorithm string `json:"alg"`
		Content   string `json:"content"`
	}
	licence struct {
		Expression string `json:"expression"`
	}
	property struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
	dependency struct {
		Ref       string   `json:"ref"`
		DependsOn []string `json:"dependsOn,omitempty"`
	}
	composition struct {
		Aggregate    string   `json:"aggregate"`
		Assemblies   []string `json:"assemblies,omitempty"`
		Dependencies []string `json:"dependencies,omitempty"`
	}
)

// cycloneDX writes the bill of materials. Its serial number is made of the
// binary's hash, so that it names the binary and not the moment.
func (b *bill) cycloneDX() ([]byte, error) {
	purl := func(name, version string) string { return "pkg:golang/" + strings.ToLower(name) + "@" + version }
	root := component{
		Type: "application", Ref: purl("edged", b.version), PURL: purl("edged", b.version), Name: "edged", Version: b.version,
		Hashes: []hash{{"SHA-256", fmt.Sprintf("%x", b.sum)}}, Licences: []licence{{"Apache-2.0"}},
	}
	for _, s := range b.settings {
		root.Properties = append(root.Properties, property{"go:build:" + s.Key, s.Value})
	}
	d := document{
		Format: "CycloneDX", Spec: "1.6", Serial: "urn:uuid:" + b.uuid(), Version: 1,
		Metadata: metadata{Timestamp: b.date.Format(time.RFC3339), Tools: tools{[]component{{Type: "application", Name: "edged packaging/bill", Version: b.version}}}, Component: root},
	}
	below := dependency{Ref: root.Ref}
	for _, p := range b.parts {
		c := component{Type: "library", Ref: purl(p.name, p.version), PURL: purl(p.name, p.version), Name: p.name, Version: p.version, Scope: "required", Licences: []licence{{p.licence}}}
		if p.sum != "" {
			c.Properties = []property{{"go:sum", p.sum}}
		}
		d.Components = append(d.Components, c)
		below.DependsOn = append(below.DependsOn, c.Ref)
	}
	d.Dependencies = []dependency{below}
	d.Compositions = []composition{{Aggregate: "complete", Assemblies: []string{root.Ref}}, {Aggregate: "incomplete", Dependencies: []string{root.Ref}}}
	text, err := json.MarshalIndent(d, "", "  ")
	return append(text, '\n'), err
}

// uuid is of version 8: its bits are ours to choose.
func (b *bill) uuid() string {
	u := b.sum[:16]
	return fmt.Sprintf("%x-%x-8%03x-%x-%x", u[0:4], u[4:6], (int(u[6])<<8|int(u[7]))&0xfff, []byte{u[8]&0x3f | 0x80, u[9]}, u[10:16])
}

// notices writes the licences of all parts; a text that several have comes once.
func (b *bill) notices() []byte {
	var out bytes.Buffer
	out.WriteString("edged is distributed under the Apache License 2.0. Its binary contains these parts:\n\n")
	for _, p := range b.parts {
		fmt.Fprintf(&out, "  %-55s %-45s %s\n", p.name, p.version, p.licence)
	}
	first := map[string]string{}
	for _, p := range b.parts {
		fmt.Fprintf(&out, "\n%s\n%s %s\n", strings.Repeat("=", 78), p.name, p.version)
		for _, t := range p.texts {
			name := p.name + " " + t.file
			words := strings.Join(strings.Fields(t.content), " ")
			if same := first[words]; same != "" {
				fmt.Fprintf(&out, "\n--- %s: the same text as %s\n", t.file, same)
				continue
			}
			first[words] = name
			fmt.Fprintf(&out, "\n--- %s\n\n%s\n", t.file, strings.TrimRight(t.content, "\n"))
		}
	}
	return out.Bytes()
}
