package types

import (
	"strconv"
	"strings"

	"github.com/cairndb/cairn/sql/sqlerr"
)

// parseArray reads {a,"b c",NULL}, {{1,2},{3,4}} and [0:1]={1,2}.
func parseArray(t T, s string, env *Env) (Datum, error) {
	elem, _ := t.Elem()
	if t.OID == OIDInt2Vector || t.OID == OIDOidVector {
		s = "{" + strings.Join(strings.Fields(s), ",") + "}"
	}
	p := arrayParser{s: trimSpace(s), all: s}
	bounds, err := p.bounds()
	if err == nil {
		err = p.array()
	}
	if err != nil {
		return Null, err
	}
	elems := make([]Datum, len(p.items))
	for i, it := range p.items {
		if it.null {
			continue
		}
		if elems[i], err = ParseText(elem, it.text, env); err != nil {
			return Null, err
		}
	}
	dims, err := p.shape(bounds)
	return NewShapedArray(elem.Base(), elems, dims), err
}

type arrayItem struct {
	text string
	null bool
}

// arrayParser collects the elements of a literal, and how many parts each depth of braces has.
type arrayParser struct {
	s, all string
	i      int
	items  []arrayItem
	lens   []int // by depth; -1 until the first of its braces is closed
	leaf   int   // the depth whose braces hold elements, 0 until one is met
}

func (p *arrayParser) malformed(detail string) error {
	return sqlerr.New(sqlerr.InvalidTextRepresentation, "malformed array literal: \"%s\"", p.all).WithDetail("%s", detail)
}

// bounds reads [1:2][3:4]= before the braces.
func (p *arrayParser) bounds() (out []ArrayDim, err error) {
	for p.i < len(p.s) && p.s[p.i] == '[' {
		end := strings.IndexByte(p.s[p.i:], ']')
		if end < 0 {
			return nil, p.malformed("Missing \"]\" after array dimensions.")
		}
		lo, hi, both := strings.Cut(p.s[p.i+1:p.i+end], ":")
		if !both {
			lo, hi = "1", lo
		}
		l, err1 := strconv.ParseInt(strings.TrimSpace(lo), 10, 32)
		h, err2 := strconv.ParseInt(strings.TrimSpace(hi), 10, 32)
		switch {
		case err1 != nil || err2 != nil:
			return nil, p.malformed("\"[\" must introduce explicitly-specified array dimensions.")
		case h < l:
			return nil, sqlerr.New(sqlerr.ArraySubscriptError, "upper bound cannot be less than lower bound")
		case h-l >= arrayElemsMax:
			return nil, sqlerr.New(sqlerr.ProgramLimitExceeded, "array size exceeds the maximum allowed (%d)", arrayElemsMax)
		}
		out = append(out, ArrayDim{Len: int32(h - l + 1), Lower: int32(l)})
		p.i += end + 1
		p.blanks()
	}
	if len(out) > arrayDimsMax {
		return nil, tooManyDims(len(out))
	}
	if len(out) > 0 {
		if p.i >= len(p.s) || p.s[p.i] != '=' {
			return nil, p.malformed("Missing \"=\" after array dimensions.")
		}
		p.i++
		p.blanks()
	}
	if p.i >= len(p.s) || p.s[p.i] != '{' {
		if len(out) > 0 {
			return nil, p.malformed("Array contents must start with \"{\".")
		}
		return nil, p.malformed(`Array value must start with "{" or dimension information.`)
	}
	return out, nil
}

// shape is the dimensions of what has been read, which those that were given must agree with.
func (p *arrayParser) shape(bounds []ArrayDim) ([]ArrayDim, error) {
	if len(p.items) == 0 {
		if len(bounds) > 0 {
			return nil, p.malformed("Specified array dimensions do not match array contents.")
		}
		return nil, nil
	}
	dims := make([]ArrayDim, len(p.lens))
	for k, n := range p.lens {
		dims[k] = ArrayDim{Len: int32(n), Lower: 1}
	}
	if bounds == nil {
		return dims, nil
	}
	if len(bounds) != len(dims) {
		return nil, p.malformed("Specified array dimensions do not match array contents.")
	}
	for k := range dims {
		if dims[k].Len != bounds[k].Len {
			return nil, p.malformed("Specified array dimensions do not match array contents.")
		}
	}
	return bounds, nil
}

