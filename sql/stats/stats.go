package stats

import (
	"bytes"
	"encoding/binary"
	"sort"

	"github.com/cairndb/cairn/schema"
)

// Table is what is known of a table.
type Table struct {
	Rows    float64  `wire:"1"`
	AtNanos int64    `wire:"2"`
	Columns []Column `wire:"3"`
}

// Column is what is known of a column.
type Column struct {
	ID schema.ColumnID `wire:"1"`
	// TypeOID is the column's type then; of another type's values nothing is known.
	TypeOID  uint32  `wire:"2"`
	NullFrac float64 `wire:"3"`
	// Distinct counts the different values of the whole table.
	Distinct   float64 `wire:"4"`
	WidthBytes float64 `wire:"5"`
	// Common are the values that occur more often than the others, most frequent first.
	Common []Common `wire:"6"`
	// Bounds divide the other values into buckets of equally many rows.
	Bounds [][]byte `wire:"7"`
	// Correlation is that of the order of values with the order of rows, from -1 to 1.
	Correlation float64 `wire:"8"`
}

// Common is a frequent value.
type Common struct {
	Key  []byte  `wire:"1"`
	Freq float64 `wire:"2"` // share of all rows
}

// Column returns what is known of a column, nil if nothing is.
func (t *Table) Column(c *schema.Column) *Column {
	if t == nil {
		return nil
	}
	for i := range t.Columns {
		if x := &t.Columns[i]; x.ID == c.ID && x.TypeOID == uint32(c.Type.OID) {
			return x
		}
	}
	return nil
}

// Equal is the share of rows whose value is that of key.
func (c *Column) Equal(key []byte) float64 {
	for i := range c.Common {
		if bytes.Equal(c.Common[i].Key, key) {
			return c.Common[i].Freq
		}
	}
	if n := len(c.Bounds); n > 1 && (bytes.Compare(key, c.Bounds[0]) < 0 || bytes.Compare(key, c.Bounds[n-1]) > 0) {
		return c.rest() / max(c.others(), 1) / 10 // outside of all that was seen
	}
	return c.rest() / max(c.others(), 1)
}

// EqualAny is the share of rows that equal one value nobody knows yet.
func (c *Column) EqualAny() float64 { return (1 - c.NullFrac) / max(c.Distinct, 1) }

// rest is the share of rows that are neither NULL nor of a common value, others counts their values.
func (c *Column) rest() float64 {
	f := 1 - c.NullFrac
	for i := range c.Common {
		f -= c.Common[i].Freq
	}
	return max(f, 0)
}

func (c *Column) others() float64 { return c.Distinct - float64(len(c.Common)) }

// Below is the share of rows whose value is less than key.
func (c *Column) Below(key []byte) float64 {
	f := 0.0
	for i := range c.Common {
		if bytes.Compare(c.Common[i].Key, key) < 0 {
			f += c.Common[i].Freq
		}
	}
	return min(f+c.rest()*c.position(key), 1)
}

// Ranges says that Below knows anything.
func (c *Column) Ranges() bool { return len(c.Bounds) > 1 || len(c.Common) > 0 }

// position is the share of the histogram's rows below key.
func (c *Column) position(key []byte) float64 {
	n := len(c.Bounds)
	if n < 2 {
		return 0
	}
	i := sort.Search(n, func(i int) bool { return bytes.Compare(c.Bounds[i], key) >= 0 })
	switch i {
	case 0:
		return 0
	case n:
		return 1
	}
	return (float64(i-1) + between(c.Bounds[i-1], c.Bounds[i], key)) / float64(n-1)
}

// between says where key lies from lo (0) to hi (1), by the eight bytes after what both share.
func between(lo, hi, key []byte) float64 {
	p := 0
	for p < len(lo) && p < len(hi) && lo[p] == hi[p] {
		p++
	}
	l, h, k := eight(lo, p), eight(hi, p), eight(key, p)
	if h <= l {
		return 0.5
	}
	return min(max((k-l)/(h-l), 0), 1)
}

func eight(b []byte, at int) float64 {
	var w [8]byte
	if at < len(b) {
		copy(w[:], b[at:])
	}
	return float64(binary.BigEndian.Uint64(w[:]))
}
