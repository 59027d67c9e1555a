package txn

import (
	"slices"

	"github.com/cairndb/cairn/kv/kvapi"
)

// Savepoints. What is in the write buffer is taken back by forgetting it. What
// was flushed is an intent already: there the transaction tells, with
// everything that it sends, which sequence numbers it has rolled back, and an
// intent of such a number counts as absent, and goes as one when the
// transaction ends.
//
//	put a ─ 1          intent a@1           savepoint at 2
//	SAVEPOINT          intent b@3           rolled back: 3, 4
//	put b ─ 3          intent c@4
//	put c ─ 4          ...                  commit: a stays, b and c go
//
// A key has one intent. If it was written before the savepoint, and another
// value of it was flushed after, the first is gone, and there is nothing to go
// back to: the servers report such replacements, and the rollback is refused
// (RollbackUnsupportedError). The alternative, a history of values in each
// intent, makes every reader of intents pay for a rare case.

// Savepoint marks this moment.
func (t *Txn) Savepoint() Savepoint {
	p := t.snapshot()
	return Savepoint{seq: t.seq, epoch: p.Epoch, id: p.ID}
}

// RollbackTo takes back all writes since sp; locks stay. It fails with a
// RollbackUnsupportedError if that cannot be done, with nothing changed.
func (t *Txn) RollbackTo(sp Savepoint) error {
	if err := t.usable(); err != nil {
		return err
	}
	p := t.snapshot()
	if sp.id != p.ID || sp.epoch != p.Epoch {
		return &RetryError{Reason: "the savepoint is from before a restart"}
	}
	if sp.seq < t.asideSeq {
		return &RollbackUnsupportedError{FlushedBytes: t.flushedBytes}
	}
	if sp.seq < t.flushedSeq {
		if !t.replaced.allow(sp.seq) || len(p.IgnoredSeqNums) >= ignoredMax {
			return &RollbackUnsupportedError{FlushedBytes: t.flushedBytes}
		}
		t.ignoreSince(sp.seq)
	}
	t.held.regain(&t.buf, sp.seq)
	t.buf.truncate(sp.seq)
	return nil
}

// ignoreSince takes back what was flushed after seq.
func (t *Txn) ignoreSince(seq kvapi.TxnSeq) {
	t.update(func(p *kvapi.Transaction) {
		// Ranges that begin later are part of this one.
		kept := slices.DeleteFunc(slices.Clone(p.IgnoredSeqNums), func(r kvapi.SeqRange) bool { return r.Start > seq })
		p.IgnoredSeqNums = append(kept, kvapi.SeqRange{Start: seq + 1, End: t.seq})
	})
	if t.signedSeq > seq {
		t.signed = nil
	}
}

// Release forgets a savepoint and keeps its writes.
func (t *Txn) Release(Savepoint) error { return t.usable() }

// replacements are the flushed values that flushed values took the place of.
type replacements struct {
	list []replacement
	// below, unless zero, stands for those that the list has no room for.
	below kvapi.TxnSeq
}

type replacement struct{ old, new kvapi.TxnSeq }

// noteBuffer takes in that of each key the last value alone is flushed.
func (r *replacements) noteBuffer(w *writeBuffer) {
	if w.tree == nil {
		return
	}
	w.tree.Ascend(func(e *buffered) bool {
		if first := e.versions[0].seq; first != e.last().seq {
			r.add(first, e.last().seq)
		}
		return true
	})
}

func (r *replacements) add(old, new kvapi.TxnSeq) {
	if len(r.list) < replacementsMax {
		r.list = append(r.list, replacement{old, new})
		return
	}
	r.below = max(r.below, new)
}

// note takes in what the servers said about flushed writes.
func (r *replacements) note(reqs []kvapi.Request, resps []kvapi.Response) {
	for i := range min(len(reqs), len(resps)) {
		if old := resps[i].Replaced; old != 0 {
			r.add(old, reqs[i].Seq)
		}
	}
}

// allow reports whether all that was flushed up to seq is still there.
func (r *replacements) allow(seq kvapi.TxnSeq) bool {
	return seq >= r.below && !slices.ContainsFunc(r.list, func(x replacement) bool { return x.old <= seq && seq < x.new })
}
