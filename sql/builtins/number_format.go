package builtins

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/cockroachdb/apd/v3"

	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// numberPicture is a number's template of to_char and to_number, cut into its parts.
//
//	S 9 9 , 9 9 0 . 0 9      signs float to the digits, 9 is blank where 0 is '0'
type numberPicture struct {
	parts    []numberPart
	pre      int // digits before the point
	post     int // digits behind it
	zeroFrom int // the place of the first 0 among pre, -1 for none
	lastZero int // how many digits behind the point a 0 keeps
	point    bool
	fill     bool // FM
	signed   bool // S, MI, PL, SG or PR stand in it
	brackets bool // PR
	exponent bool // EEEE
	shift    int  // digits behind V
	leadS    bool
	trailS   bool
	roman    string
}

type numberPart struct {
	key  string // one of numberKeys, or "" for text
	text string
}

// numberKeys, longest first where one begins another.
var numberKeys = []string{"EEEE", "FM", "MI", "PL", "SG", "PR", "RN", "TH", "V", "S", "L", "D", "G", "B", "9", "0", ".", ","}

func parseNumberPicture(f string) (*numberPicture, error) {
	p := &numberPicture{zeroFrom: -1}
	bad := func(format string, a ...any) error { return sqlerr.New(sqlerr.SyntaxError, format, a...) }
	for f != "" {
		if f[0] == '"' {
			var quoted string
			quoted, f = quotedPart(f[1:])
			p.parts = append(p.parts, numberPart{text: quoted})
			continue
		}
		if strings.HasPrefix(f, `\"`) {
			p.parts = append(p.parts, numberPart{text: `"`})
			f = f[2:]
			continue
		}
		key := ""
		for _, k := range numberKeys {
			if len(f) >= len(k) && strings.EqualFold(f[:len(k)], k) {
				key = k
				break
			}
		}
		if key == "" {
			r := strings.IndexFunc(f[1:], func(r rune) bool { return r < 0x80 || r >= 0xc0 })
			n := len(f)
			if r >= 0 {
				n = 1 + r
			}
			p.parts = append(p.parts, numberPart{text: f[:n]})
			f = f[n:]
			continue
		}
		raw := f[:len(key)]
		f = f[len(key):]
		switch key {
		case "9", "0":
			if p.exponent {
				return nil, bad("\"EEEE\" must be the last pattern used")
			}
			switch {
			case p.shift >= 0 && p.has("V"):
				p.shift++
				p.pre++
			case p.point:
				p.post++
				if key == "0" {
					p.lastZero = p.post
				}
			default:
				if key == "0" && p.zeroFrom < 0 {
					p.zeroFrom = p.pre
				}
				p.pre++
			}
		case ".", "D":
			if p.point {
				return nil, bad("multiple decimal points")
			}
			if p.has("V") {
				return nil, bad("cannot use \"V\" and decimal point together")
			}
			key, p.point = ".", true
		case "V":
			if p.point {
				return nil, bad("cannot use \"V\" and decimal point together")
			}
		case "G":
			key = ","
		case "FM":
			p.fill = true
			continue
		case "S":
			if p.leadS || p.trailS {
				return nil, bad("cannot use \"S\" twice")
			}
			if p.signed {
				return nil, bad("cannot use \"S\" and \"PL\"/\"MI\"/\"SG\"/\"PR\" together")
			}
			p.signed, p.leadS, p.trailS = true, p.pre == 0 && !p.point, p.pre > 0 || p.point
		case "MI", "PL", "SG":
			if p.leadS || p.trailS {
				return nil, bad("cannot use \"S\" and \"%s\" together", key)
			}
			p.signed = p.signed || key != "PL" // PL is beside the sign
		case "PR":
			if p.signed {
				return nil, bad("cannot use \"PR\" and \"S\"/\"PL\"/\"MI\"/\"SG\" together")
			}
			p.signed, p.brackets = true, true
		case "EEEE":
			p.exponent = true
		case "RN":
			p.roman = raw
		}
		p.parts = append(p.parts, numberPart{key: key, text: raw})
	}
	return p, nil
}

