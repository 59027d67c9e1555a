package types

import (
	"strconv"
	"strings"
	"time"

	"github.com/cairndb/cairn/sql/sqlerr"
)

// stampFields is what the words of a date and time gave so far.
type stampFields struct {
	c                        Civil
	haveDate, haveTime, bc   bool
	pm, am                   bool
	haveZone                 bool
	zone                     *time.Location
	offset                   int // seconds east, when zone is nil
	special                  string
	numbers                  []string // day, month, year in the order written, by name of month
	monthName                int
	rangeError, zoneDisplace bool
	order                    DateOrder
}

var monthNames = []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}
var dayNames = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// julianOf2000 is the Julian day of 2000-01-01.
const julianOf2000 = 2451545

// parseStamp reads the fields of a date, time or timestamp in any of the usual notations.
func parseStamp(s string, env *Env) (f stampFields, ok bool) {
	f.order = env.dateOrder()
	words := strings.Fields(strings.ReplaceAll(s, ",", " "))
	if len(words) == 0 {
		return f, false
	}
	for _, w := range words {
		if !f.word(w) {
			return f, false
		}
	}
	return f, f.finish()
}

func (f *stampFields) word(w string) bool {
	lower := strings.ToLower(w)
	switch lower {
	case "infinity", "-infinity", "+infinity", "epoch", "now", "today", "tomorrow", "yesterday", "allballs":
		if f.special != "" {
			return false
		}
		f.special = strings.TrimPrefix(lower, "+")
		return true
	case "bc", "b.c.":
		f.bc = true
		return true
	case "ad", "at", "on":
		return true
	case "am", "pm":
		f.am, f.pm = lower == "am", lower == "pm"
		return f.haveTime
	}
	c := lower[0]
	switch {
	case c >= '0' && c <= '9':
		return f.numeric(w)
	case (c == '+' || c == '-') && (f.haveTime || f.haveDate):
		return f.zoneOffset(w)
	}
	return f.name(w, lower)
}

func (f *stampFields) name(w, lower string) bool {
	if len(lower) >= 3 {
		for i, m := range monthNames {
			if strings.HasPrefix(lower, m) && isMonthOrDay(lower, i+1, true) {
				if parts := strings.Split(lower, "-"); len(parts) == 3 {
					f.numbers = append(f.numbers, parts[1:]...)
				}
				f.monthName = i + 1
				return true
			}
		}
		for i := range dayNames {
			if strings.HasPrefix(lower, dayNames[i]) && isMonthOrDay(lower, i, false) {
				return true
			}
		}
	}
	if j, ok := strings.CutPrefix(lower, "j"); ok && !f.haveDate && j != "" && digitsAt(j, 0) == len(j) && len(j) <= 9 {
		day, _ := strconv.ParseInt(j, 10, 64)
		f.c.Year, f.c.Month, f.c.Day = CivilFromDays(day - julianOf2000)
		f.haveDate = true
		return true
	}
	if t, ok := strings.CutPrefix(lower, "t"); ok && f.haveDate && t != "" && t[0] >= '0' && t[0] <= '9' {
		return f.numeric(w[1:])
	}
	return f.zoneName(w)
}

func isMonthOrDay(word string, i int, month bool) bool {
	head, _, _ := strings.Cut(word, "-")
	full := time.Weekday(i % 7).String()
	if month {
		full = time.Month(i).String()
	}
	full = strings.ToLower(full)
	return head == full || head == full[:3] || head == "sept" || head == "tues" || head == "thurs" || head == "thur" || head == "wednes"
}

func (f *stampFields) zoneName(w string) bool {
	if f.haveZone {
		return false
	}
	loc, ok := LookupZone(w)
	f.zone, f.haveZone = loc, true
	return ok
}

