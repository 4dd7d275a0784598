package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"edged/fleet/operator"
	"edged/fleet/strict"
	"edged/fleet/trust"
)

// operatorHome is the directory of an operator for one fleet:
//
//	root.json         the root keys that keyrings are believed by
//	chain.json        the keyrings since then
//	numbers/KEYID     the last sequence number of a key
//	numbers/version   the last version of a desired document
//	configs/HASH      configurations that were sent, to compare with
//	refreshed         there if documents that are sent from here are signed again in time
//	rollouts/ID/      state.json, config.json, and what others ask its controller for
type operatorHome struct {
	dir   string
	fleet string
}

// smallFileMax bounds what is read of the home's small files.
const smallFileMax = 64 << 10

// openHome returns the home of a fleet below a directory, making it if it is missing.
func openHome(base, fleet string) (*operatorHome, error) {
	if err := trust.CheckName(fleet); err != nil {
		return nil, failed(exitUsage, fmt.Errorf("--fleet: %w", err))
	}
	if base == "" {
		config, err := os.UserConfigDir()
		if err != nil {
			return nil, failed(exitUsage, fmt.Errorf("find a place for sequence numbers and keyrings: %w; give --home", err))
		}
		base = filepath.Join(config, "edged", "fleet")
	}
	h := &operatorHome{dir: filepath.Join(base, fleet), fleet: fleet}
	for _, sub := range []string{"numbers", "configs", "rollouts"} {
		if err := os.MkdirAll(h.path(sub), 0o700); err != nil {
			return nil, failed(exitStore, fmt.Errorf("make the operator's home: %w; give another --home", err))
		}
	}
	return h, nil
}

func (h *operatorHome) path(names ...string) string {
	return filepath.Join(append([]string{h.dir}, names...)...)
}

// ring returns the newest keyring that this home has, and the pinned one.
func (h *operatorHome) ring() (ring, pinned *trust.Ring, err error) {
	text, err := os.ReadFile(h.path("root.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, failed(exitConfig, fmt.Errorf("no root keys are known for fleet %s in %s: get a keyring from who signs them and run edged fleet keyring pin FILE", h.fleet, h.dir))
	}
	var root trust.Root
	if err == nil {
		err = strict.Decode(text, &root, strict.Limits{Bytes: smallFileMax})
	}
	if err == nil {
		pinned, err = trust.Pin(h.fleet, root)
	}
	if err != nil {
		return nil, nil, failed(exitStore, fmt.Errorf("read %s: %w", h.path("root.json"), err))
	}
	chain, err := os.ReadFile(h.path("chain.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return pinned, pinned, nil
	}
	if err == nil {
		ring, err = pinned.Catch(chain)
	}
	if err != nil {
		return nil, nil, failed(exitStore, fmt.Errorf("read %s: %w; get the chain again with any command that reaches the broker, after removing the file", h.path("chain.json"), err))
	}
	return ring, pinned, nil
}

// pin stores the root keys that are believed from now on.
func (h *operatorHome) pin(root trust.Root) error {
	if _, err := trust.Pin(h.fleet, root); err != nil {
		return failed(exitUsage, err)
	}
	text, err := strict.Encode(root)
	if err != nil {
		return err
	}
	return writeDurable(h.path("root.json"), append(text, '\n'))
}

// follow takes what is newer in a chain. It returns the keyring in force and whether
// it is another than before; an error says why the chain does not lead further.
func (h *operatorHome) follow(chain []byte) (ring *trust.Ring, newer bool, err error) {
	unlock, err := lockFile(h.path("lock"))
	if err != nil {
		return nil, false, err
	}
	defer unlock()
	before, pinned, err := h.ring()
	if err != nil {
		return nil, false, err
	}
	ring, fault := before.Catch(chain)
	if ring == before {
		return ring, false, fault
	}
	kept, err := h.chainTo(pinned, ring, chain)
	if err == nil {
		err = writeDurable(h.path("chain.json"), kept)
	}
	return ring, true, err
}

// chainTo returns the chain that leads from the pinned root to a ring: what this home
// has, and what is new.
func (h *operatorHome) chainTo(pinned, ring *trust.Ring, news []byte) ([]byte, error) {
	var all [][]byte
	at := pinned
	for _, text := range [][]byte{h.chain(), news} {
		envelopes, err := operator.Chain(text)
		if err != nil {
			continue // there is none yet
		}
		for _, e := range envelopes {
			if next, err := at.Advance(e); err == nil && next.Version() <= ring.Version() {
				all, at = append(all, e), next
			}
		}
	}
	kept, err := operator.Prune(pinned, all)
	if err != nil {
		return nil, err
	}
	return trust.EncodeChain(kept...)
}

// chain returns the stored chain, nil if there is none.
func (h *operatorHome) chain() []byte {
	text, err := os.ReadFile(h.path("chain.json"))
	if err != nil {
		return nil
	}
	return text
}

// take reserves n numbers of a counter: they are on the disk as used before anybody
// sees them. It returns the first.
func (h *operatorHome) take(name string, epoch, seen, n uint64) (uint64, error) {
	unlock, err := lockFile(h.path("lock"))
	if err != nil {
		return 0, err
	}
	defer unlock()
	file := h.path("numbers", name)
	var c operator.Counter
	text, err := os.ReadFile(file)
	if err == nil {
		err = strict.Decode(text, &c, strict.Limits{Bytes: smallFileMax})
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, failed(exitStore, fmt.Errorf("read the counter %s: %w; without the file, counting goes on behind what gateways say they have seen", file, err))
	}
	c, err = c.Take(epoch, seen, n)
	if err != nil {
		return 0, failed(exitStore, err)
	}
	if text, err = strict.Encode(c); err == nil {
		err = writeDurable(file, append(text, '\n'))
	}
	return c.Last - n + 1, err
}

// refreshes reports whether documents that are sent from here promise fresher ones.
func (h *operatorHome) refreshes() bool {
	_, err := os.Stat(h.path("refreshed"))
	return err == nil
}

// promise sets whether they do.
func (h *operatorHome) promise(refreshed bool) error {
	if refreshed {
		return writeDurable(h.path("refreshed"), nil)
	}
	if err := os.Remove(h.path("refreshed")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return failed(exitStore, fmt.Errorf("forget that documents are refreshed: %w", err))
	}
	return nil
}

// remember keeps a configuration under its hash.
func (h *operatorHome) remember(hash string, config []byte) error {
	file := h.configFile(hash)
	if _, err := os.Stat(file); err == nil {
		return nil
	}
	return writeDurable(file, config)
}

// recall returns a configuration that was kept; nil if it was not.
func (h *operatorHome) recall(hash string) json.RawMessage {
	text, err := os.ReadFile(h.configFile(hash))
	if err != nil || configHash(text) != hash {
		return nil
	}
	return text
}

func (h *operatorHome) configFile(hash string) string {
	sum, err := hex.DecodeString(trimHash(hash))
	if err != nil {
		sum = []byte("none")
	}
	return h.path("configs", hex.EncodeToString(sum)+".json")
}
