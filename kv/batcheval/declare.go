package batcheval

import (
	"bytes"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/mvcc"
	"github.com/cairndb/cairn/kv/spanset"
)

// DeclareSpans returns what the batch latches and which locks it respects.
//
//	plain read       read latch up to its uncertainty limit (without a
//	                 transaction: any timestamp): a write there may be done in
//	                 the client's eyes and not applied yet
//	locking read     write latch at the read timestamp: two do not pass each
//	                 other, and it may move up without new latches
//	write            write latch at the read timestamp; if the transaction
//	                 may have an intent there already, at the lowest
//	                 timestamp that may have, since that version is replaced
//	records, locks   latches without timestamp
//	garbage          write latch above all timestamps, which reads pass
func DeclareSpans(ba *kvapi.BatchRequest, desc *kvapi.RangeDescriptor) spanset.Spans {
	d := declarer{ba: ba, desc: desc, onePhase: isOnePhase(ba)}
	d.out.Latches = make([]spanset.LatchSpan, 0, len(ba.Requests)+1)
	d.out.Locks = make([]spanset.LockSpan, 0, len(ba.Requests))
	d.readTS, d.readTo = ReadTimestamp(ba), ReadTimestamp(ba)
	d.writeFrom = d.readTS
	if ba.Txn == nil && !ba.Inconsistent {
		// Its uncertainty limit depends on the range's clock, see Uncertainty.
		d.readTo = hlc.MaxTimestamp
	}
	if ba.Txn != nil {
		d.readTo.Forward(ba.Txn.GlobalUncertaintyLimit)
		if ba.Txn.HasFlushed || ba.Txn.Epoch > 0 {
			d.writeFrom = d.writeFrom.Min(ba.Txn.MinTimestamp)
		}
	}
	for i := range ba.Requests {
		if r := &ba.Requests[i]; hasArguments(ba, r) {
			d.request(r)
		}
	}
	return d.out
}

type declarer struct {
	ba       *kvapi.BatchRequest
	desc     *kvapi.RangeDescriptor
	onePhase bool
	// readTS is where the batch reads, readTo how far up reads look, and
	// writeFrom the lowest timestamp that writes change.
	readTS, readTo, writeFrom hlc.Timestamp
	out                       spanset.Spans
}

// hasArguments reports whether a request has what its kind needs; evaluation
// refuses one that has not.
func hasArguments(ba *kvapi.BatchRequest, r *kvapi.Request) bool {
	switch r.Kind {
	case kvapi.HeartbeatTxn:
		return ba.Txn != nil
	case kvapi.PushTxn, kvapi.QueryTxn, kvapi.QueryCommit:
		return r.Push != nil
	case kvapi.RecoverTxn:
		return r.Recover != nil
	case kvapi.QueryIntent:
		return r.Query != nil
	}
	return true
}

