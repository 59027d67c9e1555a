package node

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/cairndb/cairn/internal/rpc"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/sql"
)

// locksMax bounds the locks that a node tells of at once, some 150 bytes each.
const locksMax = 10_000

// peers implements sql.Peers.
type peers struct{ c *Core }

// Nodes implements sql.Peers.
func (p peers) Nodes() (out []kvapi.NodeID) {
	for _, n := range p.c.Gossip.Nodes() {
		if n.Live {
			out = append(out, n.NodeID)
		}
	}
	return out
}

// Sessions implements sql.Peers.
func (p peers) Sessions(ctx context.Context, node kvapi.NodeID, q *sql.SessionQuery) (*sql.SessionList, error) {
	if node == p.c.Ident.NodeID {
		return p.c.sessions(q)
	}
	b, err := p.c.Transport.Call(ctx, node, rpc.System, methodSessions, q)
	if err != nil {
		return nil, err
	}
	list := &sql.SessionList{}
	return list, list.UnmarshalWire(b)
}

// Locks implements sql.Peers.
func (p peers) Locks(ctx context.Context, node kvapi.NodeID) (*kvapi.LockList, error) {
	if node == p.c.Ident.NodeID {
		return p.c.locks()
	}
	b, err := p.c.Transport.Call(ctx, node, rpc.System, methodLocks, rpc.Raw(nil))
	if err != nil {
		return nil, err
	}
	list := &kvapi.LockList{}
	return list, list.UnmarshalWire(b)
}

// Statements implements sql.Peers.
func (p peers) Statements(ctx context.Context, node kvapi.NodeID, q *sql.StatementQuery) (*sql.StatementList, error) {
	if node == p.c.Ident.NodeID {
		return p.c.statements(q)
	}
	b, err := p.c.Transport.Call(ctx, node, rpc.System, methodStatements, q)
	if err != nil {
		return nil, err
	}
	list := &sql.StatementList{}
	return list, list.UnmarshalWire(b)
}

// Signal implements sql.Peers.
func (p peers) Signal(ctx context.Context, node kvapi.NodeID, q *sql.SignalRequest) (*sql.SignalAnswer, error) {
	b, err := p.c.Transport.Call(ctx, node, rpc.System, methodSignal, q)
	if err != nil {
		return nil, err
	}
	a := &sql.SignalAnswer{}
	return a, a.UnmarshalWire(b)
}

// settingsTellMax is how long the other nodes have to take in new settings.
const settingsTellMax = 3 * time.Second

// RefreshSettings implements sql.Peers.
func (p peers) RefreshSettings(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, settingsTellMax)
	defer cancel()
	var wg sync.WaitGroup
	for _, n := range p.Nodes() {
		if n == p.c.Ident.NodeID {
			continue
		}
		wg.Go(func() {
			if _, err := p.c.Transport.Call(ctx, n, rpc.System, methodSettings, rpc.Raw(nil)); err != nil {
				p.c.cfg.Log.Warn("a node has not taken in the new settings yet", "node", n, "err", err)
			}
		})
	}
	wg.Wait()
}

// Notify implements sql.Peers.
func (p peers) Notify(ctx context.Context, node kvapi.NodeID, n *sql.NotificationList) error {
	_, err := p.c.Transport.Call(ctx, node, rpc.System, methodNotify, n)
	return err
}

var errNoSQL = errors.New("no SQL clients are served here yet")

// SetSQL tells the Core the SQL server of its node, for those who ask from others.
func (c *Core) SetSQL(s *sql.Server) { c.sql.Store(s) }

func (c *Core) sessions(q *sql.SessionQuery) (*sql.SessionList, error) {
	s := c.sql.Load()
	if s == nil {
		return nil, errNoSQL
	}
	return s.Sessions(q), nil
}

func (c *Core) statements(q *sql.StatementQuery) (*sql.StatementList, error) {
	s := c.sql.Load()
	if s == nil {
		return nil, errNoSQL
	}
	return s.Statements(q), nil
}

func (c *Core) locks() (*kvapi.LockList, error) {
	locks, err := c.Store.Locks(locksMax)
	return &kvapi.LockList{Locks: locks}, err
}

// handlePeers registers what peers asks.
func (c *Core) handlePeers(mux *rpc.Mux) {
	mux.HandleCall(methodSessions, func(_ context.Context, _ kvapi.NodeID, payload []byte) (rpc.Appender, error) {
		var q sql.SessionQuery
		if err := q.UnmarshalWire(payload); err != nil {
			return nil, err
		}
		return answer(c.sessions(&q))
	})
	mux.HandleCall(methodStatements, func(_ context.Context, _ kvapi.NodeID, payload []byte) (rpc.Appender, error) {
		var q sql.StatementQuery
		if err := q.UnmarshalWire(payload); err != nil {
			return nil, err
		}
		return answer(c.statements(&q))
	})
	mux.HandleCall(methodSignal, func(ctx context.Context, _ kvapi.NodeID, payload []byte) (rpc.Appender, error) {
		var q sql.SignalRequest
		if err := q.UnmarshalWire(payload); err != nil {
			return nil, err
		}
		s := c.sql.Load()
		if s == nil {
			return nil, errNoSQL
		}
		return answer(s.Signal(ctx, &q))
	})
	mux.HandleCall(methodSettings, func(ctx context.Context, _ kvapi.NodeID, _ []byte) (rpc.Appender, error) {
		if s := c.sql.Load(); s != nil {
			return rpc.Raw(nil), s.RefreshSettings(ctx)
		}
		return rpc.Raw(nil), nil // it reads them when it begins to serve
	})
	mux.HandleCall(methodNotify, func(_ context.Context, _ kvapi.NodeID, payload []byte) (rpc.Appender, error) {
		var n sql.NotificationList
		if err := n.UnmarshalWire(payload); err != nil {
			return nil, err
		}
		if s := c.sql.Load(); s != nil { // else there are no sessions
			s.Deliver(n.Items)
		}
		return rpc.Raw(nil), nil
	})
	mux.HandleCall(methodLocks, func(context.Context, kvapi.NodeID, []byte) (rpc.Appender, error) {
		return answer(c.locks())
	})
}

// answer keeps a nil pointer from becoming an answer.
func answer[T rpc.Appender](a T, err error) (rpc.Appender, error) {
	if err != nil {
		return nil, err
	}
	return a, nil
}
