package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// writeDurable replaces a file with a text, so that after a crash there is the old
// one or the new one, whole, and the new one once it has returned. Two processes may do
// so at once: one of them is the last.
func writeDurable(path string, text []byte) error {
	dir := filepath.Dir(path)
	file, err := os.CreateTemp(dir, "."+filepath.Base(path)+"-*") // 0600
	if err != nil {
		return failed(exitStore, fmt.Errorf("write %s: %w", path, err))
	}
	_, err = file.Write(text)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err == nil {
		err = syncDir(dir)
	}
	if err != nil {
		// What is left of it is no harm, and the first error is the one to tell.
		_ = os.Remove(file.Name())
		return failed(exitStore, fmt.Errorf("write %s: %w", path, err))
	}
	return nil
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
