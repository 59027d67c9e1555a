package types

import (
	"encoding/binary"
	"time"

	"github.com/cairndb/cairn/sql/sqlerr"
)

// TimeTZValue is a time of day with the offset of its zone.
type TimeTZValue struct {
	Micros int64 // of the zone's day
	East   int   // seconds east of UTC
}

// Postgres orders by the instant, as if all were of one day, and then the zone further west last.
// The bytes are these two numbers, moved so that none is negative.
const (
	timeTZBytes = 12
	zoneMax     = 16*3600 - 1 // the largest offset that text can have
	utcBias     = int64(zoneMax) * microsPerSecond
)

// NewTimeTZ makes a time with time zone.
func NewTimeTZ(v TimeTZValue) Datum {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, timeTZBytes), uint64(v.UTC()+utcBias))
	return NewPacked(string(binary.BigEndian.AppendUint32(b, uint32(zoneMax-v.East))))
}

// TimeTZ is the value of a time with time zone.
func (d Datum) TimeTZ() TimeTZValue { return timeTZOf(d.Packed()) }

func timeTZOf(b string) TimeTZValue {
	utc := int64(binary.BigEndian.Uint64([]byte(b[:8]))) - utcBias
	east := zoneMax - int(binary.BigEndian.Uint32([]byte(b[8:])))
	return TimeTZValue{Micros: utc + int64(east)*microsPerSecond, East: east}
}

// UTC is the time of day at Greenwich, before and after midnight too.
func (v TimeTZValue) UTC() int64 { return v.Micros - int64(v.East)*microsPerSecond }

// In is the same instant by the clock of another zone.
func (v TimeTZValue) In(east int) TimeTZValue {
	m := v.UTC() + int64(east)*microsPerSecond
	return TimeTZValue{Micros: m - floorDiv(m, microsPerDay)*microsPerDay, East: east}
}

func (v TimeTZValue) round(digits int32) TimeTZValue {
	v.Micros = roundMicros(v.Micros, digits)
	return v
}

func (v TimeTZValue) appendText(dst []byte) []byte {
	return appendOffset(appendTimeOfDay(dst, v.Micros), v.East)
}

func (v TimeTZValue) appendBinary(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(v.Micros))
	return binary.BigEndian.AppendUint32(dst, uint32(-v.East))
}

func parseBinaryTimeTZ(b []byte) (Datum, error) {
	v := TimeTZValue{Micros: int64(binary.BigEndian.Uint64(b)), East: -int(int32(binary.BigEndian.Uint32(b[8:])))}
	if v.Micros < 0 || v.Micros > microsPerDay {
		return Null, sqlerr.New(sqlerr.DatetimeFieldOverflow, "time out of range")
	}
	if v.East > zoneMax || v.East < -zoneMax {
		return Null, sqlerr.New(sqlerr.InvalidTimeZoneDisplacement, "time zone displacement out of range")
	}
	return NewTimeTZ(v), nil
}

// parseTimeTZ reads a time with an offset, an abbreviation, or nothing: then the session's zone today
// counts. The name of a region needs a date, which says whether it is summer.
func parseTimeTZ(s string, env *Env) (Datum, error) {
	f, ok := parseStamp(s, env)
	if !ok || !f.haveTime && f.special != "now" && f.special != "allballs" {
		return Null, badStamp("time with time zone", s)
	}
	if err := f.check("time with time zone", s); err != nil {
		return Null, err
	}
	switch f.special {
	case "now":
		return timeTZAt(StampOfTime(env.now()), env.loc()), nil
	case "allballs":
		return NewTimeTZ(TimeTZValue{}), nil
	}
	v := TimeTZValue{Micros: f.c.TimeMicros()}
	day := f.c
	if !f.haveDate {
		if f.zone != nil && !fixedZone(f.zone) {
			return Null, badStamp("time with time zone", s)
		}
		day = civilToday(env)
	}
	switch {
	case f.haveZone && f.zone == nil:
		v.East = f.offset
	case f.haveZone:
		v.East = offsetOn(day, v.Micros, f.zone)
	default:
		v.East = offsetOn(day, v.Micros, env.loc())
	}
	return NewTimeTZ(v), nil
}

// fixedZone says that a zone's offset is always the same.
func fixedZone(z *time.Location) bool {
	_, winter := time.Date(2024, 1, 1, 0, 0, 0, 0, z).Zone()
	_, summer := time.Date(2024, 7, 1, 0, 0, 0, 0, z).Zone()
	return z == time.UTC || winter == summer && len(z.String()) <= 5
}

func civilToday(env *Env) Civil { return CivilOf(ToLocal(StampOfTime(env.now()), env.loc())) }

// offsetOn is the zone's offset at a time of a day.
func offsetOn(day Civil, micros int64, zone *time.Location) int {
	local := dateToMicros(DaysFromCivil(day.Year, day.Month, day.Day)) + micros
	return int((local - FromLocal(local, zone)) / microsPerSecond)
}

func timeTZAt(instant int64, zone *time.Location) Datum {
	east := offsetAt(instant, zone)
	return NewTimeTZ(TimeTZValue{Micros: floorMod(instant, microsPerDay)}.In(east))
}

func floorMod(a, b int64) int64 { return a - floorDiv(a, b)*b }

// TimeToTZ gives a time the offset that the session's zone has today.
func TimeToTZ(micros int64, env *Env) Datum {
	return NewTimeTZ(TimeTZValue{Micros: micros, East: offsetOn(civilToday(env), micros, env.loc())})
}

// OffsetNow is a zone's offset at the moment.
func OffsetNow(zone *time.Location, env *Env) int { return offsetAt(StampOfTime(env.now()), zone) }
