package sql

import (
	"strings"
	"sync"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/txn"
)

// activity is what other goroutines may know of a session.
type activity struct {
	sync.Mutex
	// t is the open transaction, since began.
	t      *txn.Txn
	began  time.Time
	failed bool
	locker *txn.Locker
	app    string
	// statement is what runs, or ran last, and since when.
	statement string
	since     time.Time
	// awaits: the statement waits for a job.
	awaits bool
}

// statementBytesMax bounds the text that is kept of a statement.
const statementBytesMax = 1024

// shown is a statement's text as others see it. A long one is copied, to not keep all of it.
func shown(statement string) string {
	if len(statement) <= statementBytesMax {
		return statement
	}
	return strings.ToValidUTF8(strings.Clone(statement[:statementBytesMax]), "") + "…"
}

// noteStatement tells what the session is about to run, in its present transaction.
func (s *Session) noteStatement(text string) {
	text = shown(text)
	s.act.Lock()
	defer s.act.Unlock()
	now := time.Now()
	if s.act.t != s.tx.t {
		s.act.t, s.act.began, s.act.failed = s.tx.t, now, false
	}
	s.act.statement, s.act.since = text, now
	s.act.app = s.vars.get("application_name")
}

// noteCommit keeps, for those who will ask, who wrote at the transaction's commit timestamp.
func (s *Session) noteCommit() {
	now := time.Now()
	s.act.Lock()
	e := ended{id: s.tx.t.ID(), at: s.tx.t.CommitTimestamp(), app: s.act.app, pid: s.args.BackendPID, since: s.act.since, end: now}
	s.act.Unlock()
	s.srv.ended.add(e)
}

// noteLocker tells who holds the session's advisory locks.
func (s *Session) noteLocker(l *txn.Locker) {
	s.act.Lock()
	defer s.act.Unlock()
	s.act.locker = l
}

// noteAwaits tells that the statement waits for a job, or no longer does.
func (s *Session) noteAwaits(yes bool) {
	s.act.Lock()
	defer s.act.Unlock()
	s.act.awaits = yes
}

// noteEnd says that no transaction is open.
func (s *Session) noteEnd() {
	s.act.Lock()
	defer s.act.Unlock()
	s.act.t, s.act.failed = nil, false
}

// noteFailed says that the open transaction can only be rolled back.
func (s *Session) noteFailed() {
	s.act.Lock()
	defer s.act.Unlock()
	s.act.failed = true
}

// ended is a transaction that has committed.
type ended struct {
	id         kvapi.TxnID
	at         hlc.Timestamp
	app        string
	pid        int32
	since, end time.Time
}

// endedTxns are the last transactions that wrote on this gateway.
type endedTxns struct {
	sync.Mutex
	ring []ended
	next int
}

// endedTxnsMax is how many are kept, some 100 bytes each: a second or so under load. Who lost to one
// of them has been told within milliseconds.
const endedTxnsMax = 4096

func (r *endedTxns) add(e ended) {
	r.Lock()
	defer r.Unlock()
	if len(r.ring) < endedTxnsMax {
		r.ring = append(r.ring, e)
		return
	}
	r.ring[r.next] = e
	r.next = (r.next + 1) % endedTxnsMax
}

// find looks for a transaction by its id or, if that is zero, by where it committed.
func (r *endedTxns) find(id kvapi.TxnID, at hlc.Timestamp) (ended, bool) {
	r.Lock()
	defer r.Unlock()
	for i := range r.ring {
		e := &r.ring[i]
		if !id.IsZero() && e.id == id || id.IsZero() && e.at == at {
			return *e, true
		}
	}
	return ended{}, false
}
