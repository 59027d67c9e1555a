package sql

import (
	"bytes"
	"io"

	"github.com/cairndb/cairn/sql/exec"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// copyLineMax bounds a line of COPY data.
const copyLineMax = 64 << 20

// copySource is the operator that reads COPY data: each Next parses a line into the statement's
// parameters.
type copySource struct {
	f     copyFormat
	in    CopyReader
	types []types.T
	names []string
	table string
	env   *types.Env
}

// Explain implements exec.Node.
func (c *copySource) Explain() exec.Explained { return exec.Explained{Title: "Copy from client"} }

// Open implements exec.Node.
func (c *copySource) Open(r *exec.Run) (exec.Cursor, error) {
	cur := &copyCursor{copySource: c, r: r}
	switch {
	case c.f.binary:
		return cur, cur.binaryHead()
	case c.f.header:
		return cur, cur.headerLine()
	}
	return cur, nil
}

// headerLine skips the first line, or compares it with the columns.
func (c *copyCursor) headerLine() error {
	line, ok, err := c.line()
	c.n = 1
	if err != nil || !ok || !c.f.match {
		return err
	}
	c.cur = line
	if err := c.split(line); err != nil {
		return c.where(err)
	}
	if len(c.vals) != len(c.names) {
		return c.where(badCopy("wrong number of fields in header line: got %d, expected %d", len(c.vals), len(c.names)))
	}
	for i, v := range c.vals {
		if v.null {
			return c.where(badCopy("column name mismatch in header line field %d: got null value (\"%s\"), expected \"%s\"", i+1, c.f.null, c.names[i]))
		}
		if string(v.s) != c.names[i] {
			return c.where(badCopy("column name mismatch in header line field %d: got \"%s\", expected \"%s\"", i+1, v.s, c.names[i]))
		}
	}
	return nil
}

func (c *copyCursor) split(line []byte) error {
	if c.f.csv {
		return c.splitCSV(line)
	}
	return c.splitText(line)
}

type copyCursor struct {
	*copySource
	r    *exec.Run
	buf  []byte
	at   int
	eof  bool
	done bool
	n    int // lines read
	cur  []byte
	vals []copyValue
	text []byte
}

type copyValue struct {
	s    []byte
	null bool
}

// Close implements exec.Cursor.
func (c *copyCursor) Close() {}

// Next implements exec.Cursor.
func (c *copyCursor) Next() (bool, error) {
	if c.f.binary {
		return c.nextBinary()
	}
	line, ok, err := c.line()
	if err != nil || !ok {
		return false, err
	}
	c.n++
	c.cur = line
	if err := c.split(line); err != nil {
		return false, c.where(err)
	}
	return true, c.parse()
}

func (c *copyCursor) where(err error) error {
	return sqlerr.From(err).WithWhere("COPY %s, line %d: \"%s\"", c.table, c.n, short(c.cur))
}

// short cuts what is shown of bad data.
func short(b []byte) string {
	if len(b) > 100 {
		return string(b[:100]) + "..."
	}
	return string(b)
}

// line returns the next line without its end. The marker \. alone ends the data.
func (c *copyCursor) line() ([]byte, bool, error) {
	scanned, inQuote := c.at, false
	for !c.done {
		for i := scanned; i < len(c.buf); i++ {
			b := c.buf[i]
			if c.f.csv && b == c.f.quote {
				inQuote = !inQuote
			}
			if b != '\n' || inQuote {
				continue
			}
			line := c.buf[c.at:i]
			c.at = i + 1
			return c.endOfLine(line)
		}
		scanned = len(c.buf)
		if c.eof {
			line := c.buf[c.at:]
			c.at = len(c.buf)
			c.done = true
			if len(line) == 0 {
				return nil, false, nil
			}
			return c.endOfLine(line)
		}
		moved := c.at
		if err := c.more(); err != nil {
			return nil, false, err
		}
		scanned -= moved
	}
	return nil, false, c.drain()
}

func (c *copyCursor) endOfLine(line []byte) ([]byte, bool, error) {
	line = bytes.TrimSuffix(line, []byte{'\r'})
	if string(line) == `\.` {
		c.done = true
		return nil, false, c.drain()
	}
	return line, true, nil
}

// drain reads what the client sends after the end marker.
func (c *copyCursor) drain() error {
	for !c.eof {
		if _, err := c.in.Next(); err == io.EOF {
			c.eof = true
		} else if err != nil {
			return err
		}
	}
	return nil
}

// more appends the next message to the buffer.
func (c *copyCursor) more() error {
	data, err := c.in.Next()
	if err == io.EOF {
		c.eof = true
		err = nil
		data = nil
	}
	if err != nil {
		return err
	}
	rest := len(c.buf) - c.at
	if rest+len(data) > copyLineMax {
		return sqlerr.New(sqlerr.ProgramLimitExceeded, "a line of COPY data is longer than %d bytes", copyLineMax)
	}
	copy(c.buf, c.buf[c.at:])
	c.buf = append(c.buf[:rest], data...)
	c.at = 0
	return nil
}

// splitText cuts a line of the text format at delimiters and takes its escapes away.
func (c *copyCursor) splitText(line []byte) error {
	c.vals, c.text = c.vals[:0], c.text[:0]
	if cap(c.text) < len(line) {
		c.text = make([]byte, 0, 2*len(line))
	}
	start := 0
	for i := 0; i <= len(line); i++ {
		if i < len(line) && line[i] == '\\' {
			i++
			continue
		}
		if i >= len(line) || line[i] == c.f.delim {
			c.addText(line[start:min(i, len(line))])
			start = i + 1
		}
	}
	return nil
}

func (c *copyCursor) addText(raw []byte) {
	if string(raw) == c.f.null {
		c.vals = append(c.vals, copyValue{null: true})
		return
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		c.vals = append(c.vals, copyValue{s: raw})
		return
	}
	from := len(c.text)
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' || i+1 >= len(raw) {
			c.text = append(c.text, raw[i])
			continue
		}
		i++
		i += c.escape(raw[i:])
	}
	c.vals = append(c.vals, copyValue{s: c.text[from:]})
}