// numeric reads a word that starts with a digit: a date, a time, both joined by T, or a number.
func (f *stampFields) numeric(w string) bool {
	if i := strings.IndexAny(w, "Tt"); i > 0 && !f.haveDate && strings.ContainsAny(w[:i], "0123456789") && i+1 < len(w) && digitsAt(w, i+1) > 0 {
		return f.numeric(w[:i]) && f.timeAndZone(w[i+1:])
	}
	if strings.Contains(w, ":") {
		return f.timeAndZone(w)
	}
	if d := digitsAt(w, 0); d == len(w) {
		return f.digits(w)
	}
	if w[len(w)-1] == 'Z' || w[len(w)-1] == 'z' {
		return f.timeAndZone(w)
	}
	if lower := strings.ToLower(w); digitsAt(w, 0) <= 2 && (strings.HasSuffix(lower, "am") || strings.HasSuffix(lower, "pm")) {
		return f.timeAndZone(w)
	}
	if digitsAt(w, 0) == 6 && (w[6] == '-' || w[6] == '+') && !strings.ContainsAny(w[7:], "-/.") { // hhmmss-zone
		return f.timeAndZone(w)
	}
	if i := strings.IndexAny(w, "-/."); i > 0 {
		return f.date(w)
	}
	return false
}

func (f *stampFields) digits(w string) bool {
	switch {
	case f.monthName != 0 || len(w) <= 2 && !f.haveDate:
		f.numbers = append(f.numbers, w)
	case len(w) == 8 && !f.haveDate:
		return f.setDate(w[:4], w[4:6], w[6:])
	case len(w) == 6 && !f.haveDate && len(f.numbers) == 0:
		return f.setDate(w[:2], w[2:4], w[4:])
	case len(w) == 6 && f.haveDate && !f.haveTime:
		return f.timeAndZone(w[:2] + ":" + w[2:4] + ":" + w[4:])
	case len(w) == 4 && !f.haveDate:
		f.numbers = append(f.numbers, w)
	default:
		return false
	}
	return true
}

func (f *stampFields) date(w string) bool {
	sep := w[strings.IndexAny(w, "-/.")]
	parts := strings.Split(w, string(sep))
	zone := ""
	if len(parts) > 3 && sep == '-' { // 2024-01-02-05: a zone behind a date
		zone = "-" + strings.Join(parts[3:], "-")
		parts = parts[:3]
	}
	if i := strings.IndexByte(parts[len(parts)-1], '+'); i > 0 && len(parts) == 3 {
		zone, parts[2] = parts[2][i:], parts[2][:i]
	}
	if zone != "" && !f.zoneOffset(zone) {
		return false
	}
	if len(parts) == 2 && len(parts[0]) == 4 && digitsAt(parts[1], 0) == 3 { // 2024.123: day of year
		return f.dayOfYear(parts[0], parts[1])
	}
	if len(parts) != 3 {
		return false
	}
	if m := monthByName(parts[1]); m != 0 {
		if len(parts[0]) > 2 {
			return f.setDate(parts[0], strconv.Itoa(m), parts[2])
		}
		return f.setDate(parts[2], strconv.Itoa(m), parts[0])
	}
	if len(parts[0]) >= 3 {
		return f.setDate(parts[0], parts[1], parts[2])
	}
	return f.setOrdered(parts[0], parts[1], parts[2])
}

// setOrdered sets a date of three numbers, none of which says what it is.
func (f *stampFields) setOrdered(a, b, c string) bool {
	switch f.order {
	case DateYMD:
		return f.setDate(a, b, c)
	case DateDMY:
		return f.setDate(c, b, a)
	}
	return f.setDate(c, a, b)
}

func (f *stampFields) dayOfYear(year, doy string) bool {
	n, err := strconv.Atoi(doy)
	if err != nil || !f.setDate(year, "1", "1") {
		return false
	}
	f.c.Year, f.c.Month, f.c.Day = CivilFromDays(DaysFromCivil(f.c.Year, 1, 1) + int64(n) - 1)
	return true
}

func monthByName(s string) int {
	s = strings.ToLower(s)
	for i, m := range monthNames {
		if strings.HasPrefix(s, m) {
			return i + 1
		}
	}
	return 0
}

