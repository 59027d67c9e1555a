package builtins

import (
	"fmt"
	"strings"
	"time"

	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

func toCharFuncs() []Overload {
	tx := types.Text
	return []Overload{
		f2("to_char", types.Timestamp, tx, tx, "formatted", func(_ ectx, a, f datum) (datum, error) { return toChar(a.Int(), f.Str(), time.UTC, a.Int()) }).stable(),
		f2("to_char", types.TimestampTZ, tx, tx, "formatted", func(ec ectx, a, f datum) (datum, error) {
			return toChar(types.ToLocal(a.Int(), ec.loc()), f.Str(), ec.loc(), a.Int())
		}).stable(),
	}
}

// patterns of to_char, longest first where one begins another.
var charPatterns = []string{"HH24", "HH12", "HH", "MI", "SSSS", "SS", "MS", "US", "YYYY", "YYY", "YY", "Y,YYY", "Y", "IYYY", "IW", "MONTH", "Month", "month",
	"MON", "Mon", "mon", "MM", "DAY", "Day", "day", "DY", "Dy", "dy", "DDD", "DD", "D", "ID", "WW", "W", "CC", "J", "Q", "AM", "PM", "am", "pm", "TZ", "tz", "OF", "TH", "th"}

func toChar(m int64, f string, loc *time.Location, instant int64) (datum, error) {
	if m == types.StampInfinity || m == types.StampNegInf {
		return types.Null, nil
	}
	var b strings.Builder
	t := types.TimeOfStamp(m)
	for f != "" {
		if f[0] == '"' {
			end := strings.IndexByte(f[1:], '"')
			if end < 0 {
				end = len(f) - 1
				b.WriteString(f[1:])
				break
			}
			b.WriteString(f[1 : 1+end])
			f = f[end+2:]
			continue
		}
		bare := strings.HasPrefix(f, "FM")
		if bare {
			f = f[2:]
		}
		p := longestPattern(f)
		if p == "" {
			if f != "" {
				b.WriteByte(f[0])
				f = f[1:]
			}
			continue
		}
		s, err := charField(p, t, loc, instant)
		if err != nil {
			return types.Null, err
		}
		if bare {
			if s = strings.TrimRight(s, " "); len(s) > 1 && s[0] == '0' {
				if s = strings.TrimLeft(s, "0"); s == "" {
					s = "0"
				}
			}
		}
		b.WriteString(s)
		f = f[len(p):]
	}
	return text(b.String())
}

func longestPattern(f string) string {
	best := ""
	for _, p := range charPatterns {
		if len(p) > len(best) && strings.HasPrefix(f, p) {
			best = p
		}
	}
	return best
}

func charField(p string, t time.Time, loc *time.Location, instant int64) (string, error) {
	month, day := t.Month().String(), t.Weekday().String()
	isoYear, week := t.ISOWeek()
	two := func(n int) (string, error) { return fmt.Sprintf("%02d", n), nil }
	switch p {
	case "HH24":
		return two(t.Hour())
	case "HH12", "HH":
		return two((t.Hour()+11)%12 + 1)
	case "MI":
		return two(t.Minute())
	case "SS":
		return two(t.Second())
	case "SSSS":
		return fmt.Sprint(t.Hour()*3600 + t.Minute()*60 + t.Second()), nil
	case "MS":
		return fmt.Sprintf("%03d", t.Nanosecond()/1e6), nil
	case "US":
		return fmt.Sprintf("%06d", t.Nanosecond()/1e3), nil
	case "YYYY":
		return fmt.Sprintf("%04d", t.Year()), nil
	case "Y,YYY":
		return fmt.Sprintf("%d,%03d", t.Year()/1000, t.Year()%1000), nil
	case "YYY":
		return fmt.Sprintf("%03d", t.Year()%1000), nil
	case "YY":
		return two(t.Year() % 100)
	case "Y":
		return fmt.Sprint(t.Year() % 10), nil
	case "IYYY":
		return fmt.Sprintf("%04d", isoYear), nil
	case "IW":
		return two(week)
	case "MONTH":
		return fmt.Sprintf("%-9s", strings.ToUpper(month)), nil
	case "Month":
		return fmt.Sprintf("%-9s", month), nil
	case "month":
		return fmt.Sprintf("%-9s", strings.ToLower(month)), nil
	case "MON":
		return strings.ToUpper(month[:3]), nil
	case "Mon":
		return month[:3], nil
	case "mon":
		return strings.ToLower(month[:3]), nil
	case "MM":
		return two(int(t.Month()))
	case "DAY":
		return fmt.Sprintf("%-9s", strings.ToUpper(day)), nil
	case "Day":
		return fmt.Sprintf("%-9s", day), nil
	case "day":
		return fmt.Sprintf("%-9s", strings.ToLower(day)), nil
	case "DY":
		return strings.ToUpper(day[:3]), nil
	case "Dy":
		return day[:3], nil
	case "dy":
		return strings.ToLower(day[:3]), nil
	case "DDD":
		return fmt.Sprintf("%03d", t.YearDay()), nil
	case "DD":
		return two(t.Day())
	case "D":
		return fmt.Sprint(int(t.Weekday()) + 1), nil
	case "ID":
		return fmt.Sprint((int(t.Weekday())+6)%7 + 1), nil
	case "WW":
		return two((t.YearDay()-1)/7 + 1)
	case "W":
		return fmt.Sprint((t.Day()-1)/7 + 1), nil
	case "CC":
		return two((t.Year() + 99) / 100)
	case "J":
		return fmt.Sprint(types.DaysFromCivil(t.Year(), int(t.Month()), t.Day()) + 2451545), nil
	case "Q":
		return fmt.Sprint((int(t.Month())-1)/3 + 1), nil
	case "AM", "PM":
		return t.Format("PM"), nil
	case "am", "pm":
		return t.Format("pm"), nil
	case "TZ", "tz", "OF":
		z := types.TimeOfStamp(instant).In(loc)
		if p == "OF" {
			return strings.TrimSuffix(z.Format("-07:00"), ":00"), nil
		}
		name := z.Format("MST")
		if p == "tz" {
			name = strings.ToLower(name)
		}
		return name, nil
	}
	return "", sqlerr.Unsupported("to_char pattern \"%s\"", p)
}
