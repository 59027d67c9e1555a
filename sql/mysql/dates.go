package mysql

import (
	"fmt"
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"
	my "github.com/pingcap/tidb/pkg/parser/mysql"
	driver "github.com/pingcap/tidb/pkg/parser/test_driver"
)

// now is MySQL's NOW(): the time at which the statement began, in the session's time zone, without
// its fraction.
const now = "date_trunc('second', statement_timestamp())::timestamp"

func dates() map[string]function {
	part := func(field string) function {
		return by(1, 1, func(_ *translator, n *ast.FuncCallExpr, args []string) string {
			return "extract(" + field + " FROM " + asTime(n.Args[0], args[0]) + ")::int"
		})
	}
	text := func(mask string) function {
		return by(1, 1, func(_ *translator, n *ast.FuncCallExpr, args []string) string {
			return "to_char(" + asTime(n.Args[0], args[0]) + ", '" + mask + "')"
		})
	}
	clock := func(whole, fine string) function {
		return by(0, 1, func(t *translator, n *ast.FuncCallExpr, _ []string) string {
			if len(n.Args) == 0 {
				return whole
			}
			p, ok := integer(n.Args[0])
			if !ok || p < 0 || p > 6 {
				return t.unsupported(n, "this precision of %s()", strings.ToUpper(n.FnName.O))
			}
			return fmt.Sprintf(fine, p)
		})
	}
	nowFunc := clock(now, "statement_timestamp()::timestamp(%d)")
	utc := clock("date_trunc('second', statement_timestamp() AT TIME ZONE 'UTC')", "(statement_timestamp() AT TIME ZONE 'UTC')::timestamp(%d)")
	curtime := clock("("+now+")::time", "statement_timestamp()::time(%d)")
	return map[string]function{
		"now":               nowFunc,
		"current_timestamp": nowFunc,
		"localtime":         nowFunc,
		"localtimestamp":    nowFunc,
		"sysdate":           clock("date_trunc('second', clock_timestamp())::timestamp", "clock_timestamp()::timestamp(%d)"),
		"curdate":           as(0, 0, "current_date"),
		"current_date":      as(0, 0, "current_date"),
		"curtime":           curtime,
		"current_time":      curtime,
		"utc_timestamp":     utc,
		"utc_date":          as(0, 0, "(statement_timestamp() AT TIME ZONE 'UTC')::date"),
		"unix_timestamp":    as(0, 1, "floor(extract(epoch FROM statement_timestamp()))::bigint|floor(extract(epoch FROM ($1)::timestamptz))::bigint"),
		"from_unixtime":     by(1, 2, fromUnixtime),
		"date":              as(1, 1, "($1)::date"),
		"time":              as(1, 1, "($1)::time"),
		"timestamp":         as(1, 1, "($1)::timestamp"),

		"year":       part("year"),
		"month":      part("month"),
		"day":        part("day"),
		"dayofmonth": part("day"),
		"hour":       part("hour"),
		"minute":     part("minute"),
		"second": by(1, 1, func(_ *translator, n *ast.FuncCallExpr, args []string) string {
			return "floor(extract(second FROM " + asTime(n.Args[0], args[0]) + "))::int"
		}),
		"microsecond": by(1, 1, func(_ *translator, n *ast.FuncCallExpr, args []string) string {
			return "(extract(microseconds FROM " + asTime(n.Args[0], args[0]) + ")::int % 1000000)"
		}),
		"quarter":   part("quarter"),
		"dayofyear": part("doy"),
		"dayofweek": by(1, 1, func(_ *translator, n *ast.FuncCallExpr, args []string) string {
			return "(extract(dow FROM " + asTime(n.Args[0], args[0]) + ")::int + 1)"
		}),
		"weekday": by(1, 1, func(_ *translator, n *ast.FuncCallExpr, args []string) string {
			return "(extract(isodow FROM " + asTime(n.Args[0], args[0]) + ")::int - 1)"
		}),
		"weekofyear":  part("week"),
		"week":        by(1, 2, week),
		"dayname":     text("FMDay"),
		"monthname":   text("FMMonth"),
		"last_day":    as(1, 1, "(date_trunc('month', ($1)::timestamp) + INTERVAL '1 month' - INTERVAL '1 day')::date"),
		"to_days":     as(1, 1, "(($1)::date - DATE '0001-01-01' + 366)"),
		"from_days":   as(1, 1, "(DATE '0001-01-01' + (($1)::int - 366))"),
		"to_seconds":  as(1, 1, "((($1)::date - DATE '0001-01-01' + 366)::bigint * 86400 + floor(extract(epoch FROM ($1)::timestamp - ($1)::date))::bigint)"),
		"time_to_sec": as(1, 1, "floor(extract(epoch FROM ($1)::time))::int"),
		"sec_to_time": as(1, 1, "(TIME '00:00:00' + ($1) * INTERVAL '1 second')"),
		"makedate":    as(2, 2, "(make_date(($1)::int, 1, 1) + (($2)::int - 1))"),
		"datediff":    as(2, 2, "(($1)::date - ($2)::date)"),
		"extract":     by(2, 2, extract),
		"date_add":    by(3, 3, func(t *translator, n *ast.FuncCallExpr, args []string) string { return dateAdd(t, n, args, " + ") }),
		"adddate":     by(3, 3, func(t *translator, n *ast.FuncCallExpr, args []string) string { return dateAdd(t, n, args, " + ") }),
		"date_sub":    by(3, 3, func(t *translator, n *ast.FuncCallExpr, args []string) string { return dateAdd(t, n, args, " - ") }),
		"subdate":     by(3, 3, func(t *translator, n *ast.FuncCallExpr, args []string) string { return dateAdd(t, n, args, " - ") }),
		"timestampadd": by(3, 3, func(t *translator, n *ast.FuncCallExpr, _ []string) string {
			return dateAdd(t, n, []string{t.val(n.Args[2]), t.val(n.Args[1]), ""}, " + ")
		}),
		"timestampdiff": by(3, 3, timestampDiff),
		"date_format": by(2, 2, func(t *translator, n *ast.FuncCallExpr, args []string) string {
			return dateFormat(t, n, asTime(n.Args[0], args[0]))
		}),
		"time_format": by(2, 2, func(t *translator, n *ast.FuncCallExpr, args []string) string {
			return dateFormat(t, n, "("+args[0]+")::time")
		}),
		"str_to_date": by(2, 2, strToDate),
		"convert_tz":  as(3, 3, "((($1)::timestamp AT TIME ZONE ($2)::text) AT TIME ZONE ($3)::text)"),

		ast.DateLiteral:      as(1, 1, "DATE $1"),
		ast.TimeLiteral:      as(1, 1, "TIME $1"),
		ast.TimestampLiteral: as(1, 1, "TIMESTAMP $1"),
	}
}