func (f *stampFields) setDate(year, month, day string) bool {
	y, err1 := strconv.Atoi(year)
	m, err2 := strconv.Atoi(month)
	d, err3 := strconv.Atoi(day)
	if err1 != nil || err2 != nil || err3 != nil || f.haveDate {
		return false
	}
	if len(year) <= 2 { // two digits: 1970-2069
		if y < 70 {
			y += 2000
		} else {
			y += 1900
		}
	}
	f.c.Year, f.c.Month, f.c.Day, f.haveDate = y, m, d, true
	return true
}

func (f *stampFields) timeAndZone(w string) bool {
	if f.haveTime {
		return false
	}
	end := 0
	for end < len(w) && (w[end] >= '0' && w[end] <= '9' || w[end] == ':' || w[end] == '.') {
		end++
	}
	if !f.time(w[:end]) {
		return false
	}
	rest := w[end:]
	switch lower := strings.ToLower(rest); {
	case rest == "":
		return true
	case lower == "am" || lower == "pm":
		f.am, f.pm = lower == "am", lower == "pm"
		return true
	case rest[0] == '+' || rest[0] == '-':
		return f.zoneOffset(rest)
	}
	return f.zoneName(rest)
}

func (f *stampFields) time(w string) bool {
	parts := strings.Split(w, ":")
	if len(parts) > 3 {
		return false
	}
	sec, frac, _ := "0", "", false
	if len(parts) == 3 {
		sec, frac, _ = strings.Cut(parts[2], ".")
	}
	minute := "0"
	if len(parts) > 1 {
		minute = parts[1]
	}
	if len(parts) == 1 && len(w) == 6 { // hhmmss
		parts[0], minute, sec = w[:2], w[2:4], w[4:]
	} else if len(parts) == 1 && len(w) == 4 {
		parts[0], minute = w[:2], w[2:]
	}
	h, err1 := strconv.Atoi(parts[0])
	m, err2 := strconv.Atoi(minute)
	s, err3 := strconv.Atoi(sec)
	micros, ok := microsOf(frac)
	if err1 != nil || err2 != nil || err3 != nil || !ok {
		return false
	}
	f.c.Hour, f.c.Minute, f.c.Sec, f.c.Micros = h, m, s, micros
	f.haveTime = true
	return true
}

// microsOf reads the digits behind the point, rounded to six.
func microsOf(frac string) (int, bool) {
	if frac == "" {
		return 0, true
	}
	if digitsAt(frac, 0) != len(frac) {
		return 0, false
	}
	x, _ := strconv.ParseFloat("0."+frac, 64)
	return int(x*microsPerSecond + 0.5), true
}

// zoneOffset reads +HH, +HHMM, +HH:MM, +HH:MM:SS.
func (f *stampFields) zoneOffset(w string) bool {
	off, ok := parseOffset(w)
	if !ok || f.haveZone {
		return false
	}
	f.offset, f.haveZone = off, true
	f.zoneDisplace = off >= 16*3600 || off <= -16*3600
	return true
}

func parseOffset(w string) (seconds int, ok bool) {
	sign := 1
	if w[0] == '-' {
		sign = -1
	}
	digits := strings.ReplaceAll(w[1:], ":", "")
	if digitsAt(digits, 0) != len(digits) || len(digits) == 0 || len(digits) > 6 {
		return 0, false
	}
	if len(digits)%2 == 1 {
		digits = "0" + digits
	}
	for i, unit := 0, 3600; i < len(digits); i, unit = i+2, unit/60 {
		n, _ := strconv.Atoi(digits[i : i+2])
		seconds += n * unit
	}
	return sign * seconds, true
}

