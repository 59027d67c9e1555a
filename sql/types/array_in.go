package types

import (
	"strings"

	"github.com/cairndb/cairn/sql/sqlerr"
)

// parseArray reads {a,"b c",NULL}.
func parseArray(t T, s string, env *Env) (Datum, error) {
	elem, _ := t.Elem()
	if t.OID == OIDInt2Vector || t.OID == OIDOidVector {
		s = "{" + strings.Join(strings.Fields(s), ",") + "}"
	}
	p := arrayParser{s: trimSpace(s), all: s}
	items, err := p.items()
	if err != nil {
		return Null, err
	}
	elems := make([]Datum, len(items))
	for i, it := range items {
		if it.null {
			continue
		}
		if elems[i], err = ParseText(elem, it.text, env); err != nil {
			return Null, err
		}
	}
	return NewArray(elem.Base(), elems), nil
}

type arrayItem struct {
	text string
	null bool
}

type arrayParser struct {
	s, all string
	i      int
}

func (p *arrayParser) malformed(detail string) error {
	return sqlerr.New(sqlerr.InvalidTextRepresentation, "malformed array literal: \"%s\"", p.all).WithDetail("%s", detail)
}

func (p *arrayParser) items() ([]arrayItem, error) {
	if strings.HasPrefix(p.s, "[") {
		return nil, sqlerr.Unsupported("array literals with explicit bounds")
	}
	if !strings.HasPrefix(p.s, "{") {
		return nil, p.malformed(`Array value must start with "{" or dimension information.`)
	}
	p.i = 1
	var out []arrayItem
	p.blanks()
	if p.i < len(p.s) && p.s[p.i] == '}' {
		p.i++
		return nil, p.end()
	}
	for {
		it, err := p.item()
		if err != nil {
			return nil, err
		}
		out = append(out, it)
		p.blanks()
		if p.i >= len(p.s) {
			return nil, p.malformed("Unexpected end of input.")
		}
		c := p.s[p.i]
		p.i++
		if c == '}' {
			return out, p.end()
		}
		if c != ',' {
			return nil, p.malformed("Unexpected array element.")
		}
	}
}

func (p *arrayParser) end() error {
	if p.i != len(p.s) {
		return p.malformed("Junk after closing right brace.")
	}
	return nil
}

func (p *arrayParser) blanks() {
	for p.i < len(p.s) && strings.IndexByte(" \t\n\r\v\f", p.s[p.i]) >= 0 {
		p.i++
	}
}

func (p *arrayParser) item() (arrayItem, error) {
	p.blanks()
	if p.i >= len(p.s) {
		return arrayItem{}, p.malformed("Unexpected end of input.")
	}
	switch p.s[p.i] {
	case '{':
		return arrayItem{}, sqlerr.Unsupported("arrays of more than one dimension")
	case ',', '}':
		return arrayItem{}, p.malformed("Unexpected \"" + p.s[p.i:p.i+1] + "\" character.")
	case '"':
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
