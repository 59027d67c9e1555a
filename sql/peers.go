package sql

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
)

// Peers asks the nodes of the cluster, this one included, what they alone know.
type Peers interface {
	// Nodes are the nodes that are alive.
	Nodes() []kvapi.NodeID
	Sessions(ctx context.Context, node kvapi.NodeID, q *SessionQuery) (*SessionList, error)
	// Locks lists the locks on the ranges that the node leads.
	Locks(ctx context.Context, node kvapi.NodeID) (*kvapi.LockList, error)
	// Statements asks for what a node has counted, or has it forget.
	Statements(ctx context.Context, node kvapi.NodeID, q *StatementQuery) (*StatementList, error)
	// Signal interrupts a session of a node.
	Signal(ctx context.Context, node kvapi.NodeID, q *SignalRequest) (*SignalAnswer, error)
	// RefreshSettings has the other nodes read the cluster's settings again,
	// and returns when those have that answer soon.
	RefreshSettings(ctx context.Context)
	// Notify hands notifications over to the sessions of another node.
	Notify(ctx context.Context, node kvapi.NodeID, n *NotificationList) error
}

// SessionQuery asks for all sessions of a node or, if one of its fields is set, for the one that
// runs a transaction, or ran it lately.
type SessionQuery struct {
	Txn []byte `wire:"1"`
	// CommitWall and CommitLogical are where the transaction committed.
	CommitWall    int64 `wire:"2"`
	CommitLogical int64 `wire:"3"`
}

// SessionList answers a SessionQuery.
type SessionList struct {
	Sessions []SessionState `wire:"1"`
}

// SessionState is a session, or one as it was at the end of a transaction. Times are wall clocks of
// the answering node, Now is its present.
type SessionState struct {
	PID int64 `wire:"1"`
	// Txn is its transaction, AdvisoryTxn the one that holds its advisory locks; empty if none.
	Txn         []byte `wire:"2"`
	AdvisoryTxn []byte `wire:"3"`
	Application string `wire:"4"`
	// Statement is what runs or ran last, since SinceNanos.
	Statement  string `wire:"5"`
	SinceNanos int64  `wire:"6"`
	// EndNanos is when the transaction committed; 0 while it runs.
	EndNanos int64  `wire:"7"`
	NowNanos int64  `wire:"8"`
	User     string `wire:"9"`
	Database string `wire:"10"`
	// ClientAddr and ClientPort are where the client is; "" and 0 over a local socket.
	ClientAddr string `wire:"11"`
	ClientPort int64  `wire:"12"`
	StartNanos int64  `wire:"13"`
	// TxnNanos is when its open transaction began; 0 if none is open.
	TxnNanos int64 `wire:"14"`
	Running  bool  `wire:"15"`
	// Failed transactions wait for their end.
	Failed bool `wire:"16"`
	// Awaits says that its statement waits for a job.
	Awaits bool `wire:"17"`
}

// Sessions answers what a peer asks.
func (s *Server) Sessions(q *SessionQuery) *SessionList {
	var id kvapi.TxnID
	copy(id[:], q.Txn)
	at := hlc.Timestamp{WallTime: q.CommitWall, Logical: int32(q.CommitLogical)}
	one := !id.IsZero() || !at.IsEmpty()
	now := time.Now()
	out := &SessionList{}
	for _, x := range s.sessions.all() {
		st := x.state(now)
		if one && (id.IsZero() || string(st.Txn) != string(id[:]) && string(st.AdvisoryTxn) != string(id[:])) {
			continue
		}
		out.Sessions = append(out.Sessions, st)
	}
	if one && len(out.Sessions) == 0 {
		if e, ok := s.ended.find(id, at); ok {
			out.Sessions = append(out.Sessions, SessionState{PID: int64(e.pid), Txn: e.id[:], Application: e.app,
				SinceNanos: e.since.UnixNano(), EndNanos: e.end.UnixNano(), NowNanos: now.UnixNano()})
		}
	}
	return out
}

