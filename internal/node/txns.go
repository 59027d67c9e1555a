package node

import (
	"context"
	"errors"
	"fmt"

	"github.com/cairndb/cairn/internal/version"
	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/store"
	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/txn"
)

// txnRunner gives the store the transactions that change ranges
// (store.TxnRunner). The DB is made after the store, hence the pointer.
type txnRunner struct{ db *txn.DB }

// RunTxn implements store.TxnRunner.
func (r *txnRunner) RunTxn(ctx context.Context, name string, fn func(context.Context, store.Txn) error) error {
	return r.db.RunTxn(ctx, name, func(ctx context.Context, t txn.TriggerTxn) error {
		return fn(ctx, rangeTxn{t})
	})
}

// rangeTxn adapts a transaction to store.Txn. The transaction anchors on the
// descriptor that its trigger names, which is the anchor the store asks for.
type rangeTxn struct{ txn.TriggerTxn }

// SetSplitTrigger implements store.Txn.
func (t rangeTxn) SetSplitTrigger(_ kvapi.Key, s *kvapi.SplitTrigger) {
	t.TriggerTxn.SetSplitTrigger(s)
}

// SetChangeReplicasTrigger implements store.Txn.
func (t rangeTxn) SetChangeReplicasTrigger(_ kvapi.Key, c *kvapi.ChangeReplicasTrigger) {
	t.TriggerTxn.SetChangeReplicas(c)
}

// SetMergeTrigger implements store.Txn.
func (t rangeTxn) SetMergeTrigger(_ kvapi.Key, m *kvapi.MergeTrigger) { t.SetMerge(m) }

// nextID draws a number from an id generator; the first is first.
func nextID(ctx context.Context, db *txn.DB, generator kvapi.Key, first uint64) (id uint64, err error) {
	err = db.Run(ctx, txn.Options{Name: "draw id"}, func(ctx context.Context, t *txn.Txn) error {
		b, ok, err := t.Get(ctx, generator, txn.GetOptions{Lock: kvapi.LockExclusive})
		if err != nil {
			return err
		}
		id = first
		if ok {
			last, err := store.DecodeID(b)
			if err != nil {
				return err
			}
			id = last + 1
		}
		return t.Put(ctx, generator, store.EncodeID(id))
	})
	return id, err
}

// newNodeID draws the id of a joining node. Node 1 is the one that was
// initialised.
func newNodeID(ctx context.Context, db *txn.DB) (kvapi.NodeID, error) {
	id, err := nextID(ctx, db, keys.NodeIDGeneratorKey, 2)
	if err != nil {
		return 0, fmt.Errorf("draw a node id: %w", err)
	}
	return kvapi.NodeID(id), nil
}

// ensureCatalog writes the initial catalog unless there is one, and that the
// cluster, whose first node this is, has the latest version that it works in. Every
// node does it at its start; it has an effect once in a cluster's life.
func ensureCatalog(ctx context.Context, db *txn.DB, latest version.Number) error {
	initial := schema.InitialKeyValues()
	if len(initial) == 0 {
		return errors.New("the initial catalog is empty")
	}
	return db.Run(ctx, txn.Options{Name: "initial catalog"}, func(ctx context.Context, t *txn.Txn) error {
		if _, ok, err := t.Get(ctx, initial[0].Key, txn.GetOptions{}); err != nil || ok {
			return err
		}
		for _, kv := range initial {
			if err := t.Put(ctx, kv.Key, kv.Value); err != nil {
				return err
			}
		}
		if latest == version.V1 { // which is that of a cluster without a record
			return nil
		}
		return t.Put(ctx, keys.ClusterVersion(), encodeVersion(latest))
	})
}
