package actors

import (
	"encoding/binary"
	"errors"
	"fmt"

	"edged"
)

// What pipelines made of a record for others is kept with the record, one entry
// after the other:
//
//	length of the upstream's name uvarint · name · length uvarint · bytes
//
// A name of length 0 is that of the entry before. The name is the one of the
// pipeline that the result is of, so pipelines behind it may come and go.

// appendDerived appends an entry. before is the name in the entry before.
func appendDerived(dst []byte, before, name string, body []byte) []byte {
	if name == before {
		name = ""
	}
	dst = binary.AppendUvarint(dst, uint64(len(name)))
	dst = append(dst, name...)
	dst = binary.AppendUvarint(dst, uint64(len(body)))
	return append(dst, body...)
}

// derivedReader walks over the entries of a record.
type derivedReader struct {
	rest []byte
	name []byte // of the upstream of the last entry
}

// next returns the next entry. ok is false behind the last one, and when what is
// left is none; then rest is not empty.
func (d *derivedReader) next() (name, body []byte, ok bool) {
	name, rest, ok := cutSized(d.rest)
	if !ok {
		return nil, nil, false
	}
	if len(name) > 0 {
		d.name = name
	}
	if len(d.name) == 0 {
		return nil, nil, false
	}
	body, rest, ok = cutSized(rest)
	if !ok {
		return nil, nil, false
	}
	d.rest = rest
	return d.name, body, true
}

// cutSized takes a length and as many bytes off b.
func cutSized(b []byte) (part, rest []byte, ok bool) {
	size, n := binary.Uvarint(b)
	if n <= 0 || size > uint64(len(b)-n) {
		return nil, nil, false
	}
	end := n + int(size)
	return b[n:end:end], b[end:], true
}

// checkDerived says what is wrong with the entries of a record.
func checkDerived(rec *edged.Record) error {
	d := derivedReader{rest: rec.Derived}
	for ok := true; ok; {
		_, _, ok = d.next()
	}
	if len(d.rest) > 0 {
		return fmt.Errorf("record %d: %d bytes of what pipelines derived from it make no sense", rec.Seq, len(d.rest))
	}
	return nil
}

// stagesOf returns for each pipeline its distance from the messages: 0 for those
// that take messages, 1 for those that take the results of these, and so on.
func stagesOf(pipelines []Pipeline) ([]int, error) {
	byName := map[string]int{}
	for i, p := range pipelines {
		if _, twice := byName[p.Name()]; twice || p.Name() == "" {
			return nil, fmt.Errorf("pipeline %q: every pipeline needs a name of its own", p.Name())
		}
		byName[p.Name()] = i
	}
	stages := make([]int, len(pipelines))
	var errs []error
	for i, p := range pipelines {
		for up := p.Upstream(); up != ""; stages[i]++ {
			at, ok := byName[up]
			if !ok {
				errs = append(errs, fmt.Errorf("pipeline %s takes the results of %s, which is not among the pipelines that run", p.Name(), up))
				break
			}
			if stages[i] == len(pipelines) {
				errs = append(errs, fmt.Errorf("pipeline %s takes its own results, or those of a circle: let one of them take messages", p.Name()))
				break
			}
			up = pipelines[at].Upstream()
		}
	}
	return stages, errors.Join(errs...)
}
