package bind

import (
	"strconv"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// The fields of INTERVAL '…' YEAR and its like, as the grammar's masks.
const (
	maskMonth  = 1 << 1
	maskYear   = 1 << 2
	maskDay    = 1 << 3
	maskHour   = 1 << 10
	maskMinute = 1 << 11
	maskSecond = 1 << 12
	maskAll    = 0x7fff
)

var intervalFields = map[int32]string{
	maskYear: "year", maskMonth: "month", maskDay: "day", maskHour: "hour", maskMinute: "minute", maskSecond: "second",
}

// intervalLiteral gives the number in INTERVAL '5' DAY its unit. What else the fields would mean,
// that smaller parts are cut off, is refused rather than left out.
func (b *binder) intervalLiteral(c *pg.TypeCast) *pg.Node {
	names := stringList(c.TypeName.Names)
	if len(c.TypeName.Typmods) == 0 || names[len(names)-1] != "interval" {
		return c.Arg
	}
	mask := c.TypeName.Typmods[0].GetAConst().GetIval().GetIval()
	text := c.Arg.GetAConst().GetSval().GetSval()
	unit, one := intervalFields[mask]
	_, err := strconv.ParseFloat(text, 64)
	switch {
	case mask == maskAll, mask == maskYear|maskMonth, mask == maskDay|maskHour|maskMinute|maskSecond:
		return c.Arg
	case one && err == nil:
		return &pg.Node{Node: &pg.Node_AConst{AConst: &pg.A_Const{
			Val:      &pg.A_Const_Sval{Sval: &pg.String{Sval: text + " " + unit}},
			Location: c.Arg.GetAConst().GetLocation(),
		}}}
	}
	b.unsupported(c.TypeName.Location, "an interval restricted to fields")
	return nil
}