// quotedPart is the text up to a quote, in which a backslash takes what follows as it is, and the rest.
func quotedPart(f string) (quoted, rest string) {
	var b strings.Builder
	for i := 0; i < len(f); i++ {
		switch {
		case f[i] == '"':
			return b.String(), f[i+1:]
		case f[i] == '\\' && i+1 < len(f):
			i++
		}
		b.WriteByte(f[i])
	}
	return b.String(), ""
}

func (p *numberPicture) has(key string) bool {
	for _, x := range p.parts {
		if x.key == key {
			return true
		}
	}
	return false
}

func numberFormats() []Overload {
	tx, n := types.Text, types.Numeric
	show := func(digits func(d datum) *apd.Decimal) Fn2 {
		return func(_ ectx, a, f datum) (datum, error) { return numberToChar(digits(a), f.Str()) }
	}
	out := []Overload{
		f2("to_char", n, tx, tx, "formatted", show(func(d datum) *apd.Decimal { return d.Decimal() })).stable(),
		f2("to_char", types.Interval, tx, tx, "formatted", intervalToChar).stable(),
		f2("to_number", tx, tx, n, "number read by a template", toNumber).stable(),
	}
	for _, t := range []types.T{types.Int4, types.Int8} {
		out = append(out, f2("to_char", t, tx, tx, "formatted", show(decimalOf)).stable())
	}
	for _, t := range []types.T{types.Float4, types.Float8} {
		digits := 15
		if t.OID == types.OIDFloat4 {
			digits = 6
		}
		out = append(out, f2("to_char", t, tx, tx, "formatted", func(_ ectx, a, f datum) (datum, error) {
			return numberToChar(floatDecimal(a.Float(), digits), f.Str())
		}).stable())
	}
	return out
}

// floatDecimal is a float with so many significant digits.
func floatDecimal(f float64, digits int) *apd.Decimal {
	switch {
	case f != f:
		return types.NaNDecimal()
	case math.IsInf(f, 0):
		return types.InfDecimal(f < 0)
	}
	d, err := types.ParseDecimal(strconv.FormatFloat(f, 'e', digits-1, 64))
	if err != nil {
		return types.NaNDecimal()
	}
	return d
}

func numberToChar(d *apd.Decimal, f string) (datum, error) {
	p, err := parseNumberPicture(f)
	if err != nil {
		return types.Null, err
	}
	switch {
	case p.roman != "":
		return text(p.romanText(d))
	case p.exponent:
		return text(p.scientific(d))
	}
	return text(p.format(d))
}

// format writes the number into the picture.
func (p *numberPicture) format(d *apd.Decimal) string {
	whole, frac, neg := p.digits(d)
	var b strings.Builder
	sign := func(minus, plus string) string {
		if neg {
			return minus
		}
		return plus
	}
	blank := func(s string) string {
		if p.fill {
			return ""
		}
		return s
	}
	// The integer digits are written right-justified; what is left of them is blank, or zeros from
	// the first 0 on. The sign stands before the first character that is not blank.
	start := p.pre - len(whole)
	if p.zeroFrom >= 0 && p.zeroFrom < start {
		start = p.zeroFrom
	}
	signDone := p.signed && !p.leadS && !p.brackets
	putSign := func() {
		if signDone {
			return
		}
		signDone = true
		switch {
		case p.brackets:
			b.WriteString(sign("<", blank(" ")))
		case p.leadS:
			b.WriteString(sign("-", "+"))
		default:
			b.WriteString(sign("-", blank(" ")))
		}
	}
	at, behind, point, ended := 0, 0, false, false
	closeBracket := func() {
		if p.brackets && !ended {
			b.WriteString(sign(">", blank(" ")))
			ended = true
		}
	}
	for _, x := range p.parts {
		switch x.key {
		case "9", "0":
			if point {
				behind++
				if p.fill && behind > len(frac) {
					break
				}
				b.WriteByte(frac[behind-1])
				break
			}
			switch {
			case at < start:
				b.WriteString(blank(" "))
			default:
				putSign()
				if i := at - (p.pre - len(whole)); i >= 0 {
					b.WriteByte(whole[i])
				} else {
					b.WriteByte('0')
				}
			}
			at++
		case ",":
			switch {
			case point || at > start:
				b.WriteByte(',')
			default:
				b.WriteString(blank(" "))
			}
		case ".":
			putSign()
			point = true
			if whole == "NaN" {
				return b.String()
			}
			b.WriteByte('.')
		case "S":
			if p.trailS {
				b.WriteString(sign("-", "+"))
			}
		case "MI":
			b.WriteString(sign("-", blank(" ")))
		case "PL":
			b.WriteString(sign(blank(" "), "+"))
		case "SG":
			b.WriteString(sign("-", "+"))
		case "PR":
			putSign()
			closeBracket()
		case "L":
			b.WriteString(blank(" "))
		case "TH":
			if !neg && !p.point {
				b.WriteString(ordinal(whole, x.text))
			}
		case "V", "B":
		default:
			b.WriteString(x.text)
		}
	}
	return b.String()
}

