package trust

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// ErrAudience says that something is meant for other gateways.
var ErrAudience = errors.New("trust: meant for other gateways")

// ErrSelector says that a text is no selector.
var ErrSelector = errors.New("trust: not a selector")

// Limits of selectors and names.
const (
	SelectorBytesMax = 512
	NameBytesMax     = 64
)

// Gateway is what a gateway knows of itself.
type Gateway struct {
	Fleet    string
	ID       string
	Instance string            // of its data; another one means cloned or wiped
	Labels   map[string]string // from provisioning
}

// CheckName returns an error unless the text can name a fleet, a gateway or a
// group: 1 to 64 of A-Z a-z 0-9 _ and -, the first a letter or a digit.
func CheckName(text string) error {
	if !name.MatchString(text) {
		return fmt.Errorf("%q is no name: want 1 to %d of A-Z a-z 0-9 _ -, first a letter or digit", clip(text), NameBytesMax)
	}
	return nil
}

var name = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)

// clip shortens what others have written, for an error.
func clip(text string) string {
	if len(text) > NameBytesMax {
		return strings.ToValidUTF8(text[:NameBytesMax], "") + "…"
	}
	return text
}

// Audience says which gateways a signed document is meant for: one, or those that a
// selector selects.
type Audience struct {
	Fleet    string `json:"fleet"`
	Gateway  string `json:"gw,omitempty"`
	Instance string `json:"instance,omitempty"` // with Gateway: only this instance of it
	Selector string `json:"selector,omitempty"`
}

// Check returns an error if the audience is not complete, or contradicts itself.
func (a Audience) Check() error {
	if err := CheckName(a.Fleet); err != nil {
		return fmt.Errorf("aud.fleet: %w", err)
	}
	switch {
	case (a.Gateway == "") == (a.Selector == ""):
		return errors.New("aud: want either gw or selector")
	case a.Instance != "" && a.Gateway == "":
		return errors.New("aud.instance: only together with gw")
	case a.Selector != "":
		if _, err := ParseSelector(a.Selector); err != nil {
			return fmt.Errorf("aud.selector: %w", err)
		}
		return nil
	}
	if err := CheckName(a.Gateway); err != nil {
		return fmt.Errorf("aud.gw: %w", err)
	}
	return nil
}

// Includes returns an error that wraps [ErrAudience] if g is not meant.
func (a Audience) Includes(g Gateway) error {
	switch {
	case a.Fleet != g.Fleet:
		return fmt.Errorf("%w: of fleet %q, this is %q", ErrAudience, clip(a.Fleet), g.Fleet)
	case a.Gateway != "" && a.Gateway != g.ID:
		return fmt.Errorf("%w: %q, this is %q", ErrAudience, clip(a.Gateway), g.ID)
	case a.Instance != "" && a.Instance != g.Instance:
		return fmt.Errorf("%w: instance %q, this is %q", ErrAudience, clip(a.Instance), g.Instance)
	case a.Gateway != "":
		return nil
	}
	s, err := ParseSelector(a.Selector)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrAudience, err)
	}
	if !s.Selects(g.Labels) {
		return fmt.Errorf("%w: those with %s", ErrAudience, a.Selector)
	}
	return nil
}

// Selector is a condition on labels. The zero value selects nothing.
type Selector struct {
	all   bool
	terms []term
}

// term is one condition: the label has the value, or exists; or not.
type term struct {
	label, value string
	exists, not  bool
}

var labelPart = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_./-]{0,63}$`)

// ParseSelector reads terms that are separated by commas: label=value,
// label!=value, label, !label; or * alone. An error wraps [ErrSelector].
func ParseSelector(text string) (Selector, error) {
	if len(text) > SelectorBytesMax {
		return Selector{}, fmt.Errorf("%w: %d bytes are more than %d", ErrSelector, len(text), SelectorBytesMax)
	}
	if text == "*" {
		return Selector{all: true}, nil
	}
	var s Selector
	for part := range strings.SplitSeq(text, ",") {
		t := parseTerm(part)
		if !labelPart.MatchString(t.label) || !t.exists && !labelPart.MatchString(t.value) {
			return Selector{}, fmt.Errorf("%w: term %q is none of label=value, label!=value, label, !label", ErrSelector, clip(part))
		}
		s.terms = append(s.terms, t)
	}
	return s, nil
}

// parseTerm splits a term; its parts are not checked.
func parseTerm(text string) term {
	if label, value, ok := strings.Cut(text, "!="); ok {
		return term{label: label, value: value, not: true}
	}
	if label, value, ok := strings.Cut(text, "="); ok {
		return term{label: label, value: value}
	}
	label, not := strings.CutPrefix(text, "!")
	return term{label: label, exists: true, not: not}
}

// Selects reports whether labels fulfil all terms. A label that is missing is
// different from every value.
func (s Selector) Selects(labels map[string]string) bool {
	for _, t := range s.terms {
		value, exists := labels[t.label]
		if holds := exists && (t.exists || value == t.value); holds == t.not {
			return false
		}
	}
	return s.all || len(s.terms) > 0
}
