package builtins

import (
	"context"

	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// AdvisoryKey names an advisory lock of a database: one number, or two halves. These never meet.
type AdvisoryKey struct {
	Pair   bool
	Number uint64
}

// AdvisoryMode says how an advisory lock is taken.
type AdvisoryMode struct {
	Shared bool
	// Try gives up at once, Txn gives the lock up with the transaction.
	Try, Txn bool
}

// Advisory are a session's advisory locks.
type Advisory interface {
	Lock(ctx context.Context, key AdvisoryKey, mode AdvisoryMode) (got bool, err error)
	// Unlock reports false if the session does not hold the lock.
	Unlock(ctx context.Context, key AdvisoryKey, shared bool) (held bool, err error)
	UnlockAll(ctx context.Context) error
	// Token is higher than every token that an earlier holder of the lock was given.
	Token(ctx context.Context, key AdvisoryKey) (int64, error)
}

// advisoryFuncs are pg_advisory_lock and its relatives, and cairn.advisory_lock_token.
func advisoryFuncs() []Overload {
	var out []Overload
	add := func(name string, ret types.T, doc string, f func(Advisory, context.Context, AdvisoryKey) (datum, error)) {
		call := func(key func(a []datum) AdvisoryKey) Fn {
			return func(ec ectx, a []datum) (datum, error) {
				if ec == nil || ec.Advisory == nil {
					return types.Null, sqlerr.Unsupported("function %s() here", name)
				}
				return f(ec.Advisory, ec.ctx(), key(a))
			}
		}
		out = append(out, fn(name, []types.T{types.Int8}, ret, doc, call(func(a []datum) AdvisoryKey {
			return AdvisoryKey{Number: uint64(a[0].Int())}
		})).volatile(), fn(name, []types.T{types.Int4, types.Int4}, ret, doc, call(func(a []datum) AdvisoryKey {
			return AdvisoryKey{Pair: true, Number: uint64(uint32(a[0].Int()))<<32 | uint64(uint32(a[1].Int()))}
		})).volatile())
	}
	for _, shared := range []bool{false, true} {
		suffix, what := "", "an exclusive"
		if shared {
			suffix, what = "_shared", "a shared"
		}
		for _, m := range []struct {
			name, doc string
			mode      AdvisoryMode
		}{
			{"pg_advisory_lock", "takes " + what + " advisory lock for the session", AdvisoryMode{}},
			{"pg_advisory_xact_lock", "takes " + what + " advisory lock for the transaction", AdvisoryMode{Txn: true}},
			{"pg_try_advisory_lock", "takes " + what + " advisory lock for the session if it is free", AdvisoryMode{Try: true}},
			{"pg_try_advisory_xact_lock", "takes " + what + " advisory lock for the transaction if it is free", AdvisoryMode{Try: true, Txn: true}},
		} {
			mode, ret := m.mode, types.Void
			mode.Shared = shared
			if mode.Try {
				ret = types.Bool
			}
			add(m.name+suffix, ret, m.doc, func(s Advisory, ctx context.Context, k AdvisoryKey) (datum, error) {
				got, err := s.Lock(ctx, k, mode)
				if mode.Try {
					return types.NewBool(got), err
				}
				return types.NewText(""), err
			})
		}
		add("pg_advisory_unlock"+suffix, types.Bool, "gives up "+what+" advisory lock of the session",
			func(s Advisory, ctx context.Context, k AdvisoryKey) (datum, error) {
				held, err := s.Unlock(ctx, k, shared)
				return types.NewBool(held), err
			})
	}
	add("cairn.advisory_lock_token", types.Int8, "a number above that of every earlier holder of an exclusive advisory lock that the session holds",
		func(s Advisory, ctx context.Context, k AdvisoryKey) (datum, error) {
			n, err := s.Token(ctx, k)
			return types.NewInt(n), err
		})
	return append(out, fn("pg_advisory_unlock_all", nil, types.Void, "gives up all advisory locks of the session",
		func(ec ectx, _ []datum) (datum, error) {
			if ec == nil || ec.Advisory == nil {
				return types.Null, sqlerr.Unsupported("function pg_advisory_unlock_all() here")
			}
			return types.NewText(""), ec.Advisory.UnlockAll(ec.ctx())
		}).volatile())
}