// digits are the number's digits before and behind the point, as many as the picture shows; # where
// it shows too few.
func (p *numberPicture) digits(d *apd.Decimal) (whole, frac string, neg bool) {
	neg = d.Negative
	if d.Form != apd.Finite {
		s := "NaN"
		if d.Form == apd.Infinite {
			s = "Infinity"
		}
		if len(s) > p.pre || d.Form == apd.Infinite {
			return strings.Repeat("#", p.pre), strings.Repeat("#", p.post), neg
		}
		return s, strings.Repeat(" ", p.post), false
	}
	v := new(apd.Decimal).Set(d)
	v.Exponent += int32(p.shift)
	v = types.RoundDecimal(v, int32(p.post))
	neg = neg && !v.IsZero()
	s := strings.TrimPrefix(v.Text('f'), "-")
	whole, frac, _ = strings.Cut(s, ".")
	frac += strings.Repeat("0", max(p.post-len(frac), 0))
	if whole == "0" && (p.point || p.pre == 0) {
		whole = ""
		if p.zeroFrom < 0 && p.post == 0 && p.pre > 0 {
			whole = "0"
		}
		if p.zeroFrom < 0 && v.IsZero() && p.pre > 0 {
			whole = "0"
			if p.post > 0 && !(p.fill && p.lastZero == 0) { // FM leaves nothing behind the point
				whole = ""
			}
		}
	}
	if len(whole) > p.pre {
		return strings.Repeat("#", p.pre), strings.Repeat("#", p.post), neg
	}
	if p.fill {
		keep := len(strings.TrimRight(frac, "0"))
		frac = frac[:max(keep, p.lastZero)]
	}
	return whole, frac, neg
}

func ordinal(whole, style string) string {
	n, _ := strconv.Atoi(whole[max(len(whole)-2, 0):])
	s := "th"
	if n/10 != 1 {
		switch n % 10 {
		case 1:
			s = "st"
		case 2:
			s = "nd"
		case 3:
			s = "rd"
		}
	}
	if style[0] == 'T' {
		return strings.ToUpper(s)
	}
	return s
}

func (p *numberPicture) romanText(d *apd.Decimal) string {
	n, _ := types.RoundDecimal(d, 0).Int64()
	s := strings.Repeat("#", 15)
	if n > 0 && n < 4000 {
		s = ""
		for _, r := range []struct {
			n int64
			s string
		}{{1000, "M"}, {900, "CM"}, {500, "D"}, {400, "CD"}, {100, "C"}, {90, "XC"}, {50, "L"}, {40, "XL"}, {10, "X"}, {9, "IX"}, {5, "V"}, {4, "IV"}, {1, "I"}} {
			for ; n >= r.n; n -= r.n {
				s += r.s
			}
		}
	}
	if p.roman[0] == 'r' {
		s = strings.ToLower(s)
	}
	if p.fill {
		return s
	}
	return fmt.Sprintf("%15s", s)
}

func (p *numberPicture) scientific(d *apd.Decimal) string {
	f := toFloat(types.NewDecimal(d)).Float()
	if d.Form != apd.Finite {
		return " " + strings.Repeat("#", p.pre) + "." + strings.Repeat("#", p.post+4)
	}
	s := strconv.FormatFloat(f, 'e', p.post, 64)
	if f >= 0 {
		s = " " + s
	}
	return s
}

