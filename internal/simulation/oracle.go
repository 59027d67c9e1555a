package simulation

import (
	"fmt"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/store"
)

// leaseCheckInterval is how often leases are looked at.
const leaseCheckInterval = 20 * time.Millisecond

// use is what is known of one lease: until when, on its holder's clock, the
// holder thought it valid.
type use struct {
	lease kvapi.Lease
	until hlc.Timestamp
}

// watchLeases checks that the times in which replicas believe to hold a
// range's lease do not overlap: each lease starts after the last moment at
// which the holder of an earlier one thought that valid. Clocks may differ;
// it is MVCC time that must not overlap (I2 of doc.go).
func (c *Cluster) watchLeases() {
	used := map[kvapi.RangeID]map[kvapi.LeaseSequence]use{}
	for {
		for _, n := range c.nodes {
			if err := c.lookAtLeases(n, used); err != nil {
				c.fail(err)
			}
		}
		if err := c.oneLease(); err != nil {
			c.fail(err)
		}
		select {
		case <-time.After(leaseCheckInterval):
		case <-c.done:
			return
		}
	}
}

func (c *Cluster) lookAtLeases(n *Node, used map[kvapi.RangeID]map[kvapi.LeaseSequence]use) error {
	core := n.Core()
	if core == nil {
		return nil
	}
	now := core.Clock.Now().Timestamp()
	for _, r := range core.Store.RangeInfos() {
		if !r.LeaseValid {
			continue
		}
		if r.Lease.Holder.NodeID != n.id {
			return fmt.Errorf("%s of %s serves under the lease of %s", n.id, r.Desc.RangeID, r.Lease.Holder)
		}
		bySeq := used[r.Desc.RangeID]
		if bySeq == nil {
			bySeq = map[kvapi.LeaseSequence]use{}
			used[r.Desc.RangeID] = bySeq
		}
		if err := disjoint(r.Desc.RangeID, bySeq, use{r.Lease, now}); err != nil {
			return err
		}
	}
	return nil
}

// oneLease checks what holders believe at one moment: whoever finds a lease
// valid finds it so for all timestamps up to its end, and so no lease that
// replaced it may have begun before that (L1 of acceptance/model/leader_lease.pml).
func (c *Cluster) oneLease() error {
	var all []store.RangeReport
	valid := map[kvapi.RangeID][]store.RangeReport{}
	for _, n := range c.nodes {
		core := n.Core()
		if core == nil {
			continue
		}
		for _, r := range core.Store.RangeInfos() {
			all = append(all, r)
			if r.LeaseValid {
				valid[r.Desc.RangeID] = append(valid[r.Desc.RangeID], r)
			}
		}
	}
	for _, later := range all {
		for _, v := range valid[later.Desc.RangeID] {
			if later.Lease.Sequence > v.Lease.Sequence && later.Lease.Start.Less(v.LeaseEnd) {
				return fmt.Errorf("%s: %s is valid for its holder up to %s, and %s has replaced it",
					v.Desc.RangeID, &v.Lease, v.LeaseEnd, &later.Lease)
			}
		}
	}
	return nil
}

// disjoint compares a use with those of other leases of the range, and records it.
func disjoint(id kvapi.RangeID, bySeq map[kvapi.LeaseSequence]use, u use) error {
	for seq, o := range bySeq {
		earlier, later := o, u
		if u.lease.Sequence < seq {
			earlier, later = u, o
		}
		switch {
		case seq == u.lease.Sequence && !sameReplica(o.lease.Holder, u.lease.Holder):
			return fmt.Errorf("%s: two holders of one sequence: %s and %s", id, &o.lease, &u.lease)
		case seq == u.lease.Sequence || o.lease.Holder == u.lease.Holder:
		case !earlier.until.Less(later.lease.Start):
			return fmt.Errorf("%s: %s was valid for its holder at %s, which %s covers too", id, &earlier.lease, earlier.until, &later.lease)
		}
	}
	u.until = u.until.Max(bySeq[u.lease.Sequence].until)
	bySeq[u.lease.Sequence] = u
	return nil
}

// sameReplica compares who holds; a holder may become a full voter in between.
func sameReplica(a, b kvapi.ReplicaDescriptor) bool {
	return a.NodeID == b.NodeID && a.ReplicaID == b.ReplicaID
}