func (d *declarer) request(r *kvapi.Request) {
	switch r.Kind {
	case kvapi.Get, kvapi.Scan, kvapi.ReverseScan:
		d.read(r)
	case kvapi.Put, kvapi.ConditionalPut, kvapi.Delete, kvapi.DeleteRange:
		d.out.Latch(spanset.Write, r.Span(), d.writeFrom)
		d.out.Lock(spanset.LockSpan{Span: r.Span(), Strength: writeStrength(r), Write: true, Wait: r.Wait, Timestamp: d.readTS})
	case kvapi.EndTxn:
		d.endTxn(r)
	case kvapi.HeartbeatTxn:
		d.record(spanset.Write, &d.ba.Txn.TxnMeta)
	case kvapi.PushTxn:
		d.record(spanset.Write, &r.Push.Pushee)
	case kvapi.QueryTxn:
		d.record(spanset.Read, &r.Push.Pushee)
	case kvapi.RecoverTxn:
		d.record(spanset.Write, &r.Recover.Txn.TxnMeta)
	case kvapi.QueryCommit:
		d.out.Latch(spanset.Read, r.Span(), hlc.MaxTimestamp)
	case kvapi.QueryIntent:
		d.out.Latch(spanset.Read, r.Span(), r.Query.Txn.WriteTimestamp)
	case kvapi.Refresh, kvapi.RefreshRange:
		d.out.Latch(spanset.Read, r.Span(), d.readTS)
	case kvapi.ResolveIntent, kvapi.ResolveIntentRange, kvapi.Barrier, kvapi.ClearRange:
		// At whatever timestamp the intents stand: all of them.
		d.out.Latch(spanset.Write, r.Span(), emptyTS)
	case kvapi.CollectGarbage:
		// No read above the threshold sees any of it, and those below it are
		// refused; but who writes, or resolves, finds the versions in order.
		d.out.Latch(spanset.Write, r.Span(), hlc.MaxTimestamp)
	case kvapi.RaiseGCThreshold:
		d.out.Latch(spanset.Write, kvapi.Span{Key: keys.GCThreshold(d.desc.RangeID)}, emptyTS)
	case kvapi.CheckProtection:
		d.out.Latch(spanset.Read, kvapi.Span{Key: keys.GCThreshold(d.desc.RangeID)}, emptyTS)
	case kvapi.RequestLease:
		d.out.Latch(spanset.Write, kvapi.Span{Key: keys.Lease(d.desc.RangeID)}, emptyTS)
	case kvapi.TruncateLog:
		d.out.Latch(spanset.Write, kvapi.Span{Key: keys.TruncatedState(d.desc.RangeID)}, emptyTS)
	}
}

// writeStrength is what a write excludes before its intent is there.
func writeStrength(r *kvapi.Request) kvapi.LockStrength {
	if r.Kind == kvapi.Put && r.Lock == kvapi.LockNoKeyUpdate {
		return kvapi.LockNoKeyUpdate
	}
	return kvapi.LockIntent
}

func (d *declarer) read(r *kvapi.Request) {
	if r.Lock != kvapi.LockNone {
		d.out.Latch(spanset.Write, r.Span(), d.readTS)
		d.out.Lock(spanset.LockSpan{Span: r.Span(), Strength: r.Lock, Wait: r.Wait, Timestamp: d.readTS})
		return
	}
	d.out.Latch(spanset.Read, r.Span(), d.readTo)
	if !d.ba.Inconsistent {
		d.out.Lock(spanset.LockSpan{Span: r.Span(), Strength: kvapi.LockNone, Wait: r.Wait, Timestamp: d.readTo})
	}
}

func (d *declarer) record(a spanset.Access, m *kvapi.TxnMeta) {
	d.out.Latch(a, kvapi.Span{Key: keys.TxnRecord(m.AnchorKey, m.ID)}, emptyTS)
}

func (d *declarer) endTxn(r *kvapi.Request) {
	if d.ba.Txn == nil || r.EndTxn == nil {
		return
	}
	d.record(spanset.Write, &d.ba.Txn.TxnMeta)
	if r.EndTxn.Split != nil || r.EndTxn.Merge != nil {
		lo, hi := keys.RangeLocalSpan(d.desc.StartKey, d.desc.EndKey)
		d.out.Latch(spanset.Write, kvapi.Span{Key: lo, EndKey: hi}, emptyTS)
		d.out.Latch(spanset.Write, d.desc.Span(), emptyTS)
		return
	}
	if d.onePhase || isStaging(d.ba, r.EndTxn) {
		return
	}
	for _, sp := range r.EndTxn.LockSpans {
		if in, _ := cutSpan(sp, d.desc); in != nil {
			d.out.Latch(spanset.Write, *in, emptyTS)
		}
	}
}

// isStaging reports whether EndTxn will not resolve locks in its batch.
func isStaging(ba *kvapi.BatchRequest, a *kvapi.EndTxnArgs) bool {
	return a.Commit && len(a.InFlightWrites) > 0 && !provesAll(ba, a.InFlightWrites)
}

