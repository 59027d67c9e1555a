package types

import (
	"cmp"
	"math"
	"slices"

	"github.com/cairndb/cairn/sql/sqlerr"
)

// ArrayValue is an array's value: its elements, those of the last dimension next to each other.
type ArrayValue struct {
	Elem  T
	Elems []Datum
	// Dims are the dimensions of an array that has not just one from 1 on; nil for those, and for
	// empty arrays. The product of their lengths is the number of elements.
	Dims []ArrayDim
}

// ArrayDim is a dimension: its subscripts go from Lower to Lower+Len-1.
type ArrayDim struct{ Len, Lower int32 }

// Upper is the last subscript.
func (d ArrayDim) Upper() int32 { return d.Lower + d.Len - 1 }

// arrayDimsMax is Postgres's MAXDIM.
const arrayDimsMax = 6

// NewArray makes an array of one dimension, which begins at 1.
func NewArray(elem T, elems []Datum) Datum { return NewShapedArray(elem, elems, nil) }

// NewShapedArray makes an array of some dimensions.
func NewShapedArray(elem T, elems []Datum, dims []ArrayDim) Datum {
	if len(elems) == 0 || len(dims) == 1 && dims[0].Lower == 1 {
		dims = nil
	}
	return arrayDatum(&ArrayValue{Elem: elem, Elems: elems, Dims: dims})
}

// Shape is the array's dimensions, none if it is empty.
func (a *ArrayValue) Shape() []ArrayDim {
	if a.Dims == nil && len(a.Elems) > 0 {
		return []ArrayDim{{Len: int32(len(a.Elems)), Lower: 1}}
	}
	return a.Dims
}

// WithElems is an array of the same shape.
func (a *ArrayValue) WithElems(elem T, elems []Datum) Datum {
	return NewShapedArray(elem, elems, a.Dims)
}

// compareShapes orders arrays with the same elements. One dimension from 1 on comes first.
func compareShapes(a, b []ArrayDim) int {
	if c := cmp.Compare(len(a), len(b)); c != 0 {
		return c
	}
	return slices.CompareFunc(a, b, func(x, y ArrayDim) int {
		return cmp.Or(cmp.Compare(x.Len, y.Len), cmp.Compare(x.Lower, y.Lower))
	})
}

// ValidShape says whether dimensions that were read can be those of n elements.
func ValidShape(dims []ArrayDim, n int) bool {
	product := int64(1)
	for _, d := range dims {
		if d.Len <= 0 || int64(d.Lower)+int64(d.Len)-1 > math.MaxInt32 {
			return false
		}
		if product *= int64(d.Len); product > int64(n) {
			return false
		}
	}
	return len(dims) <= arrayDimsMax && (len(dims) == 0 || product == int64(n))
}

// Subscript is one of a place in an array: Hi alone, or from Lo to Hi with Slice. Bounds that are
// left out are the array's.
type Subscript struct {
	Lo, Hi         int32
	Slice          bool
	NoLo, NoHi     bool
	LoNull, HiNull bool
}

// At is an element, NULL if there is none.
func (a *ArrayValue) At(subs []Subscript) Datum {
	i, ok := a.place(subs)
	if !ok {
		return Null
	}
	return a.Elems[i]
}

func (a *ArrayValue) place(subs []Subscript) (int, bool) {
	if a.Dims == nil && len(subs) == 1 { // what nearly all are
		i := int(subs[0].Hi) - 1
		return i, i >= 0 && i < len(a.Elems)
	}
	shape := a.Shape()
	if len(subs) != len(shape) {
		return 0, false
	}
	at := 0
	for k, d := range shape {
		if subs[k].Hi < d.Lower || subs[k].Hi > d.Upper() {
			return 0, false
		}
		at = at*int(d.Len) + int(subs[k].Hi-d.Lower)
	}
	return at, true
}

// box are the bounds of a slice within the array; ok is false if nothing is in it.
func (a *ArrayValue) box(subs []Subscript) (lo, hi []int32, ok bool) {
	shape := a.Shape()
	if len(subs) > len(shape) {
		return nil, nil, false
	}
	for k, d := range shape {
		l, h := d.Lower, d.Upper()
		if k < len(subs) {
			s := subs[k]
			switch {
			case !s.Slice: // a subscript among slices is one from 1
				l, h = max(l, 1), min(h, s.Hi)
			default:
				if !s.NoLo {
					l = max(l, s.Lo)
				}
				if !s.NoHi {
					h = min(h, s.Hi)
				}
			}
		}
		if l > h {
			return nil, nil, false
		}
		lo, hi = append(lo, l), append(hi, h)
	}
	return lo, hi, len(shape) > 0
}

