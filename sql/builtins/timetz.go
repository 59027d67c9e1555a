package builtins

import (
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// timeTZFuncs are the operators and functions of time with time zone, and the zones that intervals
// name.
func timeTZFuncs() []Overload {
	tt, tx, iv, dt, tz := types.TimeTZ, types.Text, types.Interval, types.Date, types.TimestampTZ
	shift := func(a datum, v types.IntervalValue) (datum, error) {
		t := a.TimeTZ()
		t.Micros = floorMod(t.Micros+v.Micros%microsPerDay, microsPerDay)
		return types.NewTimeTZ(t), nil
	}
	plus := func(_ ectx, a, b datum) (datum, error) { return shift(a, b.Interval()) }
	onDate := func(_ ectx, d, t datum) (datum, error) {
		switch d.Int() {
		case types.DateInfinity:
			return types.NewTimestampTZ(types.StampInfinity), nil
		case types.DateNegInfinity:
			return types.NewTimestampTZ(types.StampNegInf), nil
		}
		return types.NewTimestampTZ(d.Int()*microsPerDay + t.TimeTZ().UTC()), nil
	}
	swap := func(f Fn2) Fn2 { return func(ec ectx, a, b datum) (datum, error) { return f(ec, b, a) } }
	east := func(v types.IntervalValue) (int, error) {
		if v.Months != 0 || v.Days != 0 {
			return 0, sqlerr.New(sqlerr.InvalidParameterValue, "interval time zone \"%s\" must not include months or days",
				types.Format(iv, types.NewInterval(v), nil))
		}
		return int(v.Micros / 1e6), nil
	}
	return []Overload{
		op2("+", tt, iv, tt, "later by an interval", plus), op2("+", iv, tt, tt, "later by an interval", swap(plus)),
		op2("-", tt, iv, tt, "earlier by an interval", func(_ ectx, a, b datum) (datum, error) { return shift(a, b.Interval().Negate()) }),
		op2("+", dt, tt, tz, "date and time of day", onDate), op2("+", tt, dt, tz, "date and time of day", swap(onDate)),
		f2("timezone", tx, tt, tt, "the same moment by a zone's clock", func(ec ectx, z, a datum) (datum, error) {
			loc, err := zone(z.Str())
			if err != nil {
				return types.Null, err
			}
			return types.NewTimeTZ(a.TimeTZ().In(types.OffsetNow(loc, ec.env()))), nil
		}).volatile(),
		f2("timezone", iv, tt, tt, "the same moment by the clock of a zone so far from UTC", func(_ ectx, z, a datum) (datum, error) {
			off, err := east(z.Interval())
			return types.NewTimeTZ(a.TimeTZ().In(off)), err
		}),
		f2("timezone", iv, tz, types.Timestamp, "reading of a zone's clock at an instant", func(_ ectx, z, a datum) (datum, error) {
			off, err := east(z.Interval())
			if infinite(a) {
				return types.NewTimestamp(a.Int()), err
			}
			return types.NewTimestamp(a.Int() + int64(off)*1e6), err
		}),
		f2("timezone", iv, types.Timestamp, tz, "instant of a zone's clock reading", func(_ ectx, z, a datum) (datum, error) {
			off, err := east(z.Interval())
			if infinite(a) {
				return types.NewTimestampTZ(a.Int()), err
			}
			return types.NewTimestampTZ(a.Int() - int64(off)*1e6), err
		}),
		f2("date_part", tx, tt, types.Float8, "a field as a number", func(_ ectx, f, a datum) (datum, error) {
			d, err := timeTZField(f.Str(), a.TimeTZ())
			if err != nil {
				return types.Null, err
			}
			return types.Cast(d, types.Numeric, types.Float8, true, nil)
		}),
		f2("extract", tx, tt, types.Numeric, "a field as a number", func(_ ectx, f, a datum) (datum, error) {
			return timeTZField(f.Str(), a.TimeTZ())
		}),
	}
}

func timeTZField(name string, v types.TimeTZValue) (datum, error) {
	u := unitName(name)
	switch u {
	case "timezone":
		return dec(int64(v.East), 0)
	case "timezone_hour":
		return dec(int64(v.East/3600), 0)
	case "timezone_minute":
		return dec(int64(v.East/60%60), 0)
	}
	if d, ok := timeField(u, v.Micros, v.UTC()); ok {
		return d, nil
	}
	return types.Null, badTimeUnit(u, name, "time with time zone")
}
