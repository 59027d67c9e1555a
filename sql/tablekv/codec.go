package tablekv

import (
	"slices"
	"sort"
	"strings"

	"github.com/cairndb/cairn/internal/assert"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/rowenc"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// KeyBytesMax bounds a key: longer ones would make every layer's copies dear.
const KeyBytesMax = 8 << 10

// Codec encodes and decodes the rows of one version of a table. It is immutable. Rows are slices
// with one value per column of Table.Columns, in that order.
type Codec struct {
	Table   *schema.Table
	Types   []types.T // by column ordinal
	Primary IndexCodec
	// Indexes are those of Table.Indexes, and then those that are written for a
	// Rewriting.
	Indexes []IndexCodec
}

// KeyCol is a column in the key of an index.
type KeyCol struct {
	Ordinal int
	Type    types.T
	Desc    bool
}

// IndexCodec encodes and decodes the entries of one index.
type IndexCodec struct {
	Index  *schema.Index
	Prefix kvapi.Key
	// Keys are the indexed columns; Suffix the primary key columns that are not among them (none
	// for the primary index).
	Keys   []KeyCol
	Suffix []KeyCol

	primary bool
	// toBe: the index is one of the table that a Rewriting makes; unfit is then the
	// ordinal of the column that is true for rows that it does not have.
	toBe  bool
	unfit int
	// where is the ordinal of the column that says which rows the index has, -1 for all.
	where int
	// full: some column's absence from the value means another value than NULL.
	full bool
	// vals are the columns that are in the value, or may be (lossy key columns), by column id.
	vals []valueCol
}

type valueCol struct {
	id      rowenc.ColumnID
	ordinal int
	t       types.T
	key     bool // in the key; in the value only if the key form loses something
	// missing is what rows have that are older than the column (schema.Column.Missing).
	missing types.Datum
}

// TypeOf turns a descriptor's type into a types.T.
func TypeOf(t schema.Type) types.T { return types.T{OID: types.OID(t.OID), Mod: t.Mod, User: t.User} }

// NewCodec prepares a table's encodings.
func NewCodec(t *schema.Table) *Codec {
	c := &Codec{Table: t, Types: make([]types.T, len(t.Columns))}
	for i := range t.Columns {
		c.Types[i] = TypeOf(t.Columns[i].Type)
	}
	c.Primary = c.index(&t.Primary, true)
	for i := range t.Indexes {
		c.Indexes = append(c.Indexes, c.index(&t.Indexes[i], false))
	}
	if t.Rewriting != nil {
		c.addRewritten()
	}
	return c
}

// addRewritten adds the indexes of the table to be: their entries are, to the
// byte, what that table's codec makes of the row that a row becomes (I6). Only,
// its primary index holds the present key too, in columns that the table to be does
// not have: so it is known whose the entry is.
func (c *Codec) addRewritten() {
	rw := c.Table.Rewriting
	next := NewCodec(c.Table.Rewritten())
	at := make([]int, len(next.Types)) // where the columns to be are in a row
	for i := range next.Table.Columns {
		id := next.Table.Columns[i].ID
		at[i] = c.Table.ColumnOrdinal(id)
		if by := c.Table.ReplacedBy(id); by != nil {
			at[i] = c.Table.ColumnOrdinal(by.ID)
		}
	}
	for i := range rw.Indexes {
		ic := *next.IndexByID(rw.Indexes[i].ID)
		ic.Index, ic.toBe, ic.unfit = &rw.Indexes[i], true, c.Table.ColumnOrdinal(rw.Unfit)
		ic.Keys, ic.Suffix, ic.vals = slices.Clone(ic.Keys), slices.Clone(ic.Suffix), slices.Clone(ic.vals)
		for _, ks := range [][]KeyCol{ic.Keys, ic.Suffix} {
			for j := range ks {
				ks[j].Ordinal = at[ks[j].Ordinal]
			}
		}
		for j := range ic.vals {
			ic.vals[j].ordinal = at[ic.vals[j].ordinal]
		}
		if ic.where >= 0 {
			ic.where = at[ic.where]
		}
		if ic.primary {
			c.addPresentKey(&ic, next.Table)
		}
		c.Indexes = append(c.Indexes, ic)
	}
	c.Indexes = append(c.Indexes, c.index(&rw.Refused, false))
}

// addPresentKey adds the columns of the key to the value of the primary index to
// be, unless that has them anyway.
func (c *Codec) addPresentKey(ic *IndexCodec, next *schema.Table) {
	for _, col := range c.Table.Primary.Columns {
		id := col.ID
		if by := c.Table.ReplacedBy(id); by != nil {
			id = by.ID // the column's own number stands for the new value
		} else if next.ColumnByID(id) != nil {
			continue
		}
		ord := c.Table.ColumnOrdinal(col.ID)
		ic.vals = append(ic.vals, valueCol{id: rowenc.ColumnID(id), ordinal: ord, t: c.Types[ord]})
	}
	sort.Slice(ic.vals, func(i, j int) bool { return ic.vals[i].id < ic.vals[j].id })
}

func (c *Codec) index(ix *schema.Index, primary bool) IndexCodec {
	out := IndexCodec{Index: ix, Prefix: c.Table.IndexPrefix(ix.ID), primary: primary, where: -1}
	if ix.Where != 0 {
		out.where = c.Table.ColumnOrdinal(ix.Where)
	}
	inKey := map[int]bool{}
	for _, col := range ix.Columns {
		k := c.keyCol(col.ID, col.Desc)
		if ix.Inverted != "" {
			k.Type = types.Bytea // of the column's elements, one in each key
		}
		out.Keys = append(out.Keys, k)
		inKey[k.Ordinal] = true
	}
	if primary {
		for i := range c.Table.Columns {
			if !c.Table.Columns[i].Virtual {
				out.addValue(c, i, inKey[i])
			}
		}
	} else {
		for _, id := range c.Table.SuffixColumns(ix) {
			out.Suffix = append(out.Suffix, c.keyCol(id, false))
		}
		out.addSecondaryValues(c, inKey)
	}
	sort.Slice(out.vals, func(i, j int) bool { return out.vals[i].id < out.vals[j].id })
	return out
}

func (c *Codec) keyCol(id schema.ColumnID, desc bool) KeyCol {
	ord := c.Table.ColumnOrdinal(id)
	return KeyCol{Ordinal: ord, Type: c.Types[ord], Desc: desc}
}

// addValue puts a column into the value, unless it is in the key and loses nothing there.
func (ic *IndexCodec) addValue(c *Codec, ord int, key bool) {
	if key && !lossy(c.Types[ord]) {
		return
	}
	v := valueCol{id: rowenc.ColumnID(c.Table.Columns[ord].ID), ordinal: ord, t: c.Types[ord], key: key}
	if b := c.Table.Columns[ord].Missing; ic.primary && len(b) > 0 {
		d := []types.Datum{types.Null}
		err := rowenc.NewRowDecoder([]rowenc.ColumnID{v.id}, []types.T{v.t}, []int{0}).Decode(b, d)
		assert.NoError(err, "decode the value of rows older than a column")
		v.missing, ic.full = d[0], true
	}
	ic.vals = append(ic.vals, v)
}

func (ic *IndexCodec) addSecondaryValues(c *Codec, inKey map[int]bool) {
	seen := map[int]bool{}
	for _, k := range ic.Keys {
		seen[k.Ordinal] = true
		if ic.Index.Inverted == "" {
			ic.addValue(c, k.Ordinal, true)
		}
	}
	for _, k := range ic.Suffix {
		seen[k.Ordinal] = true
		ic.addValue(c, k.Ordinal, !ic.Index.Unique)
	}
	for _, id := range ic.Index.Stored {
		if ord := c.Table.ColumnOrdinal(id); ord >= 0 && !seen[ord] {
			seen[ord] = true
			ic.addValue(c, ord, false)
		}
	}
}

// lossy says whether some value of the type may need its exact form beside its key.
func lossy(t types.T) bool {
	if sub, ok := t.Subtype(); ok {
		return lossy(sub)
	}
	switch t.Kind() {
	case types.KindInt, types.KindBool, types.KindText, types.KindBytes, types.KindUUID, types.KindPacked,
		types.KindDate, types.KindTime, types.KindTimestamp, types.KindTimestampTZ, types.KindEnum:
		return false
	}
	return true
}

// Holds says whether the index has an entry for a row.
func (ic *IndexCodec) Holds(row types.Row) bool {
	if ic.toBe && row[ic.unfit].Bool() {
		return false
	}
	return ic.where < 0 || !row[ic.where].IsNull() && row[ic.where].Bool()
}

// KeyName is how a key column is called in messages: by its name, or its expression.
func (c *Codec) KeyName(k KeyCol) string {
	col := &c.Table.Columns[k.Ordinal]
	if col.Replaces != 0 {
		col = c.Table.ColumnByID(col.Replaces)
	}
	return ColumnText(col)
}

// ColumnText is a column's name, or the expression of a virtual one.
func ColumnText(c *schema.Column) string {
	switch {
	case !c.Virtual:
		return c.Name
	case IsCall(c.Default):
		return c.Default
	}
	return "(" + c.Default + ")"
}

// IsCall says whether the text of an expression is one function call, which needs no parentheses
// around it.
func IsCall(expr string) bool {
	open := strings.IndexByte(expr, '(')
	if open <= 0 || !strings.HasSuffix(expr, ")") {
		return false
	}
	for _, r := range expr[:open] {
		if r != '_' && r != '.' && r != '"' && (r < 'a' || r > 'z') && (r < '0' || r > '9') {
			return false
		}
	}
	depth, quoted := 0, false
	for i, r := range expr {
		switch {
		case r == '\'':
			quoted = !quoted
		case quoted:
		case r == '(':
			depth++
		case r == ')':
			depth--
		}
		if depth == 0 && i >= open && i < len(expr)-1 {
			return false
		}
	}
	return true
}

// IsPrimary says whether this is the index that holds the rows.
func (ic *IndexCodec) IsPrimary() bool { return ic.primary && !ic.toBe }

// IsToBe says whether this is an index of the table that a Rewriting makes.
func (ic *IndexCodec) IsToBe() bool { return ic.toBe }

// MayBeOthers says whether the entry under a key of a row may be another row's: while a unique
// index is written, two rows may have one key, and one of them no entry.
func (ic *IndexCodec) MayBeOthers(conflict bool) bool { return conflict && !ic.Index.IsPublic() }

// Covers says whether the entry holds a column.
func (ic *IndexCodec) Covers(ordinal int) bool {
	if ic.primary {
		return true
	}
	for _, k := range ic.Keys {
		if k.Ordinal == ordinal {
			return true
		}
	}
	for _, k := range ic.Suffix {
		if k.Ordinal == ordinal {
			return true
		}
	}
	for _, v := range ic.vals {
		if v.ordinal == ordinal {
			return true
		}
	}
	return false
}

// Key builds the key of a row's entry. Conflict says that another row with this key would violate
// the index's uniqueness (false for non-unique indexes and where a column is NULL).
func (ic *IndexCodec) Key(row types.Row) (key kvapi.Key, conflict bool, err error) {
	b := make(kvapi.Key, len(ic.Prefix), len(ic.Prefix)+12*(len(ic.Keys)+len(ic.Suffix))+16)
	copy(b, ic.Prefix)
	null := false
	for _, k := range ic.Keys {
		null = null || row[k.Ordinal].IsNull()
		b = rowenc.AppendKey(b, row[k.Ordinal], k.Type, k.Desc)
	}
	conflict = (ic.primary || ic.Index.Unique) && !null
	if !ic.primary && !conflict {
		for _, k := range ic.Suffix {
			b = rowenc.AppendKey(b, row[k.Ordinal], k.Type, false)
		}
	}
	if len(b) > KeyBytesMax {
		return nil, false, ic.tooLong(len(b))
	}
	return b, conflict, nil
}

func (ic *IndexCodec) tooLong(sizeBytes int) error {
	return sqlerr.New(sqlerr.ProgramLimitExceeded,
		"index row size %d exceeds maximum %d for index \"%s\"", sizeBytes, KeyBytesMax, ic.Index.Name)
}

// EachKey calls f with the key of each entry that the index has of a row: one, or of an inverted index
// as many as there are terms. Conflict is as in Key.
func (ic *IndexCodec) EachKey(row types.Row, f func(key kvapi.Key, conflict bool) error) error {
	if !ic.Holds(row) {
		return nil
	}
	if ic.Index.Inverted == "" {
		key, conflict, err := ic.Key(row)
		if err != nil {
			return err
		}
		return f(key, conflict)
	}
	terms := row[ic.Keys[0].Ordinal]
	if terms.IsNull() {
		return nil
	}
	for _, t := range terms.Array().Elems {
		key := ic.AppendPrefix(t)
		for _, k := range ic.Suffix {
			key = rowenc.AppendKey(key, row[k.Ordinal], k.Type, false)
		}
		if len(key) > KeyBytesMax {
			return ic.tooLong(len(key))
		}
		if err := f(key, false); err != nil {
			return err
		}
	}
	return nil
}

// Value builds the value of a row's entry.
func (ic *IndexCodec) Value(row types.Row) []byte {
	var idBuf [24]rowenc.ColumnID
	var tBuf [24]types.T
	var dBuf [24]types.Datum
	ids, ts, ds := idBuf[:0], tBuf[:0], dBuf[:0]
	size := 8
	for i := range ic.vals {
		v := &ic.vals[i]
		d := row[v.ordinal]
		if d.IsNull() && v.missing.IsNull() || v.key && !rowenc.NeedsValue(d, v.t) {
			continue
		}
		ids, ts, ds = append(ids, v.id), append(ts, v.t), append(ds, d)
		size += 4 + d.SizeBytes()
	}
	if ic.full {
		return rowenc.AppendFullRow(make([]byte, 0, size), ids, ts, ds)
	}
	return rowenc.AppendRow(make([]byte, 0, size), ids, ts, ds)
}

// MissingValue is what schema.Column.Missing holds for a value of a column.
func MissingValue(id schema.ColumnID, t types.T, d types.Datum) []byte {
	return rowenc.AppendRow(nil, []rowenc.ColumnID{rowenc.ColumnID(id)}, []types.T{t}, []types.Datum{d})
}

// AppendPrefix appends the encodings of the first values of the key columns (indexed columns, then
// suffix) to the index's prefix.
func (ic *IndexCodec) AppendPrefix(vals ...types.Datum) kvapi.Key {
	b := make(kvapi.Key, len(ic.Prefix), len(ic.Prefix)+12*len(vals)+16)
	copy(b, ic.Prefix)
	for i, v := range vals {
		b = ic.AppendKeyCol(b, i, v)
	}
	return b
}

// AppendKeyCol appends the encoding of the i-th key column.
func (ic *IndexCodec) AppendKeyCol(b kvapi.Key, i int, d types.Datum) kvapi.Key {
	k := ic.KeyColAt(i)
	return rowenc.AppendKey(b, d, k.Type, k.Desc)
}

// KeyColAt is the i-th key column, suffix columns included.
func (ic *IndexCodec) KeyColAt(i int) KeyCol {
	if i < len(ic.Keys) {
		return ic.Keys[i]
	}
	return ic.Suffix[i-len(ic.Keys)]
}
