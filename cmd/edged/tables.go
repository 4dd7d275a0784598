package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"edged/actors"
	"edged/query"
)

// tableInterval is how often the files of reference tables are looked at.
const tableInterval = 5 * time.Second

// tableFiles is the reference tables of a configuration, and what was last read
// of them.
type tableFiles struct {
	specs []query.TableSpec
	seen  []os.FileInfo
	log   *slog.Logger

	loaded, failed atomic.Int64
}

// openTables reads the reference tables of a configuration, and adds those that its
// pipelines have of their own. A table that cannot be used is an error: a gateway
// should not start by finding no row for any device. Tables have one content for all that
// runs: that of the configuration that speaks.
func openTables(r *roles, log *slog.Logger) (*tableFiles, []actors.Table, error) {
	var specs []query.TableSpec
	for _, s := range r.all() {
		for _, spec := range s.doc.Tables {
			if !slices.ContainsFunc(specs, func(other query.TableSpec) bool { return other.Name == spec.Name }) {
				spec.File = tablePath(s.doc.File, spec.File)
				specs = append(specs, spec)
			}
		}
	}
	f := &tableFiles{specs: specs, seen: make([]os.FileInfo, len(specs)), log: log}
	var tables []actors.Table
	var faults []error
	for _, s := range r.all() {
		for _, p := range s.plans {
			name, content, ok := p.OwnTable()
			if ok && !slices.ContainsFunc(tables, func(t actors.Table) bool { return t.Name == name }) {
				tables = append(tables, actors.Table{Name: name, Content: content})
			}
		}
	}
	for i := range specs {
		table, _, err := f.read(i)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		tables = append(tables, table)
		f.loaded.Add(1)
	}
	return f, tables, failed(exitConfig, errors.Join(faults...))
}

// tablePath returns where the file of a table is: a relative path starts at the
// folder of the document that names it.
func tablePath(document, file string) string {
	if filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(filepath.Dir(document), file)
}

// read reads a table if its file has changed since it was last read.
func (f *tableFiles) read(i int) (table actors.Table, changed bool, err error) {
	spec := &f.specs[i]
	file, err := os.Open(spec.File)
	if err != nil {
		return table, false, fmt.Errorf("table %s: %w", spec.Name, err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return table, false, fmt.Errorf("table %s: %w", spec.Name, err)
	}
	if was := f.seen[i]; was != nil && os.SameFile(was, info) && was.ModTime().Equal(info.ModTime()) && was.Size() == info.Size() {
		return table, false, nil
	}
	content, err := io.ReadAll(io.LimitReader(file, query.TableBytesMax+1))
	if err != nil {
		return table, false, fmt.Errorf("table %s: read %s: %w", spec.Name, spec.File, err)
	}
	f.seen[i] = info
	if _, err := spec.Rows(content); err != nil {
		return table, false, err
	}
	return actors.Table{Name: spec.Name, Content: bytes.Clone(content)}, true, nil
}

// watch loads tables whose files change until ctx ends. A file that cannot be used
// leaves the table as it is, and is reported once.
func (f *tableFiles) watch(ctx context.Context, engine *actors.Engine) error {
	if len(f.specs) == 0 {
		return nil
	}
	ticker := time.NewTicker(tableInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if err := f.refresh(ctx, engine); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// refresh looks at every file once.
func (f *tableFiles) refresh(ctx context.Context, engine *actors.Engine) error {
	for i := range f.specs {
		seen := f.seen[i]
		table, changed, err := f.read(i)
		switch {
		case err != nil && (seen == nil || f.seen[i] != seen || f.missing(i)):
			f.failed.Add(1)
			f.log.Warn("a reference table cannot be loaded; the one before stays in use", "err", err)
		case changed:
			if err := engine.LoadTable(ctx, table); err != nil {
				return err
			}
			f.loaded.Add(1)
			f.log.Info("reference table loaded", "table", table.Name, "bytes", len(table.Content))
		}
	}
	return nil
}

// missing notes that a file has gone, and reports whether that is news.
func (f *tableFiles) missing(i int) bool {
	if _, err := os.Stat(f.specs[i].File); err == nil || f.seen[i] == nil {
		return false
	}
	f.seen[i] = nil
	return true
}
