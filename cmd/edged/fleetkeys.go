package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"edged/fleet/trust"
)

const fleetKeysLong = `Make and look at Ed25519 keys. All keys are of one kind; what one may do is said by
the keyring: root keys sign keyrings, the others have roles. Keep root keys on
machines that are not connected, one per person, and sign with enough of them.`

const fleetKeysNewLong = `Make keys: for each NAME a file NAME.secret, which only you can read, and NAME.public,
which you give to who makes the keyring. Files that exist are never replaced.`

func newFleetKeysCmd(f *fleetFlags) *cobra.Command {
	cmd := &cobra.Command{Use: "keys", Short: "make and look at keys", Long: fleetKeysLong, Example: "  edged fleet keys new olga"}
	var dir string
	var pem bool
	create := &cobra.Command{
		Use: "new NAME...", Short: "make keys", Long: fleetKeysNewLong, Args: atLeast(1, "one name or more"),
		Example: "  edged fleet keys new root-anna --dir keys\n\n  edged fleet keys new olga dave clock --dir keys",
		RunE: func(cmd *cobra.Command, args []string) error {
			out := printer{cmd.OutOrStdout(), f.asJSON}
			for _, name := range args {
				key, err := newKeyFiles(dir, name, pem)
				if err != nil {
					return err
				}
				if err := out.key(name, key.Public()); err != nil {
					return err
				}
			}
			return nil
		},
	}
	create.Flags().StringVar(&dir, "dir", ".", "directory for the files; made if it is missing")
	create.Flags().BoolVar(&pem, "pem", false, "write PEM, which openssl reads, instead of one line")
	show := &cobra.Command{
		Use: "show FILE...", Short: "show ids and public halves", Args: atLeast(1, "one file or more"),
		Long: "Show the id and the public half of keys, which may be public or secret ones.", Example: "  edged fleet keys show keys/olga.secret",
		RunE: func(cmd *cobra.Command, args []string) error {
			out := printer{cmd.OutOrStdout(), f.asJSON}
			for _, file := range args {
				key, err := readPublic(file)
				if err == nil {
					err = out.key(file, key)
				}
				if err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.AddCommand(create, show)
	return group(cmd)
}

// key prints a public key.
func (p *printer) key(name string, key trust.PublicKey) error {
	return p.say(map[string]string{"name": name, "id": string(key.ID()), "public": key.String()}, "%s  %s  %s", key.ID(), key, name)
}

// newKeyFiles makes a key and writes its two files.
func newKeyFiles(dir, name string, pem bool) (trust.SecretKey, error) {
	var seed [trust.SeedBytes]byte
	if err := trust.CheckName(name); err != nil {
		return trust.SecretKey{}, failed(exitUsage, fmt.Errorf("name of a key: %w", err))
	}
	if _, err := rand.Read(seed[:]); err != nil {
		return trust.SecretKey{}, fmt.Errorf("make a key: %w", err)
	}
	key := trust.NewSecretKey(seed)
	secret, public := []byte(key.Line()+"\n"), []byte(key.Public().String()+"\n")
	if pem {
		secret, public = key.PEM(), key.Public().PEM()
	}
	err := os.MkdirAll(dir, 0o700)
	if err == nil {
		err = writeNew(filepath.Join(dir, name+".secret"), secret)
	}
	if err == nil {
		err = writeNew(filepath.Join(dir, name+".public"), public)
	}
	return key, err
}

// writeNew writes a file that must not exist, for our eyes only.
func writeNew(path string, text []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return failed(exitUsage, fmt.Errorf("%s is there already: choose another name, or move it away; a lost key cannot be made again", path))
	}
	if err == nil {
		_, err = file.Write(text)
		err = errors.Join(err, file.Sync(), file.Close())
	}
	if err != nil {
		return failed(exitStore, fmt.Errorf("write %s: %w", path, err))
	}
	return nil
}
