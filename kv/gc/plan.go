package gc

import (
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
)

// DefaultTTL is how long what was overwritten or deleted stays readable. Longer
// lets longer queries finish and later mistakes be looked at; every hour costs
// the space of an hour's writes, and a row that is updated a thousand times a
// second gathers 3.6 million versions. CockroachDB keeps 4 h, for its backups'
// sake; Postgres keeps what a running transaction may need, and nothing
// else. An hour lets a dump or a report of a database of this size end.
const DefaultTTL = time.Hour

// Garbage worth a pass at once, soon, or some time, as shares of all bytes.
const (
	shareHigh = 0.5
	shareLow  = 0.1
	// garbageHighBytes is much in a range of any size.
	garbageHighBytes = 64 << 20
)

// Target is the highest threshold that a range may be given at now.
func Target(now hlc.Timestamp, ttl time.Duration, sp kvapi.Span, protections []Protection) hlc.Timestamp {
	to := now.AddNanos(-int64(ttl))
	to.Logical = 0
	for i := range protections {
		p := &protections[i]
		if p.Overlaps(sp) && !p.isExpired(now) && p.Timestamp.LessEq(to) {
			// The protected timestamp itself is to be read.
			to = hlc.Timestamp{WallTime: p.Timestamp.WallTime - 1}
		}
	}
	return to
}

// Due reports whether a range should be collected up to target. A pass looks at
// every key, so that it must be worth it: the larger the share of garbage, the
// shorter the part of the TTL by which the threshold rises.
//
//	garbage            the threshold rises by
//	none               -
//	half, or 64 MB     a 16th of the TTL
//	a tenth            a quarter
//	less               all of it
//
// How much of the garbage is old enough is not known; what was written at a
// steady pace is collected in as many parts. A range that nobody writes to any
// more is clean two TTLs later, and looked at no more.
func Due(s *kvapi.RangeStatistics, threshold, target hlc.Timestamp, ttl time.Duration) bool {
	garbage := s.GarbageBytes()
	if garbage <= 0 || target.LessEq(threshold) {
		return false
	}
	step := ttl
	switch share := float64(garbage) / float64(garbage+s.LiveBytes); {
	case share >= shareHigh, garbage >= garbageHighBytes:
		step = ttl / 16
	case share >= shareLow:
		step = ttl / 4
	}
	return time.Duration(target.WallTime-threshold.WallTime) >= step
}
