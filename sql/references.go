package sql

import (
	"context"
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/tablekv"
	"github.com/cairndb/cairn/sql/types"
	"github.com/cairndb/cairn/txn"
)

// How foreign keys are kept.
//
// A statement writes its rows first; what its changes mean to foreign keys is
// queued and settled at its end, or at the end of the transaction if the
// constraint is deferred:
//
//	row written ──Run.Changed──▶ check: is the key it refers to there?
//	                             act:   does anything refer to the key that went?
//	end of statement ──▶ acts, one statement for each (refaction.go), which may
//	                     queue more; then checks, by one batch of look-ups
//	COMMIT           ──▶ the same for what was deferred
//
// Who keeps a reference from breaking between two transactions, one that adds a
// row and one that removes the key it refers to:
//
//   - serializable: what either has read must hold until its commit, so one of
//     them fails. A plain read is enough.
//   - below: the one locks the key for KEY SHARE. What is locked must hold until
//     the commit at every level. The other locks it exclusively, which makes it
//     wait, and is serializable from there on: that there were no rows must hold
//     too, also against those of a serializable transaction, which lock nothing.
//     (Locks alone would do only if serializable transactions took them as well,
//     and durable ones, for a round of consensus each.)
//
// Invariants:
//
//	I1  a transaction commits only with an empty queue (commit)
//	I2  a check that passed is not asked again in its statement: should the key
//	    go in the same statement, that queues an act, which finds the row
//	I3  a deferred check is about the row as it is by then: one that is gone or
//	    refers elsewhere is skipped (alive)
//	I4  a statement that a routine runs settles, and takes back, what it queued
//	    itself, and nothing of the statement that called the routine (within)
type references struct {
	events   []refEvent
	deferred []refEvent
	// mode is what SET CONSTRAINTS said, by oid and for all others. It is
	// replaced, never changed, so that a savepoint can keep it.
	mode *constraintMode
	// acted says that an act of the present statement may have changed rows
	// that checks are queued for.
	acted bool
	// seen are keys that were found by the present statement.
	seen map[string]bool
	// early is how many events failed when they were looked at before the end.
	early int
	// byTable are the references of the tables that the transaction's
	// statements write.
	byTable map[*tablekv.Codec]*tableRefs
}

// Limits of the queue.
const (
	// refBatch is how many checks are made at a time.
	refBatch = 500
	// refSeenMax bounds the keys remembered as found.
	refSeenMax = 10_000
	// refEventsMax bounds what waits for the end.
	refEventsMax = 1_000_000
)

// tableRefs are a table's references to others and those of others to it.
type tableRefs struct{ own, in []*tablekv.Reference }

// refEvent is a check or an act that is due.
type refEvent struct {
	ref *tablekv.Reference
	act bool
	// vals are the values of the foreign key (check), or of the key that went
	// (act); next those it has now, nil if the row is gone.
	vals, next []types.Datum
	// row is the key of the row to check.
	row kvapi.Key
}

// refMark is a state of the queue to which a savepoint goes back.
type refMark struct {
	deferred []refEvent
	mode     *constraintMode
}

func (q *references) mark() refMark { return refMark{slices.Clip(q.deferred), q.mode} }

func (q *references) rewind(m refMark) {
	q.deferred, q.mode = m.deferred, m.mode
	q.endStatement()
}

// within gives the statements of a routine a queue of their own. The result goes back to the queue of the
// statement that calls it, whose rows they may have changed.
func (q *references) within() (back func()) {
	events, early, seen, acted := q.events, q.early, q.seen, q.acted
	q.events, q.early, q.seen, q.acted = nil, 0, nil, false
	return func() {
		clear(seen)
		q.events, q.early, q.seen, q.acted = events, early, seen, acted || len(events) > 0
	}
}

func (q *references) endStatement() {
	q.events, q.acted, q.early = nil, false, 0
	clear(q.seen)
}

// constraintMode is the effect of SET CONSTRAINTS.
type constraintMode struct {
	all   *bool // deferred
	byOID map[schema.DescID]bool
}

func (q *references) isDeferred(e *refEvent) bool {
	fk := e.ref.FK
	if !fk.Deferrable || e.act && e.action() != schema.RefNoAction {
		return false
	}
	if m := q.mode; m != nil {
		if d, ok := m.byOID[fk.OID]; ok {
			return d
		}
		if m.all != nil {
			return *m.all
		}
	}
	return fk.InitiallyDeferred
}

// action is what an act is to do.
func (e *refEvent) action() schema.RefAction {
	if e.next == nil {
		return e.ref.FK.OnDelete
	}
	return e.ref.FK.OnUpdate
}

