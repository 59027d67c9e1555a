package types

import (
	"math"
	"testing"

	"github.com/cockroachdb/apd/v3"
	"pgregory.net/rapid"
)

// TestSmallNumericsComputeAsLargeOnes compares machine words with apd, about their limits too.
func TestSmallNumericsComputeAsLargeOnes(t *testing.T) {
	number := rapid.Custom(func(t *rapid.T) *apd.Decimal {
		c := rapid.OneOf(rapid.Int64(), rapid.Int64Range(-2000, 2000), rapid.Just(int64(math.MaxInt64)), rapid.Just(int64(math.MinInt64+1)),
			rapid.Just(int64(3037000500))).Draw(t, "coefficient")
		return NewDecimal(apd.New(c, -int32(rapid.IntRange(0, 20).Draw(t, "scale")))).Decimal()
	})
	rapid.Check(t, func(t *rapid.T) {
		x, y := number.Draw(t, "x"), number.Draw(t, "y")
		a, ok1 := SmallOf(x)
		b, ok2 := SmallOf(y)
		if got, want := compareDecimal(x, y), x.Cmp(y); got != want {
			t.Fatalf("%s against %s: %d, want %d", x, y, got, want)
		}
		if !ok1 || !ok2 {
			return
		}
		for name, op := range map[string]struct {
			small func(Small) (Small, bool)
			big   func(d, x, y *apd.Decimal) (apd.Condition, error)
		}{"+": {a.Add, apd.BaseContext.Add}, "-": {a.Sub, apd.BaseContext.Sub}, "*": {a.Mul, apd.BaseContext.Mul}} {
			got, ok := op.small(b)
			if !ok {
				continue
			}
			want := new(apd.Decimal)
			if _, err := op.big(want, x, y); err != nil {
				t.Fatal(err)
			}
			if g, w := got.Datum().Decimal(), NewDecimal(want).Decimal(); g.Text('f') != w.Text('f') || g.Exponent != w.Exponent || g.Negative != w.Negative {
				t.Fatalf("%s %s %s: %s, want %s", x, name, y, g, w)
			}
		}
	})
}
