package sql

import (
	"cmp"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/pgcatalog"
	"github.com/cairndb/cairn/sql/tablekv"
	"github.com/cairndb/cairn/txn"
)

// contention counts, by key, the conflicts that sessions of this node ran into: cairn.contention. It
// holds the keys with the most conflicts, by the space-saving rule: a key that is new takes the place
// of the one with the fewest, and its count, so that a key that comes often is never missed and no
// count is too low.
type contention struct {
	// replays counts transactions that were run again after the client had seen a part of them.
	replays atomic.Int64
	mu      struct {
		sync.Mutex
		keys map[string]*conflict
	}
}

// contentionKeysMax bounds the keys, contentionKeyMax the bytes of one.
const (
	contentionKeysMax = 200
	contentionKeyMax  = 256
)

type conflict struct {
	key            kvapi.Key
	retried, shown int64
	reason         string
	other          string
	at             time.Time
}

func (c *conflict) count() int64 { return c.retried + c.shown }

// how a conflict ended.
type conflictEnd bool

const (
	conflictRetried conflictEnd = false
	conflictShown   conflictEnd = true
)

// noteConflict counts an error if it is a conflict of transactions.
func (s *Session) noteConflict(err error, end conflictEnd) {
	var (
		retry    *txn.RetryError
		deadlock *txn.DeadlockError
	)
	switch {
	case errors.As(err, &deadlock):
		s.srv.contention.add(deadlock.Key, "deadlock", deadlock.Other, end)
	case errors.As(err, &retry):
		s.srv.contention.add(retry.Key, retry.Reason, retry.Other, end)
	}
}

func (c *contention) add(key kvapi.Key, reason string, other *kvapi.TxnMeta, end conflictEnd) {
	if len(key) == 0 {
		return
	}
	key = key[:min(len(key), contentionKeyMax)]
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.mu.keys[string(key)]
	if k == nil {
		k = c.takeInLocked(key)
	}
	if end == conflictShown {
		k.shown++
	} else {
		k.retried++
	}
	k.reason, k.at = reason, time.Now()
	if other != nil {
		k.other = other.ID.Short()
	}
}

func (c *contention) takeInLocked(key kvapi.Key) *conflict {
	if c.mu.keys == nil {
		c.mu.keys = map[string]*conflict{}
	}
	k := &conflict{key: key.Clone()}
	if len(c.mu.keys) >= contentionKeysMax {
		var least *conflict
		for _, x := range c.mu.keys {
			if least == nil || x.count() < least.count() {
				least = x
			}
		}
		delete(c.mu.keys, string(least.key))
		k.retried, k.shown = least.retried, least.shown
	}
	c.mu.keys[string(k.key)] = k
	return k
}

// top returns the keys, those with the most conflicts first.
func (c *contention) top() []conflict {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]conflict, 0, len(c.mu.keys))
	for _, k := range c.mu.keys {
		out = append(out, *k)
	}
	slices.SortFunc(out, func(a, b conflict) int {
		return cmp.Or(cmp.Compare(b.count(), a.count()), a.key.Compare(b.key))
	})
	return out
}

// conflicts are the rows of cairn.contention.
func (s *Session) conflicts() []pgcatalog.Conflict {
	var out []pgcatalog.Conflict
	for _, k := range s.srv.contention.top() {
		row := pgcatalog.Conflict{Key: keyText(s, k.key), Retried: k.retried, Shown: k.shown, Reason: k.reason, Other: k.other, At: k.at}
		if id, _, ok := tablekv.SplitKey(k.key); ok {
			row.TableID = schema.DescID(id)
		}
		if row.Key == "" {
			row.Key = k.key.String()
		}
		out = append(out, row)
	}
	return out
}
