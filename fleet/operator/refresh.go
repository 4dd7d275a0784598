package operator

import "edged/fleet/trust"

// RefreshEvery is how often a document that promises fresher ones is signed again, in
// milliseconds. Gateways miss it after three hours.
const RefreshEvery = 60 * minute

// Refresh makes the document a fresher one with the same version and content, signed
// by an issuer under a keyring, and returns the gateways to publish it to once the
// snapshot is stored: the members that are online and say that they have this version. Those
// that are away miss nothing while they are; one that has not taken it yet gets it as
// before. Nil: nobody has it, and nothing has changed.
//
// Only members that have the version are told, so that another rollout, of which this one
// knows nothing, cannot be overtaken.
func (r *Rollout) Refresh(issuer trust.KeyID, keyring uint64, now int64) (have []string) {
	d := &r.state.Document
	highest := d.Refresh
	for i := range r.state.Members[:r.state.released()] {
		f := &r.seen[i].facts
		foreign := f.Applied == d.Version && f.Hash != "" && f.Hash != d.Hash
		if !f.Online || f.Epoch != d.Epoch || f.Seen != d.Version || foreign {
			continue
		}
		have = append(have, r.state.Members[i].Gateway)
		if f.Refresh > d.Refresh && f.Refresh-d.Refresh <= CatchUpMax { // an older copy of the snapshot counted less
			highest = max(highest, f.Refresh)
		}
		r.state.Members[i].Withdrawn = false // it took the document while it was being withdrawn
	}
	if have == nil {
		return nil
	}
	d.Refresh, d.Issuer, d.Keyring, d.Signed = highest+1, issuer, keyring, now
	r.changed = true
	return have
}

// renew refreshes the document in time, if it promises that. What gets lost on the way
// is not sent again: the next one comes in time, too.
func (r *Rollout) renew(now int64) []string {
	d := &r.state.Document
	if d.Refresh == 0 || now >= d.Signed && now < d.Signed+RefreshEvery {
		return nil
	}
	return r.Refresh(d.Issuer, d.Keyring, now)
}
