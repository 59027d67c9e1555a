package builtins

import (
	"strconv"
	"strings"
	"time"

	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// dateParser reads a text by a template of to_date and to_timestamp. Unlike the input of the types
// it takes what the template says at its word: 12/31 and 31/12 are told apart by it.
type dateParser struct {
	in, all string
	// What has been read; -1 where nothing was.
	year, month, day, hour, minute, second, micros int
	doy, julian, ofDay                             int
	isoYear, isoWeek, isoDay, week, weekOfMonth    int
	pm, half, bc, hasCentury                       bool
	century                                        int
	zone                                           *time.Location
}

// dateFields are the patterns that are numbers: how many digits at most, and where they go.
func (p *dateParser) fields() map[string]struct {
	digits int
	to     *int
} {
	type f = struct {
		digits int
		to     *int
	}
	return map[string]f{"YYYY": {4, &p.year}, "YYY": {3, &p.year}, "YY": {2, &p.year}, "Y": {1, &p.year}, "MM": {2, &p.month},
		"DD": {2, &p.day}, "DDD": {3, &p.doy}, "HH24": {2, &p.hour}, "HH12": {2, &p.hour}, "HH": {2, &p.hour}, "MI": {2, &p.minute},
		"SS": {2, &p.second}, "SSSS": {5, &p.ofDay}, "SSSSS": {5, &p.ofDay}, "J": {7, &p.julian}, "IYYY": {4, &p.isoYear},
		"IW": {2, &p.isoWeek}, "ID": {1, &p.isoDay}, "WW": {2, &p.week}, "W": {1, &p.weekOfMonth}, "CC": {2, &p.century},
		"D": {1, new(int)}, "Q": {1, new(int)}}
}

var (
	datePatterns = []string{"SSSSS", "HH24", "HH12", "HH", "MI", "SSSS", "SS", "MS", "US", "Y,YYY", "YYYY", "YYY", "YY", "Y", "IYYY", "IW", "ID",
		"MONTH", "MON", "MM", "DAY", "DY", "DDD", "DD", "D", "WW", "W", "CC", "J", "Q", "A.M.", "P.M.", "AM", "PM", "B.C.", "A.D.", "BC", "AD",
		"FM", "FX", "TH", "TZH", "TZM", "TZ", "OF", "FF1", "FF2", "FF3", "FF4", "FF5", "FF6"}
	monthNames = []string{"january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"}
	dayNames   = []string{"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}
)

func datePatternAt(f string) string {
	best := ""
	for _, p := range datePatterns {
		if len(p) > len(best) && len(f) >= len(p) && strings.EqualFold(f[:len(p)], p) {
			best = p
		}
	}
	return best
}

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' || c >= 0x80
}

func badDateValue(value, pattern string) *sqlerr.Error {
	return sqlerr.New(sqlerr.InvalidDatetimeFormat, "invalid value \"%s\" for \"%s\"", value, pattern)
}

// parse reads in by the template f.
func parseDateText(in, f string) (*dateParser, error) {
	p := &dateParser{in: in, all: in, year: -1 << 30, month: -1, day: -1, hour: -1, minute: -1, second: -1, doy: -1, julian: -1, ofDay: -1,
		isoYear: -1, isoWeek: -1, isoDay: -1, week: -1, weekOfMonth: -1, century: -1}
	fields := p.fields()
	for f != "" {
		if f[0] == '"' {
			end := strings.IndexByte(f[1:], '"')
			if end < 0 {
				end = len(f) - 1
			}
			p.in = p.in[min(end, len(p.in)):]
			f = f[min(end+2, len(f)):]
			continue
		}
		pat := datePatternAt(f)
		switch {
		case pat == "" && isAlnum(f[0]):
			p.in = p.in[min(1, len(p.in)):]
			f = f[1:]
			continue
		case pat == "":
			if p.in != "" && !isAlnum(p.in[0]) {
				p.in = p.in[1:]
			}
			f = f[1:]
			continue
		}
		written := f[:len(pat)]
		f = f[len(pat):]
		p.in = strings.TrimLeft(p.in, " ")
		if p.in == "" {
			continue
		}
		fixed := f != "" && (isAlnum(f[0])) && numericPattern(datePatternAt(f))
		if err := p.field(pat, written, fixed, fields[pat].digits, fields[pat].to); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// numericPattern says that the pattern begins with digits, so that the one before it must not run
// into them.
func numericPattern(p string) bool {
	switch p {
	case "", "MONTH", "MON", "DAY", "DY", "AM", "PM", "A.M.", "P.M.", "BC", "AD", "B.C.", "A.D.", "TZ", "FM", "FX", "TH":
		return false
	}
	return true
}

func (p *dateParser) field(pat, written string, fixed bool, digits int, to *int) error {
	switch pat {
	case "FM", "FX":
		return nil
	case "TH":
		p.in = p.in[min(2, len(p.in)):]
		return nil
	case "MONTH", "MON":
		n, err := p.name(monthNames, pat == "MON", written)
		p.month = n + 1
		return err
	case "DAY", "DY":
		_, err := p.name(dayNames, pat == "DY", written)
		return err
	case "AM", "PM", "A.M.", "P.M.", "BC", "AD", "B.C.", "A.D.":
		return p.mark(pat, written)
	case "MS", "US", "FF1", "FF2", "FF3", "FF4", "FF5", "FF6":
		width := map[string]int{"MS": 3, "US": 6}[pat]
		if width == 0 {
			width = int(pat[2] - '0')
		}
		s, _ := p.number(width, fixed)
		if s == "" {
			return badDateValue(p.word(), written).WithDetail("Value must be an integer.")
		}
		for len(s) < 6 {
			s += "0"
		}
		p.micros, _ = strconv.Atoi(s[:6])
		return nil
	case "Y,YYY":
		th, rest, ok := strings.Cut(p.in, ",")
		n, err1 := strconv.Atoi(th)
		if !ok || err1 != nil || len(rest) < 3 {
			return sqlerr.New(sqlerr.InvalidDatetimeFormat, "invalid input string for \"Y,YYY\"")
		}
		m, err := strconv.Atoi(rest[:3])
		p.year, p.in = n*1000+m, rest[3:]
		if err != nil {
			return sqlerr.New(sqlerr.InvalidDatetimeFormat, "invalid input string for \"Y,YYY\"")
		}
		return nil
	case "TZ", "OF", "TZH", "TZM":
		return sqlerr.New(sqlerr.FeatureNotSupported, "formatting field \"%s\" is only supported in to_char", written)
	}
	s, neg := p.number(digits, fixed)
	if s == "" {
		return badDateValue(p.word(), written).WithDetail("Value must be an integer.")
	}
	n, err := strconv.Atoi(s)
	if err != nil || n > 1<<31-1 {
		return badDateValue(s, written).WithDetail("Value must be in the range %d to %d.", -1<<31, 1<<31-1)
	}
	if neg {
		n = -n
	}
	if len(s) <= digits && (pat == "YYY" || pat == "YY" || pat == "Y") { // the year nearest to 2020
		switch {
		case n < 70 && len(s) <= 2:
			n += 2000
		case n < 100:
			n += 1900
		case n < 520:
			n += 2000
		case n < 1000:
			n += 1000
		}
	}
	if (pat == "HH12" || pat == "HH") && (n < 1 || n > 12) {
		return sqlerr.New(sqlerr.InvalidDatetimeFormat, "hour \"%d\" is invalid for the 12-hour clock", n).
			WithHint("Use the 24-hour clock, or give an hour between 1 and 12.")
	}
	if pat == "HH12" || pat == "HH" {
		p.half = true
	}
	*to = n
	return nil
}

// number takes digits, at most so many if fixed.
func (p *dateParser) number(digits int, fixed bool) (s string, neg bool) {
	in := p.in
	if in != "" && (in[0] == '-' || in[0] == '+') {
		neg, in = in[0] == '-', in[1:]
	}
	n := 0
	for n < len(in) && in[n] >= '0' && in[n] <= '9' && (!fixed || n < digits) {
		n++
	}
	if n == 0 {
		return "", false
	}
	s, p.in = in[:n], in[n:]
	return s, neg
}

// word is what stands at the present place, for errors.
func (p *dateParser) word() string {
	n := 0
	for n < len(p.in) && isAlnum(p.in[n]) {
		n++
	}
	return p.in[:n]
}

func (p *dateParser) name(names []string, short bool, pattern string) (int, error) {
	low := strings.ToLower(p.in)
	for i, n := range names {
		if short {
			n = n[:3]
		}
		if strings.HasPrefix(low, n) {
			p.in = p.in[len(n):]
			return i, nil
		}
	}
	return 0, badDateValue(p.word(), pattern).WithDetail("The given value did not match any of the allowed values for this field.")
}

func (p *dateParser) mark(pat, written string) error {
	low := strings.ToLower(p.in)
	for _, m := range []string{"a.m.", "p.m.", "am", "pm", "b.c.", "a.d.", "bc", "ad"} {
		if !strings.HasPrefix(low, m) || strings.Contains(m, ".") != strings.Contains(pat, ".") {
			continue
		}
		p.in = p.in[len(m):]
		switch m[0] {
		case 'p':
			p.pm = true
		case 'b':
			p.bc = true
		}
		if m[len(m)-1] == 'm' || strings.HasSuffix(m, "m.") {
			p.half = true
		}
		return nil
	}
	return badDateValue(p.word(), written).WithDetail("The given value did not match any of the allowed values for this field.")
}

// days is the date that was read, in days since 2000-01-01.
func (p *dateParser) days() (int64, error) {
	bad := sqlerr.New(sqlerr.DatetimeFieldOverflow, "date/time field value out of range: \"%s\"", p.all)
	if p.julian >= 0 {
		return int64(p.julian) - 2451545, nil
	}
	if p.isoYear >= 0 {
		jan4 := types.DaysFromCivil(p.isoYear, 1, 4)
		monday := jan4 - floorMod(jan4+5, 7) // 2000-01-01 was a Saturday
		return monday + int64(max(p.isoWeek, 1)-1)*7 + int64(max(p.isoDay, 1)-1), nil
	}
	year := p.year
	switch {
	case year == -1<<30 && p.century > 0:
		year = (p.century-1)*100 + 1
	case year == -1<<30:
		year = 0
	case p.bc:
		year = 1 - year
	case year < 0:
		year++
	}
	if p.doy >= 0 {
		limit := 365
		if types.DaysInMonth(year, 2) == 29 {
			limit = 366
		}
		if p.doy < 1 || p.doy > limit {
			return 0, bad
		}
		return types.DaysFromCivil(year, 1, 1) + int64(p.doy) - 1, nil
	}
	month, day := p.month, p.day
	if p.week > 0 {
		return types.DaysFromCivil(year, 1, 1) + int64(p.week-1)*7, nil
	}
	if month < 0 {
		month = 1
	}
	if day < 0 {
		day = 1
		if p.weekOfMonth > 0 {
			day = (p.weekOfMonth-1)*7 + 1
		}
	}
	if month < 1 || month > 12 || day < 1 || day > types.DaysInMonth(year, month) {
		return 0, bad
	}
	return types.DaysFromCivil(year, month, day), nil
}

// micros of the day that were read.
func (p *dateParser) timeOfDay() (int64, error) {
	h, m, s := max(p.hour, 0), max(p.minute, 0), max(p.second, 0)
	if p.ofDay >= 0 {
		h, m, s = p.ofDay/3600, p.ofDay/60%60, p.ofDay%60
	}
	if p.half && p.pm && h < 12 {
		h += 12
	} else if p.half && !p.pm && h == 12 {
		h = 0
	}
	if h > 23 || m > 59 || s > 59 {
		return 0, sqlerr.New(sqlerr.DatetimeFieldOverflow, "date/time field value out of range: \"%s\"", p.all)
	}
	return (int64(h)*3600+int64(m)*60+int64(s))*1e6 + int64(p.micros), nil
}

func dateParseFuncs() []Overload {
	tx := types.Text
	return []Overload{
		f2("to_date", tx, tx, types.Date, "date read by a template", func(_ ectx, a, f datum) (datum, error) {
			p, err := parseDateText(a.Str(), f.Str())
			if err != nil {
				return types.Null, err
			}
			d, err := p.days()
			return types.NewDate(d), err
		}).stable(),
		f2("to_timestamp", tx, tx, types.TimestampTZ, "time read by a template", func(ec ectx, a, f datum) (datum, error) {
			p, err := parseDateText(a.Str(), f.Str())
			if err != nil {
				return types.Null, err
			}
			m, err := p.timeOfDay()
			if err != nil {
				return types.Null, err
			}
			d, err := p.days()
			return types.NewTimestampTZ(types.FromLocal(d*microsPerDay+m, ec.loc())), err
		}).stable(),
		fn("make_time", []types.T{types.Int4, types.Int4, types.Float8}, types.Time, "time of day of its fields", func(_ ectx, a []datum) (datum, error) {
			h, m, s := a[0].Int(), a[1].Int(), a[2].Float()
			if h < 0 || h > 24 || m < 0 || m > 59 || !(s >= 0 && s <= 60) || h == 24 && (m > 0 || s > 0) {
				return types.Null, sqlerr.New(sqlerr.DatetimeFieldOverflow, "time field value out of range: %d:%02d:%02g", h, m, s)
			}
			return types.NewTime((h*3600+m*60)*1e6 + int64(s*1e6+0.5)), nil
		}),
		f1("justify_interval", types.Interval, types.Interval, "24 hours as a day and 30 days as a month", func(_ ectx, a datum) (datum, error) {
			v := a.Interval()
			days := int64(v.Days) + v.Micros/microsPerDay
			micros := v.Micros % microsPerDay
			months := int64(v.Months) + days/30
			days %= 30
			if months > 0 && (days < 0 || days == 0 && micros < 0) {
				days, months = days+30, months-1
			} else if months < 0 && (days > 0 || days == 0 && micros > 0) {
				days, months = days-30, months+1
			}
			if days > 0 && micros < 0 {
				micros, days = micros+microsPerDay, days-1
			} else if days < 0 && micros > 0 {
				micros, days = micros-microsPerDay, days+1
			}
			return types.NewInterval(types.IntervalValue{Months: int32(months), Days: int32(days), Micros: micros}), nil
		}),
		fn("make_timestamptz", []types.T{types.Int4, types.Int4, types.Int4, types.Int4, types.Int4, types.Float8, tx}, types.TimestampTZ,
			"instant of its fields", func(ec ectx, a []datum) (datum, error) {
				loc := ec.loc()
				if len(a) > 6 {
					var err error
					if loc, err = zone(a[6].Str()); err != nil {
						return types.Null, err
					}
				}
				d, err := makeDate(ec, a)
				local := d.Int()*microsPerDay + (a[3].Int()*3600+a[4].Int()*60)*1e6 + int64(a[5].Float()*1e6+0.5)
				return types.NewTimestampTZ(types.FromLocal(local, loc)), err
			}).defaults(1).stable(),
	}
}
