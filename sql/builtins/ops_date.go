package builtins

import (
	"math"

	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

const microsPerDay = 86400 * 1000000

var (
	errDate     = sqlerr.New(sqlerr.DatetimeFieldOverflow, "date out of range")
	errStamp    = sqlerr.New(sqlerr.DatetimeFieldOverflow, "timestamp out of range")
	errInterval = sqlerr.New(sqlerr.DatetimeFieldOverflow, "interval out of range")
)

func addDays(a datum, n int64) (datum, error) {
	if a.Int() == types.DateInfinity || a.Int() == types.DateNegInfinity {
		return a, nil
	}
	d := a.Int() + n
	if d < -2451545 || d >= 2145031949 {
		return types.Null, errDate
	}
	return types.NewDate(d), nil
}

func plusInterval(ec ectx, a datum, v types.IntervalValue) (datum, error) {
	var m int64
	var err error
	switch a.Kind() {
	case types.KindTimestampTZ:
		m, err = types.AddIntervalTZ(a.Int(), v, ec.env())
		return types.NewTimestampTZ(m), err
	case types.KindDate:
		a, _ = types.Cast(a, types.Date, types.Timestamp, false, nil)
	case types.KindTime:
		m = (a.Int() + v.Micros) % microsPerDay
		if m < 0 {
			m += microsPerDay
		}
		return types.NewTime(m), nil
	}
	m, err = types.AddInterval(a.Int(), v)
	return types.NewTimestamp(m), err
}

func sumIntervals(v, w types.IntervalValue) (datum, error) {
	m, ok1 := addInt(int64(v.Months), int64(w.Months))
	d, ok2 := addInt(int64(v.Days), int64(w.Days))
	us, ok3 := addInt(v.Micros, w.Micros)
	if !ok1 || !ok2 || !ok3 || m != int64(int32(m)) || d != int64(int32(d)) {
		return types.Null, errInterval
	}
	return types.NewInterval(types.IntervalValue{Months: int32(m), Days: int32(d), Micros: us}), nil
}

// scaleInterval multiplies the parts and spills fractions downwards, as Postgres does.
func scaleInterval(v types.IntervalValue, f float64) (datum, error) {
	months, days := float64(v.Months)*f, float64(v.Days)*f
	if f != f || math.Abs(months) > math.MaxInt32 || math.Abs(days) > math.MaxInt32 {
		return types.Null, errInterval
	}
	wm, fm := math.Modf(months)
	wd, fd := math.Modf(days)
	monthDays := math.Round(fm*30*1e6) / 1e6
	wmd, fmd := math.Modf(monthDays)
	secs := math.Round((fd+fmd)*86400*1e6) / 1e6
	wd += wmd
	if math.Abs(secs) >= 86400 {
		extra := math.Trunc(secs / 86400)
		wd, secs = wd+extra, secs-extra*86400
	}
	us := math.RoundToEven(float64(v.Micros)*f + secs*1e6)
	if math.Abs(us) >= math.MaxInt64 {
		return types.Null, errInterval
	}
	return types.NewInterval(types.IntervalValue{Months: int32(wm), Days: int32(wd), Micros: int64(us)}), nil
}

// stampDiff gives days and time, as timestamp subtraction does.
func stampDiff(a, b datum) (datum, error) {
	n, ok := subInt(a.Int(), b.Int())
	if !ok || infinite(a) || infinite(b) {
		return types.Null, sqlerr.New(sqlerr.DatetimeFieldOverflow, "cannot subtract infinite timestamps")
	}
	return types.NewInterval(types.IntervalValue{Days: int32(n / microsPerDay), Micros: n % microsPerDay}), nil
}

func infinite(d datum) bool {
	if d.Kind() == types.KindDate {
		return d.Int() == types.DateInfinity || d.Int() == types.DateNegInfinity
	}
	return d.Int() == types.StampInfinity || d.Int() == types.StampNegInf
}

func dateOps() []Overload {
	dt, ts, tz, tm, iv, i4, f8 := types.Date, types.Timestamp, types.TimestampTZ, types.Time, types.Interval, types.Int4, types.Float8
	plus := func(ec ectx, a, b datum) (datum, error) { return plusInterval(ec, a, b.Interval()) }
	minus := func(ec ectx, a, b datum) (datum, error) { return plusInterval(ec, a, b.Interval().Negate()) }
	diff := func(_ ectx, a, b datum) (datum, error) { return stampDiff(a, b) }
	times := func(_ ectx, a, b datum) (datum, error) { return scaleInterval(a.Interval(), b.Float()) }
	out := []Overload{
		op2("+", dt, i4, dt, "date plus days", func(_ ectx, a, b datum) (datum, error) { return addDays(a, b.Int()) }),
		op2("+", i4, dt, dt, "days plus date", func(_ ectx, a, b datum) (datum, error) { return addDays(b, a.Int()) }),
		op2("-", dt, i4, dt, "date minus days", func(_ ectx, a, b datum) (datum, error) { return addDays(a, -b.Int()) }),
		op2("-", dt, dt, i4, "days between dates", func(_ ectx, a, b datum) (datum, error) {
			if infinite(a) || infinite(b) {
				return types.Null, sqlerr.New(sqlerr.DatetimeFieldOverflow, "cannot subtract infinite dates")
			}
			return types.NewInt(a.Int() - b.Int()), nil
		}),
		op2("+", dt, tm, ts, "date and time of day", func(_ ectx, a, b datum) (datum, error) {
			return types.NewTimestamp(a.Int()*microsPerDay + b.Int()), nil
		}),
		op2("-", ts, ts, iv, "difference", diff), op2("-", tz, tz, iv, "difference", diff),
		op2("-", tm, tm, iv, "difference", func(_ ectx, a, b datum) (datum, error) {
			return types.NewInterval(types.IntervalValue{Micros: a.Int() - b.Int()}), nil
		}),
		op2("+", iv, iv, iv, "sum", func(_ ectx, a, b datum) (datum, error) { return sumIntervals(a.Interval(), b.Interval()) }),
		op2("-", iv, iv, iv, "difference", func(_ ectx, a, b datum) (datum, error) {
			return sumIntervals(a.Interval(), b.Interval().Negate())
		}),
		op1("-", iv, iv, "negation", func(_ ectx, a datum) (datum, error) { return types.NewInterval(a.Interval().Negate()), nil }),
		op2("*", iv, f8, iv, "multiple", times),
		op2("*", f8, iv, iv, "multiple", func(ec ectx, a, b datum) (datum, error) { return times(ec, b, a) }),
		op2("/", iv, f8, iv, "fraction", func(_ ectx, a, b datum) (datum, error) {
			if b.Float() == 0 {
				return types.Null, errDivZero
			}
			return scaleInterval(a.Interval(), 1/b.Float())
		}),
	}
	for _, p := range [][2]types.T{{dt, ts}, {ts, ts}, {tm, tm}} {
		out = append(out, op2("+", p[0], iv, p[1], "later by an interval", plus), op2("-", p[0], iv, p[1], "earlier by an interval", minus),
			op2("+", iv, p[0], p[1], "later by an interval", func(ec ectx, a, b datum) (datum, error) { return plus(ec, b, a) }))
	}
	return append(out, op2("+", tz, iv, tz, "later by an interval", plus).stable(), op2("-", tz, iv, tz, "earlier by an interval", minus).stable(),
		op2("+", iv, tz, tz, "later by an interval", func(ec ectx, a, b datum) (datum, error) { return plus(ec, b, a) }).stable())
}
