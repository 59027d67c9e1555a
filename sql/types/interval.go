package types

import (
	"math"
	"strconv"
	"strings"

	"github.com/cairndb/cairn/sql/sqlerr"
)

// appendInterval writes IntervalStyle postgres: 1 year 2 mons -3 days +04:05:06.
func appendInterval(dst []byte, v IntervalValue) []byte {
	start, before := len(dst), false
	part := func(n int64, unit string) {
		if n == 0 {
			return
		}
		if len(dst) > start {
			dst = append(dst, ' ')
		}
		if before && n > 0 {
			dst = append(dst, '+')
		}
		dst = strconv.AppendInt(dst, n, 10)
		dst = append(append(dst, ' '), unit...)
		if n != 1 {
			dst = append(dst, 's')
		}
		before = n < 0
	}
	part(int64(v.Months/12), "year")
	part(int64(v.Months%12), "mon")
	part(int64(v.Days), "day")
	if len(dst) > start && v.Micros == 0 {
		return dst
	}
	if len(dst) > start {
		dst = append(dst, ' ')
	}
	if v.Micros < 0 {
		dst = append(dst, '-')
	} else if before {
		dst = append(dst, '+')
	}
	return appendSpanOfTime(dst, v.Micros)
}

// appendSpanOfTime writes hours, which may pass 24, minutes and seconds without sign.
func appendSpanOfTime(dst []byte, micros int64) []byte {
	m := uint64(micros)
	if micros < 0 {
		m = -m
	}
	dst = appendPadded(dst, int(m/microsPerHour), 2)
	dst = appendPadded(append(dst, ':'), int(m/(60*microsPerSecond)%60), 2)
	dst = appendPadded(append(dst, ':'), int(m/microsPerSecond%60), 2)
	return appendMicros(dst, int(m%microsPerSecond))
}

// intervalUnit tells what one of a unit is worth in one of the three parts.
type intervalUnit struct {
	months int64
	days   int64
	micros int64
}

var intervalUnits = map[string]intervalUnit{
	"microsecond": {micros: 1}, "us": {micros: 1}, "usec": {micros: 1},
	"millisecond": {micros: 1000}, "ms": {micros: 1000}, "msec": {micros: 1000},
	"second": {micros: microsPerSecond}, "sec": {micros: microsPerSecond}, "s": {micros: microsPerSecond},
	"minute": {micros: 60 * microsPerSecond}, "min": {micros: 60 * microsPerSecond}, "m": {micros: 60 * microsPerSecond},
	"hour": {micros: microsPerHour}, "hr": {micros: microsPerHour}, "h": {micros: microsPerHour},
	"day": {days: 1}, "d": {days: 1}, "week": {days: 7}, "w": {days: 7},
	"month": {months: 1}, "mon": {months: 1}, "year": {months: 12}, "yr": {months: 12}, "y": {months: 12},
	"decade": {months: 120}, "dec": {months: 120}, "century": {months: 1200}, "cent": {months: 1200}, "c": {months: 1200},
	"centurie": {months: 1200}, "millennium": {months: 12000}, "millennia": {months: 12000}, "mil": {months: 12000},
}

func unitOf(word string) (intervalUnit, bool) {
	word = strings.ToLower(word)
	if u, ok := intervalUnits[word]; ok {
		return u, true
	}
	u, ok := intervalUnits[strings.TrimSuffix(word, "s")]
	return u, ok
}

// intervalSum adds up the parts in floating point only where a fraction was written.
type intervalSum struct {
	months, days, micros int64
	over                 bool
}

func (s *intervalSum) add(whole int64, frac float64, u intervalUnit) {
	s.accumulate(&s.months, whole, u.months)
	s.accumulate(&s.days, whole, u.days)
	s.accumulate(&s.micros, whole, u.micros)
	if frac == 0 {
		return
	}
	// A fraction of a unit spills into the smaller parts: months to days by 30, days by 24 hours.
	switch {
	case u.months == 1:
		s.addDays(frac * 30)
	case u.months > 0:
		s.months += int64(math.RoundToEven(frac * float64(u.months)))
	case u.days > 0:
		s.addDays(frac * float64(u.days))
	default:
		s.micros += int64(math.RoundToEven(frac * float64(u.micros)))
	}
}