// LookupZone finds a time zone by an IANA name, an abbreviation or an offset in Postgres's sense
// (an offset with a name, as "UTC+3", counts west).
func LookupZone(name string) (*time.Location, bool) {
	lower := strings.ToLower(name)
	switch lower {
	case "z", "zulu", "utc", "gmt", "ut", "uct", "greenwich":
		return time.UTC, true
	case "local", "":
		return nil, false
	}
	if hours, ok := zoneAbbreviations[lower]; ok {
		return time.FixedZone(strings.ToUpper(name), hours*3600), true
	}
	if lower[0] == '+' || lower[0] == '-' || lower[0] >= '0' && lower[0] <= '9' {
		return nil, false
	}
	if loc, err := time.LoadLocation(name); err == nil {
		return loc, true
	}
	if loc, err := time.LoadLocation(titleZone(lower)); err == nil {
		return loc, true
	}
	return posixZone(lower)
}

func posixZone(lower string) (*time.Location, bool) {
	i := strings.IndexAny(lower, "+-")
	if i < 1 {
		return nil, false
	}
	off, ok := parseOffset(lower[i:])
	return time.FixedZone(strings.ToUpper(lower), -off), ok
}

// titleZone spells america/new_york as the tz database does.
func titleZone(lower string) string {
	b := []byte(lower)
	for i := range b {
		if (i == 0 || b[i-1] == '/' || b[i-1] == '_') && b[i] >= 'a' && b[i] <= 'z' {
			b[i] -= 'a' - 'A'
		}
	}
	return string(b)
}

// zoneAbbreviations are those of Postgres's default set that people write, in hours east.
var zoneAbbreviations = map[string]int{
	"est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6, "pst": -8, "pdt": -7,
	"cet": 1, "cest": 2, "met": 1, "mest": 2, "eet": 2, "eest": 3, "wet": 0, "west": 1, "bst": 1,
	"msk": 3, "jst": 9, "kst": 9, "hkt": 8, "sgt": 8, "akst": -9, "akdt": -8, "hst": -10,
	"aest": 10, "aedt": 11, "nzst": 12, "nzdt": 13,
}

func (f *stampFields) finish() bool {
	if f.special != "" {
		return !f.haveDate && len(f.numbers) == 0
	}
	if f.monthName != 0 && !f.finishNamed() {
		return false
	}
	if n := f.numbers; f.monthName == 0 && len(n) > 0 {
		switch {
		case len(n) != 3:
			return false
		case len(n[0]) > 2:
			if !f.setDate(n[0], n[1], n[2]) {
				return false
			}
		case !f.setOrdered(n[0], n[1], n[2]):
			return false
		}
	}
	if f.bc {
		f.c.Year = 1 - f.c.Year
	}
	f.finishClock()
	f.rangeError = f.rangeError || f.haveDate && !f.dateInRange()
	return true
}

func (f *stampFields) dateInRange() bool {
	c := f.c
	return c.Month >= 1 && c.Month <= 12 && c.Day >= 1 && c.Day <= DaysInMonth(c.Year, c.Month) &&
		c.Year > -4714 && c.Year < 5874898
}

// finishNamed sorts out "8 January 1999" and "January 8 1999".
func (f *stampFields) finishNamed() bool {
	if len(f.numbers) != 2 {
		return false
	}
	day, year := f.numbers[0], f.numbers[1]
	if len(day) > 2 {
		day, year = year, day
	}
	return f.setDate(year, strconv.Itoa(f.monthName), day)
}

func (f *stampFields) finishClock() {
	c := &f.c
	if f.am || f.pm {
		f.rangeError = c.Hour < 1 || c.Hour > 12
		c.Hour %= 12
		if f.pm {
			c.Hour += 12
		}
	}
	if c.Hour > 24 || c.Minute > 59 || c.Sec > 60 || c.Hour == 24 && (c.Minute > 0 || c.Sec > 0 || c.Micros > 0) {
		f.rangeError = true
	}
}

// specialStamp gives the wall clock reading in the session's zone that a word means.
func (f *stampFields) specialStamp(env *Env) int64 {
	now := ToLocal(StampOfTime(env.now()), env.loc())
	today := floorDiv(now, microsPerDay) * microsPerDay
	switch f.special {
	case "infinity":
		return StampInfinity
	case "-infinity":
		return StampNegInf
	case "epoch":
		return -pgEpochUnix * microsPerSecond
	case "now":
		return now
	case "tomorrow":
		today += microsPerDay
	case "yesterday":
		today -= microsPerDay
	}
	return today + f.c.TimeMicros()
}

