package equality

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"edged/actors"
	"edged/query"
)

//go:embed testdata
var files embed.FS

// Case is one document, with the reference tables that it names.
type Case struct {
	Name   string
	Text   []byte
	Tables []actors.Table

	lookups bool
}

// Cases returns all documents in the order of their names.
func Cases() ([]*Case, error) {
	names, err := fs.Glob(files, "testdata/*.yaml")
	if err != nil {
		return nil, fmt.Errorf("list the documents: %w", err)
	}
	var all []*Case
	for _, name := range names {
		text, err := files.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read a document: %w", err)
		}
		c := &Case{Name: strings.TrimSuffix(path.Base(name), ".yaml"), Text: text}
		doc, err := c.parse()
		if err != nil {
			return nil, err
		}
		for _, t := range doc.Tables {
			content, err := files.ReadFile(path.Join("testdata", t.File))
			if err != nil {
				return nil, fmt.Errorf("read the table %s: %w", t.Name, err)
			}
			c.Tables = append(c.Tables, actors.Table{Name: t.Name, Content: content})
		}
		plans, err := doc.Compile(true)
		if err != nil {
			return nil, err
		}
		c.lookups = len(c.Tables) > 0
		for _, p := range plans {
			if name, content, ok := p.OwnTable(); ok {
				c.Tables = append(c.Tables, actors.Table{Name: name, Content: content})
			}
		}
		all = append(all, c)
	}
	return all, nil
}

// parse reads the document.
func (c *Case) parse() (*query.Document, error) {
	return query.Parse(c.Name+".yaml", c.Text, func(string) (string, bool) { return "", false })
}

// Pipelines compiles the document for one engine, or one fold, and returns the
// streams that its results go to.
func (c *Case) Pipelines() (all []actors.Pipeline, streams []string, err error) {
	doc, err := c.parse()
	if err != nil {
		return nil, nil, err
	}
	plans, err := doc.Compile(false)
	if err != nil {
		return nil, nil, err
	}
	for _, p := range plans {
		all = append(all, pipeline{p})
		if len(p.Outputs()) > 0 {
			streams = append(streams, p.Stream())
		}
		if len(p.LateOutputs()) > 0 {
			streams = append(streams, p.LateStream())
		}
		if len(p.AlarmOutputs()) > 0 {
			streams = append(streams, p.AlarmStream())
		}
	}
	return all, streams, nil
}

// joined reports whether some pipeline of the document has two inputs.
func (c *Case) joined() bool { return strings.Contains(string(c.Text), "streams:") }

// Replayable reports whether edged replay can run the document on a file: it knows
// neither reference tables nor topics, by which the inputs of a join are told apart.
func (c *Case) Replayable() bool { return !c.joined() && !c.lookups }
