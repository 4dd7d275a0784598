package persistence

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
)

// The two meta pages of bbolt, at the start of page 0 and page 1, say how many
// pages the file has. They are written in the machine's byte order.
const (
	boltPageHead  = 16
	boltMetaBytes = 64 // of which the last 8 are an FNV-1a of the others
	boltMagic     = 0xED0CDAED
	boltPageMin   = 1 << 10
	boltPageMax   = 1 << 24
)

// checkFile makes sure that the database file is as long as its meta pages say.
// bbolt maps the file without asking, and touching a page behind the end of the
// file kills the process. A file that another process is growing passes: it is
// longer before its meta pages say so.
func checkFile(path string) (err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w: the file is missing, but %s says that there is a store: restore both from a backup, or remove %s to begin anew",
			path, ErrCorrupt, identityFile, identityFile)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	want := fileBytesWanted(f)
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if want == 0 {
		return fmt.Errorf("%s: %w: %d bytes without an intact meta page of a database", path, ErrCorrupt, info.Size())
	}
	if uint64(info.Size()) < want {
		return fmt.Errorf("%s: %w: the file has %d bytes of %d: it was cut off", path, ErrCorrupt, info.Size(), want)
	}
	return nil
}

// fileBytesWanted returns the length that the newest intact meta page asks for,
// or 0 when there is none.
func fileBytesWanted(f *os.File) uint64 {
	var want, newest uint64
	try := func(at int64) (page int64) {
		pageSize, pages, tx, ok := readMeta(f, at)
		if ok && (want == 0 || tx > newest) {
			want, newest = pages*uint64(pageSize), tx
		}
		return pageSize
	}
	if page := try(0); page > 0 {
		try(page)
		return want
	}
	for at := int64(boltPageMin); at <= boltPageMax && want == 0; at *= 2 {
		try(at)
	}
	return want
}

// readMeta reads the meta page at an offset.
func readMeta(f *os.File, at int64) (pageSize int64, pages, tx uint64, ok bool) {
	var page [boltPageHead + boltMetaBytes]byte
	if _, err := f.ReadAt(page[:], at); err != nil {
		return 0, 0, 0, false
	}
	meta, order := page[boltPageHead:], binary.NativeEndian
	sum := fnv.New64a()
	sum.Write(meta[:boltMetaBytes-8])
	if order.Uint32(meta) != boltMagic || order.Uint64(meta[boltMetaBytes-8:]) != sum.Sum64() {
		return 0, 0, 0, false
	}
	pageSize = int64(order.Uint32(meta[8:]))
	if pageSize < boltPageMin || pageSize > boltPageMax {
		return 0, 0, 0, false
	}
	return pageSize, order.Uint64(meta[40:]), order.Uint64(meta[48:]), true
}
