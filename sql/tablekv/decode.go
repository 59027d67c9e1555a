package tablekv

import (
	"encoding/binary"

	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/rowenc"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// Decoder fills wanted columns from an index's entries. It is immutable and may be shared.
type Decoder struct {
	ic *IndexCodec
	// keyAt is the place of each key column in the destination, -1 if it is not wanted.
	keyAt  []int
	values *rowenc.RowDecoder // nil: the value is not needed
	// fromValue[i] is set for key columns that the value may give in exact form.
	fromValue []bool
	lastKey   int // number of key columns to decode
	// maybeShort: entries of a unique index lack the suffix in the key when no column is NULL.
	maybeShort bool
}

// NewDecoder prepares to decode the columns whose place at[ordinal] is not negative.
func (ic *IndexCodec) NewDecoder(at []int) *Decoder {
	d := &Decoder{ic: ic, maybeShort: !ic.primary && ic.Index.Unique}
	valueHas := map[int]bool{}
	var ids []rowenc.ColumnID
	var ts []types.T
	var places []int
	for _, v := range ic.vals {
		if at[v.ordinal] >= 0 {
			valueHas[v.ordinal] = true
			ids, ts, places = append(ids, v.id), append(ts, v.t), append(places, at[v.ordinal])
		}
	}
	if len(ids) > 0 {
		d.values = rowenc.NewRowDecoder(ids, ts, places)
		for _, v := range ic.vals {
			if !v.missing.IsNull() {
				d.values.SetMissing(v.id, v.missing)
			}
		}
	}
	for i := 0; i < len(ic.Keys)+len(ic.Suffix); i++ {
		k := ic.KeyColAt(i)
		d.keyAt = append(d.keyAt, at[k.Ordinal])
		d.fromValue = append(d.fromValue, valueHas[k.Ordinal])
		if at[k.Ordinal] >= 0 {
			d.lastKey = i + 1
		}
	}
	return d
}

// KeyOnly says that the value is not needed.
func (d *Decoder) KeyOnly() bool { return d.values == nil }

// Decode fills the wanted places of dst from an entry. Text may alias key and value.
func (d *Decoder) Decode(key kvapi.Key, value []byte, dst types.Row) error {
	if d.values != nil {
		if err := d.values.Decode(value, dst); err != nil {
			return err
		}
	}
	if d.lastKey == 0 {
		return nil
	}
	return d.decodeKey(key[len(d.ic.Prefix):], dst)
}

func (d *Decoder) decodeKey(b []byte, dst types.Row) error {
	for i := 0; i < d.lastKey; i++ {
		if len(b) == 0 && d.maybeShort && i >= len(d.ic.Keys) {
			return nil // the suffix is in the value
		}
		k := d.ic.KeyColAt(i)
		v, rest, err := rowenc.DecodeKey(b, k.Type, k.Desc)
		if err != nil {
			return sqlerr.New(sqlerr.DataCorrupted, "index \"%s\" holds a key that is none", d.ic.Index.Name).WithCause(err)
		}
		b = rest
		at := d.keyAt[i]
		if at >= 0 && (!d.fromValue[i] || dst[at].IsNull()) {
			dst[at] = v
		}
	}
	return nil
}

// SplitKey finds table and index of a key.
func SplitKey(key kvapi.Key) (schema.DescID, schema.IndexID, bool) {
	n := len(keys.TablePrefix)
	if len(key) < n+8 || string(key[:n]) != string(keys.TablePrefix) {
		return 0, 0, false
	}
	return schema.DescID(binary.BigEndian.Uint32(key[n:])), schema.IndexID(binary.BigEndian.Uint32(key[n+4:])), true
}

// TableOf returns the table that a key belongs to, also one that is no whole
// key: a bound of a range.
func TableOf(key kvapi.Key) (schema.DescID, bool) {
	n := len(keys.TablePrefix)
	if len(key) < n+4 || string(key[:n]) != string(keys.TablePrefix) {
		return 0, false
	}
	return schema.DescID(binary.BigEndian.Uint32(key[n:])), true
}

// RowStart returns the first key of the row that a key belongs to: ranges are
// divided between rows only. A row is one pair (I3), so it is the key.
func RowStart(key kvapi.Key) kvapi.Key { return key }

// DecodeIndexed decodes the indexed columns of a key, for error messages.
func (ic *IndexCodec) DecodeIndexed(key kvapi.Key) ([]types.Datum, error) {
	b := []byte(key[len(ic.Prefix):])
	out := make([]types.Datum, 0, len(ic.Keys))
	for _, k := range ic.Keys {
		d, rest, err := rowenc.DecodeKey(b, k.Type, k.Desc)
		if err != nil {
			return nil, err
		}
		out, b = append(out, d), rest
	}
	return out, nil
}

// IndexByID finds an index's codec.
func (c *Codec) IndexByID(id schema.IndexID) *IndexCodec {
	if c.Table.Primary.ID == id {
		return &c.Primary
	}
	for i := range c.Indexes {
		if c.Indexes[i].Index.ID == id {
			return &c.Indexes[i]
		}
	}
	return nil
}
