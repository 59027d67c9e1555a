package node

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/cairndb/cairn/internal/version"
	"github.com/cairndb/cairn/kv/allocator"
	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/storage"
	"github.com/cairndb/cairn/sql"
	"github.com/cairndb/cairn/txn"
)

// The cluster's version: see package version, whose invariants are meant here.
//
//	start ──▶ announce: own record, unless the version forbids it   (I2, I3)
//	                 │
//	every versionsEvery, until the version is this build's latest:
//	read the records ──▶ adopt a higher version                     (I4)
//	                 │
//	the node that leads their range ──▶ raise                       (I1, I3)

// versionsEvery is how often a node reads the records while the version may rise.
const versionsEvery = 3 * time.Second

// versions is what this node knows of the cluster's version.
type versions struct {
	own    version.Range
	active atomic.Uint32
	// announced says that the cluster has this node's record.
	announced atomic.Bool
}

// Active is the cluster's version as this node knows it; it never falls.
func (c *Core) Active() version.Number { return version.Number(c.versions.active.Load()) }

// newVersions begins with what the store remembers (I2).
func newVersions(eng *storage.Engine, own version.Range) (*versions, error) {
	if own == (version.Range{}) {
		own = version.Binary()
	}
	active, err := recallVersion(eng)
	if err != nil {
		return nil, err
	}
	if err := own.Admit(active); err != nil {
		return nil, &versionError{err}
	}
	v := &versions{own: own}
	v.active.Store(uint32(active))
	return v, nil
}

// recallVersion reads the cluster's version that a store has last been used in.
func recallVersion(eng *storage.Engine) (version.Number, error) {
	b, ok, err := storage.GetUnversioned(eng, keys.StoreVersion)
	switch {
	case err != nil:
		return 0, fmt.Errorf("read the cluster's version in the store: %w", err)
	case !ok:
		return version.V1, nil
	}
	return decodeVersion(b)
}

func decodeVersion(b []byte) (version.Number, error) {
	n, used := binary.Uvarint(b)
	if used != len(b) || n == 0 || n != uint64(uint32(n)) {
		return 0, fmt.Errorf("the cluster's version is malformed: %x", b)
	}
	return version.Number(n), nil
}

func encodeVersion(n version.Number) []byte { return binary.AppendUvarint(nil, uint64(n)) }

// adopt takes in a version that the cluster has (I4).
func (c *Core) adopt(active version.Number) error {
	if active <= c.Active() {
		return nil
	}
	if err := c.versions.own.Admit(active); err != nil {
		return &versionError{err}
	}
	batch := c.cfg.Engine.NewBatch()
	defer batch.Close()
	if err := storage.PutUnversioned(batch, keys.StoreVersion, encodeVersion(active)); err != nil {
		return err
	}
	if err := c.cfg.Engine.Commit(batch, true); err != nil {
		return err
	}
	c.versions.active.Store(uint32(active))
	c.cfg.Log.Info("the cluster's version", "version", active)
	return nil
}

// versionError says that this node's build does not work in the cluster's version.
type versionError struct{ why error }

// Error implements error.
func (e *versionError) Error() string { return "this node cannot be in the cluster: " + e.why.Error() }

// readActive reads the cluster's version.
func readActive(ctx context.Context, t *txn.Txn) (version.Number, error) {
	b, ok, err := t.Get(ctx, keys.ClusterVersion(), txn.GetOptions{})
	if err != nil || !ok {
		return version.V1, err
	}
	return decodeVersion(b)
}

// Announce records in which versions this node works, before it serves. The error is
// a versionError if the cluster's is none of them.
func (c *Core) Announce(ctx context.Context) error {
	var active version.Number
	err := c.DB.Run(ctx, txn.Options{Name: "announce the build's versions"}, func(ctx context.Context, t *txn.Txn) (err error) {
		if active, err = readActive(ctx, t); err != nil {
			return err
		}
		if err := c.versions.own.Admit(active); err != nil {
			return &versionError{err}
		}
		key, want := keys.NodeVersions(c.Ident.NodeID), c.versions.own.AppendWire(nil)
		if b, ok, err := t.Get(ctx, key, txn.GetOptions{}); err != nil || ok && string(b) == string(want) {
			return err
		}
		return t.Put(ctx, key, want)
	})
	if err != nil {
		return err
	}
	c.versions.announced.Store(true)
	return c.adopt(active)
}

// tendVersions announces this node, adopts what the cluster has, and raises it.
func (c *Core) tendVersions() {
	t := time.NewTicker(versionsEvery)
	defer t.Stop()
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-t.C:
		}
		ctx, cancel := context.WithTimeout(c.ctx, membersTimeout)
		err := c.tendVersion(ctx)
		cancel()
		var refused *versionError
		switch {
		case err == nil || c.ctx.Err() != nil:
		case errors.As(err, &refused):
			c.cfg.Fatal(err)
		default:
			c.cfg.Log.Debug("the cluster's version", "err", err)
		}
	}
}

func (c *Core) tendVersion(ctx context.Context) error {
	if !c.versions.announced.Load() {
		if err := c.Announce(ctx); err != nil {
			return err
		}
	}
	if c.Active() == c.versions.own.Latest {
		return nil // it cannot rise as long as this node is in the cluster
	}
	var active, next version.Number
	leads := c.Store.Serves(keys.ClusterVersion())
	err := c.DB.Run(ctx, txn.Options{Name: "the cluster's version"}, func(ctx context.Context, t *txn.Txn) (err error) {
		if active, err = readActive(ctx, t); err != nil || !leads {
			return err
		}
		if next, err = c.nextVersion(ctx, t, active); err != nil || next == active {
			return err
		}
		active = next
		return t.Put(ctx, keys.ClusterVersion(), encodeVersion(next))
	})
	if err != nil {
		return err
	}
	return c.adopt(active)
}

// nextVersion is what the version may be raised to: I1. Nodes that have no record are
// of builds of before there were any.
func (c *Core) nextVersion(ctx context.Context, t *txn.Txn, active version.Number) (version.Number, error) {
	held, ok, err := t.Get(ctx, append(keys.SettingPrefix.Clone(), sql.HoldVersionSetting...), txn.GetOptions{})
	if err != nil || ok && string(held) == "on" {
		return active, err
	}
	works := map[kvapi.NodeID]version.Range{}
	for _, n := range c.Gossip.Nodes() {
		works[n.NodeID] = version.Range{}.Said()
	}
	for span := (&kvapi.Span{Key: keys.VersionPrefix, EndKey: keys.VersionPrefix.PrefixEnd()}); span != nil; {
		rows, resume, err := t.Scan(ctx, *span, txn.ScanOptions{MaxKeys: rangesPage})
		if err != nil {
			return active, err
		}
		for _, row := range rows {
			id, ok := keys.DecodeNodeVersions(row.Key)
			if !ok {
				continue
			}
			var r version.Range
			if err := r.UnmarshalWire(row.Value); err != nil {
				return active, fmt.Errorf("versions of node %d: %w", id, err)
			}
			works[id] = r
		}
		span = resume
	}
	var all []version.Range
	for id, r := range works {
		if c.members.of(id) != allocator.Decommissioned {
			all = append(all, r)
		}
	}
	return version.Next(active, all), nil
}
