package configs

import (
	"fmt"
	"strings"

	"edged/mqtt/codec"
	"edged/query"
)

// Reference returns docs/configuration.md, printed from the tables that the
// loaders use.
func Reference() string {
	var b strings.Builder
	b.WriteString(referenceHead)
	b.WriteString("## Settings\n\n" + settingsText)
	b.WriteString("| key | default | values | environment |\n|---|---|---|---|\n")
	list := table(&Settings{})
	for _, s := range list {
		value := code(s.value)
		if s.secret {
			value = ""
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | `%s` |\n", s.path, value, cell(s.kind()), s.env())
	}
	b.WriteString("\n")
	for _, s := range list {
		fmt.Fprintf(&b, "- `%s`: %s%s\n", s.path, s.doc, s.bounds())
	}
	b.WriteString("\n## Pipelines\n\n" + pipelinesText)
	b.WriteString("| key | default | values |\n|---|---|---|\n")
	for _, k := range query.Schema() {
		if k.Path != "settings" {
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", k.Path, code(k.Default), cell(k.Type))
		}
	}
	b.WriteString("\n")
	for _, k := range query.Schema() {
		if k.Path != "settings" {
			fmt.Fprintf(&b, "- `%s`: %s\n", k.Path, k.Doc)
		}
	}
	b.WriteString("\n## Why an event is refused\n\n" + causesText)
	b.WriteString("| cause | meaning |\n|---|---|\n")
	for _, c := range codec.Causes() {
		fmt.Fprintf(&b, "| `%s` | %s |\n", c.Name, c.Meaning)
	}
	fmt.Fprintf(&b, "| `%s` | The filter or a computed field fails, or its result is not finite. |\n", query.CauseExpression)
	fmt.Fprintf(&b, "| `%s` | Its time is further ahead of the gateway's clock than `event_time.ahead_max`, and `ahead` is dead_letter. |\n", query.CauseFuture)
	fmt.Fprintf(&b, "| `%s` | A reference table has no such row, and `missing` is dead_letter. |\n", query.CauseLookup)
	return b.String()
}

func code(s string) string {
	switch s {
	case "", query.Required:
		return s
	}
	return "`" + s + "`"
}

// cell writes the bar that would end a table's cell as an entity.
func cell(s string) string { return strings.ReplaceAll(s, "|", " &#124; ") }

// bounds says within what a number, size or duration must be.
func (s *setting) bounds() string {
	least, most := "", ""
	switch s.to.(type) {
	case *int:
		least, most = fmt.Sprint(s.least), fmt.Sprint(s.most)
	case *Bytes:
		least, most = FormatBytes(Bytes(s.least)), FormatBytes(Bytes(s.most))
	default:
		if s.kind() != "duration" {
			return ""
		}
		least, most = duration(s.least), duration(s.most)
	}
	switch {
	case s.most != 0:
		return fmt.Sprintf(" From %s to %s.", least, most)
	case s.least != 0:
		return fmt.Sprintf(" At least %s.", least)
	}
	return ""
}
