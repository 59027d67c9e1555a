package sql

import (
	"context"
	"slices"
	"sync"
	"time"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/sql/sqlerr"
)

// LISTEN and NOTIFY.
//
//	session: NOTIFY ─▶ tx.notes ──commit──▶ this node's sessions
//	                                    └─▶ a queue per other node ──call──▶ its sessions
//	session: pending ◀── its node ──wake──▶ connection: NotificationResponse, when it is at rest
//
// Nothing is stored. A notification is handed over right after its transaction has committed, to every
// node that is alive, in the order of commits on this node. It is lost to the sessions of a node that
// cannot be reached for notifyTryMax; and to all other nodes if this one dies between the commit and
// the call, some milliseconds. Rejected: writing notifications as rows that every node watches. It
// would lose none, and cost every NOTIFY a write that all nodes read, for something whose listeners
// must look at the data anyway when they connect.

// Limits, as in Postgres where it has them.
const (
	channelBytesMax = 63
	payloadBytesMax = 7999
	// pendingNotesMax bounds what waits for a client that does not read: the oldest go.
	pendingNotesMax = 10_000
	// notifyBatchMax is how many notifications one call carries, notifyTryMax how long a node is tried.
	notifyBatchMax = 500
	notifyTryMax   = 5 * time.Second
	notifyCallMax  = 2 * time.Second
)

// Notification is what NOTIFY sends.
type Notification struct {
	Channel string `wire:"1"`
	Payload string `wire:"2"`
	// PID is the session that sent it, Database the number of its database.
	PID      int64 `wire:"3"`
	Database int64 `wire:"4"`
	// CommitWall and CommitLogical are where its transaction committed.
	CommitWall    int64 `wire:"5"`
	CommitLogical int64 `wire:"6"`
}

// NotificationList is what nodes send each other.
type NotificationList struct {
	Items []Notification `wire:"1"`
}

// listening is what a session listens to and what waits for its client.
type listening struct {
	mu       sync.Mutex
	channels map[string]bool
	pending  []Notification
	wake     func()
	waking   bool
}

// listenChange is a LISTEN or UNLISTEN of a transaction: an empty channel is all.
type listenChange struct {
	channel string
	stop    bool
}

// OnNotify sets what is called, from any goroutine, when there are notifications to fetch.
func (s *Session) OnNotify(wake func()) {
	s.listen.mu.Lock()
	defer s.listen.mu.Unlock()
	s.listen.wake = wake
}

// Notifications takes what waits for the client. What the session reads from here on is not older
// than what it was told of, so it is for the goroutine that runs the session, or another one while
// that waits.
func (s *Session) Notifications() []Notification {
	s.listen.mu.Lock()
	defer s.listen.mu.Unlock()
	out := s.listen.pending
	s.listen.pending = nil
	for _, n := range out {
		s.causality.at.Forward(hlc.Timestamp{WallTime: n.CommitWall, Logical: int32(n.CommitLogical)})
	}
	return out
}

// Channels are what the session listens to.
func (s *Session) Channels() []string {
	s.listen.mu.Lock()
	defer s.listen.mu.Unlock()
	var out []string
	for c := range s.listen.channels {
		out = append(out, c)
	}
	slices.Sort(out)
	return out
}

// take keeps a notification if the session listens to its channel, and wakes the connection.
func (s *Session) take(n Notification) {
	l := &s.listen
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.channels[n.Channel] || n.Database != int64(s.db.ID) {
		return
	}
	if len(l.pending) >= pendingNotesMax {
		l.pending = l.pending[1:]
	}
	l.pending = append(l.pending, n)
	if l.wake == nil || l.waking {
		return
	}
	l.waking = true
	wake := l.wake
	go func() { // a client that does not read must not hold up the others
		l.mu.Lock()
		l.waking = false
		l.mu.Unlock()
		wake()
	}()
}

func (s *Session) listenStmt(n *pg.ListenStmt, w ResultWriter) error {
	s.tx.listens = append(s.tx.listens, listenChange{channel: cutChannel(n.Conditionname)})
	return w.CommandComplete("LISTEN")
}

func (s *Session) unlistenStmt(n *pg.UnlistenStmt, w ResultWriter) error {
	s.tx.listens = append(s.tx.listens, listenChange{channel: cutChannel(n.Conditionname), stop: true})
	return w.CommandComplete("UNLISTEN")
}