func (s *Session) state(now time.Time) SessionState {
	s.mu.Lock()
	running := s.mu.cancel != nil
	s.mu.Unlock()
	s.act.Lock()
	defer s.act.Unlock()
	st := SessionState{PID: int64(s.args.BackendPID), Application: s.act.app, Statement: s.act.statement, NowNanos: now.UnixNano(),
		User: s.args.User, Database: s.args.Database, StartNanos: s.started.UnixNano(), Running: running, Failed: s.act.failed, Awaits: s.act.awaits}
	if a, ok := s.args.Remote.(*net.TCPAddr); ok {
		st.ClientAddr, st.ClientPort = a.IP.String(), int64(a.Port)
	}
	if !s.act.since.IsZero() {
		st.SinceNanos = s.act.since.UnixNano()
	}
	if s.act.t != nil {
		id := s.act.t.ID()
		st.Txn, st.TxnNanos = id[:], s.act.began.UnixNano()
	}
	if s.act.locker != nil {
		if id := s.act.locker.TxnID(); !id.IsZero() {
			st.AdvisoryTxn = id[:]
		}
	}
	return st
}

// sessionSet are the sessions of a node.
type sessionSet struct {
	mu sync.Mutex
	m  map[*Session]struct{}
}

func (x *sessionSet) add(s *Session) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.m == nil {
		x.m = map[*Session]struct{}{}
	}
	x.m[s] = struct{}{}
}

func (x *sessionSet) remove(s *Session) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.m, s)
}

func (x *sessionSet) all() []*Session {
	x.mu.Lock()
	defer x.mu.Unlock()
	out := make([]*Session, 0, len(x.m))
	for s := range x.m {
		out = append(out, s)
	}
	return out
}

// Limits of asking others about the transaction that was in the way.
const (
	// whoseMax is how long an error is held up by it.
	whoseMax = 200 * time.Millisecond
	// whosePerSecondMax bounds the questions of a node: under a storm of conflicts the names do not
	// matter any more.
	whosePerSecondMax = 50
)

// budget allows a number of events a second.
type budget struct {
	mu    sync.Mutex
	begin time.Time
	used  int
}

func (b *budget) take(perSecond int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now := time.Now(); now.Sub(b.begin) > time.Second {
		b.begin, b.used = now, 0
	}
	b.used++
	return b.used <= perSecond
}

// whose finds the session of the transaction that was in the way: by its id, or by the version that
// it left. Nil if nobody knows, or there is no time to ask.
func (s *Server) whose(other *kvapi.TxnMeta, version hlc.Timestamp) *SessionState {
	q := &SessionQuery{}
	var nodes []kvapi.NodeID
	switch {
	case other != nil && !other.ID.IsZero():
		q.Txn = other.ID[:]
		nodes = []kvapi.NodeID{other.Coordinator}
	case !version.IsEmpty():
		q.CommitWall, q.CommitLogical = version.WallTime, int64(version.Logical)
	default:
		return nil
	}
	if found := s.Sessions(q); len(found.Sessions) > 0 {
		return &found.Sessions[0]
	}
	if s.cfg.Peers == nil || !s.whoseBudget.take(whosePerSecondMax) {
		return nil
	}
	if nodes == nil {
		nodes = s.cfg.Peers.Nodes()
	}
	// The statement has failed, perhaps because its context ended.
	ctx, cancel := context.WithTimeout(context.Background(), whoseMax)
	defer cancel()
	answers := make(chan *SessionState, len(nodes))
	asked := 0
	for _, n := range nodes {
		if n == s.cfg.NodeID || n == 0 {
			continue
		}
		asked++
		go func() {
			var st *SessionState
			if list, err := s.cfg.Peers.Sessions(ctx, n, q); err == nil && len(list.Sessions) > 0 {
				st = &list.Sessions[0]
			}
			answers <- st
		}()
	}
	for ; asked > 0; asked-- {
		if st := <-answers; st != nil {
			return st
		}
	}
	return nil
}
