package sql

import (
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/sql/parser"
	"github.com/cairndb/cairn/sql/sqlerr"
)

// copyFormat is how COPY reads and writes values (manual, COPY).
type copyFormat struct {
	csv, binary   bool
	header, match bool // match: the header must hold the columns' names
	delim         byte
	null          string
	quote         byte
	escape        byte
	forceQuote    copyColumns
	forceNull     copyColumns
	forceNotNull  copyColumns
}

func (f *copyFormat) wire() Format {
	if f.binary {
		return FormatBinary
	}
	return FormatText
}

// copyColumns is the column list of an option.
type copyColumns struct {
	option string
	names  []string
	all    bool
	at     []bool // by position, once the columns are known
}

func (c *copyColumns) given() bool    { return c.all || len(c.names) > 0 }
func (c *copyColumns) has(i int) bool { return c.all || i < len(c.at) && c.at[i] }

func (c *copyColumns) find(names []string) error {
	c.at = make([]bool, len(names))
	for _, n := range c.names {
		i := slices.Index(names, n)
		if i < 0 {
			return sqlerr.New(sqlerr.InvalidColumnReference, "%s column \"%s\" not referenced by COPY", c.option, n)
		}
		c.at[i] = true
	}
	return nil
}

// findColumns turns the names in the options into positions.
func (f *copyFormat) findColumns(names []string) error {
	for _, c := range []*copyColumns{&f.forceQuote, &f.forceNull, &f.forceNotNull} {
		if err := c.find(names); err != nil {
			return err
		}
	}
	return nil
}

// copyParser collects the options of one COPY.
type copyParser struct {
	f                          copyFormat
	st                         parser.Stmt
	from                       bool
	seen                       map[string]bool
	delim, null, quote, escape *string
}

func copyOptions(n *pg.CopyStmt, st parser.Stmt) (copyFormat, error) {
	p := copyParser{st: st, from: n.IsFrom, seen: map[string]bool{}, f: copyFormat{delim: '\t', null: `\N`, quote: '"', escape: '"'}}
	for _, o := range n.Options {
		d := o.GetDefElem()
		err := p.option(d)
		if err != nil {
			return p.f, sqlerr.From(err).WithPos(sqlerr.CharPosition(st.Query, int(d.Location)))
		}
	}
	if err := p.agree(); err != nil {
		return p.f, err
	}
	if n.WhereClause != nil {
		return p.f, sqlerr.Unsupported("COPY FROM … WHERE")
	}
	return p.f, nil
}

func (p *copyParser) option(d *pg.DefElem) error {
	if p.seen[d.Defname] {
		return sqlerr.New(sqlerr.SyntaxError, "conflicting or redundant options")
	}
	p.seen[d.Defname] = true
	v := ""
	if d.Arg != nil {
		v = constText(d.Arg)
	}
	switch d.Defname {
	case "format":
		p.f.csv, p.f.binary = v == "csv", v == "binary"
		if v != "text" && !p.f.csv && !p.f.binary {
			return sqlerr.New(sqlerr.InvalidParameterValue, "COPY format \"%s\" not recognized", v)
		}
	case "delimiter":
		p.delim = &v
	case "null":
		p.null = &v
	case "quote":
		p.quote = &v
	case "escape":
		p.escape = &v
	case "header":
		return p.header(v)
	case "force_quote":
		p.f.forceQuote = columnList("FORCE_QUOTE", d.Arg)
	case "force_null":
		p.f.forceNull = columnList("FORCE_NULL", d.Arg)
	case "force_not_null":
		p.f.forceNotNull = columnList("FORCE_NOT_NULL", d.Arg)
	case "freeze":
	case "encoding":
		_, err := applyEncoding(nil, v)
		return err
	default:
		return sqlerr.New(sqlerr.SyntaxError, "option \"%s\" not recognized", d.Defname)
	}
	return nil
}

func (p *copyParser) header(v string) error {
	switch strings.ToLower(v) {
	case "", "on", "true", "1":
		p.f.header = true
	case "off", "false", "0":
	case "match":
		if !p.from {
			return sqlerr.New(sqlerr.FeatureNotSupported, "cannot use \"match\" with HEADER in COPY TO")
		}
		p.f.header, p.f.match = true, true
	default:
		return sqlerr.New(sqlerr.SyntaxError, "header requires a Boolean value or \"match\"")
	}
	return nil
}

func columnList(option string, n *pg.Node) copyColumns {
	c := copyColumns{option: option}
	if n.GetAStar() != nil {
		c.all = true
		return c
	}
	for _, x := range n.GetList().GetItems() {
		c.names = append(c.names, x.GetString_().GetSval())
	}
	return c
}

// agree refuses options that do not go together, and fills in what depends on the format.
func (p *copyParser) agree() error {
	f := &p.f
	if f.binary {
		for _, o := range []struct {
			name  string
			given bool
		}{{"DELIMITER", p.delim != nil}, {"NULL", p.null != nil}} {
			if o.given {
				return sqlerr.New(sqlerr.SyntaxError, "cannot specify %s in BINARY mode", o.name)
			}
		}
		if f.header {
			return sqlerr.New(sqlerr.FeatureNotSupported, "cannot specify HEADER in BINARY mode")
		}
	}
	for _, o := range []struct {
		name  string
		given bool
	}{{"quote", p.quote != nil}, {"escape", p.escape != nil}, {"force quote", f.forceQuote.given()},
		{"force not null", f.forceNotNull.given()}, {"force null", f.forceNull.given()}} {
		if o.given && !f.csv {
			return sqlerr.New(sqlerr.FeatureNotSupported, "COPY %s available only in CSV mode", o.name)
		}
	}
	if f.forceQuote.given() && p.from {
		return sqlerr.New(sqlerr.FeatureNotSupported, "COPY force quote only available using COPY TO")
	}
	if (f.forceNull.given() || f.forceNotNull.given()) && !p.from {
		return sqlerr.New(sqlerr.FeatureNotSupported, "COPY force null only available using COPY FROM")
	}
	if f.csv {
		f.delim, f.null = ',', ""
	}
	return p.chars()
}

func (p *copyParser) chars() error {
	f := &p.f
	if p.null != nil {
		f.null = *p.null
	}
	if err := oneChar(&f.delim, p.delim, "delimiter"); err != nil {
		return err
	}
	if err := oneChar(&f.quote, p.quote, "quote"); err != nil {
		return err
	}
	f.escape = f.quote
	if err := oneChar(&f.escape, p.escape, "escape"); err != nil {
		return err
	}
	switch {
	case f.delim == '\n' || f.delim == '\r':
		return sqlerr.New(sqlerr.InvalidParameterValue, "COPY delimiter cannot be newline or carriage return")
	case !f.csv && !f.binary && strings.IndexByte(`\.abcdefghijklmnopqrstuvwxyz0123456789`, f.delim) >= 0:
		return sqlerr.New(sqlerr.InvalidParameterValue, "COPY delimiter cannot be \"%c\"", f.delim)
	case f.csv && f.delim == f.quote:
		return sqlerr.New(sqlerr.InvalidParameterValue, "COPY delimiter and quote must be different")
	}
	return nil
}

func oneChar(dst *byte, v *string, name string) error {
	if v == nil {
		return nil
	}
	if len(*v) != 1 {
		return sqlerr.New(sqlerr.FeatureNotSupported, "COPY %s must be a single one-byte character", name)
	}
	*dst = (*v)[0]
	return nil
}