func (s *intervalSum) addDays(days float64) {
	whole, frac := math.Modf(days)
	s.days += int64(whole)
	s.micros += int64(math.RoundToEven(frac * microsPerDay))
}

func (s *intervalSum) accumulate(to *int64, n, per int64) {
	if per == 0 {
		return
	}
	p := n * per
	if n != 0 && p/n != per || (p > 0 && *to > math.MaxInt64-p) || (p < 0 && *to < math.MinInt64-p) {
		s.over = true
	}
	*to += p
}

func (s *intervalSum) value() (IntervalValue, bool) {
	ok := !s.over && s.months == int64(int32(s.months)) && s.days == int64(int32(s.days))
	return IntervalValue{int32(s.months), int32(s.days), s.micros}, ok
}

// ParseInterval reads the traditional, verbose and ISO 8601 forms.
func ParseInterval(text string) (IntervalValue, error) {
	s := trimSpace(text)
	var sum intervalSum
	var ok bool
	if strings.HasPrefix(s, "P") {
		ok = sum.parseISO(s[1:])
	} else {
		ok = sum.parseWords(s)
	}
	if !ok {
		return IntervalValue{}, sqlerr.New(sqlerr.InvalidDatetimeFormat, "invalid input syntax for type interval: \"%s\"", text)
	}
	v, fits := sum.value()
	if !fits {
		return v, sqlerr.New(sqlerr.DatetimeFieldOverflow, "interval field value out of range: \"%s\"", text)
	}
	return v, nil
}

func (s *intervalSum) parseISO(text string) bool {
	if text == "" {
		return false
	}
	inTime := false
	for text != "" {
		if text[0] == 'T' {
			inTime, text = true, text[1:]
			continue
		}
		whole, frac, n, ok := leadingNumber(text)
		if !ok || n >= len(text) {
			return false
		}
		u, ok := isoUnit(text[n], inTime)
		if !ok {
			return false
		}
		s.add(whole, frac, u)
		text = text[n+1:]
	}
	return true
}

func isoUnit(c byte, inTime bool) (intervalUnit, bool) {
	name := map[byte]string{'Y': "year", 'M': "month", 'W': "week", 'D': "day"}[c]
	if inTime {
		name = map[byte]string{'H': "hour", 'M': "minute", 'S': "second"}[c]
	}
	u, ok := intervalUnits[name]
	return u, ok
}

// leadingNumber reads [+-]digits[.digits]; the fraction carries the sign.
func leadingNumber(s string) (whole int64, frac float64, n int, ok bool) {
	neg := false
	if n < len(s) && (s[n] == '+' || s[n] == '-') {
		neg = s[n] == '-'
		n++
	}
	d := digitsAt(s, n)
	if d > 0 {
		var err error
		if whole, err = strconv.ParseInt(s[n:n+d], 10, 64); err != nil {
			return 0, 0, 0, false
		}
	}
	n += d
	if n < len(s) && s[n] == '.' {
		f := digitsAt(s, n+1)
		if d+f == 0 {
			return 0, 0, 0, false
		}
		frac, _ = strconv.ParseFloat("0"+s[n:n+1+f]+"0", 64)
		n += 1 + f
	} else if d == 0 {
		return 0, 0, 0, false
	}
	if neg {
		whole, frac = -whole, -frac
	}
	return whole, frac, n, true
}

func (s *intervalSum) parseWords(text string) bool {
	words := splitNumbers(strings.Fields(text))
	ago, seen := false, false
	for i := 0; i < len(words); i++ {
		w := words[i]
		switch {
		case w == "@":
			continue
		case strings.EqualFold(w, "ago"):
			ago = true
			continue
		case strings.Contains(w, ":"):
			if !s.clock(w) {
				return false
			}
		case isYearMonth(w):
			if !s.yearMonth(w) {
				return false
			}
		default:
			whole, frac, n, ok := leadingNumber(w)
			if !ok || n != len(w) {
				return false
			}
			u := intervalUnits["second"]
			if i+1 < len(words) {
				next, isUnit := unitOf(words[i+1])
				switch {
				case isUnit:
					u = next
					i++
				case strings.Contains(words[i+1], ":"):
					u = intervalUnits["day"] // "1 04:05:06"
				case !strings.EqualFold(words[i+1], "ago"):
					return false
				}
			}
			s.add(whole, frac, u)
		}
		seen = true
	}
	if ago {
		s.months, s.days, s.micros = -s.months, -s.days, -s.micros
	}
	return seen
}

