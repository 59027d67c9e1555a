package ddl

import (
	"context"
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
			t, err := m.sequenceType(ctx, d)
			if err != nil {
				return err
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

// sequenceType is what AS says.
func (m *tableMaker) sequenceType(ctx context.Context, d *pg.DefElem) (types.T, error) {
	t, err := m.typeName(ctx, d.Arg.GetTypeName())
	if err == nil && t != types.Int2 && t != types.Int4 && t != types.Int8 {
		err = sqlerr.New(sqlerr.InvalidParameterValue, "sequence type must be smallint, integer, or bigint")
	}
	return t, err
}

// applyLimits gives a new sequence its limits.
func applyLimits(q *schema.Sequence, nums map[string]int64) error {
	if v, ok := nums["increment"]; ok {
		q.Increment = v
	}
	if q.Increment < 0 {
		q.Min, q.Max = -q.Max-1, -1
	}
	if v, ok := nums["minvalue"]; ok {
		q.Min = v
	}
	if v, ok := nums["maxvalue"]; ok {
		q.Max = v
	}
	q.Start = q.Min
	if q.Increment < 0 {
		q.Start = q.Max
	}
	if v, ok := nums["start"]; ok {
		q.Start = v
	}
	if v, ok := nums["cache"]; ok {
		q.Cache = v
	}
	return checkSequence(q)
}

// checkSequence refuses options that contradict each other, in Postgres's order.
func checkSequence(q *schema.Sequence) error {
	bad := func(format string, args ...any) error {
		return sqlerr.New(sqlerr.InvalidParameterValue, format, args...)
	}
	t := typeOfSequence(q)
	most := maxOf(t)
	switch {
	case q.Increment == 0:
		return bad("INCREMENT must not be zero")
	case q.Max > most || q.Max < -most-1:
		return bad("MAXVALUE (%d) is out of range for sequence data type %s", q.Max, t)
	case q.Min > most || q.Min < -most-1:
		return bad("MINVALUE (%d) is out of range for sequence data type %s", q.Min, t)
	case q.Min >= q.Max:
		return bad("MINVALUE (%d) must be less than MAXVALUE (%d)", q.Min, q.Max)
	case q.Start < q.Min:
		return bad("START value (%d) cannot be less than MINVALUE (%d)", q.Start, q.Min)
	case q.Start > q.Max:
		return bad("START value (%d) cannot be greater than MAXVALUE (%d)", q.Start, q.Max)
	case q.Cache <= 0:
		return bad("CACHE (%d) must be greater than zero", q.Cache)
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

// alterSequence changes what ALTER SEQUENCE says. Values that nodes have drawn ahead stay.
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
	if err := m.alterSeqOptions(ctx, q, n.Options); err != nil {
		return err
	}
	s.r.Put(q)
	return nil
}

// alterSeqOptions applies the options of ALTER SEQUENCE. What the sequence stands at changes after the
// commit.
func (m *tableMaker) alterSeqOptions(ctx context.Context, q *schema.Sequence, opts []*pg.Node) error {
	last, called, err := m.Catalog.SequenceValue(ctx, q)
	if err != nil {
		return err
	}
	start := q.Start
	nums, unset := map[string]int64{}, map[string]bool{}
	for _, o := range opts {
		d := o.GetDefElem()
		switch d.Defname {
		case "owned_by":
			err = m.ownedBy(ctx, q, d)
		case "cycle":
			q.Cycle = d.Arg.GetBoolean().GetBoolval()
		case "as":
			err = m.alterSeqType(ctx, q, d)
		case "increment", "minvalue", "maxvalue", "start", "restart", "cache":
			var v int64
			var set bool
			if v, set, err = seqOption(d); set {
				nums[d.Defname] = v
			} else {
				unset[d.Defname] = true
			}
		default:
			err = sqlerr.Unsupported("ALTER SEQUENCE option %s", d.Defname)
		}
		if err != nil {
			return err
		}
	}
	if err := alterLimits(q, nums, unset); err != nil {
		return err
	}
	at, restarts := nums["restart"]
	switch {
	case restarts:
	case unset["restart"]:
		at, restarts = q.Start, true
	default:
		at = last
	}
	switch {
	case at < q.Min:
		return sqlerr.New(sqlerr.InvalidParameterValue, "RESTART value (%d) cannot be less than MINVALUE (%d)", at, q.Min)
	case at > q.Max:
		return sqlerr.New(sqlerr.InvalidParameterValue, "RESTART value (%d) cannot be greater than MAXVALUE (%d)", at, q.Max)
	}
	if restarts || q.Start != start && !called { // another START is for RESTART only
		m.r.OnCommit(func(ctx context.Context) { _ = m.Catalog.Setval(ctx, q, at, false) })
	}
	return nil
}

// alterSeqType gives a sequence another type. Limits that were those of the old one follow.
func (m *tableMaker) alterSeqType(ctx context.Context, q *schema.Sequence, d *pg.DefElem) error {
	t, err := m.sequenceType(ctx, d)
	if err != nil {
		return err
	}
	old := maxOf(typeOfSequence(q))
	if q.Max == old {
		q.Max = maxOf(t)
	}
	if q.Min == -old-1 {
		q.Min = -maxOf(t) - 1
	}
	q.Type = schemaType(t)
	return nil
}

func typeOfSequence(q *schema.Sequence) types.T {
	t, _ := types.Of(types.OID(q.Type.OID))
	return t
}

// alterLimits changes what is given, or unset, and nothing else.
func alterLimits(q *schema.Sequence, nums map[string]int64, unset map[string]bool) error {
	if v, ok := nums["increment"]; ok {
		q.Increment = v
	}
	if unset["minvalue"] || unset["maxvalue"] {
		least, most := int64(1), maxOf(typeOfSequence(q))
		if q.Increment < 0 {
			least, most = -most-1, -1
		}
		if unset["minvalue"] {
			q.Min = least
		}
		if unset["maxvalue"] {
			q.Max = most
		}
	}
	for name, to := range map[string]*int64{"minvalue": &q.Min, "maxvalue": &q.Max, "start": &q.Start, "cache": &q.Cache} {
		if v, ok := nums[name]; ok {
			*to = v
		}
	}
	return checkSequence(q)
}
