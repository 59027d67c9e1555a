package pgcatalog

import (
	"context"
	"slices"
	"sync/atomic"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/types"
)

// The tables below are computed from the catalog's contents alone. So their rows are kept with the contents,
// once for all sessions until something in the catalog changes, and with an index of each key column:
//
//	schema.Contents ──Derived──▶ rows ──▶ column ──▶ value ──▶ rows
//
// A transaction that has changed the catalog computes them for each scan, as do all if what is kept would grow
// beyond keptBytesMax; then there are no indexes, and a look-up answers all rows.

// keptBytesMax bounds what is kept of a catalog's computed rows: those of some 20,000 tables.
const keptBytesMax = 256 << 20

// keyColumns are the tables whose rows are kept, with the columns that others look them up by.
var keyColumns = map[string]string{
	"pg_catalog.pg_attrdef":     "oid adrelid",
	"pg_catalog.pg_attribute":   "attrelid",
	"pg_catalog.pg_class":       "oid relname relnamespace reltype",
	"pg_catalog.pg_constraint":  "oid conname conrelid conindid confrelid contypid",
	"pg_catalog.pg_depend":      "objid refobjid",
	"pg_catalog.pg_description": "objoid",
	"pg_catalog.pg_enum":        "oid enumtypid",
	"pg_catalog.pg_index":       "indexrelid indrelid",
	"pg_catalog.pg_indexes":     "tablename indexname",
	"pg_catalog.pg_operator":    "oid oprname",
	"pg_catalog.pg_proc":        "oid proname",
	"pg_catalog.pg_rewrite":     "oid ev_class",
	"pg_catalog.pg_sequence":    "seqrelid",
	"pg_catalog.pg_tables":      "tablename",
	"pg_catalog.pg_type":        "oid typname typrelid typelem",

	"information_schema.columns":                 "table_name",
	"information_schema.constraint_column_usage": "table_name constraint_name",
	"information_schema.key_column_usage":        "table_name constraint_name",
	"information_schema.referential_constraints": "constraint_name unique_constraint_name",
	"information_schema.table_constraints":       "table_name constraint_name",
	"information_schema.tables":                  "table_name",
}

// keptKey names a table's rows among what is derived from the contents, keptIndexKey an index of them.
type keptKey struct {
	table    *Table
	database schema.DescID
}

type keptIndexKey struct {
	keptKey
	col int
}

// keptBytesKey names the count of what is kept.
type keptBytesKey struct{}

// kept are a table's rows, or why there are none; tooMany says that they would be too much.
type kept struct {
	rows    []types.Row
	err     error
	tooMany bool
}

// Rows returns the table's rows, which must not be changed.
func (t *Table) Rows(ctx context.Context, env *Env) ([]types.Row, error) {
	k := t.kept(ctx, env)
	if k == nil {
		rows, err := t.compute(ctx, env)
		if err != nil {
			return nil, err
		}
		return t.amend(ctx, env, rows)
	}
	return t.amend(ctx, env, k.rows)
}

// RowsBy returns at least the rows with a value in a column, which is one of t.Keys.
func (t *Table) RowsBy(ctx context.Context, env *Env, col int, v types.Datum) ([]types.Row, error) {
	k := t.kept(ctx, env)
	key, ok := indexed(v)
	switch {
	case k == nil:
		return t.Rows(ctx, env)
	case !ok:
		return nil, nil // NULL equals nothing
	}
	index, _ := env.Contents.Derived(keptIndexKey{keptKey{t, env.Database.ID}, col}, func() any {
		m := make(map[any][]types.Row, len(k.rows))
		for _, row := range k.rows {
			if key, ok := indexed(row[col]); ok {
				m[key] = append(m[key], row)
			}
		}
		return m
	})
	return t.amend(ctx, env, index.(map[any][]types.Row)[key])
}

// indexed is a key column's value as an index has it; false for NULL.
func indexed(d types.Datum) (key any, ok bool) {
	switch {
	case d.IsNull():
		return nil, false
	case d.Kind() == types.KindText:
		return d.Str(), true
	}
	return d.Int(), true
}

// kept returns the rows that are kept, nil if they are not.
func (t *Table) kept(ctx context.Context, env *Env) *kept {
	if len(t.Keys) == 0 {
		return nil
	}
	bytes, ok := env.Contents.Derived(keptBytesKey{}, func() any { return new(atomic.Int64) })
	if !ok {
		return nil
	}
	v, _ := env.Contents.Derived(keptKey{t, env.Database.ID}, func() any {
		k := &kept{}
		if k.rows, k.err = t.compute(context.WithoutCancel(ctx), env); k.err != nil {
			return k
		}
		size := int64(0)
		for _, row := range k.rows {
			for i := range row {
				size += int64(row[i].SizeBytes())
			}
		}
		if bytes.(*atomic.Int64).Add(size) > keptBytesMax {
			bytes.(*atomic.Int64).Add(-size)
			k.rows, k.tooMany = nil, true
		}
		return k
	})
	k := v.(*kept)
	if k.err != nil || k.tooMany {
		return nil
	}
	return k
}

// amend adds to rows what is not in the catalog: how many rows a table is known to have.
func (t *Table) amend(ctx context.Context, env *Env, rows []types.Row) ([]types.Row, error) {
	if t.Name != "pg_class" || env.Statistics == nil {
		return rows, nil
	}
	oid, tuples := t.index["oid"], t.index["reltuples"]
	var ids []schema.DescID
	for _, row := range rows {
		if !row[tuples].IsNull() && row[tuples].Float() < 0 { // a table's
			ids = append(ids, schema.DescID(row[oid].Int()))
		}
	}
	if len(ids) == 0 {
		return rows, nil
	}
	known, err := env.Statistics(ctx, ids)
	if err != nil || len(known) == 0 {
		return rows, err
	}
	rows = slices.Clone(rows)
	for i, row := range rows {
		if k := known[schema.DescID(row[oid].Int())]; k != nil && row[tuples].Float() < 0 {
			rows[i] = slices.Clone(row)
			rows[i][tuples] = datum(k.Rows, t.Columns[tuples].Type)
		}
	}
	return rows, nil
}
