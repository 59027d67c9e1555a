package builtins

import "github.com/cairndb/cairn/sql/types"

// overlapsFuncs are (start, end) OVERLAPS (start, end), where an end may be the interval since the
// start. The parser makes it a call with four arguments.
func overlapsFuncs() []Overload {
	var out []Overload
	for _, t := range []types.T{types.TimeTZ, types.Time, types.Timestamp, types.TimestampTZ} {
		for _, second := range []types.T{t, types.Interval} {
			for _, fourth := range []types.T{t, types.Interval} {
				if t == types.TimeTZ && (second != t || fourth != t) { // PostgreSQL has no such
					continue
				}
				o := fn("overlaps", []types.T{t, second, t, fourth}, types.Bool, "whether two periods of time have a moment in common",
					func(ec ectx, a []datum) (datum, error) { return overlaps(ec, a) }).lenient()
				if t == types.TimestampTZ {
					o = o.stable()
				}
				out = append(out, o)
			}
		}
	}
	return out
}

// overlaps takes each period as half open, [start, end), but for one that is a single moment. A NULL
// end is one that is not known.
func overlaps(ec ectx, a []datum) (datum, error) {
	var p [2][2]datum
	for i := range p {
		s, e, err := period(ec, a[2*i], a[2*i+1])
		if err != nil {
			return types.Null, err
		}
		p[i] = [2]datum{s, e}
	}
	first, second := p[0], p[1]
	switch {
	case first[0].IsNull() || second[0].IsNull():
		return types.Null, nil
	case types.Compare(first[0], second[0]) == 0: // they have their start in common, whatever else is known
		if first[1].IsNull() || second[1].IsNull() {
			return types.Null, nil
		}
		return types.NewBool(true), nil
	case types.Compare(first[0], second[0]) > 0:
		first, second = second, first
	}
	switch { // second starts later: inside of first or not
	case first[1].IsNull():
		return types.Null, nil
	case types.Compare(second[0], first[1]) < 0:
		return types.NewBool(true), nil
	case second[1].IsNull():
		return types.Null, nil
	}
	return types.NewBool(false), nil
}

// period puts the ends of a period in order. One that is not known comes last.
func period(ec ectx, s, e datum) (datum, datum, error) {
	if e.Kind() == types.KindInterval {
		if s.IsNull() {
			return types.Null, types.Null, nil
		}
		var err error
		if e, err = plusInterval(ec, s, e.Interval()); err != nil {
			return s, e, err
		}
	}
	if s.IsNull() || !e.IsNull() && types.Compare(s, e) > 0 {
		s, e = e, s
	}
	return s, e, nil
}
