package node

import (
	"cmp"
	"context"
	"encoding/binary"
	"sync"
	"time"

	"github.com/cairndb/cairn/kv/gc"
	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql"
	"github.com/cairndb/cairn/txn"
)

// gcPolicyTimeout bounds the look at the catalog; the range's turn comes again.
const gcPolicyTimeout = 2 * time.Second

// gcPolicy tells the store how long tables keep their old versions
// (store.GCPolicy).
type gcPolicy struct {
	c  *Core
	mu struct {
		sync.Mutex
		// ttl is the cluster's setting as of at; 0 if it has none.
		ttl time.Duration
		at  time.Time
	}
}

// gcSettingAge is how long the cluster's setting is taken for what it was.
const gcSettingAge = 5 * time.Second

// TTL implements store.GCPolicy: the longest of the tables in the span. A range
// has one threshold, so what keeps its versions for long makes its neighbours
// in the range do so.
func (p *gcPolicy) TTL(ctx context.Context, sp kvapi.Span) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, gcPolicyTimeout)
	defer cancel()
	general, err := p.general(ctx)
	if err != nil || sp.EndKey.Compare(keys.TablePrefix) <= 0 {
		return general, err
	}
	s, err := p.c.Catalog.Snapshot(ctx)
	if err != nil {
		return 0, err
	}
	return longestTTL(s, sp, general), nil
}

// general is the cluster's setting, else the node's own.
func (p *gcPolicy) general(ctx context.Context) (time.Duration, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.at.IsZero() || time.Since(p.mu.at) >= gcSettingAge {
		ttl, err := p.readSetting(ctx)
		if err != nil {
			return 0, err
		}
		p.mu.ttl, p.mu.at = ttl, time.Now()
	}
	return cmp.Or(p.mu.ttl, p.c.cfg.GCTTL, gc.DefaultTTL), nil
}

// readSetting reads the cluster's setting, 0 if it has none.
func (p *gcPolicy) readSetting(ctx context.Context) (time.Duration, error) {
	var set []byte
	err := p.c.DB.Run(ctx, txn.Options{Name: "read " + sql.GCTTLSetting, ReadOnly: true}, func(ctx context.Context, t *txn.Txn) (err error) {
		set, _, err = t.Get(ctx, append(keys.SettingPrefix.Clone(), sql.GCTTLSetting...), txn.GetOptions{})
		return err
	})
	ttl, _ := sql.ParseGCTTL(string(set))
	return ttl, err
}

// longestTTL is the longest TTL of the tables in a span, and of what else is in
// it: not the gap behind a table, nor the end of the keyspace, where nothing is.
func longestTTL(s *schema.Snapshot, sp kvapi.Span, general time.Duration) time.Duration {
	if t := tableAround(s, sp); t != nil {
		return cmp.Or(t.GCTTL, general)
	}
	var longest time.Duration
	if sp.Key.Less(keys.TablePrefix) {
		longest = general
	}
	for _, o := range s.Objects() {
		t, ok := o.(*schema.Table)
		if !ok {
			continue
		}
		if start := keys.Table(uint32(t.ID)); sp.Overlaps(kvapi.Span{Key: start, EndKey: start.PrefixEnd()}) {
			longest = max(longest, cmp.Or(t.GCTTL, general))
		}
	}
	return cmp.Or(longest, general)
}

// tableAround is the table that holds all of a span, or nil.
func tableAround(s *schema.Snapshot, sp kvapi.Span) *schema.Table {
	n := len(keys.TablePrefix)
	if len(sp.Key) < n+4 || sp.Key.Less(keys.TablePrefix) {
		return nil
	}
	id := binary.BigEndian.Uint32(sp.Key[n:])
	if keys.Table(id).PrefixEnd().Less(sp.EndKey) {
		return nil
	}
	return s.Table(schema.DescID(id))
}
