package builtins

import (
	"math"

	"github.com/cairndb/cairn/sql/types"
)

// regression keeps sums of squares around the running means of pairs (Y, X), by Youngs and Cramer's
// update (1971), which loses little where plain sums of squares would.
type regression struct {
	n                     float64
	sx, sy, sxx, syy, sxy float64
	result                func(r *regression) (v float64, ok bool)
	whole                 bool // the result is a count
}

func (r *regression) Add(_ ectx, a []datum) error {
	y, x := a[0].Float(), a[1].Float()
	r.n++
	r.sx += x
	r.sy += y
	if r.n > 1 {
		tx, ty := x*r.n-r.sx, y*r.n-r.sy
		scale := 1 / (r.n * (r.n - 1))
		r.sxx += tx * tx * scale
		r.syy += ty * ty * scale
		r.sxy += tx * ty * scale
	} else { // NaN of what is not finite
		r.sxx, r.syy, r.sxy = x-x, y-y, (x-x)+(y-y)
	}
	return nil
}

func (r *regression) Result(ectx) (datum, error) {
	if r.whole {
		return types.NewInt(int64(r.n)), nil
	}
	v, ok := r.result(r)
	if !ok {
		return types.Null, nil
	}
	return types.NewFloat(v), nil
}

func regressionAggs() []Overload {
	f8 := types.Float8
	some := func(f func(r *regression) float64) func(r *regression) (float64, bool) {
		return func(r *regression) (float64, bool) {
			if r.n < 1 {
				return 0, false
			}
			return f(r), true
		}
	}
	out := []Overload{agg("regr_count", []types.T{f8, f8}, types.Int8, "number of rows in which both are not NULL",
		func([]types.T) Aggregator { return &regression{whole: true} })}
	for _, k := range []struct {
		name, doc string
		f         func(r *regression) (float64, bool)
	}{
		{"covar_pop", "population covariance", some(func(r *regression) float64 { return r.sxy / r.n })},
		{"covar_samp", "sample covariance", func(r *regression) (float64, bool) { return r.sxy / (r.n - 1), r.n > 1 }},
		{"corr", "correlation coefficient", func(r *regression) (float64, bool) {
			return r.sxy / math.Sqrt(r.sxx*r.syy), r.n > 0 && r.sxx != 0 && r.syy != 0
		}},
		{"regr_avgx", "mean of X", some(func(r *regression) float64 { return r.sx / r.n })},
		{"regr_avgy", "mean of Y", some(func(r *regression) float64 { return r.sy / r.n })},
		{"regr_sxx", "sum of squares of X", some(func(r *regression) float64 { return r.sxx })},
		{"regr_syy", "sum of squares of Y", some(func(r *regression) float64 { return r.syy })},
		{"regr_sxy", "sum of products of X and Y", some(func(r *regression) float64 { return r.sxy })},
		{"regr_slope", "slope of the line of least squares", func(r *regression) (float64, bool) { return r.sxy / r.sxx, r.n > 0 && r.sxx != 0 }},
		{"regr_intercept", "where the line of least squares meets the Y axis", func(r *regression) (float64, bool) {
			return (r.sy - r.sx*r.sxy/r.sxx) / r.n, r.n > 0 && r.sxx != 0
		}},
		{"regr_r2", "square of the correlation coefficient", func(r *regression) (float64, bool) {
			if r.n > 0 && r.sxx != 0 && r.syy == 0 {
				return 1, true
			}
			return (r.sxy * r.sxy) / (r.sxx * r.syy), r.n > 0 && r.sxx != 0
		}},
	} {
		out = append(out, agg(k.name, []types.T{f8, f8}, f8, k.doc, func([]types.T) Aggregator { return &regression{result: k.f} }))
	}
	return out
}
