package store

import (
	"context"
	"fmt"
	"sync"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
)

// splitReason says why a range is split, for the range log, and until when no
// merge undoes it by itself.
type splitReason struct {
	why         string
	stickyUntil hlc.Timestamp
}

// adminSplit makes the range begin anew at key: one transaction writes both
// descriptors and their addressing records, and its commit carries the trigger
// that every replica applies (apply_split.go). If the transaction aborts,
// nothing happened but the loss of a range id.
func (r *Replica) adminSplit(ctx context.Context, key kvapi.Key, reason splitReason) error {
	if r.store.cfg.Txns == nil {
		return errNoTxns
	}
	unlock, err := r.lockDescriptor(ctx)
	if err != nil {
		return err
	}
	unlock = sync.OnceFunc(unlock)
	defer unlock()
	old := r.Desc()
	switch {
	case key.Equal(old.StartKey) && !old.StickyUntil.Less(reason.stickyUntil):
		return nil // it is split there already
	case key.Equal(old.StartKey):
		unlock()
		return r.stick(ctx, reason.stickyUntil)
	case !keys.IsLocal(key) && !old.ContainsKey(key):
		// It was split while this request waited: the sender looks again.
		return r.mismatch(kvapi.Span{Key: key})
	case keys.IsLocal(key):
		return fmt.Errorf("%s is no place to split %s", key, old)
	case r.rangeID == firstRangeID:
		return fmt.Errorf("the addressing records (%s) do not split", r.rangeID)
	}
	id, err := r.store.nextRangeID(ctx)
	if err != nil {
		return fmt.Errorf("range id: %w", err)
	}
	left, right := *old, *old
	left.EndKey, right.StartKey = key.Clone(), key.Clone()
	left.Generation++
	right.RangeID, right.Generation, right.StickyUntil = id, left.Generation, reason.stickyUntil
	err = r.store.cfg.Txns.RunTxn(ctx, "split", func(ctx context.Context, txn Txn) error {
		if err := checkDescriptor(ctx, txn, old); err != nil {
			return err
		}
		if err := putDescriptor(ctx, txn, &left); err != nil {
			return err
		}
		if err := putDescriptor(ctx, txn, &right); err != nil {
			return err
		}
		event := kvapi.RangeEvent{RangeID: left.RangeID, Kind: kvapi.EventSplit, Other: right.RangeID, Key: right.StartKey, Why: reason.why}
		if err := r.store.logEvent(ctx, txn, event); err != nil {
			return err
		}
		txn.SetSplitTrigger(left.StartKey, &kvapi.SplitTrigger{Left: left, Right: right})
		return nil
	})
	if err != nil {
		return fmt.Errorf("split %s at %s: %w", old, key, err)
	}
	return nil
}

// stick keeps a boundary that is there already for longer than whoever made it
// asked for.
func (r *Replica) stick(ctx context.Context, until hlc.Timestamp) error {
	return r.changeDescriptor(ctx, "kept", func(d *kvapi.RangeDescriptor) error {
		d.StickyUntil.Forward(until)
		return nil
	})
}
