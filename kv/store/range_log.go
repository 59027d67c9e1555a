package store

import (
	"context"

	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
)

// logEvent writes an entry of the range log in the transaction that does what
// the entry says.
func (s *Store) logEvent(ctx context.Context, txn Txn, e kvapi.RangeEvent) error {
	e.WallNanos, e.NodeID = s.cfg.Clock.Now().WallTime, s.ident.NodeID
	return txn.Put(ctx, keys.RangeLog(e.WallNanos, e.RangeID), e.AppendWire(nil))
}
