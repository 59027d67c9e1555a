package sql

import (
	"encoding/binary"
	"io"

	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// The binary format of COPY (manual, COPY, "Binary Format"):
//
//	signature  flags  length of extension │ count  length value  length value … │ … │ -1
//	11 bytes   int32  int32               │ int16  int32  bytes                 │   │ int16
//
// A length of -1 is NULL. Values are as in the binary format of the protocol.
const (
	copySignature  = "PGCOPY\n\xff\r\n\x00"
	copyBinaryHead = copySignature + "\x00\x00\x00\x00\x00\x00\x00\x00"
	// copyCriticalFlags are the flag bits a reader must understand; there are none yet but 16, which
	// said that row ids follow.
	copyCriticalFlags = 0xffff0000
)

func (c *copyWriter) binaryRow(slots []types.Datum, out []bind.ColID) error {
	c.buf = binary.BigEndian.AppendUint16(c.buf, uint16(len(out)))
	for i, id := range out {
		d := slots[id]
		if d.IsNull() {
			c.buf = append(c.buf, 0xff, 0xff, 0xff, 0xff)
			continue
		}
		at := len(c.buf)
		c.buf = types.AppendBinary(append(c.buf, 0, 0, 0, 0), c.cols[i].Type, d)
		binary.BigEndian.PutUint32(c.buf[at:], uint32(len(c.buf)-at-4))
	}
	return c.w.CopyData(c.buf)
}

// tail writes what comes after the rows.
func (c *copyWriter) tail() error {
	if !c.f.binary {
		return nil
	}
	return c.w.CopyData([]byte{0xff, 0xff})
}

func badCopy(format string, args ...any) error {
	return sqlerr.New(sqlerr.BadCopyFileFormat, format, args...)
}

// take returns the next n bytes; false if the data ends before.
func (c *copyCursor) take(n int) ([]byte, bool, error) {
	for len(c.buf)-c.at < n && !c.eof {
		if err := c.more(); err != nil {
			return nil, false, err
		}
	}
	if len(c.buf)-c.at < n {
		return nil, false, nil
	}
	c.at += n
	return c.buf[c.at-n : c.at], true, nil
}

func (c *copyCursor) binaryHead() error {
	b, ok, err := c.take(len(copySignature))
	if err != nil {
		return err
	}
	if !ok || string(b) != copySignature {
		return badCopy("COPY file signature not recognized")
	}
	if b, ok, err = c.take(4); err != nil || !ok {
		return orBadCopy(err, "invalid COPY file header (missing flags)")
	}
	if flags := binary.BigEndian.Uint32(b); flags&copyCriticalFlags != 0 {
		return badCopy("unrecognized critical flags in COPY file header")
	}
	if b, ok, err = c.take(4); err != nil || !ok {
		return orBadCopy(err, "invalid COPY file header (missing length)")
	}
	n := int32(binary.BigEndian.Uint32(b))
	if n < 0 || n > copyLineMax {
		return badCopy("invalid COPY file header (wrong length)")
	}
	if _, ok, err = c.take(int(n)); err != nil || !ok {
		return orBadCopy(err, "invalid COPY file header (wrong length)")
	}
	return nil
}

func orBadCopy(err error, msg string) error {
	if err != nil {
		return err
	}
	return badCopy("%s", msg)
}

// nextBinary reads a row into the statement's parameters.
func (c *copyCursor) nextBinary() (bool, error) {
	c.n++
	b, ok, err := c.take(2)
	if err != nil || !ok {
		return false, err // an end without a trailer is taken for the end, as Postgres does
	}
	count := int16(binary.BigEndian.Uint16(b))
	if count == -1 {
		return false, c.nothingFollows()
	}
	if int(count) != len(c.types) {
		return false, c.binaryWhere(badCopy("row field count is %d, expected %d", count, len(c.types)), "")
	}
	for i := range c.types {
		if err := c.binaryField(i); err != nil {
			return false, c.binaryWhere(err, c.names[i])
		}
	}
	return true, nil
}

// nothingFollows reads what the client may still send, which must be nothing.
func (c *copyCursor) nothingFollows() error {
	if len(c.buf) > c.at {
		return c.binaryWhere(badCopy("received copy data after EOF marker"), "")
	}
	for !c.eof {
		data, err := c.in.Next()
		switch {
		case err == io.EOF:
			c.eof = true
		case err != nil:
			return err
		case len(data) > 0:
			return c.binaryWhere(badCopy("received copy data after EOF marker"), "")
		}
	}
	return nil
}

func (c *copyCursor) binaryField(i int) error {
	b, ok, err := c.take(4)
	if err != nil || !ok {
		return orBadCopy(err, "unexpected EOF in COPY data")
	}
	n := int32(binary.BigEndian.Uint32(b))
	switch {
	case n == -1:
		c.r.Params[i] = types.Null
		return nil
	case n < 0:
		return badCopy("invalid field size")
	case n > copyLineMax:
		return sqlerr.New(sqlerr.ProgramLimitExceeded, "a value of COPY data is longer than %d bytes", copyLineMax)
	}
	if b, ok, err = c.take(int(n)); err != nil || !ok {
		return orBadCopy(err, "unexpected EOF in COPY data")
	}
	c.r.Params[i], err = types.ParseBinary(c.types[i], b)
	return err
}

func (c *copyCursor) binaryWhere(err error, column string) error {
	if column != "" {
		return sqlerr.From(err).WithWhere("COPY %s, line %d, column %s", c.table, c.n, column)
	}
	return sqlerr.From(err).WithWhere("COPY %s, line %d", c.table, c.n)
}