// eachPlace calls f with the places of the elements of a box, in order.
func (a *ArrayValue) eachPlace(lo, hi []int32, f func(i int)) {
	shape := a.Shape()
	at := slices.Clone(lo)
	for {
		i := 0
		for k, d := range shape {
			i = i*int(d.Len) + int(at[k]-d.Lower)
		}
		f(i)
		k := len(at) - 1
		for ; k >= 0; k-- {
			if at[k]++; at[k] <= hi[k] {
				break
			}
			at[k] = lo[k]
		}
		if k < 0 {
			return
		}
	}
}

// Slice is a part of the array, whose dimensions begin at 1.
func (a *ArrayValue) Slice(subs []Subscript) Datum {
	lo, hi, ok := a.box(subs)
	if !ok {
		return NewArray(a.Elem, nil)
	}
	if a.Dims == nil {
		return NewArray(a.Elem, a.Elems[lo[0]-1:hi[0]])
	}
	var out []Datum
	a.eachPlace(lo, hi, func(i int) { out = append(out, a.Elems[i]) })
	dims := make([]ArrayDim, len(lo))
	for k := range lo {
		dims[k] = ArrayDim{Len: hi[k] - lo[k] + 1, Lower: 1}
	}
	return NewShapedArray(a.Elem, out, dims)
}

func subscriptError(format string, args ...any) error {
	return sqlerr.New(sqlerr.ArraySubscriptError, format, args...)
}

// With is the array with one element or a slice replaced. An array of one dimension grows as needed,
// with NULLs between; an empty one takes the shape of what is assigned.
func (a *ArrayValue) With(subs []Subscript, v Datum) (Datum, error) {
	isSlice := false
	for _, s := range subs {
		if s.LoNull || s.HiNull {
			return Null, sqlerr.New(sqlerr.NullValueNotAllowed, "array subscript in assignment must not be null")
		}
		isSlice = isSlice || s.Slice
	}
	if !isSlice {
		return a.withElem(subs, v)
	}
	if v.IsNull() {
		return NewShapedArray(a.Elem, a.Elems, a.Dims), nil
	}
	return a.withSlice(subs, v.Array())
}

func (a *ArrayValue) withElem(subs []Subscript, v Datum) (Datum, error) {
	shape := a.Shape()
	switch {
	case len(shape) == 0:
		dims := make([]ArrayDim, len(subs))
		for k, s := range subs {
			dims[k] = ArrayDim{Len: 1, Lower: s.Hi}
		}
		return NewShapedArray(a.Elem, []Datum{v}, dims), nil
	case len(subs) != len(shape):
		return Null, subscriptError("wrong number of array subscripts")
	case len(shape) == 1:
		g, err := a.grown(subs[0].Hi, subs[0].Hi)
		if err != nil {
			return Null, err
		}
		g.Elems[subs[0].Hi-g.Shape()[0].Lower] = v
		return NewShapedArray(a.Elem, g.Elems, g.Dims), nil
	}
	i, ok := a.place(subs)
	if !ok {
		return Null, subscriptError("array subscript out of range")
	}
	out := slices.Clone(a.Elems)
	out[i] = v
	return a.WithElems(a.Elem, out), nil
}

// grown is a copy of an array of one dimension that reaches from lo to hi at least.
func (a *ArrayValue) grown(lo, hi int32) (*ArrayValue, error) {
	d := a.Shape()[0]
	from, to := min(d.Lower, lo), max(d.Upper(), hi)
	n := int64(to) - int64(from) + 1
	if n > arrayElemsMax {
		return nil, sqlerr.New(sqlerr.ProgramLimitExceeded, "array size exceeds the maximum allowed (%d)", arrayElemsMax)
	}
	out := make([]Datum, n)
	copy(out[d.Lower-from:], a.Elems)
	return &ArrayValue{Elem: a.Elem, Elems: out, Dims: []ArrayDim{{Len: int32(n), Lower: from}}}, nil
}

func (a *ArrayValue) withSlice(subs []Subscript, src *ArrayValue) (Datum, error) {
	shape := a.Shape()
	if len(shape) == 0 {
		return a.firstSlice(subs, src)
	}
	if len(subs) > len(shape) {
		return Null, subscriptError("wrong number of array subscripts")
	}
	lo, hi := make([]int32, len(shape)), make([]int32, len(shape))
	count := int64(1)
	for k, d := range shape {
		lo[k], hi[k] = d.Lower, d.Upper()
		if k < len(subs) {
			s := subs[k]
			if !s.Slice {
				lo[k], hi[k] = 1, s.Hi
			} else {
				if !s.NoLo {
					lo[k] = s.Lo
				}
				if !s.NoHi {
					hi[k] = s.Hi
				}
			}
		}
		if lo[k] > hi[k] {
			return Null, subscriptError("upper bound cannot be less than lower bound")
		}
		if len(shape) > 1 && (lo[k] < d.Lower || hi[k] > d.Upper()) {
			return Null, subscriptError("array subscript out of range")
		}
		count *= int64(hi[k]) - int64(lo[k]) + 1
	}
	if count > int64(len(src.Elems)) {
		return Null, subscriptError("source array too small")
	}
	into := &ArrayValue{Elem: a.Elem, Elems: slices.Clone(a.Elems), Dims: shape}
	if len(shape) == 1 {
		var err error
		if into, err = a.grown(lo[0], hi[0]); err != nil {
			return Null, err
		}
	}
	n := 0
	into.eachPlace(lo, hi, func(i int) { into.Elems[i] = src.Elems[n]; n++ })
	return NewShapedArray(a.Elem, into.Elems, into.Dims), nil
}

