package tablekv

import (
	"strings"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// Reference maps rows of a table with a foreign key to the index entry that it refers to. It is
// immutable.
//
//	child (a, b) ──cast──▶ parent's unique index ──▶ key: there, or the reference is broken
type Reference struct {
	FK         *schema.ForeignKey
	From, To   *Codec
	Index      *IndexCodec // of To
	cols, keys []int       // ordinals in From and in To
}

// NewReference prepares a foreign key of from's table, which refers to to's.
func NewReference(fk *schema.ForeignKey, from, to *Codec) (*Reference, error) {
	r := &Reference{FK: fk, From: from, To: to}
	if ix := to.Table.IndexByOID(fk.TargetIndex); ix != nil {
		r.Index = to.IndexByID(ix.ID)
	}
	if r.Index == nil {
		return nil, sqlerr.New(sqlerr.InternalError, "the index of foreign key constraint \"%s\" is not there", fk.Name)
	}
	for i := range fk.Columns {
		r.cols = append(r.cols, from.Table.ColumnOrdinal(fk.Columns[i]))
		r.keys = append(r.keys, to.Table.ColumnOrdinal(fk.TargetColumns[i]))
	}
	return r, nil
}

// Nulls says which values of a key are NULL.
type Nulls uint8

// Values of Nulls.
const (
	NoNulls Nulls = iota
	SomeNulls
	AllNulls
)

// NullsOf looks at a key's values.
func NullsOf(vals []types.Datum) Nulls {
	n := 0
	for _, d := range vals {
		if d.IsNull() {
			n++
		}
	}
	switch n {
	case 0:
		return NoNulls
	case len(vals):
		return AllNulls
	}
	return SomeNulls
}

// FromValues are the values of the foreign key in a row of From.
func (r *Reference) FromValues(row types.Row) []types.Datum { return pick(row, r.cols) }

// ToValues are the values of the referenced key in a row of To, in the order of FromValues.
func (r *Reference) ToValues(row types.Row) []types.Datum { return pick(row, r.keys) }

func pick(row types.Row, at []int) []types.Datum {
	out := make([]types.Datum, len(at))
	for i, ord := range at {
		out[i] = row[ord]
	}
	return out
}

// Cast turns values of From's columns into values of To's.
func (r *Reference) Cast(vals []types.Datum, env *types.Env) ([]types.Datum, error) {
	out := make([]types.Datum, len(vals))
	for i, d := range vals {
		from, to := r.From.Types[r.cols[i]], r.To.Types[r.keys[i]]
		out[i] = d
		if d.IsNull() || from.Kind() == to.Kind() {
			continue
		}
		var err error
		if out[i], err = types.Cast(d, from, to.Base(), false, env); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Key is the key of the entry that has these values, which are To's and not NULL.
func (r *Reference) Key(vals []types.Datum) (kvapi.Key, error) {
	row := make(types.Row, len(r.To.Types))
	for i, d := range vals {
		row[r.keys[i]] = d
	}
	k, _, err := r.Index.Key(row)
	return k, err
}

// FromText and ToText print a key as "(a, b)=(1, 2)" with the columns of either table.
func (r *Reference) FromText(vals []types.Datum, env *types.Env) string {
	return keyText(r.From, r.cols, vals, env)
}

// ToText is described at FromText.
func (r *Reference) ToText(vals []types.Datum, env *types.Env) string {
	return keyText(r.To, r.keys, vals, env)
}

func keyText(c *Codec, at []int, vals []types.Datum, env *types.Env) string {
	names, texts := make([]string, len(at)), make([]string, len(at))
	for i, ord := range at {
		names[i], texts[i] = c.Table.Columns[ord].Name, "null"
		if !vals[i].IsNull() {
			texts[i] = string(types.AppendText(nil, c.Types[ord], vals[i], env))
		}
	}
	return "(" + strings.Join(names, ", ") + ")=(" + strings.Join(texts, ", ") + ")"
}

// Missing is the error for a row of From whose key is not there.
func (r *Reference) Missing(vals []types.Datum, env *types.Env) *sqlerr.Error {
	return r.insertViolation().WithDetail("Key %s is not present in table \"%s\".", r.FromText(vals, env), r.To.Table.Name)
}

// Mixed is the error for a key that is NULL in part where MATCH FULL forbids it.
func (r *Reference) Mixed() *sqlerr.Error {
	return r.insertViolation().WithDetail("MATCH FULL does not allow mixing of null and nonnull key values.")
}

func (r *Reference) insertViolation() *sqlerr.Error {
	return sqlerr.New(sqlerr.ForeignKeyViolation, "insert or update on table \"%s\" violates foreign key constraint \"%s\"",
		r.From.Table.Name, r.FK.Name).WithConstraint(r.FK.Name).WithTable("", r.From.Table.Name)
}

// Referenced is the error for a key of To that goes away and is still referred to.
func (r *Reference) Referenced(vals []types.Datum, env *types.Env) *sqlerr.Error {
	return sqlerr.New(sqlerr.ForeignKeyViolation, "update or delete on table \"%s\" violates foreign key constraint \"%s\" on table \"%s\"",
		r.To.Table.Name, r.FK.Name, r.From.Table.Name).WithConstraint(r.FK.Name).WithTable("", r.From.Table.Name).
		WithDetail("Key %s is still referenced from table \"%s\".", r.ToText(vals, env), r.From.Table.Name)
}
