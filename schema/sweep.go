package schema

import (
	"context"
	"encoding/binary"
	"errors"

	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
)

// SweepDropped clears the data of tables and indexes that were dropped longer
// than dropGrace ago. Nodes may do it at the same time: clearing twice is as
// good as once, since the keys of what was dropped are never used again.
func (c *Catalog) SweepDropped(ctx context.Context) error {
	var due []kvapi.Key
	err := c.store.Run(ctx, "find dropped data", func(ctx context.Context, t Txn) error {
		due = nil
		return scanAll(ctx, t, droppedPrefix, func(kv kvapi.KeyValue) error {
			var rec droppedRecord
			if err := decodeRecord(kv.Value, &rec); err != nil {
				return err
			}
			if rec.At.WallTime+int64(dropGrace) < c.clock.PhysicalNow() {
				due = append(due, kv.Key)
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	if err := c.sweepSettled(ctx); err != nil {
		return err
	}
	for _, k := range due {
		if err := c.clearDropped(ctx, k); err != nil {
			return err
		}
	}
	return nil
}

// sweepSettled removes what changes that failed have left.
func (c *Catalog) sweepSettled(ctx context.Context) error {
	return c.store.Run(ctx, "sweep settled", func(ctx context.Context, t Txn) error {
		return scanAll(ctx, t, settledPrefix, func(kv kvapi.KeyValue) error {
			var rec nodeRecord
			if err := decodeRecord(kv.Value, &rec); err != nil {
				return err
			}
			if rec.Suspect.WallTime+int64(buildMax) > c.clock.PhysicalNow() {
				return nil
			}
			return t.Delete(ctx, kv.Key)
		})
	})
}

func (c *Catalog) clearDropped(ctx context.Context, k kvapi.Key) error {
	tail := k[len(droppedPrefix):]
	if len(tail) != 8 {
		return errors.New("schema: malformed key of dropped data")
	}
	table, index := binary.BigEndian.Uint32(tail), binary.BigEndian.Uint32(tail[4:])
	start := keys.Table(table)
	if index != 0 {
		start = keys.Index(table, index)
	}
	if err := c.store.Clear(ctx, kvapi.Span{Key: start, EndKey: start.PrefixEnd()}); err != nil {
		return err
	}
	return c.store.Run(ctx, "forget dropped data", func(ctx context.Context, t Txn) error {
		return t.Delete(ctx, k)
	})
}
