package rowenc

import (
	"encoding/binary"
	"math"
	"slices"
	"unsafe"

	"github.com/cockroachdb/apd/v3"

	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// ColumnID is a column's number within its table, never reused.
type ColumnID = uint32

// rowVersion is the first byte of every row's value.
const rowVersion = 1

// Wire types: enough to step over a column of a type not known any more.
const (
	wireVarint = 0 // zigzag
	wireFixed8 = 1
	wireBytes  = 2 // uvarint length, bytes
	wireTrue   = 3
	wireFalse  = 4
	wireNull   = 5 // inside arrays, and by AppendFullRow
	wireDims   = 6 // at the start of an array with dimensions

	wireBits = 4
)

func alias(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// AppendRow appends the value encoding of a row; ids ascend. NULLs take no space.
func AppendRow(b []byte, ids []ColumnID, ts []types.T, row []types.Datum) []byte {
	return appendRow(b, ids, row, false)
}

// AppendFullRow is AppendRow where NULLs are written too, for columns of which a row may hold
// nothing and mean something else (RowDecoder.SetMissing).
func AppendFullRow(b []byte, ids []ColumnID, ts []types.T, row []types.Datum) []byte {
	return appendRow(b, ids, row, true)
}

func appendRow(b []byte, ids []ColumnID, row []types.Datum, nulls bool) []byte {
	b = append(b, rowVersion)
	last := ColumnID(0)
	for i, d := range row {
		if d.IsNull() && !nulls {
			continue
		}
		if ids[i] < last {
			panic("rowenc: column ids do not ascend")
		}
		head := uint64(ids[i]-last) << wireBits
		if d.IsNull() {
			b = binary.AppendUvarint(b, head|wireNull)
		} else {
			b = appendColumn(b, head, d)
		}
		last = ids[i]
	}
	return b
}

func appendColumn(b []byte, head uint64, d types.Datum) []byte {
	switch d.Kind() {
	case types.KindInt, types.KindDate, types.KindEnum:
		return binary.AppendVarint(binary.AppendUvarint(b, head|wireVarint), d.Int())
	case types.KindTime, types.KindTimestamp, types.KindTimestampTZ:
		return binary.BigEndian.AppendUint64(binary.AppendUvarint(b, head|wireFixed8), uint64(d.Int()))
	case types.KindFloat:
		return binary.BigEndian.AppendUint64(binary.AppendUvarint(b, head|wireFixed8), math.Float64bits(d.Float()))
	case types.KindBool:
		if d.Bool() {
			return binary.AppendUvarint(b, head|wireTrue)
		}
		return binary.AppendUvarint(b, head|wireFalse)
	case types.KindText, types.KindBytes, types.KindUUID, types.KindPacked, types.KindJSON, types.KindJSONB:
		return appendSized(binary.AppendUvarint(b, head|wireBytes), d.Str())
	case types.KindBPChar: // the padding is in the type
		return appendSized(binary.AppendUvarint(b, head|wireBytes), trimBlanks(d.Str()))
	}
	return appendSized(binary.AppendUvarint(b, head|wireBytes), alias(appendStruct(nil, d)))
}

func appendSized(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendStruct(b []byte, d types.Datum) []byte {
	switch d.Kind() {
	case types.KindDecimal:
		return appendDecimal(b, d.Decimal())
	case types.KindInterval:
		v := d.Interval()
		b = binary.AppendVarint(b, int64(v.Months))
		b = binary.AppendVarint(b, int64(v.Days))
		return binary.AppendVarint(b, v.Micros)
	case types.KindArray:
		return appendAll(appendDims(b, d.Array().Dims), d.Array().Elems)
	case types.KindRecord:
		return appendAll(b, d.Record().Vals)
	case types.KindRange:
		r := d.Range()
		return appendAll(append(b, rowRangeFlags(r)), []types.Datum{r.Lower, r.Upper})
	}
	panic("rowenc: type cannot be stored")
}

// appendDims writes the dimensions of an array that has not just one from 1 on, before its elements.
func appendDims(b []byte, dims []types.ArrayDim) []byte {
	if dims == nil {
		return b
	}
	b = append(b, wireDims, byte(len(dims)))
	for _, d := range dims {
		b = binary.AppendVarint(binary.AppendVarint(b, int64(d.Len)), int64(d.Lower))
	}
	return b
}

// decodeDims reads what appendDims wrote.
func decodeDims(b []byte) (dims []types.ArrayDim, rest []byte, err error) {
	if len(b) == 0 || b[0] != wireDims {
		return nil, b, nil
	}
	if len(b) < 2 {
		return nil, nil, badRow("array")
	}
	n := int(b[1])
	b = b[2:]
	for range n {
		length, k := binary.Varint(b)
		lower, m := binary.Varint(b[max(k, 0):])
		if k <= 0 || m <= 0 || int64(int32(length)) != length || int64(int32(lower)) != lower {
			return nil, nil, badRow("array")
		}
		dims, b = append(dims, types.ArrayDim{Len: int32(length), Lower: int32(lower)}), b[k+m:]
	}
	return dims, b, nil
}

func appendAll(b []byte, ds []types.Datum) []byte {
	for _, e := range ds {
		if e.IsNull() {
			b = append(b, wireNull)
		} else {
			b = appendColumn(b, 0, e)
		}
	}
	return b
}

// appendDecimal: form and sign, exponent, coefficient.
func appendDecimal(b []byte, d *apd.Decimal) []byte {
	form := byte(d.Form) << 1
	if d.Negative {
		form |= 1
	}
	b = binary.AppendVarint(append(b, form), int64(d.Exponent))
	if d.Form != apd.Finite {
		return b
	}
	return append(b, d.Coeff.Bytes()...)
}

// RowDecoder decodes wanted columns of rows into fixed places of a caller's slice. It is immutable
// once made, and one may serve many goroutines.
type RowDecoder struct{ cols []wantedColumn }

type wantedColumn struct {
	id   ColumnID
	t    types.T
	dst  int
	keep bool
	// missing is what a row has that does not hold the column, NULL for most.
	missing types.Datum
}

// NewRowDecoder plans the decoding of columns ids[i], of type ts[i], into dst[at[i]].
func NewRowDecoder(ids []ColumnID, ts []types.T, at []int) *RowDecoder {
	r := &RowDecoder{cols: make([]wantedColumn, len(ids))}
	for i := range ids {
		r.cols[i] = wantedColumn{id: ids[i], t: ts[i], dst: at[i]}
	}
	slices.SortFunc(r.cols, func(a, b wantedColumn) int { return int(a.id) - int(b.id) })
	return r
}

// KeepAbsent makes Decode leave a column's place alone if the row does not hold it, instead of
// writing NULL: for key columns, which are decoded from the key first. Call before the first Decode.
func (r *RowDecoder) KeepAbsent(ids ...ColumnID) *RowDecoder {
	for i := range r.cols {
		if slices.Contains(ids, r.cols[i].id) {
			r.cols[i].keep = true
		}
	}
	return r
}

// SetMissing says what rows have that do not hold a column. Call before the first Decode.
func (r *RowDecoder) SetMissing(id ColumnID, d types.Datum) {
	for i := range r.cols {
		if r.cols[i].id == id {
			r.cols[i].missing = d
		}
	}
}

func badRow(what string) error {
	return sqlerr.New(sqlerr.DataCorrupted, "corrupt row: %s", what)
}

// Decode fills the wanted places of dst; columns absent from b become NULL, or what SetMissing said. Text values alias b,
// which must not change while they are in use.
func (r *RowDecoder) Decode(b []byte, dst []types.Datum) error {
	if len(b) == 0 || b[0] != rowVersion {
		return badRow("unknown version")
	}
	b = b[1:]
	next, id := 0, uint64(0)
	for len(b) > 0 && next < len(r.cols) {
		head, n := binary.Uvarint(b)
		if n <= 0 {
			return badRow("column header")
		}
		b = b[n:]
		if id += head >> wireBits; id > math.MaxUint32 {
			return badRow("column number")
		}
		for next < len(r.cols) && uint64(r.cols[next].id) < id {
			r.cols[next].absent(dst)
			next++
		}
		size, at, err := payload(b, head&(1<<wireBits-1))
		if err != nil {
			return err
		}
		for ; next < len(r.cols) && uint64(r.cols[next].id) == id; next++ {
			c := &r.cols[next]
			if dst[c.dst], err = decodeColumn(head&(1<<wireBits-1), b[at:size], c.t); err != nil {
				return err
			}
		}
		b = b[size:]
	}
	for ; next < len(r.cols); next++ {
		r.cols[next].absent(dst)
	}
	return nil
}

func (c *wantedColumn) absent(dst []types.Datum) {
	if !c.keep {
		dst[c.dst] = c.missing
	}
}

// payload gives the end of a column's bytes in b, and where they start behind their length.
func payload(b []byte, wire uint64) (end, at int, err error) {
	switch wire {
	case wireVarint:
		for i := 0; i < len(b) && i < binary.MaxVarintLen64; i++ {
			if b[i] < 0x80 {
				return i + 1, 0, nil
			}
		}
	case wireFixed8:
		if len(b) >= 8 {
			return 8, 0, nil
		}
	case wireBytes:
		n, size := binary.Uvarint(b)
		if size > 0 && n <= uint64(len(b)-size) {
			return size + int(n), size, nil
		}
	case wireTrue, wireFalse, wireNull:
		return 0, 0, nil
	}
	return 0, 0, badRow("column payload")
}

func decodeColumn(wire uint64, b []byte, t types.T) (types.Datum, error) {
	k := t.Kind()
	switch {
	case wire == wireNull:
		return types.Null, nil
	case wire == wireVarint && (k == types.KindInt || k == types.KindDate):
		n, size := binary.Varint(b)
		if size <= 0 {
			return types.Null, badRow("integer")
		}
		return types.NewCount(k, n), nil
	case wire == wireVarint && k == types.KindEnum:
		n, size := binary.Varint(b)
		if d, ok := t.Plain().EnumAt(n); ok && size > 0 {
			return d, nil
		}
		return types.Null, badRow("no label of the enum")
	case wire == wireFixed8 && k == types.KindFloat:
		return types.NewFloat(math.Float64frombits(binary.BigEndian.Uint64(b))), nil
	case wire == wireFixed8 && (k == types.KindTime || k == types.KindTimestamp || k == types.KindTimestampTZ):
		return types.NewCount(k, int64(binary.BigEndian.Uint64(b))), nil
	case wire == wireTrue && k == types.KindBool, wire == wireFalse && k == types.KindBool:
		return types.NewBool(wire == wireTrue), nil
	case wire == wireBytes:
		return decodeBytes(b, t, k)
	}
	return types.Null, badRow("a value of another type")
}

func decodeBytes(b []byte, t types.T, k types.Kind) (types.Datum, error) {
	switch k {
	case types.KindText, types.KindBytes, types.KindBPChar, types.KindJSON, types.KindJSONB:
		return types.NewString(t, alias(b)), nil
	case types.KindUUID:
		if len(b) == 16 {
			return types.NewString(t, alias(b)), nil
		}
	case types.KindPacked:
		if types.ValidPacked(t, alias(b)) {
			return types.NewPacked(alias(b)), nil
		}
	case types.KindDecimal:
		return decodeDecimal(b)
	case types.KindInterval:
		return decodeInterval(b)
	case types.KindArray:
		return decodeArray(b, t.Plain())
	case types.KindRecord:
		return decodeRecord(b, t.Plain())
	case types.KindRange:
		return decodeRange(b, t.Plain())
	}
	return types.Null, badRow("a value of another type")
}

func decodeDecimal(b []byte) (types.Datum, error) {
	if len(b) < 2 || b[0]>>1 > byte(apd.NaN) {
		return types.Null, badRow("numeric")
	}
	e, n := binary.Varint(b[1:])
	if n <= 0 || e > decimalExponentMax || e < -decimalExponentMax {
		return types.Null, badRow("numeric")
	}
	d := &apd.Decimal{Form: apd.Form(b[0] >> 1), Negative: b[0]&1 != 0, Exponent: int32(e)}
	if digits := b[1+n:]; len(digits) <= 8 {
		u := uint64(0)
		for _, c := range digits {
			u = u<<8 | uint64(c)
		}
		d.Coeff.SetUint64(u)
	} else {
		d.Coeff.SetBytes(digits)
	}
	return types.NewDecimal(d), nil
}

func decodeInterval(b []byte) (types.Datum, error) {
	var parts [3]int64
	for i := range parts {
		n, size := binary.Varint(b)
		if size <= 0 {
			return types.Null, badRow("interval")
		}
		parts[i], b = n, b[size:]
	}
	return types.NewInterval(types.IntervalValue{Months: int32(parts[0]), Days: int32(parts[1]), Micros: parts[2]}), nil
}

func decodeArray(b []byte, t types.T) (types.Datum, error) {
	elem, ok := t.Elem()
	if !ok || elem.IsArray() {
		return types.Null, badRow("array")
	}
	dims, b, err := decodeDims(b)
	if err != nil {
		return types.Null, err
	}
	var elems []types.Datum
	for len(b) > 0 {
		d, rest, err := decodePart(b, elem)
		if err != nil {
			return types.Null, err
		}
		elems, b = append(elems, d), rest
	}
	if !types.ValidShape(dims, len(elems)) {
		return types.Null, badRow("array")
	}
	return types.NewShapedArray(elem.Base(), elems, dims), nil
}

// decodePart decodes what appendAll wrote of one value.
func decodePart(b []byte, t types.T) (d types.Datum, rest []byte, err error) {
	if len(b) == 0 {
		return types.Null, nil, badRow("it ends within a value")
	}
	wire := uint64(b[0])
	end, at, err := payload(b[1:], wire)
	if err != nil {
		return types.Null, nil, err
	}
	if wire != wireNull {
		d, err = decodeColumn(wire, b[1+at:1+end], t)
	}
	return d, b[1+end:], err
}

// decodeRecord decodes a composite value: its columns by their places.
func decodeRecord(b []byte, t types.T) (types.Datum, error) {
	if !t.IsComposite() {
		return types.Null, badRow("record")
	}
	names, ts := t.Fields()
	vals := make([]types.Datum, len(ts))
	for i := range vals {
		var err error
		if vals[i], b, err = decodePart(b, ts[i]); err != nil {
			return types.Null, err
		}
	}
	if len(b) > 0 {
		return types.Null, badRow("record")
	}
	return types.NewRecord(names, ts, vals), nil
}

// A range in a row is a byte that says what is included, or that it is empty, and its bounds, NULL for none.
const (
	rowRangeLowerInc = 1 << iota
	rowRangeUpperInc
	rowRangeEmpty
)

func rowRangeFlags(r *types.RangeValue) (f byte) {
	if r.LowerInc {
		f |= rowRangeLowerInc
	}
	if r.UpperInc {
		f |= rowRangeUpperInc
	}
	if r.Empty {
		f |= rowRangeEmpty
	}
	return f
}

func decodeRange(b []byte, t types.T) (types.Datum, error) {
	sub, ok := t.Subtype()
	if !ok || len(b) == 0 {
		return types.Null, badRow("range")
	}
	r := types.RangeValue{LowerInc: b[0]&rowRangeLowerInc != 0, UpperInc: b[0]&rowRangeUpperInc != 0, Empty: b[0]&rowRangeEmpty != 0}
	b = b[1:]
	for _, d := range []*types.Datum{&r.Lower, &r.Upper} {
		var err error
		if *d, b, err = decodePart(b, sub); err != nil {
			return types.Null, err
		}
	}
	d, err := types.NewRange(t, r)
	if err != nil || len(b) > 0 {
		return types.Null, badRow("range")
	}
	return d, nil
}