// asTime gives a literal or a placeholder the type of a time; everything else has one.
func asTime(e ast.ExprNode, arg string) string {
	if s, ok := constant(e); ok {
		if !strings.Contains(s, "-") && strings.Contains(s, ":") {
			return "TIME " + arg
		}
		return "TIMESTAMP " + arg
	}
	if _, ok := e.(*driver.ParamMarkerExpr); ok {
		return "(" + arg + ")::timestamp"
	}
	return "(" + arg + ")"
}

// isDate says that an expression is a date without a time, as far as it shows.
func isDate(e ast.ExprNode) bool {
	if s, ok := constant(e); ok {
		return len(s) <= len("2000-01-01") && strings.Count(s, "-") == 2
	}
	if c, ok := e.(*ast.FuncCastExpr); ok {
		return c.Tp.GetType() == my.TypeDate
	}
	f, ok := e.(*ast.FuncCallExpr)
	if !ok {
		return false
	}
	switch f.FnName.L {
	case "curdate", "current_date", "date", "last_day", "makedate", "from_days", "utc_date", ast.DateLiteral:
		return true
	case "date_add", "date_sub", "adddate", "subdate":
		u, ok := f.Args[len(f.Args)-1].(*ast.TimeUnitExpr)
		return ok && wholeDays(u.Unit) && len(f.Args) == 3 && isDate(f.Args[0])
	}
	return false
}