// toNumber reads the digits that stand where the template has digits; group marks and other texts
// are stepped over.
func toNumber(_ ectx, a, f datum) (datum, error) {
	p, err := parseNumberPicture(f.Str())
	if err != nil {
		return types.Null, err
	}
	if p.exponent {
		return types.Null, sqlerr.New(sqlerr.FeatureNotSupported, "\"EEEE\" not supported for input")
	}
	if p.roman != "" {
		return types.Null, sqlerr.New(sqlerr.FeatureNotSupported, "\"RN\" not supported for input")
	}
	in := a.Str()
	neg, digits := false, ""
	takeSign := func() {
		in = strings.TrimLeft(in, " ")
		switch {
		case strings.HasPrefix(in, "-"):
			neg, in = true, in[1:]
		case strings.HasPrefix(in, "+"):
			in = in[1:]
		case p.brackets && strings.HasPrefix(in, "<"):
			neg, in = true, in[1:]
		}
	}
	point := false
	for _, x := range p.parts {
		switch x.key {
		case "9", "0":
			if digits == "" {
				takeSign()
			}
			switch {
			case in != "" && in[0] >= '0' && in[0] <= '9':
				digits, in = digits+in[:1], in[1:]
			case !point && strings.HasPrefix(in, "."): // fewer digits than the template has
			case in != "" && in[0] != '.' && in[0] != '-' && in[0] != '+':
				in = in[1:]
			}
		case ".":
			if digits == "" {
				takeSign()
			}
			if strings.HasPrefix(in, ".") {
				in = in[1:]
			}
			digits, point = digits+".", true
		case ",":
			in = strings.TrimPrefix(in, ",")
		case "S", "MI", "PL", "SG", "PR":
			takeSign()
		case "TH", "L", "V", "B":
			if in != "" && (in[0] < '0' || in[0] > '9') && x.key != "V" && x.key != "B" {
				in = in[min(len(x.text), len(in)):]
			}
		default:
			in = in[min(len(x.text), len(in)):]
		}
	}
	if strings.Trim(digits, ".") == "" {
		return types.Null, sqlerr.New(sqlerr.InvalidTextRepresentation, "invalid input syntax for type numeric: \"%s\"", " ")
	}
	d, err := types.ParseDecimal("0" + strings.TrimSuffix(digits, "."))
	if err != nil {
		return types.Null, err
	}
	d.Negative = neg && !d.IsZero()
	if p.shift > 0 {
		return numericDiv(nil, types.NewDecimal(d), types.NewDecimal(apd.New(1, int32(p.shift))))
	}
	return types.NewDecimal(d), nil
}

// intervalToChar formats an interval's fields as if they were those of a time; hours may pass 24.
func intervalToChar(_ ectx, a, f datum) (datum, error) {
	v := a.Interval()
	var b strings.Builder
	fields := map[string]int64{
		"HH24": v.Micros / 3600e6, "HH12": (v.Micros/3600e6%12+11)%12 + 1, "HH": (v.Micros/3600e6%12+11)%12 + 1, "MI": v.Micros / 60e6 % 60, "SS": v.Micros / 1e6 % 60,
		"MS": v.Micros / 1000 % 1000, "US": v.Micros % 1e6, "SSSS": v.Micros / 1e6, "DD": int64(v.Days),
		"MM": int64(v.Months % 12), "YYYY": int64(v.Months / 12), "YY": int64(v.Months / 12 % 100),
	}
	widths := map[string]int{"YYYY": 4, "MS": 3, "US": 6, "SSSS": 0}
	for rest := f.Str(); rest != ""; {
		if rest[0] == '"' {
			end := strings.IndexByte(rest[1:], '"')
			if end < 0 {
				end = len(rest) - 1
			}
			b.WriteString(rest[1 : 1+end])
			rest = rest[min(end+2, len(rest)):]
			continue
		}
		bare := strings.HasPrefix(rest, "FM")
		if bare {
			rest = rest[2:]
		}
		p := longestPattern(strings.ToUpper(rest))
		n, ok := fields[p]
		switch {
		case p == "" && rest != "":
			b.WriteByte(rest[0])
			rest = rest[1:]
			continue
		case p == "":
			continue
		case !ok:
			return types.Null, sqlerr.New(sqlerr.InvalidDatetimeFormat, "invalid format specification for an interval value").
				WithHint("Intervals are not tied to specific calendar dates.")
		}
		w, fixed := widths[p]
		if !fixed {
			w = 2
		}
		if n < 0 && w > 0 {
			w++
		}
		if bare {
			w = 0
		}
		fmt.Fprintf(&b, "%0*d", w, n)
		rest = rest[len(p):]
	}
	return text(b.String())
}
