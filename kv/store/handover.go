package store

import (
	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/concurrency/tscache"
	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
)

// What a leaseholder has answered binds its successor (I2). The successor knows
// of it in one of three ways:
//
//	it answered itself, in this process        its timestamp cache, as it is
//	the holder handed over (admin_transfer.go) the summary in the command that
//	                                           gave the lease up
//	neither: a fail-over, a restart, or a      a floor: all was read, and every
//	snapshot in place of that command          transaction finished, when the
//	                                           new lease began
//
// The floor is always right, and dear: it moves every write of a transaction
// that began before, and aborts it if it has no record yet, for that it was
// finished cannot be ruled out. A lease that follows the load, a drain, or a
// rebalancing should cost no client that.
//
//	holder                          log            every replica
//	latches of the whole range: no
//	read is in flight, none comes
//	summarize ─▶ lease S+1, over ─▶ │ S+1, reads ─▶ lease S+1, nobody serves;
//	at once                         │               keeps the reads, in memory
//	                                │ S+2        ─▶ its holder learns the reads,
//	                                                then shows S+2; all forget them
//
// Under S+1 nothing is answered: whoever gave it up counts it as from before its
// transfer, for nobody else is it theirs. So what was read when the latches were
// held is all that was read before S+2, whoever takes that: the successor, the
// former holder after a transfer that failed, or somebody elected meanwhile.
//
// The simpler idea, a message to the successor, would need an answer to every
// way in which it is lost, late, or goes to one who is not elected.
//
// The reads are not kept on disk: a replica that restarts between S+1 and S+2
// takes the floor, as does one that gets a snapshot. They are bounded
// (summaryBytesMax), and forget upward as the cache itself does.
type handedOver struct {
	// Generation is that of the range's descriptor when the latches were held.
	Generation kvapi.Generation `wire:"1"`
	// Keys are reads of the range's keys; Local those of range-local ones, with
	// the marks of transactions without a record.
	Keys  tscache.Summary `wire:"2"`
	Local tscache.Summary `wire:"3"`
	// Closed is up to where the holder, or one before it, has closed the range.
	// What commands carry of that is in the applied state anyway; what was told
	// of an idle range is not.
	Closed hlc.Timestamp `wire:"4"`
}

// summarizeReads returns what was read in the range. The latches of all of it
// are held.
func (r *Replica) summarizeReads(desc *kvapi.RangeDescriptor) *handedOver {
	h := &handedOver{Generation: desc.Generation}
	if r.store.cfg.Knobs.DropReads {
		return h
	}
	start, end := keys.RangeLocalSpan(desc.StartKey, desc.EndKey)
	s := r.store.tscache.Summarize(summaryBytesMax, desc.Span(), kvapi.Span{Key: start, EndKey: end})
	h.Keys, h.Local = s[0], s[1]
	return h
}

// knowsReadsLocked reports whether this store's timestamp cache covers all that
// was read in the range up to now: this replica holds the applied lease, and
// when that applied, in this process, the cache covered what was read before.
func (r *Replica) knowsReadsLocked() bool {
	return r.mu.knowsUnder != 0 && r.mu.knowsUnder == r.mu.lease.Sequence && r.mu.lease.Holder.ReplicaID == r.replicaID
}

// learnReads has the timestamp cache cover all that was read before this
// replica's new lease. The lease does not show yet.
func (r *Replica) learnReads(l *kvapi.Lease) {
	r.mu.RLock()
	desc, knows, h := r.mu.desc, r.knowsReadsLocked(), r.mu.handed
	r.mu.RUnlock()
	switch {
	case knows:
	case h == nil || h.Generation != desc.Generation:
		r.store.tscache.SetRangeFloor(desc, l.Start)
	default:
		r.closing.Raise(h.Closed)
		start, end := keys.RangeLocalSpan(desc.StartKey, desc.EndKey)
		r.store.tscache.Learn(desc.Span(), &h.Keys)
		r.store.tscache.Learn(kvapi.Span{Key: start, EndKey: end}, &h.Local)
		r.store.metrics.ReadsHandedOver.Add(1)
	}
}

// learnReadsOf does the same for a range that this one swallows, which rr is the
// replica of; m.ReadsUntil lies above all that was read there. Only the holder
// has to know: whoever comes after it learns of the whole from it, or takes the
// floor.
//
// Mostly the right range was led here, too, for a merge brings its lease first.
func (r *Replica) learnReadsOf(rr *Replica, m *mergeResult) {
	r.mu.RLock()
	holder := r.mu.lease.Holder.ReplicaID == r.replicaID
	r.mu.RUnlock()
	rr.mu.RLock()
	knows := rr.knowsReadsLocked()
	rr.mu.RUnlock()
	t := &m.Trigger
	switch {
	case !holder:
	case knows:
		r.closing.Raise(m.RightClosed.Max(rr.closing.Closed()))
	default:
		r.store.tscache.SetRangeFloor(&t.Right, t.ReadsUntil.Max(m.RightClosed))
	}
}
