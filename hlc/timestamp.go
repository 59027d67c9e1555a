package hlc

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Timestamp orders versions and transactions. It may lie in the future of
// every clock (a pushed write, an uncertainty limit) and therefore must never
// be fed to Clock.Update; only a ClockTimestamp may.
//
// The zero Timestamp means "none" and sorts before every real one.
type Timestamp struct {
	// WallTime is in nanoseconds since the Unix epoch.
	WallTime int64 `wire:"1"`
	// Logical breaks ties between events of one nanosecond.
	Logical int32 `wire:"2"`
}

// ClockTimestamp is a Timestamp that some node's clock really showed. Only
// this type may advance another clock (I5 in doc.go).
type ClockTimestamp Timestamp

// MaxTimestamp sorts after every timestamp a clock can show.
var MaxTimestamp = Timestamp{WallTime: math.MaxInt64, Logical: math.MaxInt32}

// Timestamp gives up the claim to have been read from a clock.
func (t ClockTimestamp) Timestamp() Timestamp { return Timestamp(t) }

// IsEmpty reports whether t is the zero "none" value.
func (t Timestamp) IsEmpty() bool { return t == Timestamp{} }

// Less reports whether t sorts before o.
func (t Timestamp) Less(o Timestamp) bool {
	return t.WallTime < o.WallTime || (t.WallTime == o.WallTime && t.Logical < o.Logical)
}

// LessEq reports whether t sorts before o or equals it.
func (t Timestamp) LessEq(o Timestamp) bool { return !o.Less(t) }

// Compare returns -1, 0 or 1.
func (t Timestamp) Compare(o Timestamp) int {
	switch {
	case t.Less(o):
		return -1
	case o.Less(t):
		return 1
	}
	return 0
}

// Next returns the smallest timestamp after t.
func (t Timestamp) Next() Timestamp {
	if t.Logical == math.MaxInt32 {
		return Timestamp{WallTime: t.WallTime + 1}
	}
	return Timestamp{WallTime: t.WallTime, Logical: t.Logical + 1}
}

// Prev returns the largest timestamp before t; t must not be empty.
func (t Timestamp) Prev() Timestamp {
	if t.Logical > 0 {
		return Timestamp{WallTime: t.WallTime, Logical: t.Logical - 1}
	}
	if t.WallTime > 0 {
		return Timestamp{WallTime: t.WallTime - 1, Logical: math.MaxInt32}
	}
	panic("hlc: no timestamp before the empty one")
}

// AddNanos returns t moved by d nanoseconds of wall time, logical part kept.
func (t Timestamp) AddNanos(d int64) Timestamp {
	return Timestamp{WallTime: t.WallTime + d, Logical: t.Logical}
}

// Max returns the later of t and o.
func (t Timestamp) Max(o Timestamp) Timestamp {
	if t.Less(o) {
		return o
	}
	return t
}

// Min returns the earlier of t and o.
func (t Timestamp) Min(o Timestamp) Timestamp {
	if o.Less(t) {
		return o
	}
	return t
}

// Forward raises *t to o if o is later and reports whether it did.
func (t *Timestamp) Forward(o Timestamp) bool {
	if t.Less(o) {
		*t = o
		return true
	}
	return false
}

// String prints seconds.nanoseconds,logical.
func (t Timestamp) String() string {
	return fmt.Sprintf("%d.%09d,%d", t.WallTime/1e9, t.WallTime%1e9, t.Logical)
}

// String prints like Timestamp.
func (t ClockTimestamp) String() string { return Timestamp(t).String() }

// ParseTimestamp reads what String prints.
func ParseTimestamp(s string) (Timestamp, error) {
	head, logical, _ := strings.Cut(s, ",")
	sec, nano, _ := strings.Cut(head, ".")
	var t Timestamp
	w, err := strconv.ParseInt(sec, 10, 64)
	if err != nil {
		return t, fmt.Errorf("timestamp %q: %w", s, err)
	}
	t.WallTime = w * 1e9
	if nano != "" {
		n, err := strconv.ParseInt((nano + "000000000")[:9], 10, 64)
		if err != nil {
			return Timestamp{}, fmt.Errorf("timestamp %q: %w", s, err)
		}
		t.WallTime += n
	}
	if logical != "" {
		l, err := strconv.ParseInt(logical, 10, 32)
		if err != nil {
			return Timestamp{}, fmt.Errorf("timestamp %q: %w", s, err)
		}
		t.Logical = int32(l)
	}
	return t, nil
}
