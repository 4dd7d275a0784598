package query

import (
	"bytes"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Limits of a document.
const (
	DocumentBytesMax = 1 << 20
	DocumentDepthMax = 32
	PipelinesMax     = 256
	TablesMax        = 64
)

// Document is a configuration file, read but not compiled.
type Document struct {
	File string

	// Settings is the settings section with its environment variables filled in:
	// a mapping, or nil when there is none. It is not checked.
	Settings *yaml.Node

	Tables []TableSpec

	// Pipelines may be empty.
	Pipelines []PipelineSpec
}

// Parse reads a document. file names it in errors; lookup gives the values of
// environment variables. The error is an [Errors] that holds every fault found.
//
// An empty text is a document without pipelines.
func Parse(file string, text []byte, lookup func(name string) (string, bool)) (*Document, error) {
	r := &reader{file: file, schema: schema{Schema()}, lines: strings.Split(string(text), "\n")}
	return r.document(text, lookup)
}

// ParseDrive reads a document for a run in which the caller brings the events: a
// pipeline may then leave out source, key, event_time and outputs, and without
// fields it has the number "value".
func ParseDrive(file string, text []byte, lookup func(name string) (string, bool)) (*Document, error) {
	r := &reader{file: file, schema: schema{Schema()}, lines: strings.Split(string(text), "\n"), Lenient: true}
	return r.document(text, lookup)
}

func (r *reader) document(text []byte, lookup func(name string) (string, bool)) (*Document, error) {
	doc := &Document{File: r.file}
	root := r.parse(text)
	if root == nil {
		return doc, r.errors.Err()
	}
	r.prepare(root, 1, lookup)
	if len(r.errors) > 0 {
		return doc, r.errors.Err()
	}
	o := r.object(root, "")
	doc.Settings = o.value("settings")
	o.list("tables", func(item *yaml.Node, path string) {
		if len(doc.Tables) == TablesMax {
			r.fault(positionOf(item), path, "", "there are more than %d tables", TablesMax)
			return
		}
		t := r.table(item, path)
		for i, other := range doc.Tables {
			if other.Name == t.Name && t.Name != "" {
				r.fault(positionOf(item), join(path, "name"), "", "%q is also the name of %s", t.Name, indexed("tables", i))
			}
		}
		doc.Tables = append(doc.Tables, t)
	})
	o.list("pipelines", func(item *yaml.Node, path string) {
		if len(doc.Pipelines) == PipelinesMax {
			r.fault(positionOf(item), path, "", "there are more than %d pipelines", PipelinesMax)
			return
		}
		spec := r.pipeline(item, path)
		for _, other := range doc.Pipelines {
			if other.Name == spec.Name && spec.Name != "" {
				r.fault(spec.where.at("name"), join(path, "name"), "", "%q is also the name of %s", spec.Name, other.where.path)
			}
		}
		doc.Pipelines = append(doc.Pipelines, spec)
	})
	return doc, r.errors.Err()
}

// parse returns the root of the tree, and nil when there is none or a fault was
// reported.
func (r *reader) parse(text []byte) *yaml.Node {
	if len(text) > DocumentBytesMax {
		r.fault(position{}, "", "", "is %d bytes long, more than %d", len(text), DocumentBytesMax)
		return nil
	}
	var doc, second yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	err := decoder.Decode(&doc)
	if err == io.EOF {
		return nil
	}
	if err != nil {
		r.syntax(err)
		return nil
	}
	if err := decoder.Decode(&second); err != io.EOF {
		r.fault(positionOf(&second), "", "write one document per file", "a second document begins after ---")
		return nil
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		return nil
	}
	if root := doc.Content[0]; root.Kind != yaml.ScalarNode || root.ShortTag() != "!!null" {
		return root
	}
	return nil
}

// syntax reports an error of the YAML parser, which knows the line at most.
func (r *reader) syntax(err error) {
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	var at position
	if m := regexp.MustCompile(`^line (\d+): `).FindStringSubmatch(message); m != nil {
		line, _ := strconv.Atoi(m[1])
		at = position{line, 1}
		message = message[len(m[0]):]
	}
	r.fault(at, "", "", "is not YAML: %s", message)
}

// prepare checks the shape of the tree below n and fills in the environment.
func (r *reader) prepare(n *yaml.Node, depth int, lookup func(string) (string, bool)) {
	switch {
	case depth > DocumentDepthMax:
		r.fault(positionOf(n), "", "", "is nested more than %d deep", DocumentDepthMax)
		return
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		r.fault(positionOf(n), "", "write the value where it is used", "anchors (&) and aliases (*) are not supported")
		return
	case n.Kind == yaml.ScalarNode:
		r.fill(n, lookup)
		return
	}
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			if child.Kind != yaml.ScalarNode {
				r.fault(positionOf(child), "", "", "a key must be a word, but is %s", describe(child))
			}
			continue
		}
		r.prepare(child, depth+1, lookup)
	}
}

// fill replaces ${NAME} in a scalar. What stands without quotes gets its type
// from the value that was filled in.
func (r *reader) fill(n *yaml.Node, lookup func(string) (string, bool)) {
	if !strings.Contains(n.Value, "${") {
		return
	}
	value, at, wrong := interpolate(n.Value, lookup)
	if wrong != "" {
		w := where{lines: r.lines, places: map[string]position{"": positionOf(n)}}
		r.fault(w.within("", n.Value, utf8.RuneCountInString(n.Value[:at])), "", "", "%s", wrong)
		return
	}
	n.Value = value
	if n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle|yaml.TaggedStyle) == 0 {
		n.Tag = ""
	}
}
