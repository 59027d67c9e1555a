package types

import (
	"encoding/binary"
	"errors"
	"slices"
	"unsafe"

	"github.com/cockroachdb/apd/v3"

	"github.com/cairndb/cairn/schema/usertype"
)

// SpillCodec writes values to temporary files of this process and reads them back as they were. A value
// is its kind and what it holds; what only pointers say, labels of enums and types inside arrays and
// records, stays in the codec, which file and reader share.
type SpillCodec struct {
	labels  []*usertype.Label
	labelAt map[*usertype.Label]int
	arrays  []T
	records []*RecordValue // names and types
}

var errSpill = errors.New("types: a temporary file holds what was not written to it")

// Append appends a value.
func (c *SpillCodec) Append(b []byte, d Datum) []byte {
	b = append(b, byte(d.k))
	switch d.k {
	case KindNull:
	case KindText, KindBPChar, KindBytes, KindUUID, KindPacked, KindJSON, KindJSONB:
		b = binary.AppendUvarint(b, uint64(d.n))
		b = append(b, d.Str()...)
	case KindDecimal:
		b = appendSpilledDecimal(b, d.Decimal())
	case KindInterval:
		v := d.Interval()
		b = binary.AppendVarint(b, int64(v.Months))
		b = binary.AppendVarint(b, int64(v.Days))
		b = binary.AppendVarint(b, v.Micros)
	case KindEnum:
		b = binary.AppendUvarint(b, uint64(c.label(d.Label())))
	case KindArray:
		a := d.Array()
		b = binary.AppendUvarint(b, uint64(c.array(a.Elem)))
		b = c.AppendRow(b, a.Elems)
		b = binary.AppendUvarint(b, uint64(len(a.Dims)))
		for _, d := range a.Dims {
			b = binary.AppendVarint(binary.AppendVarint(b, int64(d.Len)), int64(d.Lower))
		}
	case KindRecord:
		r := d.Record()
		b = binary.AppendUvarint(b, uint64(c.record(r)))
		b = c.AppendRow(b, r.Vals)
	case KindRange:
		r := d.Range()
		b = c.Append(c.Append(append(b, byte(r.flags())), r.Lower), r.Upper)
	default:
		b = binary.AppendVarint(b, d.n)
	}
	return b
}

// AppendRow appends values and their number.
func (c *SpillCodec) AppendRow(b []byte, ds []Datum) []byte {
	b = binary.AppendUvarint(b, uint64(len(ds)))
	for _, d := range ds {
		b = c.Append(b, d)
	}
	return b
}

func (c *SpillCodec) label(l *usertype.Label) int {
	at, ok := c.labelAt[l]
	if !ok {
		if c.labelAt == nil {
			c.labelAt = map[*usertype.Label]int{}
		}
		at = len(c.labels)
		c.labels = append(c.labels, l)
		c.labelAt[l] = at
	}
	return at
}

func (c *SpillCodec) array(elem T) int {
	for i, t := range c.arrays {
		if t == elem {
			return i
		}
	}
	c.arrays = append(c.arrays, elem)
	return len(c.arrays) - 1
}

func (c *SpillCodec) record(r *RecordValue) int {
	if n := len(c.records); n > 0 && sameShape(c.records[n-1], r) {
		return n - 1
	}
	for i, x := range c.records {
		if sameShape(x, r) {
			return i
		}
	}
	c.records = append(c.records, &RecordValue{Names: r.Names, Types: r.Types})
	return len(c.records) - 1
}

// sameShape compares slices by identity first: a record's shape comes from its expression, or with each
// value from a composite type.
func sameShape(a, b *RecordValue) bool {
	if unsafe.SliceData(a.Names) == unsafe.SliceData(b.Names) && len(a.Names) == len(b.Names) &&
		unsafe.SliceData(a.Types) == unsafe.SliceData(b.Types) && len(a.Types) == len(b.Types) {
		return true
	}
	return slices.Equal(a.Names, b.Names) && slices.Equal(a.Types, b.Types)
}

func appendSpilledDecimal(b []byte, d *apd.Decimal) []byte {
	flags := byte(d.Form) << 1
	if d.Negative {
		flags |= 1
	}
	b = append(b, flags)
	b = binary.AppendVarint(b, int64(d.Exponent))
	coeff := d.Coeff.Bytes()
	b = binary.AppendUvarint(b, uint64(len(coeff)))
	return append(b, coeff...)
}

// spilled reads what Append wrote; it remembers the first fault.
type spilled struct {
	b   []byte
	bad bool
}