func badStamp(typ, s string) error {
	return sqlerr.New(sqlerr.InvalidDatetimeFormat, "invalid input syntax for type %s: \"%s\"", typ, s)
}

func (f *stampFields) check(typ, s string) error {
	if f.zoneDisplace {
		return sqlerr.New(sqlerr.InvalidTimeZoneDisplacement, "time zone displacement out of range: \"%s\"", s)
	}
	if f.rangeError {
		err := sqlerr.New(sqlerr.DatetimeFieldOverflow, "date/time field value out of range: \"%s\"", s)
		if f.haveDate && (f.c.Month < 1 || f.c.Month > 12 || f.c.Day < 1 || f.c.Day > 31) {
			return err.WithHint("Perhaps you need a different \"datestyle\" setting.")
		}
		return err
	}
	return nil
}

func parseDate(s string, env *Env) (Datum, error) {
	f, ok := parseStamp(s, env)
	if !ok || f.special == "" && !f.haveDate {
		return Null, badStamp("date", s)
	}
	if err := f.check("date", s); err != nil {
		return Null, err
	}
	if f.special != "" {
		return NewDate(stampToDate(f.specialStamp(env))), nil
	}
	days := DaysFromCivil(f.c.Year, f.c.Month, f.c.Day)
	if days < dateMin || days >= dateEnd {
		return Null, sqlerr.New(sqlerr.DatetimeFieldOverflow, "date out of range: \"%s\"", s)
	}
	return NewDate(days), nil
}

func parseTime(s string, env *Env) (Datum, error) {
	f, ok := parseStamp(s, env)
	if !ok || !f.haveTime && f.special != "now" && f.special != "allballs" {
		return Null, badStamp("time", s)
	}
	if err := f.check("time", s); err != nil {
		return Null, err
	}
	if f.special == "now" {
		now := f.specialStamp(env)
		return NewTime(now - floorDiv(now, microsPerDay)*microsPerDay), nil
	}
	us := f.c.TimeMicros()
	if us > microsPerDay { // 23:59:60 is 24:00, and the last one
		return Null, sqlerr.New(sqlerr.DatetimeFieldOverflow, "date/time field value out of range: \"%s\"", s)
	}
	return NewTime(us), nil
}

func parseTimestamp(s string, env *Env) (Datum, error) {
	f, ok := parseStamp(s, env)
	if !ok || f.special == "" && !f.haveDate {
		return Null, badStamp("timestamp", s)
	}
	if err := f.check("timestamp", s); err != nil {
		return Null, err
	}
	if f.special != "" {
		return NewTimestamp(f.specialStamp(env)), nil
	}
	return stampDatum(f.c.Stamp(), s, NewTimestamp)
}

func stampDatum(micros int64, s string, make func(int64) Datum) (Datum, error) {
	if !stampOK(micros) {
		return Null, sqlerr.New(sqlerr.DatetimeFieldOverflow, "timestamp out of range: \"%s\"", s)
	}
	return make(micros), nil
}

func parseTimestampTZ(s string, env *Env) (Datum, error) {
	f, ok := parseStamp(s, env)
	if !ok || f.special == "" && !f.haveDate {
		return Null, badStamp("timestamp with time zone", s)
	}
	if err := f.check("timestamp with time zone", s); err != nil {
		return Null, err
	}
	if f.special == "epoch" {
		return NewTimestampTZ(-pgEpochUnix * microsPerSecond), nil
	}
	if f.special != "" {
		return NewTimestampTZ(FromLocal(f.specialStamp(env), env.loc())), nil
	}
	local := f.c.Stamp()
	switch {
	case f.zone != nil:
		local = FromLocal(local, f.zone)
	case f.haveZone:
		local -= int64(f.offset) * microsPerSecond
	default:
		local = FromLocal(local, env.loc())
	}
	return stampDatum(local, s, NewTimestampTZ)
}
