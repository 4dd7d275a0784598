package persistence

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"

	"edged"
)

// Inspect reads a whole store without changing it and reports what is in it and
// what is damaged: every page, every frame and every snapshot of both
// generations. It returns an error when the store cannot be read at all, one
// that wraps [ErrInUse] while a process runs it: copy the directory, or stop the
// process.
func Inspect(dir string) (*Report, error) {
	text, err := os.ReadFile(filepath.Join(dir, identityFile))
	if err != nil {
		return nil, fmt.Errorf("inspect store: %w", err)
	}
	id, err := parseIdentity(text)
	if err != nil {
		return nil, fmt.Errorf("inspect store %s: %w", dir, err)
	}
	path := filepath.Join(dir, databaseFile)
	db, err := openDatabase(path, &bbolt.Options{Timeout: lockTimeout, ReadOnly: true, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		return nil, fmt.Errorf("inspect store: %w", err)
	}
	r := &Report{Dir: dir, StoreID: id.ID, Format: id.Format, Created: id.Created, Streams: []StreamReport{}, Problems: []string{}}
	r.DeadLetters.Last = []LetterReport{}
	if info, err := os.Stat(path); err == nil {
		r.FileBytes = info.Size()
	}
	err = guard("inspect", func() error {
		return db.View(func(tx *bbolt.Tx) error {
			inspect(tx, id, r)
			return nil
		})
	})
	return r, errors.Join(err, db.Close())
}

// inspect looks at one part after the other; damage in one does not hide the
// rest. bbolt's own check comes last and only when every page could be read: it
// runs on a goroutine of its own, where a bad page number is the end.
func inspect(tx *bbolt.Tx, id identity, r *Report) {
	readable := true
	part := func(what string, fn func() error) {
		finished := false
		err := guard(what, func() error {
			err := fn()
			finished = true
			return err
		})
		readable = readable && finished
		r.problem(err)
	}
	var st state
	part("state", func() error { return loadStore(tx, id, &st) })
	r.fill(&st)
	part(journalName, func() error { return inspectLog(tx, &st.Journal, recordFrame, r, inspectRecords) })
	part(deadLettersName, func() error {
		return inspectLog(tx, &st.Dead, deadLetterFrame, r, func(f frame) error { return inspectLetters(f, r) })
	})
	for i := range st.Streams {
		rows := &st.Streams[i].Rows
		part(rows.name, func() error { return inspectLog(tx, rows, rowFrame, r, inspectRows) })
	}
	part("fleet", func() error { return inspectFleet(tx, r) })
	part("retried", func() error { return inspectRetried(tx, r) })
	part("skips", func() error { return inspectSkips(tx, r) })
	part("snapshots", func() error { return inspectSnapshots(tx, st.floor(), r) })
	if !readable {
		r.problem(fmt.Errorf("%w: pages cannot be read, so their bookkeeping was not checked", ErrCorrupt))
		return
	}
	for err := range tx.Check() {
		r.problem(fmt.Errorf("pages: %w: %w", ErrCorrupt, err))
	}
}

// inspectLog opens every frame of a log and checks that they follow each other.
func inspectLog(tx *bbolt.Tx, l *log, kind frameKind, r *Report, items func(frame) error) error {
	top := tx.Bucket([]byte(l.name))
	if top == nil || l.kept() == 0 {
		return nil
	}
	seed := checksum([]byte(l.name))
	w := walk{kind: kind, seed: seed, next: l.First, items: items}
	for _, seg := range l.segments {
		if w.next != 0 && seg.first != w.next {
			r.problem(fmt.Errorf("%s: %w: segment %d begins where item %d was due", l.name, ErrCorrupt, seg.first, w.next))
		}
		w.next = seg.first
		bucket := top.Bucket(seg.key(seed))
		if bucket == nil {
			return fmt.Errorf("%s: %w: segment %d is not a bucket", l.name, ErrCorrupt, seg.first)
		}
		err := bucket.ForEach(func(k, v []byte) error {
			if err := w.frame(k, v); err != nil {
				r.problem(fmt.Errorf("%s: segment %d, frame %x: %w", l.name, seg.first, k, err))
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("%s: segment %d: %w", l.name, seg.first, err)
		}
	}
	if w.next != 0 && w.next != l.Last+1 {
		return fmt.Errorf("%s: %w: ends with item %d, want %d", l.name, ErrCorrupt, w.next-1, l.Last)
	}
	return nil
}

// walk goes through the frames of a log in their order.
type walk struct {
	kind  frameKind
	seed  uint32
	next  uint64 // number of the item that is due; 0: not known
	items func(frame) error
}

// frame looks at one frame. A frame that cannot be opened is one problem: nobody
// knows where it ends, so its successor may begin anywhere. One that can be
// opened tells what is due next and has its items read, even in a wrong place.
func (w *walk) frame(k, v []byte) error {
	f, err := openFrame(v, w.kind, w.seed)
	if err != nil {
		w.next = 0
		return err
	}
	due := w.next
	w.next = f.last() + 1
	err = w.items(f)
	if len(k) != 8 || binary.BigEndian.Uint64(k) != f.first {
		return errors.Join(fmt.Errorf("%w: holds the frame of item %d", ErrCorrupt, f.first), err)
	}
	if due != 0 && f.first != due {
		return errors.Join(fmt.Errorf("%w: frame of item %d where item %d was due", ErrCorrupt, f.first, due), err)
	}
	return err
}

func inspectRecords(f frame) error {
	return replayFrame(f, 0, edged.Seq(f.last()), func(*edged.Record) error { return nil })
}

func inspectRows(f frame) error {
	var row edged.Row
	u := unpack(f)
	for u.more() {
		if err := u.row(&row, ""); err != nil {
			return err
		}
	}
	return u.done()
}

// inspectLetters decodes dead letters and keeps the last ones.
func inspectLetters(f frame, r *Report) error {
	return eachDeadLetter(f, func(d edged.DeadLetter) error {
		if len(r.DeadLetters.Last) == lastLettersMax {
			copy(r.DeadLetters.Last, r.DeadLetters.Last[1:])
			r.DeadLetters.Last = r.DeadLetters.Last[:lastLettersMax-1]
		}
		r.DeadLetters.Last = append(r.DeadLetters.Last, reportLetter(d))
		return nil
	})
}

func inspectRetried(tx *bbolt.Tx, r *Report) error {
	retried, err := readRetried(tx)
	r.Retried = len(retried)
	return err
}

func inspectSkips(tx *bbolt.Tx, r *Report) error {
	return tx.Bucket(skipsBucket).ForEach(func(k, v []byte) error {
		if err := checkSkip(k, v); err != nil {
			r.problem(fmt.Errorf("skips: %w", err))
			return nil
		}
		r.Skips++
		return nil
	})
}

// inspectSnapshots opens both slots of every key and applies the rule to them.
func inspectSnapshots(tx *bbolt.Tx, floor edged.Seq, r *Report) error {
	eachPair(tx, nil, func(name []byte, pair [2]slot) bool {
		for i, sl := range pair {
			g := &r.Generations[i]
			if sl.err != nil {
				g.Damaged++
				r.problem(fmt.Errorf("%s: key %q: %w", slotBuckets[i], name, sl.err))
			}
			if sl.present {
				g.Intact++
				g.Bytes += int64(len(sl.snap.State))
			}
		}
		switch c := choose(pair[0], pair[1], floor); {
		case c.err != nil:
			r.KeysLost++
			r.problem(fmt.Errorf("snapshot %q: %w", name, c.err))
		case c.repaired:
			r.KeysRepair++
			fallthrough
		default:
			if c.found {
				r.Keys++
				r.OpenWindows += int64(c.snap.Open)
			}
		}
		return true
	})
	return nil
}