// NeedsIndex reports whether the batch reads what it writes, so that rw must
// be an indexed batch: a request that touches a key written before it, or a
// commit that resolves intents of its own batch. An index costs several times
// the batch, and hardly any needs it.
func NeedsIndex(ba *kvapi.BatchRequest) bool {
	if cleansUpApart(ba) {
		return false
	}
	// In order or not is one look at the batch, not one for each request.
	inOrder := len(ba.Requests) > pairsMax && ascending(ba)
	writes := false
	for i := range ba.Requests {
		r := &ba.Requests[i]
		switch {
		case !writes:
		case r.Kind == kvapi.EndTxn:
			if r.EndTxn != nil && !isOnePhase(ba) && !isStaging(ba, r.EndTxn) {
				return true
			}
		case r.Kind.IsRange(), !inOrder && overlapsEarlier(ba, i):
			return true
		}
		writes = writes || r.IsWrite()
	}
	return false
}

// cleansUpApart reports whether the batch only resolves points and forgets
// records, in strictly rising order of kind, key and transaction. Then no
// request reads what another writes, also on one key: a key's intent belongs
// to one of the transactions, and to the others it is as if there was none.
func cleansUpApart(ba *kvapi.BatchRequest) bool {
	for i := range ba.Requests {
		if _, ok := cleanedUp(&ba.Requests[i]); !ok {
			return false
		}
		if i > 0 && !risesBetween(&ba.Requests[i-1], &ba.Requests[i]) {
			return false
		}
	}
	return true
}

func cleanedUp(r *kvapi.Request) (kvapi.TxnID, bool) {
	switch {
	case r.Kind == kvapi.ResolveIntent && r.Resolve != nil:
		return r.Resolve.Txn.ID, true
	case r.Kind == kvapi.RecoverTxn && r.Recover != nil:
		return r.Recover.Txn.ID, true
	}
	return kvapi.TxnID{}, false
}

func risesBetween(a, b *kvapi.Request) bool {
	if a.Kind != b.Kind {
		return a.Kind < b.Kind
	}
	if c := bytes.Compare(a.Key, b.Key); c != 0 {
		return c < 0
	}
	ida, _ := cleanedUp(a)
	idb, _ := cleanedUp(b)
	return bytes.Compare(ida[:], idb[:]) < 0
}

// pairsMax bounds the comparisons of NeedsIndex; a larger batch must have its
// points in order to do without.
const pairsMax = 8

func overlapsEarlier(ba *kvapi.BatchRequest, i int) bool {
	if len(ba.Requests) > pairsMax {
		return true
	}
	for j := range ba.Requests[:i] {
		if ba.Requests[j].IsWrite() && ba.Requests[j].Span().Overlaps(ba.Requests[i].Span()) {
			return true
		}
	}
	return false
}

// ascending reports whether the batch's points are in strictly rising order,
// as commits send them: none of them then touches the key of another.
func ascending(ba *kvapi.BatchRequest) bool {
	for i := 1; i < len(ba.Requests); i++ {
		r := &ba.Requests[i]
		if r.Kind == kvapi.EndTxn {
			continue
		}
		if r.Kind.IsRange() || !ba.Requests[i-1].Key.Less(r.Key) {
			return false
		}
	}
	return true
}

// Uncertainty computes the uncertainty interval of a batch. The limit of a
// transaction is narrowed by the clock that the leaseholder's node showed at
// its first visit, which bounds what was written there since; but not below
// the lease's start, nor below foreignUntil, since what came before was written
// under other clocks. A batch without a transaction may have taken its timestamp
// from any node.
func Uncertainty(ba *kvapi.BatchRequest, lease kvapi.Lease, foreignUntil hlc.Timestamp, maxOffset time.Duration) mvcc.Uncertainty {
	if ba.Txn == nil {
		limit := ba.Timestamp.AddNanos(int64(maxOffset))
		return mvcc.Uncertainty{Global: limit, Local: limit}
	}
	u := mvcc.Uncertainty{Global: ba.Txn.GlobalUncertaintyLimit, Local: ba.Txn.GlobalUncertaintyLimit}
	if seen, ok := ba.Txn.Observed(lease.Holder.NodeID); ok {
		u.Local = u.Global.Min(seen.Timestamp().Max(lease.Start).Max(foreignUntil))
	}
	return u
}
