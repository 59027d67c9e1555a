package types

import (
	"math"
	"strconv"
	"time"
)

const (
	microsPerSecond = 1_000_000
	microsPerHour   = 3600 * microsPerSecond
	microsPerDay    = 24 * microsPerHour
	// pgEpochUnix is 2000-01-01 in Unix seconds: day 0 of Postgres's dates.
	pgEpochUnix = 946684800
	// pgEpochDays is the same in days since 1970-01-01.
	pgEpochDays = 10957
)

// Infinities and bounds of dates and timestamps, as Postgres stores them.
const (
	DateInfinity    = math.MaxInt32
	DateNegInfinity = math.MinInt32
	StampInfinity   = math.MaxInt64
	StampNegInf     = math.MinInt64

	stampMin = -211813488000000000 // 4713-11-24 BC
	stampEnd = 9223371331200000000 // 294277-01-01
	dateMin  = -2451545            // 4714-11-24 BC
	dateEnd  = 2147483494 - 2451545
)

// Civil is a moment split into calendar fields; Year 0 is 1 BC.
type Civil struct {
	Year, Month, Day          int
	Hour, Minute, Sec, Micros int
}

// DaysFromCivil counts days since 2000-01-01 in the proleptic Gregorian calendar (H. Hinnant,
// "chrono-compatible low-level date algorithms").
func DaysFromCivil(year, month, day int) int64 {
	y := int64(year)
	if month <= 2 {
		y--
	}
	era := floorDiv(y, 400)
	yoe := y - era*400
	doy := (153*int64((month+9)%12)+2)/5 + int64(day) - 1
	doe := yoe*365 + yoe/4 - yoe/100 + doy
	return era*146097 + doe - 719468 - pgEpochDays
}

// CivilFromDays is the inverse of DaysFromCivil.
func CivilFromDays(days int64) (year, month, day int) {
	z := days + pgEpochDays + 719468
	era := floorDiv(z, 146097)
	doe := z - era*146097
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	day = int(doy - (153*mp+2)/5 + 1)
	month = int(mp%12) + 3
	if mp >= 10 {
		month = int(mp) - 9
	}
	year = int(yoe + era*400)
	if month <= 2 {
		year++
	}
	return year, month, day
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b != 0 && (a < 0) != (b < 0) {
		q--
	}
	return q
}

