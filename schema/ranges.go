package schema

import (
	"context"
	"time"

	"github.com/cairndb/cairn/kv/keys"
)

// Every table that is made starts a range of its own, so that its lease and its
// load can be anywhere from its first rows on. That is done a moment after the
// statement: a split is a few transactions, more than a CREATE TABLE costs
// otherwise, and many tables are made one after the other.
//
//	commit ─▶ newTables, newTablesMax at most ─▶ still there? few ranges here? ─▶ split
//
// A table that is not split off shares the range of the one before it until size
// or load divides that: if too many wait, if the node has Config.MayStartRange's
// limit of ranges, if splits fail, or if the node stops meanwhile. That costs
// speed at most. A table that asks for something of its own (Contents.KeepsApart) waits
// for its boundaries, which say for whom that counts.
//
// What follows belongs to the ranges: those that transactions write together are
// merged, as are quiet ones (kv/store).

// splitLater asks for a range of its own for a table.
func (c *Catalog) splitLater(id DescID) {
	select {
	case c.newTables <- id:
	default:
		c.log.Info("too many new tables wait for ranges of their own: one shares a range", "table", id)
	}
}

// RunRanges gives new tables their ranges until ctx ends. It returns ctx's error.
func (c *Catalog) RunRanges(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case id := <-c.newTables:
			c.giveRange(ctx, id)
		}
	}
}

// giveRange has a table start a range, unless it is gone. It pauses after each
// attempt.
func (c *Catalog) giveRange(ctx context.Context, id DescID) {
	for range splitAttemptsMax {
		snap, err := c.Snapshot(ctx)
		if err == nil && (snap.Table(id) == nil || c.cfg.MayStartRange != nil && !c.cfg.MayStartRange()) {
			return
		}
		if err == nil {
			err = c.splitAt(ctx, id)
		}
		select {
		case <-time.After(splitPause):
		case <-ctx.Done():
			return
		}
		if err == nil {
			return
		}
		c.log.Warn("giving a table its range", "table", id, "err", err)
	}
}

func (c *Catalog) splitAt(ctx context.Context, id DescID) error {
	ctx, cancel := context.WithTimeout(ctx, splitTimeout)
	defer cancel()
	return c.store.Split(ctx, keys.Table(uint32(id)))
}
