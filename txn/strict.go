package txn

import (
	"time"

	"github.com/cairndb/cairn/hlc"
)

// Strict serializability. Transactions are serializable in the order of their
// timestamps, and two that touch a key in common are in their real order. Two
// that touch none need not be: the second may run on a gateway whose clock is
// behind, get the lower timestamp, and a third transaction that runs beside
// both may see the second without the first.
//
// A strict transaction does not end before its timestamp is in the past of
// every clock of the cluster. Whoever begins later, anywhere, then begins
// above it:
//
//	commit @T ───────────────▶ all clocks above T ──▶ answer ──▶ next begins @T' > T
//	   └── locks are released at once ──┘
//
// So transactions that are all strict are serializable in their real order
// (S1). Read-only ones wait too: what they have seen may be of a transaction
// that is still waiting, for its locks are gone already. The wait ends the
// maximum clock offset after the timestamp, most of it counted from when the
// transaction began to commit, or, if it only read, from when it began to
// read. The simpler way, to wait before the locks are released, makes readers
// free of it and every conflict longer by the whole offset.
//
// What was rolled back does not wait, nor what read at a past timestamp, which
// promises nothing about the present.

// SetStrict says whether Commit returns only when every later transaction of
// any gateway begins above this one.
func (t *Txn) SetStrict(on bool) { t.strict = on }

// waitOut waits until ts is in the past of every clock. It is bounded by the
// maximum offset and cannot be interrupted: the commit has happened.
func (db *DB) waitOut(ts hlc.Timestamp) {
	c := db.cfg.Clock
	for {
		left := ts.WallTime + int64(c.MaxOffset()) - c.PhysicalNow()
		if left < 0 {
			return
		}
		db.metrics.StrictWaits.Add(1)
		time.Sleep(time.Duration(left) + 1)
	}
}
