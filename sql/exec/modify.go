package exec

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/tablekv"
	"github.com/cairndb/cairn/sql/types"
	"github.com/cairndb/cairn/txn"
)

// Check is a CHECK constraint.
type Check struct {
	Name string
	// View: Name is that of a view, whose CHECK OPTION it is.
	View bool
	E    Eval
}

// Target is a table that a statement changes, with what every new row must fulfil.
type Target struct {
	Codec  *tablekv.Codec
	Checks []Check
	// Policies are those of row-level security for the new row. Where there are some, errors do not
	// show rows.
	Policies []PolicyCheck
	// Generated computes the generated columns of a new row, virtual ones too, into the registers
	// that Checks are bound to.
	Generated []Item
	// Referential says that the table has foreign keys or is referred to by
	// some: Run.Changed hears of every row that changes.
	Referential bool
}

// changed tells of a row that was written: old is nil if it is new, next if it is gone.
func (t *Target) changed(r *Run, old, next types.Row) error {
	r.count(t)
	if !t.Referential || r.Changed == nil {
		return nil
	}
	return r.Changed(t.Codec, old, next)
}

// count counts a changed row for the statistics.
func (r *Run) count(t *Target) {
	if r.CountChanges == nil {
		return
	}
	if r.counted != t {
		r.counted, r.changes = t, r.CountChanges(t.Codec.Table)
	}
	r.changes.Add(1)
}

// locking is how DML reads keys whose state it relies on until the commit, also where there is no
// row: nobody else can then create one.
var locking = txn.GetOptions{Lock: kvapi.LockExclusive}

// row is the slice of registers that holds the table's row at base.
func (t *Target) row(r *Run, base bind.ColID) types.Row {
	return r.Slots[base : int(base)+len(t.Codec.Types)]
}

// generate computes the generated columns of a new row.
func (t *Target) generate(r *Run) error {
	if len(t.Generated) == 0 {
		return nil
	}
	return compute(r, t.Generated)
}

// PolicyCheck is a condition of row-level security.
type PolicyCheck struct {
	Name  string
	Using bool
	E     Eval
}

// allow checks policies over the registers that they are bound to; NULL is no permission.
func (t *Target) allow(r *Run, policies []PolicyCheck) error {
	for _, p := range policies {
		ok, err := evalBool(r, p.E)
		if err != nil {
			return err
		}
		if ok {
			continue
		}
		name, using := "", ""
		if p.Name != "" {
			name = " \"" + p.Name + "\""
		}
		if p.Using {
			using = " (USING expression)"
		}
		return sqlerr.New(sqlerr.InsufficientPrivilege, "new row violates row-level security policy%s%s for table \"%s\"",
			name, using, t.Codec.Table.Name)
	}
	return nil
}

// withRow adds the failing row to an error, unless the table's rows are not for everyone.
func (t *Target) withRow(e *sqlerr.Error, r *Run, row types.Row) *sqlerr.Error {
	if len(t.Policies) > 0 {
		return e
	}
	return e.WithDetail("Failing row contains (%s).", t.failingRow(r, row))
}

// validate checks NOT NULL and CHECK for the row at base, which the checks' registers must be.
func (t *Target) validate(r *Run, base bind.ColID) error {
	row := t.row(r, base)
	for i := range t.Codec.Table.Columns {
		c := &t.Codec.Table.Columns[i]
		if c.NotNull && row[i].IsNull() {
			return t.withRow(sqlerr.New(sqlerr.NotNullViolation,
				"null value in column \"%s\" of relation \"%s\" violates not-null constraint", c.Name, t.Codec.Table.Name), r, row).
				WithColumn(c.Name).WithTable("", t.Codec.Table.Name)
		}
	}
	for _, c := range t.Checks {
		d, err := c.E(r)
		if err != nil {
			return err
		}
		if !d.IsNull() && !d.Bool() && c.View {
			return t.withRow(sqlerr.New(sqlerr.WithCheckOptionViolation, "new row violates check option for view \"%s\"", c.Name), r, row)
		}
		if !d.IsNull() && !d.Bool() {
			return t.withRow(sqlerr.New(sqlerr.CheckViolation, "new row for relation \"%s\" violates check constraint \"%s\"",
				t.Codec.Table.Name, c.Name), r, row).
				WithConstraint(c.Name).WithTable("", t.Codec.Table.Name)
		}
	}
	return nil
}

