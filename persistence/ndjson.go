package persistence

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"edged"
)

// ErrNotRunning says that an output was sent rows before its Run had begun, or
// after it had ended.
var ErrNotRunning = errors.New("output is not running")

// ndjsonWindow is how much of a file's end is written at once and, so, checked
// at most when the file is opened: a crash damages what was not synced yet.
const ndjsonWindow = 1 << 20

// NDJSON is an output that appends the payload of each row as one line of JSON
// to a file. It gives exactly once over crashes: the payload carries the number
// of its row as the member "seq", so that the file itself says how far it is. A
// row is confirmed when it is on stable storage.
//
// The file belongs to one stream and one process. Where rows are missing in it,
// because it was moved away or damaged, the numbers show a gap.
type NDJSON struct {
	mu        sync.Mutex
	file      *os.File
	last      uint64 // row of the last line
	buf       []byte
	confirmed func([]uint64)
	broken    chan error // takes the error that ends Run
	err       error      // why nothing is written any more
}

// OpenNDJSON opens the file, or makes it with mode 0600. Lines at its end that a
// crash left torn are cut off; none of them was confirmed. If that is more than
// the last line, it is saved beside the file as PATH.cut-OFFSET. A file whose end
// is not made of such lines at all is refused.
func OpenNDJSON(path string) (*NDJSON, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open output: %w", err)
	}
	n := &NDJSON{file: f, broken: make(chan error, 1)}
	if err := n.repair(path); err != nil {
		return nil, errors.Join(fmt.Errorf("open output %s: %w", path, err), f.Close())
	}
	return n, nil
}

// repair finds the last intact line and cuts off what is behind it.
func (n *NDJSON) repair(path string) error {
	size, err := n.file.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if size == 0 {
		return syncDirectory(path)
	}
	for window := int64(ndjsonWindow); ; window *= 2 {
		start := max(size-window, 0)
		tail := make([]byte, size-start)
		if _, err := n.file.ReadAt(tail, start); err != nil {
			return err
		}
		last, end := lastLine(tail, start > 0)
		if end == 0 && start > 0 {
			continue // A line longer than the window, or none at all.
		}
		if end == 0 && (bytes.IndexByte(tail, '\n') >= 0 || tail[0] != '{' && tail[0] != 0) {
			return fmt.Errorf(`%w: it does not consist of lines of JSON with a "seq": name another file, or move this one away`, ErrCorrupt)
		}
		n.last = last
		if err := keepCut(path, start+int64(end), tail[end:]); err != nil {
			return err
		}
		return n.cut(start + int64(end))
	}
}

// keepCut saves what is to be cut off when it is more than the torn last line:
// should the disk rather than a crash have done it, these lines were confirmed
// and will not be sent again.
func keepCut(path string, at int64, cut []byte) error {
	if bytes.IndexByte(cut, '\n') < 0 {
		return nil
	}
	return writeDurably(fmt.Sprintf("%s.cut-%d", path, at), cut)
}

// cut makes the file end at size and leaves the position there.
func (n *NDJSON) cut(size int64) error {
	if err := n.file.Truncate(size); err != nil {
		return err
	}
	if _, err := n.file.Seek(size, io.SeekStart); err != nil {
		return err
	}
	return n.file.Sync()
}

// lastLine returns the row of the last intact line in tail and where that line
// ends: lines count as long as each is complete and has a greater number than
// the one before. When tail was cut out of a file it begins within a line,
// which does not count. The end is 0 when there is no intact line.
func lastLine(tail []byte, within bool) (seq uint64, end int) {
	at := 0
	if within {
		at = bytes.IndexByte(tail, '\n') + 1
		if at == 0 {
			return 0, 0
		}
	}
	for {
		size := bytes.IndexByte(tail[at:], '\n')
		if size < 0 {
			return seq, end
		}
		var line struct {
			Seq uint64 `json:"seq"`
		}
		if json.Unmarshal(tail[at:at+size], &line) != nil || line.Seq <= seq {
			return seq, end
		}
		at += size + 1
		seq, end = line.Seq, at
	}
}

// Last returns the row of the file's last line, 0 when there is none.
func (n *NDJSON) Last() uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.last
}

// Run makes the output accept rows: it calls up and blocks until ctx is done,
// and then returns nil. When the file cannot be written it calls down and
// returns the error: the file must be opened again. confirmed is called with the
// numbers of rows that are on stable storage, from within Send.
func (n *NDJSON) Run(ctx context.Context, up func(), down func(error), confirmed func(seqs []uint64)) error {
	n.mu.Lock()
	n.confirmed = confirmed
	n.mu.Unlock()
	defer func() {
		n.mu.Lock()
		n.confirmed = nil
		n.mu.Unlock()
	}()
	up()
	select {
	case <-ctx.Done():
		return nil
	case err := <-n.broken:
		down(err)
		return err
	}
}

// Send appends rows to the file, makes them durable with one fsync and confirms
// them. Rows that the file has already are confirmed and not written again.
// Rows must come in order. After an error nobody knows what is in the file, and
// nothing is written any more until it is opened again.
func (n *NDJSON) Send(rows []edged.Row) error {
	n.mu.Lock()
	confirmed, err := n.confirmed, n.write(rows)
	n.mu.Unlock()
	if err != nil {
		return err
	}
	seqs := make([]uint64, len(rows))
	for i := range rows {
		seqs[i] = rows[i].Seq
	}
	confirmed(seqs)
	return nil
}

// write writes and syncs the rows that are new to the file.
func (n *NDJSON) write(rows []edged.Row) error {
	switch {
	case n.err != nil:
		return n.err
	case n.confirmed == nil:
		return fmt.Errorf("send to %s: %w", n.file.Name(), ErrNotRunning)
	}
	n.buf = n.buf[:0]
	before := n.last
	for i := range rows {
		if rows[i].Seq <= n.last {
			continue
		}
		if len(n.buf) > 0 && len(n.buf)+len(rows[i].Payload) >= ndjsonWindow {
			if err := n.flush(); err != nil {
				return err
			}
		}
		n.buf = append(append(n.buf, rows[i].Payload...), '\n')
		n.last = rows[i].Seq
	}
	if n.last == before {
		return nil
	}
	return n.flush()
}

// flush writes the buffer and syncs the file. Only the part of the file that
// one flush wrote can be torn.
func (n *NDJSON) flush() error {
	_, err := n.file.Write(n.buf)
	if err == nil {
		err = n.file.Sync()
	}
	n.buf = n.buf[:0]
	if err != nil {
		n.err = fmt.Errorf("write output: %w", err)
		n.broken <- n.err
	}
	return n.err
}

// Close closes the file. Run must have returned.
func (n *NDJSON) Close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.err == nil {
		n.err = fmt.Errorf("send to %s: %w", n.file.Name(), os.ErrClosed)
	}
	return n.file.Close()
}

// syncDirectory makes the directory entry of a file durable.
func syncDirectory(path string) error {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	if err := errors.Join(dir.Sync(), dir.Close()); err != nil {
		return fmt.Errorf("sync directory of %s: %w", path, err)
	}
	return nil
}