func (s *spilled) uvarint() uint64 {
	v, n := binary.Uvarint(s.b)
	if n <= 0 {
		s.bad = true
		return 0
	}
	s.b = s.b[n:]
	return v
}

func (s *spilled) varint() int64 {
	v, n := binary.Varint(s.b)
	if n <= 0 {
		s.bad = true
		return 0
	}
	s.b = s.b[n:]
	return v
}

func (s *spilled) take(n uint64) []byte {
	if n > uint64(len(s.b)) {
		s.bad = true
		return nil
	}
	out := s.b[:n:n]
	s.b = s.b[n:]
	return out
}

// DecodeRow reads what AppendRow wrote into row, which has as many values. Texts alias b.
func (c *SpillCodec) DecodeRow(b []byte, row []Datum) error {
	s := &spilled{b: b}
	if n := s.uvarint(); n != uint64(len(row)) {
		return errSpill
	}
	for i := range row {
		row[i] = c.decode(s)
	}
	if s.bad || len(s.b) > 0 {
		return errSpill
	}
	return nil
}

func (c *SpillCodec) decode(s *spilled) Datum {
	k := s.take(1)
	if s.bad {
		return Null
	}
	switch k := Kind(k[0]); k {
	case KindNull:
		return Null
	case KindText, KindBPChar, KindBytes, KindUUID, KindPacked, KindJSON, KindJSONB:
		b := s.take(s.uvarint())
		return Datum{p: unsafe.Pointer(unsafe.SliceData(b)), n: int64(len(b)), k: k}
	case KindDecimal:
		return c.decodeDecimal(s)
	case KindInterval:
		return NewInterval(IntervalValue{Months: int32(s.varint()), Days: int32(s.varint()), Micros: s.varint()})
	case KindEnum:
		at := s.uvarint()
		if at >= uint64(len(c.labels)) {
			s.bad = true
			return Null
		}
		return NewEnum(c.labels[at])
	case KindArray:
		at := s.uvarint()
		if at >= uint64(len(c.arrays)) {
			s.bad = true
			return Null
		}
		elems := c.decodeAll(s)
		var dims []ArrayDim
		for n := s.uvarint(); n > 0 && !s.bad; n-- {
			dims = append(dims, ArrayDim{Len: int32(s.varint()), Lower: int32(s.varint())})
		}
		return NewShapedArray(c.arrays[at], elems, dims)
	case KindRecord:
		at := s.uvarint()
		if at >= uint64(len(c.records)) {
			s.bad = true
			return Null
		}
		return NewRecord(c.records[at].Names, c.records[at].Types, c.decodeAll(s))
	case KindRange:
		flags := s.take(1)
		if s.bad {
			return Null
		}
		r := rangeFlags(flags[0]).bounds()
		r.Lower = c.decode(s)
		r.Upper = c.decode(s)
		return rangeDatum(r)
	default:
		return Datum{n: s.varint(), k: k}
	}
}

func (c *SpillCodec) decodeAll(s *spilled) []Datum {
	n := s.uvarint()
	if n > uint64(len(s.b)) {
		s.bad = true
		return nil
	}
	out := make([]Datum, n)
	for i := range out {
		out[i] = c.decode(s)
	}
	return out
}

func (c *SpillCodec) decodeDecimal(s *spilled) Datum {
	flags := s.take(1)
	if s.bad {
		return Null
	}
	d := &apd.Decimal{Form: apd.Form(flags[0] >> 1), Negative: flags[0]&1 != 0}
	d.Exponent = int32(s.varint())
	d.Coeff.SetBytes(s.take(s.uvarint()))
	return Datum{p: unsafe.Pointer(d), k: KindDecimal}
}

// OwnText copies the bytes of a text, so that it does not keep the buffer it was decoded from; room is
// where to, and returned with what is left.
func (d Datum) OwnText(room []byte) (Datum, []byte) {
	switch d.k {
	case KindText, KindBPChar, KindBytes, KindUUID, KindPacked, KindJSON, KindJSONB:
	default:
		return d, room
	}
	n := int(d.n)
	if n == 0 {
		return Datum{k: d.k}, room
	}
	if n > cap(room)-len(room) {
		room = make([]byte, 0, max(min(2*cap(room), ownTextMax), ownTextMin, n))
	}
	start := len(room)
	room = append(room, d.Str()...)
	d.p = unsafe.Pointer(&room[start])
	return d, room
}

// Rooms grow: one row needs little, and of many, one that stays should not keep much.
const (
	ownTextMin = 128
	ownTextMax = 16 << 10
)
