package mvcc

import (
	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/storage"
)

// ResolveIntent does to the transaction's intent on a key what u says, and
// reports whether there was one. It may be repeated.
//
//	u                                           the intent
//	committed, epoch of the intent              becomes a committed version at
//	                                            u's timestamp
//	committed or pending, a later epoch         goes: the transaction restarted
//	                                            and did not write it again
//	aborted                                     goes, whatever the epoch
//	its sequence number is ignored              goes: rolled back
//	pending, a higher timestamp                 moves there
func ResolveIntent(rw storage.ReadWriter, key kvapi.Key, u *kvapi.LockUpdate, stats *kvapi.RangeStatistics) (bool, error) {
	l, ok, err := getLock(rw, key)
	if err != nil || !ok || l.txn.ID != u.Txn.ID {
		return false, err
	}
	return true, resolve(rw, key, &l, u, stats)
}

// fate is what becomes of an intent.
type fate uint8

const (
	keep fate = iota
	commit
	move
	remove
)

func decideFate(l *lockRecord, u *kvapi.LockUpdate) (fate, error) {
	switch {
	case u.Status == kvapi.Aborted, isIgnored(u.IgnoredSeqNums, l.txn.Seq):
		return remove, nil
	case l.txn.Epoch < u.Txn.Epoch:
		return remove, nil
	case u.Status == kvapi.Committed:
		return commit, checkCommit(l, u)
	case l.at().Less(u.Txn.WriteTimestamp):
		return move, nil
	}
	return keep, nil
}

// checkCommit refuses what the protocol rules out: a commit below a push, or
// of an epoch before one that wrote.
func checkCommit(l *lockRecord, u *kvapi.LockUpdate) error {
	if l.txn.Epoch > u.Txn.Epoch || u.Txn.WriteTimestamp.Less(l.at()) {
		return kvapi.NewError(kvapi.ErrInternal,
			"txn %s committed in epoch %d at %s has an intent of epoch %d at %s",
			u.Txn.ID.Short(), u.Txn.Epoch, u.Txn.WriteTimestamp, l.txn.Epoch, l.at())
	}
	return nil
}

func resolve(rw storage.ReadWriter, key kvapi.Key, l *lockRecord, u *kvapi.LockUpdate, stats *kvapi.RangeStatistics) error {
	f, err := decideFate(l, u)
	if err != nil || f == keep {
		return err
	}
	if f == remove {
		return removeIntent(rw, key, l, stats)
	}
	to := u.Txn.WriteTimestamp
	if l.at() != to {
		if l.valueLen, err = moveVersion(rw, key, l, to, stats); err != nil {
			return err
		}
	}
	if f == commit {
		countIntent(stats, l.valueLen, -1)
		return releaseLock(rw, key, l)
	}
	l.txn.WriteTimestamp = to
	c := cursors.Get().(*cursor)
	defer cursors.Put(c)
	return putLock(rw, c, key, l)
}

func removeIntent(rw storage.ReadWriter, key kvapi.Key, l *lockRecord, stats *kvapi.RangeStatistics) error {
	t := target{key: key, own: *l, owned: true}
	if err := t.loadVersions(rw, false); err != nil {
		return err
	}
	if err := t.drop(rw, hlc.Timestamp{}, stats); err != nil {
		return err
	}
	return releaseLock(rw, key, l)
}

// moveVersion rewrites the provisional version at a higher timestamp and
// returns its new length. Its local timestamp stays what it was: moving a
// version does not make it younger.
func moveVersion(rw storage.ReadWriter, key kvapi.Key, l *lockRecord, to hlc.Timestamp, stats *kvapi.RangeStatistics) (int64, error) {
	t := target{key: key, own: *l, owned: true}
	if err := t.loadVersions(rw, true); err != nil {
		return 0, err
	}
	v, err := decodeValue(t.provisionalValue)
	if err != nil {
		return 0, err
	}
	v.local = localIfBelow(hlc.ClockTimestamp(l.local), to)
	moved := version{exists: true, ts: to, len: int64(v.encodedLen()), tombstone: v.tombstone}
	if err := t.drop(rw, to, stats); err != nil {
		return 0, err
	}
	countAdded(stats, key, moved, t.committed)
	countIntent(stats, moved.len, 1)
	return moved.len, rw.SetRaw(storage.EncodeMVCCKey(nil, key, to), v.appendTo(nil))
}

// ResolveIntentRange does so for all keys of u.Span, at most maxKeys (0: all).
// Durable locks go if the transaction has finished; they count like intents.
//
// What commits where it stands leaves its record alone to be removed: a run of
// those, with no other lock between them, is one range deletion. Key by key the
// records of a large transaction would go through the log and the engines of all
// replicas once more.
func ResolveIntentRange(rw storage.ReadWriter, u *kvapi.LockUpdate, maxKeys int64, now hlc.ClockTimestamp, stats *kvapi.RangeStatistics) (n int64, resume *kvapi.Span, err error) {
	var todo []foundLock
	others := 0
	err = scanLocks(rw, u.Span, func(key kvapi.Key, l lockRecord) bool {
		if l.txn.ID != u.Txn.ID || !l.isIntent() && !u.Status.IsFinal() {
			others++
			return true
		}
		if maxKeys > 0 && int64(len(todo)) == maxKeys {
			resume = &kvapi.Span{Key: key, EndKey: u.Span.End()}
			return false
		}
		todo = append(todo, foundLock{key, l, others})
		return true
	})
	if err != nil {
		return 0, nil, err
	}
	for rest := todo; len(rest) > 0; {
		n := runOf(rest, u)
		if n >= rangeDeleteMin {
			err = releaseRun(rw, rest[:n], stats)
		} else {
			n = max(n, 1)
			err = resolveEach(rw, rest[:n], u, now, stats)
		}
		if err != nil {
			return 0, nil, err
		}
		rest = rest[n:]
	}
	return int64(len(todo)), resume, nil
}

// foundLock is a lock that is to be resolved.
type foundLock struct {
	key  kvapi.Key
	lock lockRecord
	// others is how many locks that stay have been met before it.
	others int
}

func resolveEach(rw storage.ReadWriter, found []foundLock, u *kvapi.LockUpdate, now hlc.ClockTimestamp, stats *kvapi.RangeStatistics) (err error) {
	for i := range found {
		if f := &found[i]; f.lock.isIntent() {
			err = resolve(rw, f.key, &f.lock, u, stats)
		} else {
			err = releaseDurable(rw, f.key, &f.lock, now, stats)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// runOf returns how many of the first locks are intents that u commits where they
// stand, with nothing between them that stays. The record of a hot key is
// emptied (lockRecord.hot).
func runOf(found []foundLock, u *kvapi.LockUpdate) int {
	for i := range found {
		l := &found[i].lock
		if !l.isIntent() || l.hot || l.at() != u.Txn.WriteTimestamp || found[i].others != found[0].others {
			return i
		}
		if f, err := decideFate(l, u); err != nil || f != commit {
			return i
		}
	}
	return len(found)
}

// releaseRun takes the records of a run away. A record is the last that its key
// can have in the lock table.
func releaseRun(w storage.Writer, run []foundLock, stats *kvapi.RangeStatistics) error {
	for i := range run {
		countIntent(stats, run[i].lock.valueLen, -1)
	}
	end := storage.EncodeKey(nil, keys.LockTable(run[len(run)-1].key.Next()))
	return w.DeleteRangeRaw(appendIntentKey(nil, run[0].key), end)
}