// rowChanged is Run.Changed.
func (s *Session) rowChanged(c *tablekv.Codec, old, next types.Row) error {
	q := &s.tx.refs
	refs, err := s.refsOf(s.ec.Ctx, c)
	if err != nil {
		return err
	}
	for _, ref := range refs.in {
		if e, ok := actOf(ref, old, next); ok {
			q.put(e)
		}
	}
	for _, ref := range refs.own {
		if err := q.checkOf(ref, old, next); err != nil {
			return err
		}
	}
	if len(q.events)+len(q.deferred) > refEventsMax {
		return sqlerr.New(sqlerr.OutOfMemory, "out of memory").
			WithDetail("More than %d foreign key checks wait for the end of the statement or transaction.", refEventsMax)
	}
	if len(q.events)-q.early >= refBatch {
		return s.checkEarly(s.ec.Ctx)
	}
	return nil
}

func (q *references) put(e refEvent) {
	if q.isDeferred(&e) {
		q.deferred = append(q.deferred, e)
	} else {
		q.events = append(q.events, e)
	}
}

// actOf is what a change of a row means to those that refer to it.
func actOf(ref *tablekv.Reference, old, next types.Row) (refEvent, bool) {
	if old == nil {
		return refEvent{}, false
	}
	e := refEvent{ref: ref, act: true, vals: ref.ToValues(old)}
	if tablekv.NullsOf(e.vals) != tablekv.NoNulls {
		return e, false
	}
	if next != nil {
		e.next = ref.ToValues(next)
		if sameValues(e.vals, e.next) {
			return e, false
		}
	}
	return e, true
}

// checkOf queues the check of a new row's key, unless it is NULL or as it was.
func (q *references) checkOf(ref *tablekv.Reference, old, next types.Row) error {
	if next == nil {
		return nil
	}
	e := refEvent{ref: ref, vals: ref.FromValues(next)}
	n := tablekv.NullsOf(e.vals)
	if n == tablekv.AllNulls || n == tablekv.SomeNulls && !ref.FK.MatchFull ||
		old != nil && sameValues(e.vals, ref.FromValues(old)) {
		return nil
	}
	var err error
	if e.row, _, err = ref.From.Primary.Key(next); err != nil {
		return err
	}
	q.put(e)
	return nil
}

func sameValues(a, b []types.Datum) bool {
	for i := range a {
		if a[i].IsNull() != b[i].IsNull() || !a[i].IsNull() && types.Compare(a[i], b[i]) != 0 {
			return false
		}
	}
	return true
}

// refsOf finds the references of a table that is being written.
func (s *Session) refsOf(ctx context.Context, c *tablekv.Codec) (*tableRefs, error) {
	q := &s.tx.refs
	if t := q.byTable[c]; t != nil {
		return t, nil
	}
	codecs := map[schema.DescID]*tablekv.Codec{c.Table.ID: c}
	codec := func(id schema.DescID) (*tablekv.Codec, error) {
		if codecs[id] == nil {
			t, err := s.tx.r.Table(ctx, id)
			if err != nil {
				return nil, err
			}
			if t == nil {
				return nil, sqlerr.New(sqlerr.InternalError, "table %d of a foreign key is not there", id)
			}
			codecs[id] = tablekv.NewCodec(t)
		}
		return codecs[id], nil
	}
	out := &tableRefs{}
	add := func(list *[]*tablekv.Reference, fk *schema.ForeignKey, from *tablekv.Codec) error {
		to, err := codec(fk.Target)
		if err != nil {
			return err
		}
		ref, err := tablekv.NewReference(fk, from, to)
		*list = append(*list, ref)
		return err
	}
	for i := range c.Table.ForeignKeys {
		if err := add(&out.own, &c.Table.ForeignKeys[i], c); err != nil {
			return nil, err
		}
	}
	for _, id := range c.Table.ReferencedBy {
		from, err := codec(id)
		if err != nil {
			return nil, err
		}
		for i := range from.Table.ForeignKeys {
			if fk := &from.Table.ForeignKeys[i]; fk.Target == c.Table.ID {
				if err := add(&out.in, fk, from); err != nil {
					return nil, err
				}
			}
		}
	}
	slices.SortFunc(out.in, func(a, b *tablekv.Reference) int { return int(a.FK.OID) - int(b.FK.OID) })
	if q.byTable == nil {
		q.byTable = map[*tablekv.Codec]*tableRefs{}
	}
	q.byTable[c] = out
	return out, nil
}

// settle does all that the present statement has queued.
func (s *Session) settle(ctx context.Context) error {
	q := &s.tx.refs
	if len(q.events) == 0 {
		clear(q.seen)
		return nil
	}
	for len(q.events) > 0 {
		due := q.events
		q.events, q.early = nil, 0
		if err := s.actOn(ctx, due); err != nil {
			return err
		}
		// Checks come last, also after those that the acts have queued.
		due = slices.DeleteFunc(due, func(e refEvent) bool { return e.act })
		if slices.ContainsFunc(q.events, func(e refEvent) bool { return e.act }) {
			q.events = append(due, q.events...)
			continue
		}
		due = append(due, q.events...)
		q.events = nil
		if err := s.check(ctx, due, q.acted); err != nil {
			return err
		}
	}
	q.endStatement()
	return nil
}

