package builtins

import (
	"math"
	"strings"
	"time"

	"github.com/cockroachdb/apd/v3"

	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

func stampNow(name string, doc string, f func(ec ectx) time.Time) Overload {
	return fn(name, nil, types.TimestampTZ, doc, func(ec ectx, _ []datum) (datum, error) {
		return types.NewTimestampTZ(types.StampOfTime(f(ec))), nil
	}).stable()
}

func dateFuncs() []Overload {
	tx, ts, tz, dt, iv, f8, i4 := types.Text, types.Timestamp, types.TimestampTZ, types.Date, types.Interval, types.Float8, types.Int4
	local := func(ec ectx) int64 { return types.ToLocal(types.StampOfTime(ec.txnTime()), ec.loc()) }
	out := []Overload{
		stampNow("now", "time of the transaction", ectx.txnTime), stampNow("current_timestamp", "time of the transaction", ectx.txnTime),
		stampNow("transaction_timestamp", "time of the transaction", ectx.txnTime), stampNow("statement_timestamp", "time of the statement", ectx.stmtTime),
		stampNow("clock_timestamp", "time of the call", ectx.clock).volatile(),
		fn("localtimestamp", nil, ts, "time of the transaction in the session's zone", func(ec ectx, _ []datum) (datum, error) { return types.NewTimestamp(local(ec)), nil }).stable(),
		fn("current_date", nil, dt, "date of the transaction", func(ec ectx, _ []datum) (datum, error) {
			return types.Cast(types.NewTimestamp(local(ec)), ts, dt, true, nil)
		}).stable(),
		fn("localtime", nil, types.Time, "time of day of the transaction", func(ec ectx, _ []datum) (datum, error) {
			return types.Cast(types.NewTimestamp(local(ec)), ts, types.Time, true, nil)
		}).stable(),
		f2("date_trunc", tx, ts, ts, "cut to a unit", func(_ ectx, u, a datum) (datum, error) {
			m, err := truncStamp(u.Str(), a.Int(), "timestamp without time zone")
			return types.NewTimestamp(m), err
		}),
		fn("date_trunc", []types.T{tx, tz, tx}, tz, "cut to a unit in a time zone", func(ec ectx, a []datum) (datum, error) {
			loc, err := ec.loc(), error(nil)
			if len(a) > 2 {
				if loc, err = zone(a[2].Str()); err != nil {
					return types.Null, err
				}
			}
			m, err := truncStamp(a[0].Str(), types.ToLocal(a[1].Int(), loc), "timestamp with time zone")
			return types.NewTimestampTZ(types.FromLocal(m, loc)), err
		}).defaults(1).stable(),
		f2("date_trunc", tx, iv, iv, "cut to a unit", truncInterval),
		fn("date_bin", []types.T{iv, ts, ts}, ts, "begin of the interval, counted from an origin, that an instant is in", dateBin),
		fn("date_bin", []types.T{iv, tz, tz}, tz, "begin of the interval, counted from an origin, that an instant is in", dateBin),
		f2("age", ts, ts, iv, "difference in years, months and days", func(_ ectx, a, b datum) (datum, error) { return age(a.Int(), b.Int()), nil }),
		f2("age", tz, tz, iv, "difference in years, months and days", func(ec ectx, a, b datum) (datum, error) {
			return age(types.ToLocal(a.Int(), ec.loc()), types.ToLocal(b.Int(), ec.loc())), nil
		}).stable(),
		f1("age", ts, iv, "difference to the current date", func(ec ectx, a datum) (datum, error) {
			return age(local(ec)-floorMod(local(ec), microsPerDay), a.Int()), nil
		}).stable(),
		f1("to_timestamp", f8, tz, "time of seconds since 1970", func(_ ectx, a datum) (datum, error) {
			us := math.RoundToEven((a.Float() - 946684800) * 1e6)
			if math.IsNaN(us) || math.Abs(us) > 9e18 {
				return types.Null, errStamp
			}
			return types.NewTimestampTZ(int64(us)), nil
		}),
		fn("make_date", []types.T{i4, i4, i4}, dt, "date of year, month and day", makeDate),
		fn("make_interval", []types.T{i4, i4, i4, i4, i4, i4, f8}, iv, "interval of years, months, weeks, days, hours, minutes and seconds", makeInterval).defaults(7),
		fn("make_timestamp", []types.T{i4, i4, i4, i4, i4, f8}, ts, "timestamp of its fields", func(ec ectx, a []datum) (datum, error) {
			d, err := makeDate(ec, a)
			return types.NewTimestamp(d.Int()*microsPerDay + (a[3].Int()*3600+a[4].Int()*60)*1e6 + int64(math.Round(a[5].Float()*1e6))), err
		}),
		f2("timezone", tx, tz, ts, "reading of a zone's clock at an instant", func(_ ectx, z, a datum) (datum, error) {
			loc, err := zone(z.Str())
			if err != nil {
				return types.Null, err
			}
			return types.NewTimestamp(types.ToLocal(a.Int(), loc)), nil
		}),
		f2("timezone", tx, ts, tz, "instant of a zone's clock reading", func(_ ectx, z, a datum) (datum, error) {
			loc, err := zone(z.Str())
			if err != nil {
				return types.Null, err
			}
			return types.NewTimestampTZ(types.FromLocal(a.Int(), loc)), nil
		}),
		f1("isfinite", ts, types.Bool, "not infinite", func(_ ectx, a datum) (datum, error) { return types.NewBool(!infinite(a)), nil }),
		f1("isfinite", dt, types.Bool, "not infinite", func(_ ectx, a datum) (datum, error) { return types.NewBool(!infinite(a)), nil }),
		f1("justify_hours", iv, iv, "24 hours as a day", func(_ ectx, a datum) (datum, error) {
			v := a.Interval()
			v.Days, v.Micros = v.Days+int32(v.Micros/microsPerDay), v.Micros%microsPerDay
			return types.NewInterval(v), nil
		}),
		f1("justify_days", iv, iv, "30 days as a month", func(_ ectx, a datum) (datum, error) {
			v := a.Interval()
			v.Months, v.Days = v.Months+v.Days/30, v.Days%30
			return types.NewInterval(v), nil
		}),
	}
	for _, t := range []types.T{dt, types.Time, ts, tz, iv} {
		vol := Immutable
		if t == tz {
			vol = Stable
		}
		part := f2("date_part", tx, t, f8, "a field as a number", func(ec ectx, f, a datum) (datum, error) {
			d, err := field(ec, f.Str(), a)
			if err != nil || d.IsNull() {
				return types.Null, err
			}
			return types.Cast(d, types.Numeric, f8, true, nil)
		})
		ext := f2("extract", tx, t, types.Numeric, "a field as a number", func(ec ectx, f, a datum) (datum, error) { return field(ec, f.Str(), a) })
		part.Vol, ext.Vol = vol, vol
		out = append(out, part, ext)
	}
	return append(out, toCharFuncs()...)
}

func (ec *EvalContext) stmtTime() time.Time {
	if ec == nil || ec.StmtTime.IsZero() {
		return ec.txnTime()
	}
	return ec.StmtTime
}

func (ec *EvalContext) clock() time.Time {
	if ec == nil || ec.Clock == nil {
		return time.Now()
	}
	return ec.Clock()
}

func floorMod(a, b int64) int64 {
	m := a % b
	if m < 0 {
		m += b
	}
	return m
}

// zone reads a zone by name, or an offset, which as a POSIX zone counts west.
func zone(name string) (*time.Location, error) {
	if loc, ok := types.LookupZone(name); ok {
		return loc, nil
	}
	if loc, ok := types.LookupZone("UTC" + name); ok && name != "" && name != "local" {
		return loc, nil
	}
	return nil, sqlerr.New(sqlerr.InvalidParameterValue, "time zone \"%s\" not recognized", name)
}

func makeDate(_ ectx, a []datum) (datum, error) {
	y, m, d := int(a[0].Int()), int(a[1].Int()), int(a[2].Int())
	if y < 0 {
		y++
	} else if y == 0 {
		m = 0
	}
	if m < 1 || m > 12 || d < 1 || d > types.DaysInMonth(y, m) || y > 5874897 || y < -4712 {
		return types.Null, sqlerr.New(sqlerr.DatetimeFieldOverflow, "date field value out of range: %d-%02d-%02d", a[0].Int(), a[1].Int(), a[2].Int())
	}
	return types.NewDate(types.DaysFromCivil(y, m, d)), nil
}

func makeInterval(_ ectx, a []datum) (datum, error) {
	var n [6]int64
	secs := 0.0
	for i := range a {
		if i < 6 {
			n[i] = a[i].Int()
		} else {
			secs = a[i].Float()
		}
	}
	m, d := n[0]*12+n[1], n[2]*7+n[3]
	if m != int64(int32(m)) || d != int64(int32(d)) {
		return types.Null, errInterval
	}
	return types.NewInterval(types.IntervalValue{Months: int32(m), Days: int32(d), Micros: (n[4]*3600+n[5]*60)*1e6 + int64(math.Round(secs*1e6))}), nil
}

// unitName takes off the plural and the common short forms.
func unitName(u string) string {
	u = strings.ToLower(strings.TrimSpace(u))
	switch u {
	case "millennia":
		return "millennium"
	case "centuries":
		return "century"
	case "us", "usec", "usecs":
		return "microseconds"
	case "ms", "msec", "msecs":
		return "milliseconds"
	case "sec", "secs":
		return "second"
	case "min", "mins":
		return "minute"
	case "hr", "hrs":
		return "hour"
	case "mon", "mons":
		return "month"
	case "yr", "yrs":
		return "year"
	case "microsecond", "millisecond":
		return u + "s"
	case "microseconds", "milliseconds":
		return u
	}
	return strings.TrimSuffix(u, "s")
}

// badTimeUnit tells units that a time of day does not have from those that nothing has.
func badTimeUnit(u, name, typ string) error {
	_, calendar := calendarField(u, types.Civil{Year: 2000, Month: 1, Day: 1})
	if calendar || u == "timezone" || u == "timezone_hour" || u == "timezone_minute" {
		return sqlerr.New(sqlerr.FeatureNotSupported, "unit \"%s\" not supported for type %s", name, typ)
	}
	return badUnit(name, typ)
}

func badUnit(u, typ string) error {
	return sqlerr.New(sqlerr.InvalidParameterValue, "unit \"%s\" not recognized for type %s", u, typ)
}

func truncStamp(unit string, m int64, typ string) (int64, error) {
	if m == types.StampInfinity || m == types.StampNegInf {
		return m, nil
	}
	c := types.CivilOf(m)
	switch unitName(unit) {
	case "microseconds":
		return m, nil
	case "milliseconds":
		return m - floorMod(m, 1000), nil
	case "second":
		return m - floorMod(m, 1e6), nil
	case "minute":
		return m - floorMod(m, 60e6), nil
	case "hour":
		return m - floorMod(m, 3600e6), nil
	case "day":
		return m - floorMod(m, microsPerDay), nil
	case "week":
		day := types.DaysFromCivil(c.Year, c.Month, c.Day)
		return (day - floorMod(day+5, 7)) * microsPerDay, nil
	case "quarter":
		c.Month -= (c.Month - 1) % 3
	case "month":
	case "year":
		c.Month = 1
	case "decade":
		c.Month, c.Year = 1, c.Year-int(floorMod(int64(c.Year), 10))
	case "century":
		c.Month, c.Year = 1, c.Year-int(floorMod(int64(c.Year-1), 100))
	case "millennium":
		c.Month, c.Year = 1, c.Year-int(floorMod(int64(c.Year-1), 1000))
	default:
		return 0, badUnit(unit, typ)
	}
	return types.Civil{Year: c.Year, Month: c.Month, Day: 1}.Stamp(), nil
}

func truncInterval(_ ectx, u, a datum) (datum, error) {
	v := a.Interval()
	per := map[string]int64{"microseconds": 1, "milliseconds": 1000, "second": 1e6, "minute": 60e6, "hour": 3600e6}
	months := map[string]int32{"month": 1, "quarter": 3, "year": 12, "decade": 120, "century": 1200, "millennium": 12000}
	name := unitName(u.Str())
	if p, ok := per[name]; ok {
		v.Micros -= v.Micros % p
	} else if p, ok := months[name]; ok {
		v.Micros, v.Days, v.Months = 0, 0, v.Months-v.Months%p
	} else if name == "day" {
		v.Micros = 0
	} else {
		return types.Null, badUnit(u.Str(), "interval")
	}
	return types.NewInterval(v), nil
}

// dateBin cuts an instant to a multiple of an interval since an origin.
func dateBin(_ ectx, a []datum) (datum, error) {
	step, at, origin := a[0].Interval(), a[1].Int(), a[2].Int()
	us, ok := mulInt(int64(step.Days), microsPerDay)
	if ok {
		us, ok = addInt(us, step.Micros)
	}
	diff, fits := addInt(at, -origin)
	switch {
	case infinite(a[1]) || infinite(a[2]):
		return a[1], nil
	case step.Months != 0:
		return types.Null, sqlerr.New(sqlerr.FeatureNotSupported, "timestamps cannot be binned into intervals containing months or years")
	case !ok || !fits:
		return types.Null, sqlerr.New(sqlerr.DatetimeFieldOverflow, "interval out of range")
	case us <= 0:
		return types.Null, sqlerr.New(sqlerr.DatetimeFieldOverflow, "stride must be greater than zero")
	}
	at -= floorMod(diff, us)
	if a[1].Kind() == types.KindTimestampTZ {
		return types.NewTimestampTZ(at), nil
	}
	return types.NewTimestamp(at), nil
}

// age takes the difference field by field and borrows as people do.
func age(a, b int64) datum {
	neg := a < b
	if neg {
		a, b = b, a
	}
	x, y := types.CivilOf(a), types.CivilOf(b)
	us := x.TimeMicros() - y.TimeMicros()
	days, months := x.Day-y.Day, (x.Year-y.Year)*12+x.Month-y.Month
	if us < 0 {
		us, days = us+microsPerDay, days-1
	}
	if days < 0 {
		days += types.DaysInMonth(y.Year, y.Month)
		if neg {
			days += 0
		}
		months--
	}
	v := types.IntervalValue{Months: int32(months), Days: int32(days), Micros: us}
	if neg {
		v = v.Negate()
	}
	return types.NewInterval(v)
}

func dec(n int64, scale int32) (datum, error) { return types.NewDecimal(apd.New(n, -scale)), nil }

// field is EXTRACT.
func field(ec ectx, name string, a datum) (datum, error) {
	u := unitName(name)
	switch a.Kind() {
	case types.KindInterval:
		return intervalField(u, name, a.Interval())
	case types.KindTime:
		if d, ok := timeField(u, a.Int(), a.Int()); ok {
			return d, nil
		}
		return types.Null, badTimeUnit(u, name, "time without time zone")
	}
	typ, local, instant := types.Date, a.Int(), a.Int()
	switch a.Kind() {
	case types.KindTimestampTZ:
		typ, local = types.TimestampTZ, types.ToLocal(instant, ec.loc())
	case types.KindTimestamp:
		typ = types.Timestamp
	default:
		a, _ = types.Cast(a, types.Date, types.Timestamp, true, nil)
		local, instant = a.Int(), a.Int()
	}
	if infinite(types.NewTimestamp(local)) {
		switch u { // those that grow with time
		case "epoch", "julian", "year", "isoyear", "decade", "century", "millennium":
			return types.NewDecimal(types.InfDecimal(local < 0)), nil
		}
		return types.Null, nil
	}
	if u == "epoch" {
		if typ == types.Date {
			return dec(instant/1e6+946684800, 0)
		}
		return dec(instant+946684800e6, 6)
	}
	if u == "julian" {
		return julianDay(local)
	}
	if d, ok := calendarField(u, types.CivilOf(local)); ok {
		return d, nil
	}
	if typ == types.TimestampTZ {
		off := (local - instant) / 1e6
		switch u {
		case "timezone":
			return dec(off, 0)
		case "timezone_hour":
			return dec(off/3600, 0)
		case "timezone_minute":
			return dec(off/60%60, 0)
		}
	}
	d, ok := timeField(u, floorMod(local, microsPerDay), 0)
	switch {
	case ok && typ != types.Date && u != "epoch":
		return d, nil
	case ok:
		return types.Null, sqlerr.New(sqlerr.FeatureNotSupported, "unit \"%s\" not supported for type %s", name, typ)
	}
	return types.Null, badTimeUnit(u, name, typ.String())
}

// julianDay is the number of days, and the part of this one, since 4714 BC.
func julianDay(local int64) (datum, error) {
	const of2000 = 2451545
	us := floorMod(local, microsPerDay)
	day := types.NewDecimal(apd.New((local-us)/microsPerDay+of2000, 0))
	if us == 0 {
		return day, nil
	}
	part, err := numericDiv(nil, types.NewDecimal(apd.New(us, 0)), types.NewDecimal(apd.New(microsPerDay, 0)))
	if err != nil {
		return types.Null, err
	}
	sum := new(apd.Decimal)
	if _, err := apd.BaseContext.WithPrecision(60).Add(sum, day.Decimal(), part.Decimal()); err != nil {
		return types.Null, err
	}
	return types.NewDecimal(sum), nil
}

func timeField(u string, m, epoch int64) (datum, bool) {
	var d datum
	switch u {
	case "hour":
		d, _ = dec(m/3600e6, 0)
	case "minute":
		d, _ = dec(m/60e6%60, 0)
	case "second":
		d, _ = dec(m%60e6, 6)
	case "milliseconds":
		d, _ = dec(m%60e6, 3)
	case "microseconds":
		d, _ = dec(m%60e6, 0)
	case "epoch":
		d, _ = dec(epoch, 6)
	default:
		return d, false
	}
	return d, true
}

func calendarField(u string, c types.Civil) (datum, bool) {
	day := types.DaysFromCivil(c.Year, c.Month, c.Day)
	isoYear, isoWeek := isoWeekOf(day)
	year := c.Year
	if year <= 0 {
		year--
	}
	var n int
	switch u {
	case "year":
		n = year
	case "month":
		n = c.Month
	case "day":
		n = c.Day
	case "quarter":
		n = (c.Month-1)/3 + 1
	case "dow":
		n = int(floorMod(day+6, 7))
	case "isodow":
		n = int(floorMod(day+5, 7)) + 1
	case "doy":
		n = int(day-types.DaysFromCivil(c.Year, 1, 1)) + 1
	case "week":
		n = isoWeek
	case "isoyear":
		if n = isoYear; n <= 0 {
			n--
		}
	case "decade":
		n = int((int64(c.Year) - floorMod(int64(c.Year), 10)) / 10)
	case "century":
		n = yearsOf(100, year)
	case "millennium":
		n = yearsOf(1000, year)
	default:
		return types.Null, false
	}
	d, _ := dec(int64(n), 0)
	return d, true
}

// yearsOf is the century or millennium of a year; as of years, there is none with number 0.
func yearsOf(length, year int) int {
	if year < 0 {
		return -((length - 1 - year) / length)
	}
	return (year + length - 1) / length
}

// isoWeekOf finds the week by its Thursday (ISO 8601).
func isoWeekOf(day int64) (year, week int) {
	thursday := day - floorMod(day+5, 7) + 3
	year, _, _ = types.CivilFromDays(thursday)
	return year, int((thursday-types.DaysFromCivil(year, 1, 1))/7) + 1
}

func intervalField(u, name string, v types.IntervalValue) (datum, error) {
	years := int64(v.Months / 12)
	switch u {
	case "year":
		return dec(years, 0)
	case "month":
		return dec(int64(v.Months%12), 0)
	case "quarter":
		return dec(int64(v.Months%12/3)+1, 0)
	case "day":
		return dec(int64(v.Days), 0)
	case "decade":
		return dec(years/10, 0)
	case "century":
		return dec(years/100, 0)
	case "millennium":
		return dec(years/1000, 0)
	case "hour":
		return dec(v.Micros/3600e6, 0)
	case "epoch": // a year has 365.25 days here
		secs := years*31557600 + int64(v.Months%12)*30*86400 + int64(v.Days)*86400
		return dec(secs*1e6+v.Micros, 6)
	}
	if d, ok := timeField(u, v.Micros, 0); ok {
		return d, nil
	}
	return types.Null, badUnit(name, "interval")
}
