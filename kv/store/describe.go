package store

import (
	"fmt"
	"strings"
)

// Describe prints what each replica of the store is busy with, for whoever
// asks why nothing moves: its place in Raft, its lease, the locks that others
// wait for, and the proposals that have not ended. It takes no lock for long
// and none that a stuck worker may hold.
func (s *Store) Describe() string {
	var b strings.Builder
	for _, r := range s.replicas.all() {
		r.describe(&b)
	}
	return b.String()
}

func (r *Replica) describe(b *strings.Builder) {
	st := r.leaseStatus(noTimestamp)
	r.mu.RLock()
	defer r.mu.RUnlock()
	fmt.Fprintf(b, "%s replica %d: term %d, leader %d, leads %t, applied %d\n  %s\n  lease %s\n", r.rangeID, r.replicaID,
		r.mu.term, r.mu.leader, r.mu.leads, r.mu.applied.Index, r.mu.desc, st)
	if f := r.mu.freeze; f != nil {
		fmt.Fprintf(b, "  frozen at %d for the merge of txn %s\n", f.At, f.Txn.ID.Short())
	}
	m := r.mgr.Metrics()
	fmt.Fprintf(b, "  lease asked %t, transfer until %d; %d latches, %d wait for locks, %d pushes wait; proposals: %d buffered, %d pending\n",
		r.mu.leaseAsked, r.mu.transferUntil, m.Latches, m.LockWaiters, m.PushWaiters, len(r.mu.buffer), len(r.mu.pending))
	for _, p := range r.mu.pending {
		fmt.Fprintf(b, "  proposal %v of term %d, lease %d: in the log %t since tick %d, stuck %t\n",
			p.id, p.header.Term, p.header.LeaseSequence, p.inLog, p.bornTick, p.isStuck)
	}
	for _, line := range strings.SplitAfter(r.mgr.DescribeLocks(), "\n") {
		if line != "" {
			b.WriteString("  lock " + line)
		}
	}
}
