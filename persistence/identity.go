package persistence

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
)

// formatVersion is the version of everything on disk. A store of another
// version is refused.
const formatVersion = 1

// identity names a store. It is kept twice, in store.json and in the database,
// because bbolt opens a file that was cut to nothing as a new, empty database.
type identity struct {
	ID      string `json:"store_id"`
	Format  int    `json:"format"`
	Created string `json:"created"` // RFC 3339
}

func parseIdentity(b []byte) (identity, error) {
	var id identity
	if err := json.Unmarshal(b, &id); err != nil {
		return id, fmt.Errorf("%w: identity: %w", ErrCorrupt, err)
	}
	if id.Format != formatVersion {
		return id, fmt.Errorf("store has format %d, this program reads format %d: use a program that fits", id.Format, formatVersion)
	}
	if id.ID == "" {
		return id, fmt.Errorf("%w: identity is empty", ErrCorrupt)
	}
	return id, nil
}

// prepare makes sure that both files of the store are there, and returns what
// store.json says. A new store becomes visible under its name complete and
// durable: first the database, then store.json. Only a crash between the two
// leaves a database alone, and that is completed here.
func prepare(cfg Config) (identity, error) {
	path := filepath.Join(cfg.Dir, identityFile)
	text, err := os.ReadFile(path)
	if err == nil {
		return parseIdentity(text)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return identity{}, err
	}
	db := filepath.Join(cfg.Dir, databaseFile)
	var id identity
	if _, err := os.Stat(db); errors.Is(err, fs.ErrNotExist) {
		id, err = createDatabase(db)
		if err != nil {
			return identity{}, err
		}
	} else if id, err = adopt(db); err != nil {
		return identity{}, err
	}
	text, err = json.MarshalIndent(id, "", "  ")
	if err != nil {
		return identity{}, fmt.Errorf("encode %s: %w", identityFile, err)
	}
	return id, writeDurably(path, append(text, '\n'))
}

// createDatabase makes a database with an identity and nothing else.
func createDatabase(path string) (identity, error) {
	var raw [16]byte
	if _, err := rand.Read(raw[:]); err != nil {
		return identity{}, fmt.Errorf("make a store id: %w", err)
	}
	id := identity{ID: hex.EncodeToString(raw[:]), Format: formatVersion, Created: time.Now().UTC().Format(time.RFC3339)}
	head, err := json.Marshal(id)
	if err != nil {
		return identity{}, fmt.Errorf("encode identity: %w", err)
	}
	if err := os.Remove(path + newSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return identity{}, err
	}
	db, err := bbolt.Open(path+newSuffix, 0o600, &bbolt.Options{Timeout: lockTimeout, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		return identity{}, fmt.Errorf("make %s: %w", path, err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{metaBucket, skipsBucket, slotBuckets[0], slotBuckets[1]} {
			if _, err := tx.CreateBucket(name); err != nil {
				return err
			}
		}
		if err := tx.Bucket(metaBucket).Put(identityKey, appendEnvelope(nil, head, nil, checksum(identityKey))); err != nil {
			return err
		}
		return new(state).save(tx)
	})
	if err := errors.Join(err, db.Close()); err != nil {
		return identity{}, fmt.Errorf("make %s: %w", path, err)
	}
	return id, renameDurably(path+newSuffix, path)
}

// adopt returns the identity of a database that has lost its store.json.
func adopt(path string) (id identity, err error) {
	db, err := openDatabase(path, &bbolt.Options{Timeout: lockTimeout})
	if err != nil {
		return id, err
	}
	err = guard("database", func() error {
		return db.View(func(tx *bbolt.Tx) error {
			id, err = readIdentity(tx)
			return err
		})
	})
	return id, errors.Join(err, db.Close())
}

// writeDurably writes a file so that a crash leaves all of it or nothing.
func writeDurably(path string, text []byte) error {
	f, err := os.OpenFile(path+newSuffix, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return renameDurably(path+newSuffix, path)
}

// renameDurably renames a file and makes that durable.
func renameDurably(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return syncDirectory(to)
}