// splitNumbers parts "1h" into "1" and "h", and "1h30m" into four.
func splitNumbers(words []string) []string {
	var out []string
	for _, w := range words {
		for w != "" && !strings.Contains(w, ":") {
			n := 0
			for n < len(w) && isNumberByte(w[n]) == isNumberByte(w[0]) {
				n++
			}
			out = append(out, w[:n])
			w = w[n:]
		}
		if w != "" {
			out = append(out, w)
		}
	}
	return out
}

func isNumberByte(c byte) bool { return c >= '0' && c <= '9' || c == '+' || c == '-' || c == '.' }

// clock reads [+-]H:MM[:SS[.frac]].
func (s *intervalSum) clock(w string) bool {
	sign := int64(1)
	if w[0] == '+' || w[0] == '-' {
		if w[0] == '-' {
			sign = -1
		}
		w = w[1:]
	}
	parts := strings.Split(w, ":")
	if len(parts) > 3 {
		return false
	}
	units := []int64{microsPerHour, 60 * microsPerSecond, microsPerSecond}
	for i, p := range parts {
		whole, frac, n, ok := leadingNumber(p)
		if !ok || n != len(p) || whole < 0 || frac != 0 && i != len(parts)-1 || i > 0 && whole > 59 && !(i == 2 && whole == 60) {
			return false
		}
		s.add(sign*whole, float64(sign)*frac, intervalUnit{micros: units[i]})
	}
	return true
}

func isYearMonth(w string) bool {
	i := strings.LastIndexByte(w, '-')
	return i > 0 && digitsAt(w, i+1) == len(w)-i-1 && digitsAt(w, i-1) > 0
}

func (s *intervalSum) yearMonth(w string) bool {
	i := strings.LastIndexByte(w, '-')
	years, err1 := strconv.ParseInt(w[:i], 10, 32)
	months, err2 := strconv.ParseInt(w[i+1:], 10, 32)
	if err1 != nil || err2 != nil || months > 11 {
		return false
	}
	if w[0] == '-' {
		months = -months
	}
	s.months += years*12 + months
	return true
}

// AddInterval adds an interval to a wall clock reading: months first, held to the month's last
// day, then days, then time.
func AddInterval(micros int64, v IntervalValue) (int64, error) {
	if micros == StampInfinity || micros == StampNegInf {
		return micros, nil
	}
	if v.Months != 0 {
		c := CivilOf(micros)
		m := int64(c.Year)*12 + int64(c.Month-1) + int64(v.Months)
		c.Year, c.Month = int(floorDiv(m, 12)), int(m-floorDiv(m, 12)*12)+1
		c.Day = min(c.Day, DaysInMonth(c.Year, c.Month))
		if c.Year < -4713 || c.Year > 294276 {
			return 0, errStampRange
		}
		micros = c.Stamp()
	}
	day := int64(v.Days) * microsPerDay // fits: 2^31 days are 2^31 * 2^37 µs > 2^63 is checked below
	if v.Days > 1<<26 || v.Days < -(1<<26) {
		return 0, errStampRange
	}
	sum := micros + day
	total := sum + v.Micros
	if v.Micros > 0 && total < sum || v.Micros < 0 && total > sum || !stampOK(total) {
		return 0, errStampRange
	}
	return total, nil
}

// AddIntervalTZ adds to an instant; days and months follow the zone's calendar, time does not.
func AddIntervalTZ(micros int64, v IntervalValue, env *Env) (int64, error) {
	if v.Months == 0 && v.Days == 0 {
		return AddInterval(micros, v)
	}
	local, err := AddInterval(ToLocal(micros, env.loc()), IntervalValue{Months: v.Months, Days: v.Days})
	if err != nil {
		return 0, err
	}
	return AddInterval(FromLocal(local, env.loc()), IntervalValue{Micros: v.Micros})
}

func stampOK(m int64) bool { return m >= stampMin && m < stampEnd }

var errStampRange = sqlerr.New(sqlerr.DatetimeFieldOverflow, "timestamp out of range")

// Negate turns an interval around.
func (v IntervalValue) Negate() IntervalValue { return IntervalValue{-v.Months, -v.Days, -v.Micros} }
