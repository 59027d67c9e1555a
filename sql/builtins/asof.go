package builtins

import (
	"time"

	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// FollowerReadLag is how far back cairn.follower_read_timestamp() is: a little more
// than store.FollowerReadLag, for the statement is on its way for a moment.
const FollowerReadLag = 5500 * time.Millisecond

// asOfFuncs are cairn.as_of: as the first query of a transaction block it has
// the rest read the past, as SET LOCAL cairn.read_as_of does.
func asOfFuncs() []Overload {
	const name, doc = "cairn.as_of", "has the transaction block that it begins read the past, and returns when"
	set := func(ec ectx, at int64) (datum, error) {
		d := types.NewTimestampTZ(at)
		text := types.AppendText(nil, types.TimestampTZ, d, ec.Env)
		return d, ec.Session.SetSetting("cairn.read_as_of", string(text), true)
	}
	check := func(ec ectx) error {
		if ec == nil || ec.Session == nil {
			return sqlerr.Unsupported("function %s() here", name)
		}
		if _, in := ec.Session.Info("transaction_block"); !in {
			return sqlerr.New(sqlerr.NoActiveSQLTransaction, "%s() can only be used in transaction blocks", name).
				WithHint("Set cairn.read_as_of for statements that stand alone.")
		}
		return nil
	}
	follower := fn("cairn.follower_read_timestamp", nil, types.TimestampTZ,
		"returns the newest time whose data any replica may be expected to answer for by itself; for cairn.as_of and cairn.read_as_of",
		func(ec ectx, _ []datum) (datum, error) {
			return types.NewTimestampTZ(types.StampOfTime(ec.Clock().Add(-FollowerReadLag))), nil
		}).volatile()
	return []Overload{
		follower,
		fn(name, []types.T{types.Interval}, types.TimestampTZ, doc, func(ec ectx, a []datum) (datum, error) {
			if err := check(ec); err != nil {
				return types.Null, err
			}
			at, err := types.AddIntervalTZ(types.StampOfTime(ec.Clock()), a[0].Interval(), ec.Env)
			if err != nil {
				return types.Null, err
			}
			return set(ec, at)
		}).volatile(),
		fn(name, []types.T{types.TimestampTZ}, types.TimestampTZ, doc, func(ec ectx, a []datum) (datum, error) {
			if err := check(ec); err != nil {
				return types.Null, err
			}
			return set(ec, a[0].Int())
		}).volatile(),
	}
}