// settleDeferred does what was put off to the end of the transaction, or of it
// what pick says.
func (s *Session) settleDeferred(ctx context.Context, pick func(*refEvent) bool) error {
	q := &s.tx.refs
	var due, rest []refEvent
	for _, e := range q.deferred {
		if pick(&e) {
			due = append(due, e)
		} else {
			rest = append(rest, e)
		}
	}
	q.deferred = rest
	if len(due) == 0 {
		return nil
	}
	if err := s.actOn(ctx, due); err != nil {
		return err
	}
	return s.check(ctx, slices.DeleteFunc(due, func(e refEvent) bool { return e.act }), true)
}

// checkEarly makes checks before the statement's end, so that a large one need
// not keep them all. What fails now may still come right.
func (s *Session) checkEarly(ctx context.Context) error {
	q := &s.tx.refs
	var keep []refEvent
	var due []refEvent
	for _, e := range q.events {
		if e.act {
			keep = append(keep, e)
		} else {
			due = append(due, e)
		}
	}
	missing, err := s.missing(ctx, due)
	if err != nil {
		return err
	}
	for _, i := range missing {
		keep = append(keep, due[i])
	}
	q.events, q.early = keep, len(keep)
	return nil
}

// check fails for the first event whose key is not there.
func (s *Session) check(ctx context.Context, due []refEvent, mayBeGone bool) error {
	missing, err := s.missing(ctx, due)
	if err != nil || len(missing) == 0 {
		return err
	}
	for _, i := range missing {
		e := &due[i]
		if mayBeGone {
			if ok, err := s.alive(ctx, e); err != nil {
				return err
			} else if !ok {
				continue
			}
		}
		if tablekv.NullsOf(e.vals) != tablekv.NoNulls {
			return e.ref.Mixed()
		}
		return e.ref.Missing(e.vals, s.env)
	}
	return nil
}

// missing looks keys up and returns the events whose key is not there, in
// order.
func (s *Session) missing(ctx context.Context, due []refEvent) ([]int, error) {
	q := &s.tx.refs
	if q.seen == nil {
		q.seen = map[string]bool{}
	}
	absent := map[string]bool{}
	keyOf := make([]string, len(due))
	for at := 0; at < len(due); at += refBatch {
		var keys []kvapi.Key
		asked := map[string]bool{}
		for i := at; i < min(at+refBatch, len(due)); i++ {
			e := &due[i]
			if tablekv.NullsOf(e.vals) != tablekv.NoNulls {
				continue
			}
			vals, err := e.ref.Cast(e.vals, s.env)
			if err != nil {
				return nil, err
			}
			k, err := e.ref.Key(vals)
			if err != nil {
				return nil, err
			}
			keyOf[i] = string(k)
			if !q.seen[keyOf[i]] && !asked[keyOf[i]] {
				asked[keyOf[i]] = true
				keys = append(keys, k)
			}
		}
		if err := s.lookUp(ctx, keys, absent); err != nil {
			return nil, err
		}
	}
	var out []int
	for i := range due {
		if keyOf[i] == "" || absent[keyOf[i]] {
			out = append(out, i)
		}
	}
	return out, nil
}

func (s *Session) lookUp(ctx context.Context, keys []kvapi.Key, absent map[string]bool) error {
	if len(keys) == 0 {
		return nil
	}
	var o txn.GetOptions
	if s.tx.level != serializable {
		o = txn.GetOptions{Lock: kvapi.LockKeyShare}
	}
	vals, err := s.kv().GetMany(ctx, keys, o)
	if err != nil {
		return err
	}
	for i, v := range vals {
		switch {
		case !v.Exists:
			absent[string(keys[i])] = true
		case len(s.tx.refs.seen) < refSeenMax:
			s.tx.refs.seen[string(keys[i])] = true
		}
	}
	return nil
}

// alive holds I3.
func (s *Session) alive(ctx context.Context, e *refEvent) (bool, error) {
	v, ok, err := s.kv().Get(ctx, e.row, txn.GetOptions{})
	if err != nil || !ok {
		return false, err
	}
	at := make([]int, len(e.ref.From.Types))
	for i := range at {
		at[i] = i
	}
	row := make(types.Row, len(at))
	if err := e.ref.From.Primary.NewDecoder(at).Decode(e.row, v, row); err != nil {
		return false, err
	}
	return sameValues(e.vals, e.ref.FromValues(row)), nil
}