func wholeDays(u ast.TimeUnitType) bool {
	switch u {
	case ast.TimeUnitDay, ast.TimeUnitWeek, ast.TimeUnitMonth, ast.TimeUnitQuarter, ast.TimeUnitYear:
		return true
	}
	return false
}

// units are how long an INTERVAL of 1 is.
var units = map[ast.TimeUnitType]string{
	ast.TimeUnitMicrosecond: "1 microsecond", ast.TimeUnitSecond: "1 second", ast.TimeUnitMinute: "1 minute",
	ast.TimeUnitHour: "1 hour", ast.TimeUnitDay: "1 day", ast.TimeUnitWeek: "7 days", ast.TimeUnitMonth: "1 month",
	ast.TimeUnitQuarter: "3 months", ast.TimeUnitYear: "1 year",
}

// interval prints INTERVAL count unit.
func (t *translator) interval(count ast.ExprNode, u ast.TimeUnitType) string {
	return t.intervalOf(count, t.val(count), u)
}

func (t *translator) intervalOf(count ast.ExprNode, printed string, u ast.TimeUnitType) string {
	unit, ok := units[u]
	if !ok {
		return t.unsupported(count, "INTERVAL … %s", u.String())
	}
	if s, ok := constant(count); ok {
		printed = "(" + quote(s) + ")::float8"
	}
	return "(" + printed + " * INTERVAL '" + unit + "')"
}

func dateAdd(t *translator, n *ast.FuncCallExpr, args []string, op string) string {
	date, count, unit := n.Args[0], n.Args[1], n.Args[2]
	if u, ok := n.Args[0].(*ast.TimeUnitExpr); ok { // TIMESTAMPADD
		date, count, unit = n.Args[2], n.Args[1], u
	}
	u, ok := unit.(*ast.TimeUnitExpr)
	if !ok {
		return t.unsupported(n, "%s() without a unit", strings.ToUpper(n.FnName.O))
	}
	d := asTime(date, args[0])
	s := "(" + d + op + t.intervalOf(count, args[1], u.Unit) + ")"
	if wholeDays(u.Unit) && isDate(date) {
		return s + "::date"
	}
	return s
}

func fromUnixtime(t *translator, n *ast.FuncCallExpr, args []string) string {
	at := "to_timestamp((" + args[0] + ")::float8)::timestamp"
	if len(args) == 1 {
		return at
	}
	return dateFormat(t, n, at)
}

// week is WEEK(date [, mode]) in the modes that Postgres's fields give: 0 counts from the year's
// first Sunday, 3 is ISO's.
func week(t *translator, n *ast.FuncCallExpr, args []string) string {
	mode := int64(0)
	if len(args) == 2 {
		var ok bool
		if mode, ok = integer(n.Args[1]); !ok {
			return t.unsupported(n, "WEEK() with a computed mode")
		}
	}
	d := asTime(n.Args[0], args[0])
	switch mode {
	case 0:
		return "((extract(doy FROM " + d + ")::int + 6 - extract(dow FROM " + d + ")::int) / 7)"
	case 3:
		return "extract(week FROM " + d + ")::int"
	}
	return t.unsupported(n, "mode %d of WEEK()", mode)
}

func extract(t *translator, n *ast.FuncCallExpr, args []string) string {
	u, ok := n.Args[0].(*ast.TimeUnitExpr)
	if !ok {
		return t.unsupported(n, "this EXTRACT()")
	}
	field := strings.ToLower(u.Unit.String())
	d := asTime(n.Args[1], args[1])
	switch u.Unit {
	case ast.TimeUnitMicrosecond:
		return "(extract(microseconds FROM " + d + ")::int % 1000000)"
	case ast.TimeUnitSecond:
		return "floor(extract(second FROM " + d + "))::int"
	case ast.TimeUnitYearMonth:
		return "to_char(" + d + ", 'YYYYMM')::int"
	case ast.TimeUnitMinute, ast.TimeUnitHour, ast.TimeUnitDay, ast.TimeUnitMonth, ast.TimeUnitQuarter, ast.TimeUnitYear:
		return "extract(" + field + " FROM " + d + ")::int"
	}
	return t.unsupported(n, "EXTRACT(%s …)", u.Unit.String())
}

