package txn

import (
	"context"
	"errors"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
)

// Isolation is what other transactions may do to what a transaction has read.
//
// A serializable transaction commits only where everything it has read still
// holds (refresher.go). The weaker levels forget plain reads earlier, and take
// care of what is left:
//
//	                what is read             plain reads must hold   locking reads must hold
//	Serializable    one timestamp            until the commit        until the commit
//	Snapshot        one timestamp            until the last read     until the commit
//	ReadCommitted   one for each statement   within their statement  until the commit
//
// "Must hold" is checked by refreshes. Snapshot moves its one timestamp while
// all it has read holds there too, which nobody can tell from a later begin;
// at the commit only what was locked must hold. ReadCommitted begins each
// statement at the present (BeginStatement), and a statement that meets a
// newer version is run again there (RetryStatement).
//
// What keeps a weak transaction's promises at the commit (I9):
//
//   - a write fails if its key has a version above where the transaction read
//     when it wrote (version.from, kvapi.Request.ReadAt). So the first
//     committer wins, and a lost lock is noticed, without another round.
//   - a key that was locked and then not written must be as it was when it was
//     locked, up to the commit timestamp. Locks are kept in memory by the
//     leaseholder and are lost when it changes. Those on disk (Durable) are
//     trusted.
//
// Until then nothing asks whether locked keys hold; a scan that locks is asked
// about as any other, for the rows it did not find. What is only locked becomes
// the refresh spans of the commit (checkHeld), so all that follows is the
// serializable protocol over those few keys.
type Isolation uint8

// The levels, strongest first.
const (
	Serializable Isolation = iota
	Snapshot
	ReadCommitted
)

// held are the keys that a weak transaction has locked. Each is known to be
// unchanged between its lock and its group's from.
type held struct {
	groups []heldGroup
	bytes  int64
	// shrunk says that written keys may be missing.
	shrunk bool
}

type heldGroup struct {
	from  hlc.Timestamp
	spans []kvapi.Span
}

func (h *held) reset() { *h = held{} }

// add notes a key that was locked by a read at from.
func (h *held) add(from hlc.Timestamp, sp kvapi.Span) {
	n := len(h.groups)
	if n == 0 || h.groups[n-1].from != from {
		h.groups = append(h.groups, heldGroup{from: from})
		h.bytes += heldGroupBytes
		n++
	}
	h.groups[n-1].spans = append(h.groups[n-1].spans, sp)
	h.bytes += spanSize(sp)
}

// heldGroupBytes is what a group costs beside its spans.
const heldGroupBytes = 64

// without returns the groups without the keys that are in the buffer: their
// writes check the same, from the group's timestamp on.
func (h *held) without(w *writeBuffer) []heldGroup {
	var out []heldGroup
	for _, g := range h.groups {
		left := heldGroup{from: g.from}
		for _, sp := range g.spans {
			if e := w.get(sp.Key); sp.IsPoint() && e != nil {
				e.versions[0].from = e.versions[0].from.Min(g.from)
				continue
			}
			left.spans = append(left.spans, sp)
		}
		if len(left.spans) > 0 {
			out = append(out, left)
		}
	}
	return out
}

// shrink brings the set back below its limit: what the buffer checks goes
// first (regain brings it back), then all becomes one group of few spans.
// They cover more keys, and for longer, than were locked: the commit may then
// fail for what others did to keys in between.
func (h *held) shrink(w *writeBuffer) {
	h.shrunk = true
	h.set(h.without(w))
	if h.bytes <= heldMaxBytes/2 {
		return
	}
	all := heldGroup{from: h.groups[0].from}
	for _, g := range h.groups {
		all.from = all.from.Min(g.from)
		all.spans = append(all.spans, g.spans...)
	}
	all.spans = condense(all.spans, condensedSpansMax)
	h.set([]heldGroup{all})
}

func (h *held) set(groups []heldGroup) {
	h.groups, h.bytes = groups, 0
	for _, g := range groups {
		h.bytes += heldGroupBytes
		for _, sp := range g.spans {
			h.bytes += spanSize(sp)
		}
	}
}

// regain notes keys whose writes above seq are about to be taken back: from
// then on no write checks them.
func (h *held) regain(w *writeBuffer, seq kvapi.TxnSeq) {
	if !h.shrunk {
		return
	}
	for _, e := range w.log {
		if e.versions[0].seq > seq {
			h.add(e.versions[0].from, kvapi.Span{Key: e.key})
		}
	}
}

// hold notes what a successful batch has locked.
func (t *Txn) hold(ba *kvapi.BatchRequest, br *kvapi.BatchResponse) {
	if t.isolation == Serializable {
		return
	}
	from := t.snapshot().ReadTimestamp
	for i := range ba.Requests {
		q, resp := &ba.Requests[i], &br.Responses[i]
		switch {
		case q.Lock == kvapi.LockNone || !q.Kind.IsRead():
		case q.Durable: // holds as long as the record, without which there is no commit
		case !q.Kind.IsRange():
			if resp.Resume == nil && (exists(resp) || q.Wait != kvapi.WaitSkip) {
				t.held.add(from, kvapi.Span{Key: q.Key})
			}
		default:
			for _, row := range resp.Rows {
				t.held.add(from, kvapi.Span{Key: row.Key})
			}
		}
	}
	if t.held.bytes > heldMaxBytes {
		t.held.shrink(&t.buf)
	}
}

