package sql

import (
	"context"
	"fmt"
	"strings"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/parser"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/tablekv"
	"github.com/cairndb/cairn/sql/types"
	"github.com/cairndb/cairn/txn"
)

// Acts of foreign keys are statements, as in Postgres: they use the indexes that
// there are, check what every statement checks, and queue what they lead to.
// Keys of one column are handled many at a time.

// actOn does the acts among events, those of one reference together, in the order
// in which the references first come.
func (s *Session) actOn(ctx context.Context, events []refEvent) error {
	type group struct {
		ref *tablekv.Reference
		do  schema.RefAction
		upd bool
	}
	var order []group
	groups := map[group][]refEvent{}
	for _, e := range events {
		if !e.act {
			continue
		}
		g := group{e.ref, e.action(), e.next != nil}
		if groups[g] == nil {
			order = append(order, g)
		}
		groups[g] = append(groups[g], e)
	}
	for _, g := range order {
		if err := s.beforeActs(ctx, groups[g]); err != nil {
			return err
		}
		table, err := s.sqlName(ctx, g.ref.From.Table)
		if err != nil {
			return err
		}
		if err := s.actAll(ctx, &refAct{ref: g.ref, do: g.do, update: g.upd, table: table}, groups[g]); err != nil {
			return err
		}
	}
	return nil
}

// sqlName is a table's name with its schema's, quoted.
func (s *Session) sqlName(ctx context.Context, t *schema.Table) (string, error) {
	c, err := s.tx.r.Contents(ctx)
	if err != nil {
		return "", err
	}
	sc := c.SchemaByID(t.SchemaID)
	if sc == nil {
		return "", &schema.StaleError{Name: t.Name}
	}
	return quoteIdent(sc.Name) + "." + quoteIdent(t.Name), nil
}

// beforeActs makes sure that what is found is all there is, where plain reads do
// not promise that (references).
func (s *Session) beforeActs(ctx context.Context, events []refEvent) error {
	if s.tx.level == serializable {
		return nil
	}
	var keys []kvapi.Key
	for i := range events {
		k, err := events[i].ref.Key(events[i].vals)
		if err != nil {
			return err
		}
		keys = append(keys, k)
	}
	for len(keys) > 0 {
		n := min(len(keys), refBatch)
		if _, err := s.kv().GetMany(ctx, keys[:n], txn.GetOptions{Lock: kvapi.LockExclusive}); err != nil {
			return err
		}
		keys = keys[n:]
	}
	s.tx.t.BeginStatement() // read committed looks at the present
	return s.makeSerializable(ctx)
}

// refAct is what is done to the rows that refer to a key.
type refAct struct {
	ref    *tablekv.Reference
	do     schema.RefAction
	update bool
	// table is the name of the table that refers, for SQL.
	table string
}

func (s *Session) actAll(ctx context.Context, a *refAct, events []refEvent) error {
	switch a.do {
	case schema.RefNoAction, schema.RefRestrict:
		return s.refuseReferenced(ctx, a, events)
	}
	s.tx.refs.acted = true
	for _, part := range a.parts(events) {
		if _, err := s.internal(ctx, a.statement(), part); err != nil {
			return err
		}
	}
	if a.do == schema.RefSetDefault { // the default may be the key that went
		return s.refuseReferenced(ctx, &refAct{ref: a.ref, do: schema.RefNoAction, update: a.update, table: a.table}, events)
	}
	return nil
}

// refuseReferenced fails for the first key that something refers to. NO ACTION
// lets a key be taken over by another row.
func (s *Session) refuseReferenced(ctx context.Context, a *refAct, events []refEvent) error {
	if a.do == schema.RefNoAction {
		var err error
		if events, err = s.reallyGone(ctx, events); err != nil {
			return err
		}
	}
	st := a.statement()
	for i, part := range a.parts(events) {
		found, err := s.internal(ctx, st, part)
		if err != nil {
			return err
		}
		if !found {
			continue
		}
		if !a.many() {
			return a.ref.Referenced(events[i].vals, s.env)
		}
		for at := i * refBatch; at < min((i+1)*refBatch, len(events)); at++ {
			if found, err = s.internal(ctx, st, a.parts(events[at : at+1])[0]); err != nil {
				return err
			}
			if found {
				return a.ref.Referenced(events[at].vals, s.env)
			}
		}
	}
	return nil
}

// reallyGone leaves out the keys that are there again.
func (s *Session) reallyGone(ctx context.Context, events []refEvent) ([]refEvent, error) {
	keys := make([]kvapi.Key, len(events))
	for i := range events {
		var err error
		if keys[i], err = events[i].ref.Key(events[i].vals); err != nil {
			return nil, err
		}
	}
	vals, err := s.kv().GetMany(ctx, keys, txn.GetOptions{})
	if err != nil {
		return nil, err
	}
	var out []refEvent
	for i, v := range vals {
		if !v.Exists {
			out = append(out, events[i])
		}
	}
	return out, nil
}