func timestampDiff(t *translator, n *ast.FuncCallExpr, args []string) string {
	u, ok := n.Args[0].(*ast.TimeUnitExpr)
	if !ok {
		return t.unsupported(n, "this TIMESTAMPDIFF()")
	}
	a, b := "("+args[1]+")::timestamp", "("+args[2]+")::timestamp"
	if size, ok := map[ast.TimeUnitType]string{
		ast.TimeUnitMicrosecond: " * 1000000", ast.TimeUnitSecond: "", ast.TimeUnitMinute: " / 60",
		ast.TimeUnitHour: " / 3600", ast.TimeUnitDay: " / 86400", ast.TimeUnitWeek: " / 604800",
	}[u.Unit]; ok {
		return "trunc(extract(epoch FROM " + b + " - " + a + ")" + size + ")::bigint"
	}
	months := "(extract(year FROM age(" + b + ", " + a + "))::bigint * 12 + extract(month FROM age(" + b + ", " + a + "))::bigint)"
	switch u.Unit {
	case ast.TimeUnitMonth:
		return months
	case ast.TimeUnitQuarter:
		return "(" + months + " / 3)"
	case ast.TimeUnitYear:
		return "(" + months + " / 12)"
	}
	return t.unsupported(n, "TIMESTAMPDIFF(%s …)", u.Unit.String())
}

// masks are DATE_FORMAT's specifiers in to_char's words.
var masks = map[byte]string{
	'Y': "YYYY", 'y': "YY", 'm': "MM", 'c': "FMMM", 'd': "DD", 'e': "FMDD", 'D': "FMDDth", 'j': "DDD",
	'H': "HH24", 'k': "FMHH24", 'h': "HH12", 'I': "HH12", 'l': "FMHH12", 'i': "MI", 's': "SS", 'S': "SS",
	'f': "US", 'p': "AM", 'r': "HH12:MI:SS AM", 'T': "HH24:MI:SS", 'M': "FMMonth", 'b': "Mon", 'W': "FMDay",
	'a': "Dy", 'v': "IW", 'x': "IYYY",
}

// mask translates a format of DATE_FORMAT or STR_TO_DATE; bad is the specifier that has no
// counterpart.
func mask(format string) (out, bad string) {
	var b, plain strings.Builder
	flush := func() {
		if plain.Len() > 0 {
			b.WriteString(`"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(plain.String()) + `"`)
			plain.Reset()
		}
	}
	for i := 0; i < len(format); i++ {
		c := format[i]
		if c == '%' && i+1 < len(format) {
			i++
			if m, ok := masks[format[i]]; ok {
				flush()
				b.WriteString(m)
				continue
			}
			switch format[i] {
			case 'u', 'U', 'V', 'X', 'w':
				return "", "%" + format[i:i+1]
			}
			c = format[i]
		}
		if strings.IndexByte("-/:., ", c) >= 0 {
			flush()
			b.WriteByte(c)
			continue
		}
		plain.WriteByte(c)
	}
	flush()
	return b.String(), ""
}

func (t *translator) maskOf(n *ast.FuncCallExpr) (format, out string, ok bool) {
	format, ok = constant(n.Args[1])
	if !ok {
		t.unsupported(n, "%s() with a computed format", strings.ToUpper(n.FnName.O))
		return "", "", false
	}
	out, bad := mask(format)
	if bad != "" {
		t.unsupported(n, "the format %s", bad)
		return "", "", false
	}
	return format, out, true
}

func dateFormat(t *translator, n *ast.FuncCallExpr, at string) string {
	_, m, ok := t.maskOf(n)
	if !ok {
		return "NULL"
	}
	return "to_char(" + at + ", " + quote(m) + ")"
}

func strToDate(t *translator, n *ast.FuncCallExpr, args []string) string {
	format, m, ok := t.maskOf(n)
	if !ok {
		return "NULL"
	}
	if strings.ContainsAny(format, "HkhIlisSfprT") {
		return "to_timestamp((" + args[0] + ")::text, " + quote(m) + ")::timestamp"
	}
	return "to_date((" + args[0] + ")::text, " + quote(m) + ")"
}