// failingRow prints a row as Postgres does in details; long values are cut.
func (t *Target) failingRow(r *Run, row types.Row) string {
	var parts []string
	for i := range t.Codec.Table.Columns {
		if t.Codec.Table.Columns[i].Hidden {
			continue
		}
		s := "null"
		if !row[i].IsNull() {
			s = string(types.AppendText(nil, t.Codec.Types[i], row[i], r.EC.Env))
			if len(s) > 64 {
				s = strings.ToValidUTF8(s[:64], "") + "..."
			}
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, ", ")
}

// UniqueViolation is the error for a key that exists.
func UniqueViolation(c *tablekv.Codec, key kvapi.Key, env *types.Env) *sqlerr.Error {
	_, id, ok := tablekv.SplitKey(key)
	ic := c.IndexByID(id)
	if !ok || ic == nil {
		return sqlerr.New(sqlerr.UniqueViolation, "duplicate key value violates unique constraint")
	}
	e := sqlerr.New(sqlerr.UniqueViolation, "duplicate key value violates unique constraint \"%s\"", ic.Index.Name).
		WithConstraint(ic.Index.Name).WithTable("", c.Table.Name)
	if text := KeyText(c, key, env); text != "" {
		return e.WithDetail("Key %s already exists.", text)
	}
	return e
}

// KeyText prints an entry's key as "(a, b)=(1, 2)"; empty if it is no entry of the table.
func KeyText(c *tablekv.Codec, key kvapi.Key, env *types.Env) string {
	_, id, ok := tablekv.SplitKey(key)
	ic := c.IndexByID(id)
	if !ok || ic == nil {
		return ""
	}
	vals, err := ic.DecodeIndexed(key)
	if err != nil {
		return ""
	}
	var names, texts []string
	for i, k := range ic.Keys {
		names = append(names, c.KeyName(k))
		texts = append(texts, string(types.AppendText(nil, k.Type, vals[i], env)))
	}
	return fmt.Sprintf("(%s)=(%s)", strings.Join(names, ", "), strings.Join(texts, ", "))
}

// duplicate is UniqueViolation, without the key where the row that has it may be one that is not to be
// seen.
func (t *Target) duplicate(r *Run, key kvapi.Key) error {
	e := UniqueViolation(t.Codec, key, r.EC.Env)
	if len(t.Policies) > 0 {
		e = e.WithDetail("")
	}
	return e
}

// conflictError turns a failed condition into a unique violation.
func (t *Target) conflictError(r *Run, err error) error {
	var cf *txn.ConditionFailedError
	if errors.As(err, &cf) {
		return t.duplicate(r, cf.Key)
	}
	return err
}

// entry is one key-value pair of a row. conflict says that the key must be free.
type entry struct {
	key      kvapi.Key
	value    []byte
	conflict bool
}

// entries builds all pairs of a row: the row itself first, then its index entries.
func (t *Target) entries(row types.Row, out []entry) ([]entry, error) {
	k, _, err := t.Codec.Primary.Key(row)
	if err != nil {
		return nil, err
	}
	out = append(out, entry{k, t.Codec.Primary.Value(row), true})
	for i := range t.Codec.Indexes {
		ic := &t.Codec.Indexes[i]
		if ic.Index.State == schema.IndexDeleteOnly {
			continue
		}
		if err := ic.EachKey(row, func(k kvapi.Key, conflict bool) error {
			out = append(out, entry{k, ic.Value(row), conflict})
			return nil
		}); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// ownKey is a key of a row. The entry under it is the row's own only if it has the
// value own; nil: it is.
type ownKey struct {
	key kvapi.Key
	own []byte
}

// keysOf builds the keys of a stored row, of every index.
func (t *Target) keysOf(row types.Row) ([]ownKey, error) {
	k, _, err := t.Codec.Primary.Key(row)
	if err != nil {
		return nil, err
	}
	out := []ownKey{{key: k}}
	for i := range t.Codec.Indexes {
		ic := &t.Codec.Indexes[i]
		if err := ic.EachKey(row, func(k kvapi.Key, conflict bool) error {
			out = append(out, ownKeyOf(ic, k, conflict, row))
			return nil
		}); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func ownKeyOf(ic *tablekv.IndexCodec, key kvapi.Key, conflict bool, row types.Row) ownKey {
	if ic.MayBeOthers(conflict) {
		return ownKey{key, ic.Value(row)}
	}
	return ownKey{key: key}
}

// ownOnly says which of keys are the rows' own, and free where there is no entry.
func (r *Run) ownOnly(keys []ownKey, free bool) ([]bool, error) {
	ok := make([]bool, len(keys))
	var ask []kvapi.Key
	for i := range keys {
		if ok[i] = keys[i].own == nil; !ok[i] {
			ask = append(ask, keys[i].key)
		}
	}
	if len(ask) == 0 {
		return ok, nil
	}
	blind := r.Blind
	r.Blind = false
	defer func() { r.Blind = blind }()
	vals, err := r.getMany(ask, locking)
	if err != nil {
		return nil, err
	}
	n := 0
	for i := range keys {
		if keys[i].own == nil {
			continue
		}
		ok[i] = free
		if vals[n].Exists {
			ok[i] = bytes.Equal(vals[n].Data, keys[i].own)
		}
		n++
	}
	return ok, nil
}

// insertEntries checks that keys are free and writes. A table without a declared key has a key of
// its own making, which is free. blind leaves the check to the commit.
func (t *Target) insertEntries(r *Run, es []entry, ownRowID bool) error {
	if !r.Blind {
		if err := t.checkFree(r, es, ownRowID); err != nil {
			return err
		}
	}
	for i := range es {
		e := &es[i]
		var err error
		if r.Blind && e.conflict && !(ownRowID && t.isPrimary(e.key)) {
			err = r.KV.PutIfAbsent(r.Ctx, e.key, e.value)
		} else {
			err = r.KV.Put(r.Ctx, e.key, e.value)
		}
		if err != nil {
			return t.conflictError(r, err)
		}
	}
	return nil
}

func (t *Target) isPrimary(k kvapi.Key) bool {
	p := t.Codec.Primary.Prefix
	return len(k) >= len(p) && string(k[:len(p)]) == string(p)
}

func (t *Target) checkFree(r *Run, es []entry, ownRowID bool) error {
	var keys []kvapi.Key
	seen := map[string]bool{}
	for i := range es {
		if !es[i].conflict || ownRowID && t.isPrimary(es[i].key) {
			continue
		}
		if len(es) > 1 {
			if seen[string(es[i].key)] {
				return t.duplicate(r, es[i].key)
			}
			seen[string(es[i].key)] = true
		}
		keys = append(keys, es[i].key)
	}
	vals, err := r.getMany(keys, locking)
	if err != nil {
		return err
	}
	for i, v := range vals {
		if v.Exists {
			return t.duplicate(r, keys[i])
		}
	}
	return nil
}

func (t *Target) deleteKeys(r *Run, keys []ownKey) error {
	own, err := r.ownOnly(keys, false)
	if err != nil {
		return err
	}
	for i, k := range keys {
		if !own[i] {
			continue
		}
		if err := r.KV.Delete(r.Ctx, k.key); err != nil {
			return err
		}
	}
	return nil
}

func (r *Run) wrote(t *Target) {
	if r.Wrote != nil {
		r.Wrote(t.Codec.Table)
	}
}

// returned collects RETURNING's rows.
type returned struct {
	items []Item
	l     layout
	rows  *rowArray
}

func newReturned(r *Run, items []Item) *returned {
	rt := &returned{items: items}
	for _, i := range items {
		rt.l = append(rt.l, i.ID)
	}
	rt.rows = newRowArray(r, rt.l)
	return rt
}

func (rt *returned) add(r *Run) error {
	r.Affected++
	if len(rt.items) == 0 {
		return nil
	}
	if err := compute(r, rt.items); err != nil {
		return err
	}
	return rt.rows.add()
}

func (rt *returned) cursor() Cursor { return &ownCursor{rt.rows.cursor(rt.l, 0, rt.rows.n), rt.rows} }

// ownCursor closes the array that it reads.
type ownCursor struct {
	Cursor
	rows *rowArray
}

// Close implements Cursor.
func (c *ownCursor) Close() { c.rows.close() }
