package edgedtest

import (
	"fmt"
	"slices"
	"strings"

	"edged/query"
)

// Open makes a driver of the pipelines of a document, or of those that are named.
// file stands in errors only; nothing is read. Environment variables in the
// document have their defaults. The error joins all faults of the document.
func Open(file string, text []byte, names ...string) (*Driver, error) {
	doc, err := query.ParseDrive(file, text, func(string) (string, bool) { return "", false })
	if err != nil {
		return nil, err
	}
	if len(doc.Pipelines) == 0 {
		return nil, fmt.Errorf("%s: has no pipelines; a document begins with pipelines: and a list", file)
	}
	if err := known(doc, names); err != nil {
		return nil, err
	}
	if len(names) > 0 {
		wanted := withUpstreams(doc, names)
		doc.Pipelines = slices.DeleteFunc(doc.Pipelines, func(s query.PipelineSpec) bool { return !wanted[s.Name] })
	}
	units, err := newUnits(doc)
	if err != nil {
		return nil, err
	}
	return newDriver(units)
}

// known refuses names of pipelines that the document does not have.
func known(doc *query.Document, names []string) error {
	var all []string
	for i := range doc.Pipelines {
		all = append(all, doc.Pipelines[i].Name)
	}
	for _, name := range names {
		if !slices.Contains(all, name) {
			return fmt.Errorf("%s: there is no pipeline %q%s", doc.File, name, because(query.Suggest(name, all), "it has "+strings.Join(all, ", ")))
		}
	}
	return nil
}

// withUpstreams returns the names and those of all pipelines that these need.
func withUpstreams(doc *query.Document, names []string) map[string]bool {
	wanted := map[string]bool{}
	for _, name := range names {
		wanted[name] = true
	}
	for range doc.Pipelines { // each round finds at least one stage more
		for i := range doc.Pipelines {
			if spec := &doc.Pipelines[i]; wanted[spec.Name] && spec.Upstream() != "" {
				wanted[spec.Upstream()] = true
			}
		}
	}
	return wanted
}

// Tables returns the reference tables that a document names: what a caller reads
// and hands to [Driver.Table].
func Tables(file string, text []byte) ([]query.TableSpec, error) {
	doc, err := query.ParseDrive(file, text, func(string) (string, bool) { return "", false })
	if err != nil {
		return nil, err
	}
	return doc.Tables, nil
}
