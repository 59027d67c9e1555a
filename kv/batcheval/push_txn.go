package batcheval

import (
	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
)

// evalPushTxn moves a transaction out of the pusher's way, if it may.
//
//	pushee           timestamp push           abort push
//	final            as it is                 as it is
//	already above    as it is                 -
//	staging          indeterminate, if the pusher wins: recover it first
//	expired          aborted, as by an abort push
//	the pusher wins  record: moved            record: aborted
//	                 none: mark (minimum)     none: mark (finished)
//	otherwise        push failed
//
// A push never creates a record (I6): what it decides about a transaction
// without one is a mark, which the coordinator meets when it creates it.
func evalPushTxn(ev *evaluator, r *kvapi.Request, resp *kvapi.Response) error {
	p := r.Push
	if p == nil {
		return kvapi.NewError(kvapi.ErrInternal, "push without arguments")
	}
	t, recorded, err := ev.pushee(&p.Pushee)
	if err != nil {
		return err
	}
	resp.Pushee = t
	if t.Status.IsFinal() || p.Type == kvapi.PushTimestamp && p.To.Less(t.WriteTimestamp) {
		return nil
	}
	if !ev.pusherWins(p, t) {
		return pushError(kvapi.ErrPushFailed, t)
	}
	if t.Status == kvapi.Staging {
		return pushError(kvapi.ErrIndeterminateCommit, t)
	}
	if p.Type == kvapi.PushTimestamp && !isExpired(ev.ec.Now, t) {
		t.WriteTimestamp = p.To.Next()
	} else {
		t.Status = kvapi.Aborted
	}
	return ev.savePush(t, recorded)
}

// pushee returns a transaction as its record has it, or as it must be without
// one, forwarded by what the pusher saw of it. One that is made up has no
// heartbeat, by which its coordinator tells it from a record: that there is no
// record may also mean that a one-phase commit needed none.
func (ev *evaluator) pushee(m *kvapi.TxnMeta) (t *kvapi.Transaction, recorded bool, err error) {
	rec, err := ev.loadRecord(m)
	if err != nil {
		return nil, false, err
	}
	if rec != nil {
		if rec.Status == kvapi.Pending {
			rec.Epoch = max(rec.Epoch, m.Epoch)
			rec.WriteTimestamp.Forward(m.WriteTimestamp)
		}
		return rec, true, nil
	}
	t = &kvapi.Transaction{TxnMeta: *m}
	ok, min := ev.mayCreate(m)
	if !ok {
		t.Status = kvapi.Aborted
	}
	t.WriteTimestamp.Forward(min.write)
	return t, false, nil
}

// pusherWins decides a push. Only the extreme priorities decide by
// themselves: among normal ones the pusher waits, since aborting on a drawn
// number would undo work each time two transactions meet. Deadlocks are broken
// by Force.
func (ev *evaluator) pusherWins(p *kvapi.PushArgs, t *kvapi.Transaction) bool {
	if p.Force || isExpired(ev.ec.Now, t) {
		return true
	}
	if p.Type == kvapi.PushTouch {
		return false
	}
	return priorityClass(p.Pusher.Priority) > priorityClass(t.Priority)
}

func priorityClass(p kvapi.Priority) int {
	switch {
	case p <= kvapi.PriorityMin:
		return 0
	case p >= kvapi.PriorityMax:
		return 2
	}
	return 1
}

// isExpired reports whether the coordinator has been silent for too long. Both
// sides are readings of hybrid clocks; a skew within the maximum offset
// shortens the wait by no more than that.
func isExpired(now hlc.ClockTimestamp, t *kvapi.Transaction) bool {
	last := t.LastHeartbeat.Max(t.MinTimestamp)
	return last.AddNanos(int64(TxnExpiration)).Less(now.Timestamp())
}

func (ev *evaluator) savePush(t *kvapi.Transaction, recorded bool) error {
	ev.updated(t)
	if recorded {
		return ev.putRecord(t)
	}
	ev.res.Local.TxnMarks = append(ev.res.Local.TxnMarks, TxnMark{
		ID: t.ID, Anchor: t.AnchorKey, Finished: t.Status == kvapi.Aborted, Timestamp: t.WriteTimestamp})
	return nil
}

func pushError(kind kvapi.ErrorKind, t *kvapi.Transaction) error {
	e := kvapi.NewError(kind, "%s", t)
	e.Pushee = t
	return e
}
