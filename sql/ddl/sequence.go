package ddl

import (
	"context"
	"math"
	"strconv"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

func (s *stmt) createSequence(ctx context.Context, n *pg.CreateSeqStmt) error {
	sc, err := s.target(ctx, n.Sequence)
	if err != nil {
		return err
	}
	name := s.cutName(n.Sequence.Relname)
	if used, err := s.taken(ctx, sc, name); err != nil {
		return err
	} else if used && n.IfNotExists {
		return s.present(sqlerr.DuplicateTable, "relation \"%s\" already exists, skipping", name)
	} else if used {
		return alreadyExists(name)
	}
	h, err := s.header(ctx, sc, name)
	if err != nil {
		return err
	}
	q := newSequence(h, types.Int8)
	m := &tableMaker{stmt: s, sc: sc, taken: map[string]bool{}}
	if err := m.sequenceOptions(ctx, q, n.Options); err != nil {
		return err
	}
	if err := s.giveDefaults(ctx, q); err != nil {
		return err
	}
	s.r.Put(q)
	s.r.Bind(sc.ID, name, q.ID, 0)
	return nil
}

// seqOption is an option's number; set is false for NO MINVALUE and such.
func seqOption(d *pg.DefElem) (v int64, set bool, err error) {
	switch a := d.Arg.GetNode().(type) {
	case nil:
		return 0, false, nil
	case *pg.Node_Integer:
		return int64(a.Integer.Ival), true, nil
	case *pg.Node_Float:
		v, err = strconv.ParseInt(a.Float.Fval, 10, 64)
		if err != nil {
			err = sqlerr.New(sqlerr.InvalidTextRepresentation, "value \"%s\" is out of range for type bigint", a.Float.Fval)
		}
		return v, true, err
	}
	return 0, false, sqlerr.New(sqlerr.SyntaxError, "invalid value for sequence option \"%s\"", d.Defname)
}

// sequenceOptions applies the options of CREATE SEQUENCE; the limits depend
// on type and direction, so these come first.
func (m *tableMaker) sequenceOptions(ctx context.Context, q *schema.Sequence, opts []*pg.Node) error {
	nums := map[string]int64{}
	for _, o := range opts {
		d := o.GetDefElem()
		switch d.Defname {
		case "as":
			t, err := m.typeName(ctx, d.Arg.GetTypeName())
			if err != nil {
				return err
			}
			if t != types.Int2 && t != types.Int4 && t != types.Int8 {
				return sqlerr.New(sqlerr.InvalidParameterValue, "sequence type must be smallint, integer, or bigint")
			}
			q.Type, q.Max = schemaType(t), maxOf(t)
		case "cycle":
			q.Cycle = d.Arg.GetBoolean().GetBoolval()
		case "owned_by":
			if err := m.ownedBy(ctx, q, d); err != nil {
				return err
			}
		case "increment", "minvalue", "maxvalue", "start", "cache":
			v, set, err := seqOption(d)
			if err != nil {
				return err
			}
			if set {
				nums[d.Defname] = v
			}
		default:
			return sqlerr.Unsupported("sequence option %s", d.Defname)
		}
	}
	return applyLimits(q, nums)
}

func applyLimits(q *schema.Sequence, nums map[string]int64) error {
	if v, ok := nums["increment"]; ok {
		if v == 0 {
			return sqlerr.New(sqlerr.InvalidParameterValue, "INCREMENT must not be zero")
		}
		q.Increment = v
	}
	if q.Increment < 0 {
		q.Min, q.Max = -q.Max-1, -1
		if q.Min == 0 {
			q.Min = math.MinInt64
		}
	}
	if v, ok := nums["minvalue"]; ok {
		q.Min = v
	}
	if v, ok := nums["maxvalue"]; ok {
		q.Max = v
	}
	if q.Min >= q.Max {
		return sqlerr.New(sqlerr.InvalidParameterValue, "MINVALUE (%d) must be less than MAXVALUE (%d)", q.Min, q.Max)
	}
	q.Start = q.Min
	if q.Increment < 0 {
		q.Start = q.Max
	}
	if v, ok := nums["start"]; ok {
		q.Start = v
	}
	if q.Start < q.Min {
		return sqlerr.New(sqlerr.InvalidParameterValue, "START value (%d) cannot be less than MINVALUE (%d)", q.Start, q.Min)
	}
	if q.Start > q.Max {
		return sqlerr.New(sqlerr.InvalidParameterValue, "START value (%d) cannot be greater than MAXVALUE (%d)", q.Start, q.Max)
	}
	if v, ok := nums["cache"]; ok {
		if v <= 0 {
			return sqlerr.New(sqlerr.InvalidParameterValue, "CACHE (%d) must be greater than zero", v)
		}
		q.Cache = v
	}
	return nil
}

func (m *tableMaker) ownedBy(ctx context.Context, q *schema.Sequence, d *pg.DefElem) error {
	parts := stringList(d.Arg.GetList().GetItems())
	if len(parts) == 1 && parts[0] == "none" {
		q.OwnerTable, q.OwnerColumn = 0, 0
		return nil
	}
	if len(parts) < 2 {
		return sqlerr.New(sqlerr.SyntaxError, "invalid OWNED BY option").WithHint("Specify OWNED BY table.column or OWNED BY NONE.")
	}
	rv := &pg.RangeVar{Relname: parts[len(parts)-2], Location: -1}
	if len(parts) > 2 {
		rv.Schemaname = parts[len(parts)-3]
	}
	t, err := m.findTable(ctx, rv)
	if err != nil {
		return err
	}
	col := t.Column(parts[len(parts)-1])
	if col == nil || col.Hidden {
		return sqlerr.New(sqlerr.UndefinedColumn, "column \"%s\" of relation \"%s\" does not exist", parts[len(parts)-1], t.Name)
	}
	q.OwnerTable, q.OwnerColumn = t.ID, col.ID
	return nil
}

// alterSequence does OWNED BY and RESTART; the latter after the commit.
func (s *stmt) alterSequence(ctx context.Context, n *pg.AlterSeqStmt) error {
	f, err := s.lookup(ctx, n.Sequence)
	if err != nil {
		return err
	}
	if !f.ok() && n.MissingOk {
		return s.skipped("relation \"%s\" does not exist, skipping", n.Sequence.Relname)
	}
	if !f.ok() {
		return sqlerr.New(sqlerr.UndefinedTable, "relation \"%s\" does not exist", nameOf(n.Sequence))
	}
	q, ok := f.object.(*schema.Sequence)
	if !ok {
		return sqlerr.New(sqlerr.WrongObjectType, "\"%s\" is not a sequence", n.Sequence.Relname)
	}
	if err := s.hold(ctx, "ALTER SEQUENCE", q.ID); err != nil {
		return err
	}
	o, err := s.copyOf(ctx, q.ID)
	if err != nil {
		return err
	}
	q = o.(*schema.Sequence)
	m := &tableMaker{stmt: s, sc: f.schema}
	for _, opt := range n.Options {
		if err := m.alterSeqOption(ctx, q, opt.GetDefElem()); err != nil {
			return err
		}
	}
	s.r.Put(q)
	return nil
}

func (m *tableMaker) alterSeqOption(ctx context.Context, q *schema.Sequence, d *pg.DefElem) error {
	switch d.Defname {
	case "owned_by":
		return m.ownedBy(ctx, q, d)
	case "restart":
		v, set, err := seqOption(d)
		if err != nil {
			return err
		}
		if !set {
			v = q.Start
		}
		m.r.OnCommit(func(ctx context.Context) { _ = m.Catalog.Setval(ctx, q, v, false) })
		return nil
	case "cache":
		v, _, err := seqOption(d)
		q.Cache = max(v, 1)
		return err
	case "increment":
		v, _, err := seqOption(d)
		if err == nil && v == 0 {
			err = sqlerr.New(sqlerr.InvalidParameterValue, "INCREMENT must not be zero")
		}
		q.Increment = v
		return err
	case "cycle":
		q.Cycle = d.Arg.GetBoolean().GetBoolval()
		return nil
	}
	return sqlerr.Unsupported("ALTER SEQUENCE option %s", d.Defname)
}