func (p *arrayParser) array() error {
	if err := p.braces(1); err != nil {
		return err
	}
	if p.i != len(p.s) {
		return p.malformed("Junk after closing right brace.")
	}
	return nil
}

// braces reads { … } at a depth: elements, or more braces.
func (p *arrayParser) braces(depth int) error {
	if depth > arrayDimsMax {
		return tooManyDims(depth)
	}
	if len(p.lens) < depth {
		p.lens = append(p.lens, -1)
	}
	p.i++
	p.blanks()
	n := 0
	if p.i < len(p.s) && p.s[p.i] == '}' && depth == 1 {
		p.i++
		return p.closed(depth, 0)
	}
	for {
		p.blanks()
		if p.i >= len(p.s) {
			return p.malformed("Unexpected end of input.")
		}
		if err := p.part(depth, n); err != nil {
			return err
		}
		n++
		p.blanks()
		if p.i >= len(p.s) {
			return p.malformed("Unexpected end of input.")
		}
		c := p.s[p.i]
		p.i++
		if c == '}' {
			return p.closed(depth, n)
		}
		if c != ',' {
			return p.malformed("Unexpected array element.")
		}
	}
}

// part reads the n-th part within braces.
func (p *arrayParser) part(depth, n int) error {
	if p.s[p.i] == '{' {
		if p.leaf != 0 && depth >= p.leaf {
			return p.malformed("Unexpected \"{\" character.")
		}
		return p.braces(depth + 1)
	}
	if p.s[p.i] == '}' || p.s[p.i] == ',' {
		return p.malformed("Unexpected \"" + p.s[p.i:p.i+1] + "\" character.")
	}
	if p.leaf == 0 && len(p.lens) == depth {
		p.leaf = depth
	}
	if depth != p.leaf {
		return p.malformed("Unexpected array element.")
	}
	it, err := p.item()
	p.items = append(p.items, it)
	return err
}

// closed notes how many parts braces had: as many as all of their depth.
func (p *arrayParser) closed(depth, n int) error {
	if p.lens[depth-1] >= 0 && p.lens[depth-1] != n {
		return p.malformed("Multidimensional arrays must have sub-arrays with matching dimensions.")
	}
	p.lens[depth-1] = n
	return nil
}

func (p *arrayParser) blanks() {
	for p.i < len(p.s) && strings.IndexByte(" \t\n\r\v\f", p.s[p.i]) >= 0 {
		p.i++
	}
}

func (p *arrayParser) item() (arrayItem, error) {
	if p.s[p.i] == '"' {
		return p.quoted()
	}
	var b []byte
	escaped := false
	for p.i < len(p.s) && p.s[p.i] != ',' && p.s[p.i] != '}' {
		c := p.s[p.i]
		if c == '"' || c == '{' {
			return arrayItem{}, p.malformed("Unexpected array element.")
		}
		if c == '\\' && p.i+1 < len(p.s) {
			p.i++
			escaped = true
		}
		b = append(b, p.s[p.i])
		p.i++
	}
	text := strings.TrimRight(string(b), " \t\n\r\v\f")
	return arrayItem{text: text, null: !escaped && strings.EqualFold(text, "null")}, nil
}

func (p *arrayParser) quoted() (arrayItem, error) {
	var b []byte
	for p.i++; p.i < len(p.s); p.i++ {
		switch p.s[p.i] {
		case '"':
			p.i++
			return arrayItem{text: string(b)}, nil
		case '\\':
			if p.i++; p.i >= len(p.s) {
				return arrayItem{}, p.malformed("Unexpected end of input.")
			}
		}
		b = append(b, p.s[p.i])
	}
	return arrayItem{}, p.malformed("Unexpected end of input.")
}
