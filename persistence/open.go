package persistence

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

const (
	databaseFile = "edged.db"
	identityFile = "store.json"
	newSuffix    = ".new"

	// lockTimeout is how long Open waits for another process to let go.
	lockTimeout = 500 * time.Millisecond

	// mapBytes of address space are reserved for the file, so that a commit
	// need not wait for readers in order to map it anew. They cost no memory.
	mapBytes = 256 << 20
)

// Open opens the store in cfg.Dir, or makes a new one in an empty directory. It
// returns an error that wraps [ErrInUse] when another process has it, and one
// that wraps [ErrCorrupt] when the files are not a complete store. It reads
// names and the state only; the data is checked when it is read.
func Open(cfg Config) (*Store, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	id, err := prepare(cfg)
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", cfg.Dir, err)
	}
	s := &Store{
		cfg: cfg, logger: cfg.Logger,
		journal: limits{weight: uint64(cfg.SegmentBytes), items: segmentItemsMax},
		dead:    limits{weight: uint64(cfg.SegmentBytes), items: uint64(max(cfg.DeadLettersMax/8, 1))},
	}
	path := filepath.Join(cfg.Dir, databaseFile)
	if s.db, err = openDatabase(path, databaseOptions(cfg)); err != nil {
		return nil, fmt.Errorf("open store %s: %w", cfg.Dir, err)
	}
	err = s.view("state", func(tx *bbolt.Tx) error { return loadStore(tx, id, &s.state) })
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open store %s: %w", cfg.Dir, err), s.db.Close())
	}
	return s, nil
}

// databaseOptions are the options of bbolt that the store lives with. The list
// of free pages is always written: without it, opening a file of 1 GB after a
// crash reads all of it.
func databaseOptions(cfg Config) *bbolt.Options {
	o := &bbolt.Options{Timeout: lockTimeout, FreelistType: bbolt.FreelistMapType, NoSync: cfg.NoSync}
	if strconv.IntSize == 64 {
		o.InitialMmapSize = mapBytes
	}
	o.MaxSize = int(min(cfg.MaxBytes, math.MaxInt))
	return o
}

// openDatabase opens a file of bbolt that must be there and complete. When bbolt
// gives up half-way, the file is closed all the same, with its lock.
func openDatabase(path string, o *bbolt.Options) (*bbolt.DB, error) {
	if err := checkFile(path); err != nil {
		return nil, err
	}
	var file *os.File
	o.OpenFile = func(name string, flag int, mode os.FileMode) (*os.File, error) {
		var err error
		file, err = os.OpenFile(name, flag, mode)
		return file, err
	}
	var db *bbolt.DB
	err := guard("database", func() error {
		var err error
		db, err = bbolt.Open(path, 0o600, o)
		return err
	})
	if err == nil {
		return db, nil
	}
	if file != nil {
		// When bbolt has panicked, its mapping of the file stays, and the lock with it.
		// Errors here only say that bbolt has closed the file already.
		unlock(file)
		_ = file.Close()
	}
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, fmt.Errorf("%s: %w: stop it, or work on a copy of the directory", path, ErrInUse)
	}
	return nil, fmt.Errorf("%s: %w", path, err)
}

// loadStore checks that the database is the one that the directory names, and
// reads its state.
func loadStore(tx *bbolt.Tx, id identity, st *state) error {
	found, err := readIdentity(tx)
	if err != nil {
		return err
	}
	if found != id {
		return fmt.Errorf("%w: %s names store %s, %s is store %s: put the files that belong together side by side",
			ErrCorrupt, identityFile, id.ID, databaseFile, found.ID)
	}
	for _, name := range [][]byte{skipsBucket, slotBuckets[0], slotBuckets[1]} {
		if tx.Bucket(name) == nil {
			return fmt.Errorf("%w: bucket %q is missing", ErrCorrupt, name)
		}
	}
	return st.load(tx)
}

// readIdentity reads the identity out of the database.
func readIdentity(tx *bbolt.Tx) (identity, error) {
	meta := tx.Bucket(metaBucket)
	if meta == nil {
		return identity{}, fmt.Errorf("%w: %s has no bucket %q: it is not a store, or it was emptied", ErrCorrupt, databaseFile, metaBucket)
	}
	head, _, err := openEnvelope(bytes.Clone(meta.Get(identityKey)), checksum(identityKey))
	if err != nil {
		return identity{}, fmt.Errorf("identity: %w", err)
	}
	return parseIdentity(head)
}

// fileBytes returns the size of the database file.
func (s *Store) fileBytes() int64 {
	info, err := os.Stat(filepath.Join(s.cfg.Dir, databaseFile))
	if err != nil {
		return 0
	}
	return info.Size()
}
