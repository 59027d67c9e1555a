package version

import (
	"fmt"
	"strconv"
)

// Number is a cluster version: a set of things that nodes may do because every node
// of the cluster understands them. It is not the build's name: most builds have the
// numbers of the build before.
type Number uint32

// What each version adds. A number is never used for anything else, and a build that
// no longer speaks an old one raises minimum.
const (
	// V1 is the first.
	V1 Number = iota + 1
	// V2: every stream between nodes has checksums (internal/rpc, I7); one without
	// is refused.
	V2
	// V3: functions may be in PL/pgSQL (schema.Function.Language), which a build of
	// before would run as SQL.
	V3
	numbersEnd
)

// minimum is the oldest version in which this build can work.
const minimum = V1

// latest is for tests of upgrades, by the linker: a build that knows no version
// above it, as the one before this had none.
var latest string

// Range is the versions in which a build can work. The zero value is that of a build
// that says nothing: they are of before V2.
type Range struct {
	Min    Number `wire:"1"`
	Latest Number `wire:"2"`
}

// Binary is this build's.
func Binary() Range {
	r := Range{Min: minimum, Latest: numbersEnd - 1}
	if n, err := strconv.ParseUint(latest, 10, 32); err == nil && Number(n) >= r.Min && Number(n) < r.Latest {
		r.Latest = Number(n)
	}
	return r
}

// Said is what a range means that another node has told.
func (r Range) Said() Range {
	if r.Latest == 0 {
		return Range{V1, V1}
	}
	return r
}

// String prints it as cairn node ls does.
func (r Range) String() string {
	if r.Min == r.Latest {
		return fmt.Sprint(r.Min)
	}
	return fmt.Sprintf("%d-%d", r.Min, r.Latest)
}

// Admit says in one line why a build cannot work in a cluster of the version active
// (I2).
func (r Range) Admit(active Number) error {
	switch {
	case r.Latest < active:
		return fmt.Errorf("its build is too old: it works in cluster version %d at most, and this cluster has version %d; start a newer build", r.Latest, active)
	case r.Min > active:
		return fmt.Errorf("its build is too new: it needs cluster version %d at least, and this cluster has version %d; upgrade to a build in between first", r.Min, active)
	}
	return nil
}

// Next is the version to which a cluster may be raised: the highest in which all its
// nodes can work (I1).
func Next(active Number, nodes []Range) Number {
	if len(nodes) == 0 {
		return active
	}
	next := nodes[0].Latest
	for _, r := range nodes {
		next = min(next, r.Latest)
		if r.Min > active {
			return active
		}
	}
	return max(active, next)
}