// Statement is the beginning of a statement.
type Statement struct {
	sp Savepoint
	// undisturbed by shrink: groups and spans of the last one before it.
	groups, spans int
}

// BeginStatement says that a statement begins, and where. From here a
// ReadCommitted transaction reads at the present; so does a Snapshot one until
// it has read, written or locked something.
func (t *Txn) BeginStatement() Statement {
	st := Statement{sp: t.Savepoint(), groups: len(t.held.groups)}
	if st.groups > 0 {
		st.spans = len(t.held.groups[st.groups-1].spans)
	}
	if t.usable() != nil || t.fixed() {
		return st
	}
	switch {
	case t.isolation == ReadCommitted,
		t.isolation == Snapshot && len(t.refresher.reads.spans) == 0 && t.IsReadOnlySoFar():
		t.readAtPresent(hlc.Timestamp{})
	}
	return st
}

// readAtPresent forgets what was read and goes on at the present, or at
// atLeast if that is later. What was committed anywhere before now is seen:
// the uncertainty interval begins anew.
func (t *Txn) readAtPresent(atLeast hlc.Timestamp) {
	c := t.db.cfg.Clock
	now := c.Now()
	t.update(func(p *kvapi.Transaction) {
		ts := now.Timestamp().Max(p.ReadTimestamp).Max(p.WriteTimestamp).Max(atLeast)
		p.ReadTimestamp, p.WriteTimestamp = ts, ts
		p.GlobalUncertaintyLimit.Forward(ts.AddNanos(int64(c.MaxOffset())))
		p.ObservedTimestamps = []kvapi.ObservedTimestamp{{NodeID: t.db.cfg.NodeID, Timestamp: now}}
	})
	t.refresher.reset()
}

// RetryStatement takes back what a ReadCommitted statement did since st and
// has it begin anew, above what it conflicted with. It returns cause if that
// does not help: the conflict was no newer version, the transaction was
// aborted, or some of the statement's writes were flushed. Locks stay.
func (t *Txn) RetryStatement(st Statement, cause error) error {
	var r *RetryError
	p := t.snapshot()
	if t.isolation != ReadCommitted || t.state != open || !errors.As(cause, &r) || t.recordAborted() ||
		st.sp.id != p.ID || st.sp.epoch != p.Epoch || st.sp.seq < max(t.flushedSeq, t.asideSeq) {
		return cause
	}
	switch r.Kind {
	case kvapi.ErrWriteTooOld, kvapi.ErrUncertain, kvapi.ErrRefreshFailed, kvapi.ErrTxnRetry:
	default:
		return cause
	}
	t.failed = nil
	t.buf.truncate(st.sp.seq)
	t.held.truncate(st)
	t.db.metrics.StatementRetries.Add(1)
	t.readAtPresent(r.minTimestamp)
	return nil
}

// truncate forgets the locks that a statement took: its next attempt takes
// those it needs again. If the set was shrunk since, it stays as it is.
func (h *held) truncate(st Statement) {
	if len(h.groups) < st.groups || st.groups > 0 && len(h.groups[st.groups-1].spans) < st.spans {
		return
	}
	groups := h.groups[:st.groups]
	if st.groups > 0 {
		last := &groups[st.groups-1]
		last.spans = last.spans[:st.spans]
	}
	h.set(groups)
}

// SetIsolation changes the level of a transaction that has done nothing yet.
func (t *Txn) SetIsolation(level Isolation) { t.opts.Isolation, t.isolation = level, level }

// MakeSerializable has the transaction be serializable from here on: what it
// reads from now on, and what it has locked, must hold until the commit.
func (t *Txn) MakeSerializable(ctx context.Context) error {
	if err := t.usable(); err != nil || t.isolation == Serializable {
		return err
	}
	if err := t.checkHeld(ctx, hlc.Timestamp{}, nil); err != nil {
		return t.fail(ctx, err)
	}
	t.isolation = Serializable
	t.held.reset()
	return nil
}

// checkHeld makes the locked keys the refresh spans, all but those that w, if
// not nil, checks with its writes. Those of earlier statements must have held
// until the present read timestamp, or to if that is later.
func (t *Txn) checkHeld(ctx context.Context, to hlc.Timestamp, w *writeBuffer) *kvapi.Error {
	groups := t.held.groups
	if w != nil {
		groups = t.held.without(w)
	}
	r := &t.refresher
	r.reset()
	if len(groups) == 0 {
		return nil
	}
	p := *t.snapshot()
	to = to.Max(p.ReadTimestamp).Max(p.WriteTimestamp)
	var due []kvapi.Request
	for _, g := range groups {
		for _, sp := range g.spans {
			r.reads.add(sp)
		}
		if g.from.Less(to) {
			due = addRefreshes(due, g.spans, g.from)
		}
	}
	if len(due) > 0 {
		if err := r.check(ctx, &p, to, due); err != nil {
			return err
		}
	}
	t.update(func(p *kvapi.Transaction) {
		p.ReadTimestamp.Forward(to)
		p.WriteTimestamp.Forward(to)
	})
	return nil
}
