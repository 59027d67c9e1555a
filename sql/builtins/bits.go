package builtins

import "github.com/cairndb/cairn/sql/types"

// bitAggregates are bit_and, bit_or and bit_xor over integers.
func bitAggregates() []Overload {
	var out []Overload
	for _, op := range []struct {
		name string
		join func(a, b int64) int64
	}{
		{"bit_and", func(a, b int64) int64 { return a & b }},
		{"bit_or", func(a, b int64) int64 { return a | b }},
		{"bit_xor", func(a, b int64) int64 { return a ^ b }},
	} {
		for _, t := range []types.T{types.Int2, types.Int4, types.Int8} {
			out = append(out, agg(op.name, []types.T{t}, t, "bitwise, over all values",
				func([]types.T) Aggregator { return &bitAgg{join: op.join} }))
		}
	}
	return out
}

type bitAgg struct {
	join func(a, b int64) int64
	v    int64
	some bool
}

func (b *bitAgg) Add(_ ectx, a []datum) error {
	if !b.some {
		b.v, b.some = a[0].Int(), true
		return nil
	}
	b.v = b.join(b.v, a[0].Int())
	return nil
}

func (b *bitAgg) Result(ectx) (datum, error) {
	if !b.some {
		return types.Null, nil
	}
	return types.NewInt(b.v), nil
}
