package sql

import (
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// Reading the past: cairn.read_as_of is a time (timestamptz) or a negative interval from the
// beginning of the transaction; empty means the present.
//
//	BEGIN; SET LOCAL cairn.read_as_of = '-10s'; SELECT …; COMMIT;     one transaction, before its first query
//	BEGIN; SELECT cairn.as_of('-10s'::interval); SELECT …; COMMIT                   the same
//	SET cairn.read_as_of = '2026-01-31 12:00+00'; SELECT …; RESET cairn.read_as_of;     all that follow
//
// Such a transaction is read-only, waits for nobody that commits later, and sees what had committed
// by then. A time in the future is refused with 22023; one so early that versions may have been
// collected with 72000; and a table whose definition has changed since with 55000: it is read by the
// definition of today.

const readAsOf = "cairn.read_as_of"

// parseAsOf returns the timestamp that a value means at now, the zero timestamp for the present.
func parseAsOf(v string, now time.Time, env *types.Env) (hlc.Timestamp, error) {
	if v == "" {
		return hlc.Timestamp{}, nil
	}
	bad := func() error {
		return sqlerr.New(sqlerr.InvalidParameterValue, "invalid value for parameter \"%s\": \"%s\"", readAsOf, v).
			WithHint("Give a time with its zone, or a negative interval as '-10s'.")
	}
	at := types.StampOfTime(now)
	if d, err := types.ParseInterval(v); err == nil {
		if at, err = types.AddIntervalTZ(at, d, env); err != nil {
			return hlc.Timestamp{}, bad()
		}
	} else {
		d, err := types.ParseText(types.TimestampTZ, v, env)
		if err != nil || d.IsNull() {
			return hlc.Timestamp{}, bad()
		}
		at = d.Int()
	}
	t := types.TimeOfStamp(at)
	switch {
	case t.After(now):
		return hlc.Timestamp{}, sqlerr.New(sqlerr.InvalidParameterValue, "cannot read as of %s: it is in the future",
			t.UTC().Format(time.RFC3339Nano))
	case t.Year() < 1970 || t.UnixNano() <= 0:
		return hlc.Timestamp{}, bad()
	}
	return hlc.Timestamp{WallTime: t.UnixNano()}, nil
}

// applyAsOf checks a value. What it means is worked out when a transaction begins.
func applyAsOf(s *Session, v string) (string, error) {
	_, err := parseAsOf(v, s.srv.now(), s.env)
	return v, err
}

// asOf is where a transaction that begins now reads.
func (s *Session) asOf() hlc.Timestamp {
	at, err := parseAsOf(s.vars.get(readAsOf), s.srv.now(), s.env)
	if err != nil {
		return hlc.Timestamp{} // it was checked when it was set, and the past stays the past
	}
	return at
}

// readPast has the open transaction, which has done nothing yet, read where the setting says.
func (s *Session) readPast() error {
	if s.tx.done > 0 || len(s.tx.savepoints) > 0 {
		return sqlerr.New(sqlerr.ActiveSQLTransaction, "%s must be set before any query", readAsOf)
	}
	s.tx.r.Release()
	s.newAttempt()
	return nil
}

// now is the present by the node's clock, which is what transactions go by.
func (s *Server) now() time.Time { return time.Unix(0, s.cfg.DB.Clock().PhysicalNow()) }
