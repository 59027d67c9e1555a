package sql

import (
	"context"
	"encoding/binary"
	"sync"
	"time"

	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/pgcatalog"
	"github.com/cairndb/cairn/sql/tablekv"
)

// locksAskMax is how long each node has to tell of its locks and sessions. What one that does not
// answer has is not shown.
const locksAskMax = 2 * time.Second

// locks are the rows of pg_locks and cairn.locks: the locks of all nodes, with the sessions whose
// transactions they are. Nodes are asked side by side, not at one moment.
func (s *Session) locks(ctx context.Context) ([]pgcatalog.Lock, error) {
	peers := s.srv.cfg.Peers
	if peers == nil {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, locksAskMax)
	defer cancel()
	var (
		mu       sync.Mutex
		wg       sync.WaitGroup
		found    []kvapi.LockState
		sessions = map[kvapi.TxnID]*SessionState{}
	)
	for _, n := range peers.Nodes() {
		wg.Go(func() {
			list, err := peers.Locks(ctx, n)
			if err != nil {
				s.srv.log.Warn("a node does not tell its locks", "node", n, "err", err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			found = append(found, list.Locks...)
		})
		wg.Go(func() {
			list, err := peers.Sessions(ctx, n, &SessionQuery{})
			if err != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			for i := range list.Sessions {
				st := &list.Sessions[i]
				for _, b := range [][]byte{st.Txn, st.AdvisoryTxn} {
					if len(b) > 0 {
						sessions[kvapi.TxnID(b)] = st
					}
				}
			}
		})
	}
	wg.Wait()
	out := make([]pgcatalog.Lock, 0, len(found))
	for i := range found {
		out = append(out, s.lockRow(&found[i], sessions))
	}
	return out, context.Cause(ctx)
}

func (s *Session) lockRow(l *kvapi.LockState, sessions map[kvapi.TxnID]*SessionState) pgcatalog.Lock {
	key := l.Lock.Key
	row := pgcatalog.Lock{Key: keyText(s, key), Strength: l.Lock.Strength.String(), Mode: lockModes[l.Lock.Strength],
		Durable: l.Lock.Replicated, Granted: !l.Waits}
	if l.Waits && l.SinceNanos != 0 {
		row.Since = time.Unix(0, l.SinceNanos)
	}
	if id, _, ok := tablekv.SplitKey(key); ok {
		row.TableID = schema.DescID(id)
		if t := s.pg.Contents.Table(row.TableID); t != nil {
			row.DatabaseID = t.DatabaseID
		}
	}
	if row.Key == "" {
		row.Key = key.String()
	}
	row.Advisory, row.DatabaseID = advisoryKeyOf(key, row.DatabaseID)
	if id := l.Lock.Txn.ID; !id.IsZero() {
		row.Txn, row.Node = id.Short(), int64(l.Lock.Txn.Coordinator)
		if st := sessions[id]; st != nil {
			row.PID, row.Application = st.PID, st.Application
		}
	}
	return row
}

// lockModes are the modes that Postgres gives to the locks of rows that are waited for. An intent is
// a row that was written; a read waits for one at most.
var lockModes = [...]string{
	kvapi.LockNone:        "AccessShareLock",
	kvapi.LockKeyShare:    "AccessShareLock",
	kvapi.LockShared:      "RowShareLock",
	kvapi.LockNoKeyUpdate: "ExclusiveLock",
	kvapi.LockExclusive:   "AccessExclusiveLock",
	kvapi.LockIntent:      "AccessExclusiveLock",
}

// advisoryKeyOf reads the key of an advisory lock as pg_locks shows it; nil if it is none.
func advisoryKeyOf(key kvapi.Key, db schema.DescID) (*pgcatalog.AdvisoryKey, schema.DescID) {
	n := len(keys.AdvisoryPrefix)
	if len(key) != n+13 || string(key[:n]) != string(keys.AdvisoryPrefix) {
		return nil, db
	}
	b := key[n:]
	return &pgcatalog.AdvisoryKey{ClassID: int64(binary.BigEndian.Uint32(b[5:])), ObjID: int64(binary.BigEndian.Uint32(b[9:])),
		ObjSubID: int64(b[4])}, schema.DescID(binary.BigEndian.Uint32(b))
}