func (s *Session) notifyStmt(n *pg.NotifyStmt, w ResultWriter) error {
	if err := s.Notify(cutChannel(n.Conditionname), n.Payload); err != nil {
		return err
	}
	return w.CommandComplete("NOTIFY")
}

// cutChannel cuts a name as Postgres cuts identifiers.
func cutChannel(name string) string { return name[:min(len(name), channelBytesMax)] }

// Notify implements builtins.Notifier: it is sent when the transaction commits.
func (s *Session) Notify(channel, payload string) error {
	switch {
	case channel == "":
		return sqlerr.New(sqlerr.InvalidParameterValue, "channel name cannot be empty")
	case len(channel) > channelBytesMax:
		return sqlerr.New(sqlerr.InvalidParameterValue, "channel name too long")
	case len(payload) > payloadBytesMax:
		return sqlerr.New(sqlerr.InvalidParameterValue, "payload string too long")
	}
	if s.tx == nil {
		return sqlerr.Unsupported("NOTIFY here")
	}
	n := Notification{Channel: channel, Payload: payload, PID: int64(s.args.BackendPID), Database: int64(s.db.ID)}
	if !slices.Contains(s.tx.notes, n) {
		s.tx.notes = append(s.tx.notes, n)
	}
	return nil
}

// publish does what the transaction's LISTEN and NOTIFY asked for: it has committed.
func (s *Session) publish(tx *txnState) {
	s.applyListens(tx.listens)
	if len(tx.notes) > 0 {
		at := tx.t.CommitTimestamp()
		for i := range tx.notes {
			tx.notes[i].CommitWall, tx.notes[i].CommitLogical = at.WallTime, int64(at.Logical)
		}
		s.srv.Deliver(tx.notes)
		s.srv.tellPeers(tx.notes)
	}
}

func (s *Session) applyListens(changes []listenChange) {
	s.listen.mu.Lock()
	defer s.listen.mu.Unlock()
	for _, c := range changes {
		switch {
		case c.stop && c.channel == "":
			s.listen.channels = nil
		case c.stop:
			delete(s.listen.channels, c.channel)
		default:
			if s.listen.channels == nil {
				s.listen.channels = map[string]bool{}
			}
			s.listen.channels[c.channel] = true
		}
	}
}

// Deliver gives notifications to the sessions of this node.
func (s *Server) Deliver(items []Notification) {
	all := s.sessions.all()
	for _, n := range items {
		for _, x := range all {
			x.take(n)
		}
	}
}

// outbox are the notifications on their way to other nodes. A node has a goroutine while there are
// some for it.
type outbox struct {
	mu sync.Mutex
	to map[kvapi.NodeID][]Notification
}

func (s *Server) tellPeers(items []Notification) {
	if s.cfg.Peers == nil {
		return
	}
	s.outbox.mu.Lock()
	defer s.outbox.mu.Unlock()
	if s.outbox.to == nil {
		s.outbox.to = map[kvapi.NodeID][]Notification{}
	}
	for _, node := range s.cfg.Peers.Nodes() {
		if node == s.cfg.NodeID {
			continue
		}
		queue, busy := s.outbox.to[node]
		s.outbox.to[node] = append(queue, items...)
		if !busy {
			go s.sendNotes(node)
		}
	}
}

// sendNotes empties a node's queue, in order.
func (s *Server) sendNotes(node kvapi.NodeID) {
	for {
		s.outbox.mu.Lock()
		queue := s.outbox.to[node]
		if len(queue) == 0 {
			delete(s.outbox.to, node)
			s.outbox.mu.Unlock()
			return
		}
		batch := queue[:min(len(queue), notifyBatchMax)]
		s.outbox.to[node] = queue[len(batch):]
		s.outbox.mu.Unlock()
		if err := s.sendBatch(node, batch); err != nil {
			s.log.Warn("notifications are lost to the sessions of a node", "node", node, "notifications", len(batch), "err", err)
		}
	}
}

func (s *Server) sendBatch(node kvapi.NodeID, batch []Notification) error {
	for begin, n := time.Now(), 1; ; n++ {
		ctx, cancel := context.WithTimeout(context.Background(), notifyCallMax)
		err := s.cfg.Peers.Notify(ctx, node, &NotificationList{Items: batch})
		cancel()
		if err == nil || time.Since(begin) > notifyTryMax {
			return err
		}
		pause(context.Background(), n+1)
	}
}
