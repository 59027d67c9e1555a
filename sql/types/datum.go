package types

import (
	"math"
	"unsafe"

	"github.com/cockroachdb/apd/v3"

	"github.com/cairndb/cairn/schema/usertype"
)

// Kind says how a Datum holds its value. Several SQL types share a kind.
type Kind uint8

// Kinds. KindNull is the zero value.
const (
	KindNull        Kind = iota
	KindBool             // n is 0 or 1
	KindInt              // int2, int4, int8, oid, reg*: n
	KindFloat            // float4, float8: n holds the bits of a float64
	KindDecimal          // p is *apd.Decimal
	KindText             // text, varchar, name, "char", unknown, void: p, n bytes
	KindBPChar           // char(n): as text, padded; trailing blanks do not count in comparisons
	KindBytes            // bytea: p, n bytes
	KindUUID             // p, 16 bytes
	KindDate             // n is days since 2000-01-01
	KindTime             // n is microseconds since midnight
	KindTimestamp        // n is microseconds since 2000-01-01 00:00
	KindTimestampTZ      // the same, in UTC
	KindInterval         // p is *IntervalValue
	KindJSON             // the text as given
	KindJSONB            // the canonical text
	KindArray            // p is *ArrayValue
	KindRecord           // p is *RecordValue
	KindEnum             // p is *usertype.Label, n its position
	KindPacked           // inet, cidr, macaddr, timetz, bit: p, n bytes, whose order is the values' (packed.go)
	KindRange            // p is *RangeValue
)

// Datum is one SQL value, or NULL. It is 24 bytes and holds no interface, so that rows of ints
// cost no allocation. Its zero value is NULL.
//
//	 p: bytes of a string, or the value's struct    n: number, or length of the string    k
//	+----------------------------------------------+-------------------------------------+---+
//
// A Datum does not know its SQL type; whoever has the column has the type.
type Datum struct {
	p unsafe.Pointer
	n int64
	k Kind
}

// Row is one row of values.
type Row = []Datum

// Null is SQL's NULL.
var Null Datum

// IntervalValue is an interval's three independent parts, as Postgres keeps them.
type IntervalValue struct {
	Months int32
	Days   int32
	Micros int64
}

// RecordValue is a row as a value.
type RecordValue struct {
	Names []string // may be empty: f1, f2, …
	Types []T
	Vals  []Datum
}

func stringDatum(k Kind, s string) Datum {
	return Datum{p: unsafe.Pointer(unsafe.StringData(s)), n: int64(len(s)), k: k}
}

// NewBool makes a bool.
func NewBool(b bool) Datum {
	if b {
		return Datum{n: 1, k: KindBool}
	}
	return Datum{k: KindBool}
}

// NewInt makes a value of any integer type, oid included.
func NewInt(i int64) Datum { return Datum{n: i, k: KindInt} }

// NewOID makes an oid, regclass or regtype.
func NewOID(o OID) Datum { return Datum{n: int64(o), k: KindInt} }

// NewFloat makes a float8, or a float4 that the caller has rounded.
func NewFloat(f float64) Datum { return Datum{n: int64(math.Float64bits(f)), k: KindFloat} }

// NewDecimal makes a numeric. The decimal belongs to the Datum afterwards and must not change.
func NewDecimal(d *apd.Decimal) Datum {
	if d.Form == apd.Finite && (d.Exponent > 0 || d.Negative && d.IsZero()) {
		d = normalDecimal(d)
	}
	return Datum{p: unsafe.Pointer(d), k: KindDecimal}
}

// NewText makes a text, varchar, name, "char" or unknown.
func NewText(s string) Datum { return stringDatum(KindText, s) }

// NewBPChar makes a char(n); the caller has padded it.
func NewBPChar(s string) Datum { return stringDatum(KindBPChar, s) }

// NewBytes makes a bytea out of a string holding its bytes.
func NewBytes(b string) Datum { return stringDatum(KindBytes, b) }

// NewUUID makes a uuid.
func NewUUID(u [16]byte) Datum { return stringDatum(KindUUID, string(u[:])) }

// NewPacked makes a value of one of the types that are kept as bytes in their order.
func NewPacked(b string) Datum { return stringDatum(KindPacked, b) }

// NewDate makes a date from days since 2000-01-01.
func NewDate(days int64) Datum { return Datum{n: days, k: KindDate} }

// NewTime makes a time of day from microseconds since midnight.
func NewTime(micros int64) Datum { return Datum{n: micros, k: KindTime} }

// NewTimestamp makes a timestamp from microseconds since 2000-01-01.
func NewTimestamp(micros int64) Datum { return Datum{n: micros, k: KindTimestamp} }

// NewTimestampTZ makes a timestamptz from microseconds since 2000-01-01 UTC.
func NewTimestampTZ(micros int64) Datum { return Datum{n: micros, k: KindTimestampTZ} }