// firstSlice assigns a slice to an empty array.
func (a *ArrayValue) firstSlice(subs []Subscript, src *ArrayValue) (Datum, error) {
	dims, count := make([]ArrayDim, len(subs)), int64(1)
	for k, s := range subs {
		switch {
		case !s.Slice:
			s.Lo = 1
		case s.NoLo || s.NoHi:
			return Null, sqlerr.New(sqlerr.ArraySubscriptError, "array slice subscript must provide both boundaries").
				WithDetail("When assigning to a slice of an empty array value, slice boundaries must be fully specified.")
		}
		if s.Lo > s.Hi {
			return Null, subscriptError("upper bound cannot be less than lower bound")
		}
		dims[k] = ArrayDim{Len: s.Hi - s.Lo + 1, Lower: s.Lo}
		count *= int64(s.Hi) - int64(s.Lo) + 1
	}
	if count > int64(len(src.Elems)) {
		return Null, subscriptError("source array too small")
	}
	return NewShapedArray(a.Elem, slices.Clone(src.Elems[:count]), dims), nil
}

// StackArrays makes an array of arrays of one shape, which becomes its further dimensions; empty and
// NULL ones go with each other only.
func StackArrays(elem T, in []Datum, mismatch error) (Datum, error) {
	var out []Datum
	var shape []ArrayDim
	empty := false
	for i, d := range in {
		var s []ArrayDim
		if !d.IsNull() {
			s = d.Array().Shape()
			out = append(out, d.Array().Elems...)
		}
		empty = empty || len(s) == 0
		if i == 0 || shape == nil {
			shape = s
		}
		if len(s) > 0 && !slices.Equal(s, shape) || empty && shape != nil {
			return Null, mismatch
		}
	}
	if len(shape)+1 > arrayDimsMax {
		return Null, tooManyDims(len(shape) + 1)
	}
	return NewShapedArray(elem, out, append([]ArrayDim{{Len: int32(len(in)), Lower: 1}}, shape...)), nil
}

func tooManyDims(n int) error {
	return sqlerr.New(sqlerr.ProgramLimitExceeded, "number of array dimensions (%d) exceeds the maximum allowed (%d)", n, arrayDimsMax)
}

// ErrSubarrays is what ARRAY[] of arrays of different shapes gives.
func ErrSubarrays() error {
	return subscriptError("multidimensional arrays must have array expressions with matching dimensions")
}

// Concat joins arrays: of as many dimensions, along the first; or one is an element of the other.
func (a *ArrayValue) Concat(b *ArrayValue) (Datum, error) {
	x, y := a.Shape(), b.Shape()
	elems := slices.Concat(a.Elems, b.Elems)
	mismatch := func(detail string, args ...any) (Datum, error) {
		return Null, sqlerr.New(sqlerr.ArraySubscriptError, "cannot concatenate incompatible arrays").WithDetail(detail, args...)
	}
	var dims []ArrayDim
	switch {
	case len(x) == 0:
		return NewShapedArray(a.Elem, elems, b.Dims), nil
	case len(y) == 0:
		return NewShapedArray(a.Elem, elems, a.Dims), nil
	case len(x) == len(y):
		if !slices.Equal(x[1:], y[1:]) {
			return mismatch("Arrays with differing element dimensions are not compatible for concatenation.")
		}
		dims = slices.Clone(x)
		dims[0].Len += y[0].Len
	case len(x) == len(y)+1:
		if !slices.Equal(x[1:], y) {
			return mismatch("Arrays with differing dimensions are not compatible for concatenation.")
		}
		dims = slices.Clone(x)
		dims[0].Len++
	case len(x)+1 == len(y):
		if !slices.Equal(x, y[1:]) {
			return mismatch("Arrays with differing dimensions are not compatible for concatenation.")
		}
		dims = slices.Clone(y)
		dims[0].Len++
	default:
		return mismatch("Arrays of %d and %d dimensions are not compatible for concatenation.", len(x), len(y))
	}
	return NewShapedArray(a.Elem, elems, dims), nil
}
