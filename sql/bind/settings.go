package bind

import (
	"time"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/builtins"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/tablekv"
	"github.com/cairndb/cairn/sql/types"
)

// Settings are what values depend on beside their operands, in place of the session's own.
type Settings struct {
	loc *time.Location
	now time.Time
	of  *schema.Settings
}

// SettingsOf are the settings of a session: what an expression depends on that is computed under them
// later, by others.
func SettingsOf(env Env) *schema.Settings {
	s := &schema.Settings{SearchPath: env.SearchPath}
	if t := env.Types; t != nil {
		s.DateOrder, s.ByteaEscape, s.FloatDigits = uint8(t.DateOrder), t.ByteaEscape, int32(t.FloatDigits)
		if t.Loc != nil {
			s.Zone = t.Loc.String()
			_, offset := time.Now().In(t.Loc).Zone()
			s.OffsetSec = int32(offset)
		}
	}
	if env.Eval != nil {
		s.NowNanos = env.Eval.TxnTime.UnixNano()
	}
	return s
}

func newSettings(s *schema.Settings) *Settings {
	out := &Settings{of: s, now: time.Unix(0, s.NowNanos), loc: time.FixedZone("", int(s.OffsetSec))}
	if s.Zone != "" {
		if loc, err := time.LoadLocation(s.Zone); err == nil {
			out.loc = loc
		}
	}
	return out
}

func (s *Settings) env(session *types.Env) *types.Env {
	var out types.Env
	if session != nil {
		out = *session
	}
	out.Loc, out.Now = s.loc, s.now
	out.DateOrder, out.ByteaEscape, out.FloatDigits = types.DateOrder(s.of.DateOrder), s.of.ByteaEscape, int(s.of.FloatDigits)
	return &out
}

// Context is a session's context with these settings.
func (s *Settings) Context(session *builtins.EvalContext) *builtins.EvalContext {
	var out builtins.EvalContext
	if session != nil {
		out = *session
	}
	out.Env, out.TxnTime, out.StmtTime = s.env(out.Env), s.now, s.now
	return &out
}

// settled binds an expression as the session would that has the settings, and has it computed under
// them; nil: those of the present session.
func (b *binder) settled(s *schema.Settings, bind func() Expr) Expr {
	if s == nil {
		return bind()
	}
	by, session := newSettings(s), b.env
	b.env.SearchPath, b.env.Types = s.SearchPath, by.env(session.Types)
	if session.Eval != nil {
		b.env.Eval = by.Context(session.Eval)
	}
	e := bind()
	b.env = session
	return &Settled{E: e, By: by}
}

// bySettings are the stable functions and operators that depend on nothing but settings, and on the
// types of their operands.
var bySettings = map[string]bool{"+": true, "-": true, "<": true, "<=": true, "<>": true, "=": true, ">": true, ">=": true, "||": true,
	"age": true, "array_to_string": true, "concat": true, "concat_ws": true, "current_date": true, "current_timestamp": true,
	"date_part": true, "date_trunc": true, "extract": true, "format": true, "localtime": true, "localtimestamp": true,
	"make_timestamptz": true, "now": true, "overlaps": true, "quote_nullable": true, "statement_timestamp": true, "to_char": true,
	"to_date": true, "to_number": true, "to_timestamp": true, "transaction_timestamp": true}

// BindConversion resolves what a column that replaces another of a table is computed from, under
// settings; column ordinal i is register i. It fails if that could give another value for the same row
// at another time.
func BindConversion(env Env, t *schema.Table, c *schema.Column, s *schema.Settings) (e Expr, err error) {
	b := &binder{env: env, tables: map[schema.DescID]*schema.Table{}, stored: true}
	defer catch(&err)
	base := b.newCols(len(t.Columns))
	e = b.settled(s, func() Expr {
		return b.assign(b.textExpr(b.storedScope(t, base, UseIndex), c.Default), tablekv.TypeOf(c.Type), t.ColumnByID(c.Replaces).Name, -1)
	})
	refuse := func() {
		b.failf(-1, sqlerr.InvalidObjectDefinition, "the conversion depends on more than the row and the settings of the session")
	}
	WalkExpr(e, func(Rel) { refuse() }, func(x Expr) {
		switch x := x.(type) {
		case *Call:
			if x.M.Vol != builtins.Immutable && (x.M.Vol != builtins.Stable || !bySettings[x.M.Name]) {
				refuse()
			}
		case *Cast:
			if named(x.To) && !named(x.E.Type()) || named(x.E.Type()) && x.To.Kind() == types.KindText {
				refuse()
			}
		}
	})
	return e, nil
}

// named says that values of a type are shown as names of objects, which may change.
func named(t types.T) bool {
	switch t.OID {
	case types.OIDRegClass, types.OIDRegType, types.OIDRegProc, types.OIDRegNamespace:
		return true
	}
	return false
}