// many says that one statement takes an array of keys.
func (a *refAct) many() bool {
	if len(a.ref.FK.Columns) != 1 || a.update && a.do == schema.RefCascade {
		return false
	}
	from, to := a.keyTypes(0)
	_, ok := to.Array()
	return ok && from.Kind() == to.Kind()
}

func (a *refAct) keyTypes(i int) (from, to types.T) {
	f, t := a.ref.From, a.ref.To
	return f.Types[f.Table.ColumnOrdinal(a.ref.FK.Columns[i])], t.Types[t.Table.ColumnOrdinal(a.ref.FK.TargetColumns[i])]
}

// parts are the parameters of each run of the statement.
func (a *refAct) parts(events []refEvent) [][]types.Datum {
	var out [][]types.Datum
	if !a.many() {
		for i := range events {
			vals := events[i].vals
			if a.update && a.do == schema.RefCascade {
				vals = append(append([]types.Datum{}, events[i].next...), vals...)
			}
			out = append(out, vals)
		}
		return out
	}
	_, to := a.keyTypes(0)
	for len(events) > 0 {
		n := min(len(events), refBatch)
		elems := make([]types.Datum, n)
		for i := range elems {
			elems[i] = events[i].vals[0]
		}
		out = append(out, []types.Datum{types.NewArray(to.Base(), elems)})
		events = events[n:]
	}
	return out
}

// refStatement is an act's statement: its text, parameter types, and the text
// that Postgres would run, for errors.
type refStatement struct {
	text  string
	types []types.T
	shown string
}

func (a *refAct) statement() refStatement {
	t := a.ref.From.Table
	st := refStatement{}
	param := func(typ types.T) string {
		st.types = append(st.types, typ)
		return fmt.Sprintf("$%d", len(st.types))
	}
	var set []string
	for i, id := range a.ref.FK.Columns {
		name := quoteIdent(t.ColumnByID(id).Name)
		_, to := a.keyTypes(i)
		switch {
		case a.update && a.do == schema.RefCascade:
			set = append(set, name+" = "+param(to.Base()))
		case !a.update && len(a.ref.FK.SetColumns) > 0 && !contains(a.ref.FK.SetColumns, id):
		case a.do == schema.RefSetNull:
			set = append(set, name+" = NULL")
		case a.do == schema.RefSetDefault:
			set = append(set, name+" = DEFAULT")
		}
	}
	var conds, shown []string
	for i, id := range a.ref.FK.Columns {
		name := quoteIdent(t.ColumnByID(id).Name)
		_, to := a.keyTypes(i)
		typ := to.Base()
		shown = append(shown, fmt.Sprintf("$%d OPERATOR(pg_catalog.=) %s", len(st.types)+1, name))
		if a.many() {
			arr, _ := typ.Array()
			conds = append(conds, name+" = ANY ("+param(arr)+")")
		} else {
			conds = append(conds, name+" = "+param(typ))
		}
	}
	head, where := a.head(), strings.Join(conds, " AND ")
	if len(set) > 0 {
		head += " SET " + strings.Join(set, ", ")
	}
	st.text = head + " WHERE " + where
	if a.do == schema.RefNoAction || a.do == schema.RefRestrict {
		st.text += " LIMIT 1"
	}
	st.shown = head + " WHERE " + strings.Join(shown, " AND ")
	return st
}

func contains(ids []schema.ColumnID, id schema.ColumnID) bool {
	for _, x := range ids {
		if x == id {
			return true
		}
	}
	return false
}

// head is the statement up to its conditions.
func (a *refAct) head() string {
	switch {
	case a.do == schema.RefNoAction || a.do == schema.RefRestrict:
		return "SELECT 1 FROM ONLY " + a.table
	case a.do == schema.RefCascade && !a.update:
		return "DELETE FROM ONLY " + a.table
	}
	return "UPDATE ONLY " + a.table
}

// internalPlansMax bounds the plans of acts that a session keeps.
const internalPlansMax = 200

// internal runs an act's statement and says whether it yields a row.
func (s *Session) internal(ctx context.Context, st refStatement, params []types.Datum) (found bool, err error) {
	p := s.internalPlans[st.text]
	if p == nil {
		stmts, err := parser.Parse(st.text)
		if err != nil {
			return false, err
		}
		p = &prepared{stmt: stmts[0], hints: st.types, internal: true}
		if s.internalPlans == nil || len(s.internalPlans) >= internalPlansMax {
			s.internalPlans = map[string]*prepared{}
		}
		s.internalPlans[st.text] = p
	}
	po := &portal{p: p, params: params}
	defer po.close(s)
	if err := s.openPlan(ctx, po, false); err != nil {
		return false, sqlContext(err, st.shown)
	}
	found, err = po.cur.Next()
	return found && po.plan.Stmt.Returning, err
}

// sqlContext adds the statement that an act ran to its error.
func sqlContext(err error, text string) error {
	e, ok := err.(*sqlerr.Error)
	if !ok {
		return err
	}
	where := "SQL statement \"" + text + "\""
	if e.Where != "" {
		where = e.Where + "\n" + where
	}
	return e.WithWhere("%s", where)
}