// NewInterval makes an interval.
func NewInterval(v IntervalValue) Datum { return Datum{p: unsafe.Pointer(&v), k: KindInterval} }

// NewJSON makes a json, whose text is kept as it is.
func NewJSON(text string) Datum { return stringDatum(KindJSON, text) }

// newJSONB makes a jsonb out of its canonical text.
func newJSONB(canonical string) Datum { return stringDatum(KindJSONB, canonical) }

func arrayDatum(a *ArrayValue) Datum { return Datum{p: unsafe.Pointer(a), k: KindArray} }

// NewRecord makes a record.
func NewRecord(names []string, ts []T, vals []Datum) Datum {
	return Datum{p: unsafe.Pointer(&RecordValue{Names: names, Types: ts, Vals: vals}), k: KindRecord}
}

// NewEnum makes a value of an enum.
func NewEnum(l *usertype.Label) Datum {
	return Datum{p: unsafe.Pointer(l), n: l.Position, k: KindEnum}
}

// Label is an enum's value.
func (d Datum) Label() *usertype.Label {
	d.must(KindEnum)
	return (*usertype.Label)(d.p)
}

// IsNull says whether the value is NULL.
func (d Datum) IsNull() bool { return d.k == KindNull }

// Kind says how the value is held.
func (d Datum) Kind() Kind { return d.k }

// Int is an integer's value, an oid, the count inside a date, time or timestamp, or the position of
// an enum's label.
func (d Datum) Int() int64 { return d.n }

// Bool is a bool's value; NULL is false.
func (d Datum) Bool() bool { return d.k == KindBool && d.n != 0 }

// Float is a float's value.
func (d Datum) Float() float64 { return math.Float64frombits(uint64(d.n)) }

// OID is an oid's value.
func (d Datum) OID() OID { return OID(uint32(d.n)) }

// Str is the text of a string kind, the bytes of a bytea, uuid or packed value, the text of json and jsonb. It
// is "" for every other kind.
func (d Datum) Str() string {
	switch d.k {
	case KindText, KindBPChar, KindBytes, KindUUID, KindPacked, KindJSON, KindJSONB:
		return unsafe.String((*byte)(d.p), int(d.n))
	}
	return ""
}

// Decimal is a numeric's value, which must not be changed.
func (d Datum) Decimal() *apd.Decimal {
	d.must(KindDecimal)
	return (*apd.Decimal)(d.p)
}

// Interval is an interval's value.
func (d Datum) Interval() IntervalValue {
	d.must(KindInterval)
	return *(*IntervalValue)(d.p)
}

// Array is an array's value, which must not be changed.
func (d Datum) Array() *ArrayValue {
	d.must(KindArray)
	return (*ArrayValue)(d.p)
}

// Record is a record's value, which must not be changed.
func (d Datum) Record() *RecordValue {
	d.must(KindRecord)
	return (*RecordValue)(d.p)
}

// UUID is a uuid's value.
func (d Datum) UUID() (u [16]byte) {
	d.must(KindUUID)
	copy(u[:], d.Str())
	return u
}

// must holds invariant I1: p is only read as what k says it is.
func (d Datum) must(k Kind) {
	if d.k != k {
		panic("types: datum holds another kind than its type says")
	}
}

// SizeBytes estimates the memory a value holds, for memory accounts.
func (d Datum) SizeBytes() int {
	const own = int(unsafe.Sizeof(Datum{}))
	switch d.k {
	case KindText, KindBPChar, KindBytes, KindUUID, KindPacked, KindJSON, KindJSONB:
		return own + int(d.n)
	case KindDecimal:
		return own + int(d.Decimal().Size())
	case KindInterval:
		return own + 16
	case KindArray:
		return own + sizeOfAll(d.Array().Elems)
	case KindRecord:
		return own + sizeOfAll(d.Record().Vals)
	case KindRange:
		r := d.Range()
		return own + int(unsafe.Sizeof(*r)) + r.Lower.SizeBytes() + r.Upper.SizeBytes()
	}
	return own
}

func sizeOfAll(ds []Datum) int {
	n := 48
	for _, d := range ds {
		n += d.SizeBytes()
	}
	return n
}

// normalDecimal brings a decimal into Postgres's form: no positive exponent, no negative zero.
func normalDecimal(d *apd.Decimal) *apd.Decimal {
	out := new(apd.Decimal)
	out.Set(d)
	if out.IsZero() {
		out.Negative = false
		out.Exponent = min(out.Exponent, 0)
		return out
	}
	if out.Exponent > 0 {
		var pow apd.BigInt
		pow.Exp(apd.NewBigInt(10), apd.NewBigInt(int64(out.Exponent)), nil)
		out.Coeff.Mul(&out.Coeff, &pow)
		out.Exponent = 0
	}
	return out
}
