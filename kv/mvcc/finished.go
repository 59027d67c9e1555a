package mvcc

import "github.com/cairndb/cairn/kv/kvapi"

// FinishedTxns knows some transactions that have committed. What it does not
// know it returns nil for.
//
// The intents of a committed transaction differ from committed versions only
// by their entry in the lock table: the version stands where it will stay. So
// reads need not wait for the resolution, and a write that replaces the entry
// by its own resolves on the way, in one command instead of two:
//
//	lock table   key ──▶ T1 @10, committed       key ──▶ T2 @20
//	versions     key@10 = a                ──▶   key@20 = b   provisional
//	                                             key@10 = a   committed
//
// A feed of committed changes takes the replacement of an entry for the commit
// of what it replaces.
//
// Only if the intent stands at the commit timestamp and was written in the
// epoch that committed, and not if it was rolled back; others are resolved
// first, like those of aborted transactions, whose versions have to go.
//
// A transaction that is committed by its writes alone (parallel commit) is
// read in the same way, but not replaced: until its record says that it is
// committed, whoever recovers it has to find every one of its intents.
type FinishedTxns interface {
	// GetCommitted returns the transaction with its commit timestamp: committed
	// if its record says so, staging if it is committed by its writes.
	GetCommitted(kvapi.TxnID) *kvapi.Transaction
}

// committedIntent returns the commit of an intent that reads as a committed
// version, else nil.
func committedIntent(f FinishedTxns, l *lockRecord) *kvapi.Transaction {
	if f == nil {
		return nil
	}
	t := f.GetCommitted(l.txn.ID)
	if t == nil || t.Epoch != l.txn.Epoch || t.WriteTimestamp != l.at() || isIgnored(t.IgnoredSeqNums, l.txn.Seq) {
		return nil
	}
	return t
}

// isReplaceable reports whether a write may take the intent's place.
func isReplaceable(f FinishedTxns, l *lockRecord) bool {
	t := committedIntent(f, l)
	return t != nil && t.Status == kvapi.Committed
}
