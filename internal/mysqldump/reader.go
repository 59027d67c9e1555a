package mysqldump

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"
)

// StatementBytesMax is how long a statement of a dump may be: what a server takes (I1).
const StatementBytesMax = 16 << 20

// Statement is a statement of a dump.
type Statement struct {
	// Text is without comments, but for those that MySQL executes, and without what ends it.
	Text string
	// Line is where it begins, from 1.
	Line int
}

// Reader cuts a dump into statements.
type Reader struct {
	in        *bufio.Reader
	line      int
	delimiter string
	read      int64
	buf       bytes.Buffer
	start     int // the line of the statement in buf, 0 if there is none yet
}

// NewReader returns a reader of a dump.
func NewReader(in io.Reader) *Reader {
	return &Reader{in: bufio.NewReaderSize(in, 1<<16), line: 1, delimiter: ";"}
}

// BytesRead says how far the reader is.
func (r *Reader) BytesRead() int64 { return r.read }

// Next returns the next statement, and io.EOF after the last.
func (r *Reader) Next() (Statement, error) {
	r.buf.Reset()
	r.start = 0
	for {
		c, err := r.readByte()
		if err == io.EOF {
			return r.last()
		}
		if err != nil {
			return Statement{}, err
		}
		if r.buf.Len() >= StatementBytesMax {
			return Statement{}, fmt.Errorf("line %d: a statement is longer than %d bytes; dump with a smaller --net-buffer-length, or with --skip-extended-insert",
				r.start, StatementBytesMax)
		}
		if err := r.one(c); err != nil {
			return Statement{}, err
		}
		if text, ok := bytes.CutSuffix(r.buf.Bytes(), []byte(r.delimiter)); ok && c == r.delimiter[len(r.delimiter)-1] {
			if s := r.statement(text); s.Text != "" {
				return s, nil
			}
			r.buf.Reset()
			r.start = 0
		}
	}
}

// last is what stands after the last delimiter.
func (r *Reader) last() (Statement, error) {
	s := r.statement(r.buf.Bytes())
	if s.Text == "" {
		return s, io.EOF
	}
	return s, nil
}

func (r *Reader) statement(text []byte) Statement {
	return Statement{Text: strings.TrimSpace(string(text)), Line: r.start}
}

func (r *Reader) readByte() (byte, error) {
	c, err := r.in.ReadByte()
	if err == nil {
		r.read++
		if c == '\n' {
			r.line++
		}
	}
	return c, err
}

// one takes a byte, and with it the rest of a quoted string or a comment that begins there.
func (r *Reader) one(c byte) error {
	switch {
	case c == '\'' || c == '"' || c == '`':
		return r.quoted(c)
	case c == '#', c == '-' && r.follows("- ", "-\n", "-\t", "-\r"):
		return r.skipLine()
	case c == '/' && r.follows("*") && !r.follows("*!", "*+"):
		return r.skipComment()
	case r.start == 0 && (c == 'D' || c == 'd') && r.word("elimiter"):
		return r.setDelimiter()
	case r.start == 0 && c <= ' ':
		return nil
	}
	r.put(c)
	return nil
}

func (r *Reader) put(c byte) {
	if r.start == 0 {
		r.start = r.line
	}
	r.buf.WriteByte(c)
}

// follows says whether one of these comes next.
func (r *Reader) follows(next ...string) bool {
	for _, s := range next {
		if b, _ := r.in.Peek(len(s)); string(b) == s {
			return true
		}
	}
	return false
}

func (r *Reader) word(rest string) bool {
	b, _ := r.in.Peek(len(rest) + 1)
	return len(b) == len(rest)+1 && strings.EqualFold(string(b[:len(rest)]), rest) && b[len(rest)] <= ' '
}

func (r *Reader) quoted(quote byte) error {
	r.put(quote)
	for {
		c, err := r.readByte()
		if err == io.EOF {
			return fmt.Errorf("line %d: a quoted string does not end", r.start)
		}
		if err != nil {
			return err
		}
		if r.buf.Len() >= StatementBytesMax {
			return nil // Next refuses it
		}
		r.put(c)
		switch {
		case c == '\\' && quote != '`':
			if c, err = r.readByte(); err == nil {
				r.put(c)
			}
		case c == quote:
			return nil // a doubled quote begins another string, which is as good
		}
	}
}

func (r *Reader) skipLine() error {
	for {
		c, err := r.readByte()
		if err == io.EOF || c == '\n' && err == nil {
			if r.start != 0 {
				r.buf.WriteByte('\n')
			}
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (r *Reader) skipComment() error {
	line := r.line
	var last byte
	if _, err := r.readByte(); err != nil { // the asterisk
		return err
	}
	for {
		c, err := r.readByte()
		if err == io.EOF {
			return fmt.Errorf("line %d: a comment does not end", line)
		}
		if err != nil {
			return err
		}
		if last == '*' && c == '/' {
			if r.start != 0 {
				r.buf.WriteByte(' ')
			}
			return nil
		}
		last = c
	}
}

// setDelimiter takes the client's command DELIMITER, which no server sees.
func (r *Reader) setDelimiter() error {
	var b []byte
	for len(b) < 100 {
		c, err := r.readByte()
		if err == io.EOF || err == nil && c == '\n' {
			break
		}
		if err != nil {
			return err
		}
		b = append(b, c)
	}
	if d := strings.Fields(string(b)); len(d) == 2 {
		r.delimiter = d[1]
		return nil
	}
	return fmt.Errorf("line %d: DELIMITER needs one word", r.line)
}