// setConstraints is SET CONSTRAINTS. IMMEDIATE checks at once what was put off.
func (s *Session) setConstraints(ctx context.Context, n *pg.ConstraintsSetStmt, w ResultWriter) error {
	if !s.tx.explicit {
		if err := s.notice(w, warning(sqlerr.NoActiveSQLTransaction, "SET CONSTRAINTS can only be used in transaction blocks")); err != nil {
			return err
		}
		return w.CommandComplete("SET CONSTRAINTS")
	}
	q := &s.tx.refs
	m := &constraintMode{}
	picked := func(*refEvent) bool { return true }
	if len(n.Constraints) == 0 {
		m.all = &n.Deferred
	} else {
		oids, err := s.constraintsNamed(ctx, n.Constraints)
		if err != nil {
			return err
		}
		m.byOID = map[schema.DescID]bool{}
		if q.mode != nil {
			m.all = q.mode.all
			for k, v := range q.mode.byOID {
				m.byOID[k] = v
			}
		}
		for _, oid := range oids {
			m.byOID[oid] = n.Deferred
		}
		picked = func(e *refEvent) bool { return slices.Contains(oids, e.ref.FK.OID) }
	}
	q.mode = m
	if !n.Deferred {
		if err := s.settleDeferred(ctx, picked); err != nil {
			return err
		}
	}
	return w.CommandComplete("SET CONSTRAINTS")
}

// constraintsNamed finds constraints along the search path: all of a name in
// the first schema that has it.
func (s *Session) constraintsNamed(ctx context.Context, names []*pg.Node) ([]schema.DescID, error) {
	c, err := s.tx.r.Contents(ctx)
	if err != nil {
		return nil, err
	}
	var out []schema.DescID
	for _, node := range names {
		rv := node.GetRangeVar()
		path := s.temp.Path(c, s.db.ID, s.searchPath(c))
		if rv.Schemaname != "" {
			path = []string{rv.Schemaname}
		}
		found := false
		for _, p := range path {
			sc := c.Schema(s.db.ID, p)
			for _, t := range c.Tables(s.db.ID) {
				if sc == nil || t.SchemaID != sc.ID {
					continue
				}
				for _, con := range constraintsOf(t) {
					if con.name != rv.Relname {
						continue
					}
					if !con.deferrable {
						return nil, sqlerr.New(sqlerr.WrongObjectType, "constraint \"%s\" is not deferrable", rv.Relname)
					}
					found = true
					out = append(out, con.oid)
				}
			}
			if found {
				break
			}
		}
		if !found {
			return nil, sqlerr.New(sqlerr.UndefinedObject, "constraint \"%s\" does not exist", rv.Relname)
		}
	}
	return out, nil
}

type namedConstraint struct {
	name       string
	oid        schema.DescID
	deferrable bool
}

func constraintsOf(t *schema.Table) []namedConstraint {
	var out []namedConstraint
	for i := range t.ForeignKeys {
		fk := &t.ForeignKeys[i]
		out = append(out, namedConstraint{fk.Name, fk.OID, fk.Deferrable})
	}
	for i := range t.Checks {
		out = append(out, namedConstraint{t.Checks[i].Name, t.Checks[i].OID, false})
	}
	for _, ix := range t.AllIndexes() {
		if ix.ConstraintOID != 0 {
			out = append(out, namedConstraint{ix.Name, ix.ConstraintOID, false})
		}
	}
	return out
}

// pendingChecks refuses to change a table whose rows wait to be checked.
func (s *Session) pendingChecks(n *pg.Node) error {
	if len(s.tx.refs.deferred) == 0 {
		return nil
	}
	var what string
	var names []*pg.RangeVar
	switch x := n.Node.(type) {
	case *pg.Node_AlterTableStmt:
		what, names = "ALTER TABLE", []*pg.RangeVar{x.AlterTableStmt.Relation}
	case *pg.Node_IndexStmt:
		what, names = "CREATE INDEX", []*pg.RangeVar{x.IndexStmt.Relation}
	case *pg.Node_TruncateStmt:
		what = "TRUNCATE"
		for _, r := range x.TruncateStmt.Relations {
			names = append(names, r.GetRangeVar())
		}
	case *pg.Node_DropStmt:
		what = "DROP TABLE"
		for _, o := range x.DropStmt.Objects {
			if items := o.GetList().GetItems(); len(items) > 0 {
				names = append(names, &pg.RangeVar{Relname: items[len(items)-1].GetString_().GetSval()})
			}
		}
	}
	for i := range s.tx.refs.deferred {
		e := &s.tx.refs.deferred[i]
		t := e.ref.From.Table
		if e.act {
			t = e.ref.To.Table
		}
		for _, rv := range names {
			if rv.GetRelname() == t.Name {
				return sqlerr.New(sqlerr.ObjectInUse, "cannot %s \"%s\" because it has pending trigger events", what, t.Name)
			}
		}
	}
	return nil
}