// escape appends what an escape sequence stands for and returns how many bytes beside its first it
// took.
func (c *copyCursor) escape(s []byte) int {
	if i := bytes.IndexByte([]byte("bfnrtv"), s[0]); i >= 0 {
		c.text = append(c.text, "\b\f\n\r\t\v"[i])
		return 0
	}
	base, digits, n := 8, 3, 0
	if s[0] == 'x' && len(s) > 1 && hexDigit(s[1]) >= 0 {
		base, digits, n = 16, 2, 1
	} else if s[0] < '0' || s[0] > '7' {
		c.text = append(c.text, s[0])
		return 0
	}
	v, took := 0, 0
	for ; took < digits && n < len(s); took, n = took+1, n+1 {
		d := hexDigit(s[n])
		if d < 0 || d >= base {
			break
		}
		v = v*base + d
	}
	c.text = append(c.text, byte(v))
	return n - 1
}

func hexDigit(b byte) int {
	switch {
	case b >= '0' && b <= '9':
		return int(b - '0')
	case b >= 'a' && b <= 'f':
		return int(b-'a') + 10
	case b >= 'A' && b <= 'F':
		return int(b-'A') + 10
	}
	return -1
}

// splitCSV cuts a record of the csv format; a quoted value is never NULL.
func (c *copyCursor) splitCSV(line []byte) error {
	c.vals, c.text = c.vals[:0], c.text[:0]
	if cap(c.text) < len(line) {
		c.text = make([]byte, 0, 2*len(line))
	}
	from, quoted, in := 0, false, false
	end := func() {
		v, i := c.text[from:], len(c.vals)
		null := string(v) == c.f.null && (!quoted && !c.f.forceNotNull.has(i) || quoted && c.f.forceNull.has(i))
		c.vals = append(c.vals, copyValue{s: v, null: null})
		from, quoted = len(c.text), false
	}
	for i := 0; i < len(line); i++ {
		b := line[i]
		switch {
		case in && b == c.f.escape && i+1 < len(line) && (line[i+1] == c.f.quote || line[i+1] == c.f.escape):
			i++
			c.text = append(c.text, line[i])
		case b == c.f.quote:
			in, quoted = !in, true
		case !in && b == c.f.delim:
			end()
		default:
			c.text = append(c.text, b)
		}
	}
	if in {
		return sqlerr.New(sqlerr.BadCopyFileFormat, "unterminated CSV quoted field")
	}
	end()
	return nil
}

// parse turns the values into the statement's parameters.
func (c *copyCursor) parse() error {
	if len(c.vals) < len(c.types) {
		return c.where(sqlerr.New(sqlerr.BadCopyFileFormat, "missing data for column \"%s\"", c.names[len(c.vals)]))
	}
	if len(c.vals) > len(c.types) {
		return c.where(sqlerr.New(sqlerr.BadCopyFileFormat, "extra data after last expected column"))
	}
	for i, v := range c.vals {
		if v.null {
			c.r.Params[i] = types.Null
			continue
		}
		d, err := types.ParseText(c.types[i], string(v.s), c.env)
		if err != nil {
			return sqlerr.From(err).WithWhere("COPY %s, line %d, column %s: \"%s\"", c.table, c.n, c.names[i], short(v.s))
		}
		c.r.Params[i] = d
	}
	return nil
}
