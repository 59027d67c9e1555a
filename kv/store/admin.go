package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
)

// sendAdmin runs a request above Raft, on the leaseholder, so that one replica
// at a time works on a range.
func (r *Replica) sendAdmin(ctx context.Context, ba *kvapi.BatchRequest) (*kvapi.BatchResponse, *kvapi.Error) {
	if _, err := r.ensureLease(ctx, noTimestamp); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(r.store.ctx, cancel)()
	q := &ba.Requests[0]
	var err error
	var check *kvapi.IntegrityRecord
	switch q.Kind {
	case kvapi.AdminSplit:
		err = r.adminSplit(ctx, q.Key, splitReason{why: cmp.Or(q.Why, "asked for"), stickyUntil: q.StickyUntil})
	case kvapi.AdminTransferLease:
		err = r.transferAway(ctx, q.Target)
	case kvapi.AdminMerge:
		err = r.mergeByHand(ctx, q.Value, cmp.Or(q.Why, "asked for"))
	case kvapi.AdminChangeReplicas:
		err = r.adminChangeReplicas(ctx, q.Change)
	case kvapi.AdminCheckRange:
		check, err = r.check(ctx)
	default:
		err = fmt.Errorf("%s is not an admin request", q.Kind)
	}
	if err != nil {
		return nil, adminError(q.Kind, err)
	}
	info := r.info()
	return &kvapi.BatchResponse{Responses: []kvapi.Response{{Kind: q.Kind, Info: &info, Check: check}}}, nil
}

// adminError keeps the kind of an error that has one.
func adminError(k kvapi.Kind, err error) *kvapi.Error {
	var e *kvapi.Error
	if errors.As(err, &e) {
		return e
	}
	return kvapi.NewError(kvapi.ErrUnavailable, "%s: %v", k, err)
}

// errDescriptorChanged says that a range changed under an admin request, whose
// plan then is void.
var errDescriptorChanged = errors.New("the range changed meanwhile")

// lockDescriptor waits until no other admin request changes the descriptor.
func (r *Replica) lockDescriptor(ctx context.Context) (unlock func(), err error) {
	select {
	case r.changing <- struct{}{}:
		return func() { <-r.changing }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%s: waiting for another change: %w", r.rangeID, ctx.Err())
	}
}

var errNoTxns = errors.New("this store was given no way to run transactions")

// checkDescriptor reads the range's descriptor in the transaction and compares
// it with the one that was planned on. The transaction then writes it: so two
// changes of one range conflict.
func checkDescriptor(ctx context.Context, txn Txn, want *kvapi.RangeDescriptor) error {
	b, ok, err := txn.Get(ctx, keys.RangeDescriptor(want.StartKey))
	if err != nil {
		return err
	}
	var got kvapi.RangeDescriptor
	if !ok {
		return fmt.Errorf("%s has no descriptor: %w", want.RangeID, errDescriptorChanged)
	}
	if err := got.UnmarshalWire(b); err != nil {
		return fmt.Errorf("descriptor of %s: %w", want.RangeID, err)
	}
	if got.RangeID != want.RangeID || got.Generation != want.Generation {
		return fmt.Errorf("%s is now %s: %w", want.RangeID, &got, errDescriptorChanged)
	}
	return nil
}

// putDescriptor writes a descriptor and its addressing record.
func putDescriptor(ctx context.Context, txn Txn, d *kvapi.RangeDescriptor) error {
	v := d.AppendWire(nil)
	if err := txn.Put(ctx, keys.RangeDescriptor(d.StartKey), v); err != nil {
		return err
	}
	return txn.Put(ctx, keys.RangeMetaKey(d.EndKey), v)
}

// nextRangeID draws a range id, in a transaction of its own: an id lost is no
// loss.
func (s *Store) nextRangeID(ctx context.Context) (kvapi.RangeID, error) {
	var id uint64
	err := s.cfg.Txns.RunTxn(ctx, "range id", func(ctx context.Context, txn Txn) error {
		b, ok, err := txn.Get(ctx, keys.RangeIDGeneratorKey)
		if err != nil {
			return err
		}
		if !ok {
			return errors.New("the cluster has no range id generator")
		}
		if id, err = DecodeID(b); err != nil {
			return err
		}
		id++
		return txn.Put(ctx, keys.RangeIDGeneratorKey, EncodeID(id))
	})
	return kvapi.RangeID(id), err
}
