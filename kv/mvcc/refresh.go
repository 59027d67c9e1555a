package mvcc

import (
	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/storage"
)

// CheckUnchanged returns ErrRefreshFailed if anybody but txn wrote sp in
// (from, to], provisionally or for good: then what txn read at from is not
// what it would read at to. Intents that f, which may be nil, knows as
// committed are versions like others. Key and Other of the error name the conflict.
func CheckUnchanged(r storage.Reader, sp kvapi.Span, from, to hlc.Timestamp, txn *kvapi.Transaction, f FinishedTxns) error {
	own, err := checkIntents(r, sp, to, txn, f)
	if err != nil {
		return err
	}
	if sp.IsPoint() {
		return checkPoint(r, sp.Key, from, to, own[string(sp.Key)])
	}
	return checkSpan(r, sp, from, to, own)
}

// checkIntents fails on foreign intents at or below to and returns where the
// transaction's own provisional versions stand.
func checkIntents(r storage.Reader, sp kvapi.Span, to hlc.Timestamp, txn *kvapi.Transaction, f FinishedTxns) (own map[string]hlc.Timestamp, err error) {
	var failed error
	see := func(key kvapi.Key, l lockRecord) bool {
		switch {
		case !l.isIntent():
		case txn != nil && l.txn.ID == txn.ID:
			if own == nil {
				own = make(map[string]hlc.Timestamp)
			}
			own[string(key)] = l.at()
		case l.at().LessEq(to) && committedIntent(f, &l) == nil:
			failed = refreshFailed(key, l.at(), &l.txn)
		}
		return failed == nil
	}
	if sp.IsPoint() {
		l, ok, err := getLock(r, sp.Key)
		if err != nil {
			return nil, err
		}
		if ok {
			see(sp.Key, l)
		}
		return own, failed
	}
	if err := scanLocks(r, sp, see); err != nil {
		return nil, err
	}
	return own, failed
}

func refreshFailed(key kvapi.Key, at hlc.Timestamp, other *kvapi.TxnMeta) error {
	e := kvapi.NewError(kvapi.ErrRefreshFailed, "key %s was written at %s", key, at)
	e.Key, e.Timestamp, e.Version, e.Other = key.Clone(), at, at, other
	return e
}

func checkPoint(r storage.Reader, key kvapi.Key, from, to, own hlc.Timestamp) error {
	c, err := openCursor(r, nil, nil)
	if err != nil {
		return err
	}
	defer c.close()
	for ok := c.seekVersion(key, to); ok; ok = c.it.Next() {
		at, err := c.timestamp()
		if err != nil {
			return err
		}
		if at == own {
			continue
		}
		if from.Less(at) {
			return refreshFailed(key, at, nil)
		}
		return nil
	}
	return c.it.Error()
}

func checkSpan(r storage.Reader, sp kvapi.Span, from, to hlc.Timestamp, own map[string]hlc.Timestamp) error {
	c, err := openCursor(r, storage.EncodeKey(nil, sp.Key), storage.EncodeKey(nil, sp.End()))
	if err != nil {
		return err
	}
	defer c.close()
	for ok := c.it.First(); ok; {
		at, err := c.timestamp()
		if err != nil {
			return err
		}
		key := c.userKey()
		switch {
		case at.LessEq(from):
			ok = c.it.NextPrefix()
		case to.Less(at) || own[string(key)] == at:
			ok = c.it.Next()
		default:
			return refreshFailed(key, at, nil)
		}
	}
	return c.it.Error()
}