// DaysInMonth knows leap years.
func DaysInMonth(year, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// CivilOf splits microseconds since 2000-01-01 into fields.
func CivilOf(micros int64) Civil {
	days := floorDiv(micros, microsPerDay)
	c := Civil{}
	c.Year, c.Month, c.Day = CivilFromDays(days)
	c.setTime(micros - days*microsPerDay)
	return c
}

func (c *Civil) setTime(m int64) {
	c.Hour = int(m / microsPerHour)
	c.Minute = int(m / (60 * microsPerSecond) % 60)
	c.Sec = int(m / microsPerSecond % 60)
	c.Micros = int(m % microsPerSecond)
}

// Stamp joins the fields to microseconds since 2000-01-01.
func (c Civil) Stamp() int64 {
	return DaysFromCivil(c.Year, c.Month, c.Day)*microsPerDay + c.TimeMicros()
}

// TimeMicros is the time of day.
func (c Civil) TimeMicros() int64 {
	return int64(c.Hour*3600+c.Minute*60+c.Sec)*microsPerSecond + int64(c.Micros)
}

// StampOfTime turns a Go time into microseconds since 2000-01-01 UTC.
func StampOfTime(t time.Time) int64 {
	return (t.Unix()-pgEpochUnix)*microsPerSecond + int64(t.Nanosecond()/1000)
}

// TimeOfStamp is the inverse, in UTC.
func TimeOfStamp(micros int64) time.Time {
	sec := floorDiv(micros, microsPerSecond)
	return time.Unix(sec+pgEpochUnix, (micros-sec*microsPerSecond)*1000).UTC()
}

// offsetAt is the zone's offset east of UTC, in seconds, at an instant.
func offsetAt(micros int64, loc *time.Location) int {
	if loc == time.UTC {
		return 0
	}
	_, off := TimeOfStamp(micros).In(loc).Zone()
	return off
}

// ToLocal turns an instant into the wall clock reading of a zone.
func ToLocal(micros int64, loc *time.Location) int64 {
	if micros == StampInfinity || micros == StampNegInf {
		return micros
	}
	return micros + int64(offsetAt(micros, loc))*microsPerSecond
}

// FromLocal turns a wall clock reading into an instant. A reading that a clock change skips is
// taken with the offset before the change, one that occurs twice as the standard time, as Postgres
// does.
func FromLocal(micros int64, loc *time.Location) int64 {
	if micros == StampInfinity || micros == StampNegInf || loc == time.UTC {
		return micros
	}
	before := int64(offsetAt(micros-microsPerDay, loc)) * microsPerSecond
	after := int64(offsetAt(micros+microsPerDay, loc)) * microsPerSecond
	if before == after {
		return micros - int64(offsetAt(micros-before, loc))*microsPerSecond
	}
	early, late := micros-before, micros-after
	earlyOK := int64(offsetAt(early, loc))*microsPerSecond == before
	lateOK := int64(offsetAt(late, loc))*microsPerSecond == after
	if lateOK && !earlyOK || lateOK && after < before {
		return late
	}
	return early
}

func dateToMicros(days int64) int64 {
	switch days {
	case DateInfinity:
		return StampInfinity
	case DateNegInfinity:
		return StampNegInf
	}
	return days * microsPerDay
}

func stampToDate(micros int64) int64 {
	switch micros {
	case StampInfinity:
		return DateInfinity
	case StampNegInf:
		return DateNegInfinity
	}
	return floorDiv(micros, microsPerDay)
}

// appendDate writes YYYY-MM-DD and leaves the era to its caller, since it comes after the time.
func appendDate(dst []byte, year, month, day int) ([]byte, bool) {
	bc := year <= 0
	if bc {
		year = 1 - year
	}
	dst = appendPadded(dst, year, 4)
	dst = appendPadded(append(dst, '-'), month, 2)
	return appendPadded(append(dst, '-'), day, 2), bc
}

func appendPadded(dst []byte, n, width int) []byte {
	for ; width > 1 && n < pow10(width-1); width-- {
		dst = append(dst, '0')
	}
	return strconv.AppendInt(dst, int64(n), 10)
}

func pow10(n int) int {
	p := 1
	for ; n > 0; n-- {
		p *= 10
	}
	return p
}

func appendTimeOfDay(dst []byte, micros int64) []byte {
	var c Civil
	c.setTime(micros)
	dst = appendPadded(dst, c.Hour, 2)
	dst = appendPadded(append(dst, ':'), c.Minute, 2)
	dst = appendPadded(append(dst, ':'), c.Sec, 2)
	return appendMicros(dst, c.Micros)
}

func appendMicros(dst []byte, micros int) []byte {
	if micros == 0 {
		return dst
	}
	dst = appendPadded(append(dst, '.'), micros, 6)
	for dst[len(dst)-1] == '0' {
		dst = dst[:len(dst)-1]
	}
	return dst
}

func appendDateDatum(dst []byte, days int64) []byte {
	switch days {
	case DateInfinity:
		return append(dst, "infinity"...)
	case DateNegInfinity:
		return append(dst, "-infinity"...)
	}
	dst, bc := appendDays(dst, days)
	return appendEra(dst, bc)
}

func appendDays(dst []byte, days int64) ([]byte, bool) {
	y, m, d := CivilFromDays(days)
	return appendDate(dst, y, m, d)
}

func appendEra(dst []byte, bc bool) []byte {
	if bc {
		return append(dst, " BC"...)
	}
	return dst
}

// appendStamp writes a timestamp; zone is nil for one without time zone.
func appendStamp(dst []byte, micros int64, zone *time.Location) []byte {
	switch micros {
	case StampInfinity:
		return append(dst, "infinity"...)
	case StampNegInf:
		return append(dst, "-infinity"...)
	}
	offset := 0
	if zone != nil {
		offset = offsetAt(micros, zone)
		micros += int64(offset) * microsPerSecond
	}
	days := floorDiv(micros, microsPerDay)
	dst, bc := appendDays(dst, days)
	dst = appendTimeOfDay(append(dst, ' '), micros-days*microsPerDay)
	if zone != nil {
		dst = appendOffset(dst, offset)
	}
	return appendEra(dst, bc)
}

func appendOffset(dst []byte, offset int) []byte {
	sign := byte('+')
	if offset < 0 {
		sign, offset = '-', -offset
	}
	dst = appendPadded(append(dst, sign), offset/3600, 2)
	if offset%3600 != 0 {
		dst = appendPadded(append(dst, ':'), offset/60%60, 2)
	}
	if offset%60 != 0 {
		dst = appendPadded(append(dst, ':'), offset%60, 2)
	}
	return dst
}
