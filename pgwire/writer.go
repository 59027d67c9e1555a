package pgwire

import (
	"encoding/binary"
	"io"
	"sync/atomic"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/cairndb/cairn/sql"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// writer encodes what a session says and implements sql.ResultWriter. Output
// gathers in buf and can be taken back until it is sent (I3).
type writer struct {
	out  io.Writer
	env  *types.Env
	sent *atomic.Int64
	buf  []byte
	// base is the position of buf[0] in all output of the connection.
	base int64
	// open is where in buf the message begins that is being written, plus one; 0: none is. One that a panic
	// of its values has left half written (package contain) is dropped by the next.
	open int
	cols []sql.Column
	err  error
	// copyIn starts reading copy data from the client.
	copyIn func() sql.CopyReader
}

var _ sql.ResultWriter = (*writer)(nil)

// send encodes a message of pgproto3. Encoding fails only for messages that
// are too long for the protocol.
func (w *writer) send(m pgproto3.BackendMessage) {
	b, err := m.Encode(w.buf)
	if err != nil {
		w.fail(err)
		return
	}
	w.buf = b
}

func (w *writer) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

// flush sends all output.
func (w *writer) flush() error {
	if w.err != nil || len(w.buf) == 0 {
		return w.err
	}
	n, err := w.out.Write(w.buf)
	w.sent.Add(int64(n))
	w.base += int64(len(w.buf))
	w.buf = w.buf[:0]
	if cap(w.buf) > writeBufferKeep {
		w.buf = nil
	}
	if err != nil {
		w.fail(err)
	}
	return w.err
}

// Flush implements sql.Flusher.
func (w *writer) Flush() error { return w.flush() }

func (w *writer) maybeFlush() error {
	if len(w.buf) >= writeBufferMax {
		return w.flush()
	}
	return w.err
}

// Mark implements sql.ResultWriter.
func (w *writer) Mark() sql.Mark { return sql.Mark(w.base + int64(len(w.buf))) }

// Rewind implements sql.ResultWriter.
func (w *writer) Rewind(m sql.Mark) bool {
	if int64(m) < w.base {
		return false
	}
	w.buf, w.open = w.buf[:int64(m)-w.base], 0
	return true
}

// begin starts a message and returns where its length is; end fills that in.
func (w *writer) begin(kind byte) int {
	if w.open > 0 {
		w.buf = w.buf[:w.open-1]
	}
	w.open = len(w.buf) + 1
	w.buf = append(w.buf, kind, 0, 0, 0, 0)
	return len(w.buf) - 4
}

func (w *writer) end(at int) {
	binary.BigEndian.PutUint32(w.buf[at:], uint32(len(w.buf)-at))
	w.open = 0
}

// Ack implements sql.ResultWriter.
func (w *writer) Ack(a sql.Ack) error {
	kind := [...]byte{sql.AckParse: '1', sql.AckBind: '2', sql.AckClose: '3', sql.AckNoData: 'n'}[a]
	w.end(w.begin(kind))
	return w.err
}

// ParameterDescription implements sql.ResultWriter.
func (w *writer) ParameterDescription(ts []types.T) error {
	at := w.begin('t')
	w.buf = binary.BigEndian.AppendUint16(w.buf, uint16(len(ts)))
	for _, t := range ts {
		w.buf = binary.BigEndian.AppendUint32(w.buf, uint32(t.OID))
	}
	w.end(at)
	return w.err
}

// RowDescription implements sql.ResultWriter.
func (w *writer) RowDescription(cols []sql.Column) error {
	at := w.begin('T')
	w.buf = binary.BigEndian.AppendUint16(w.buf, uint16(len(cols)))
	for i := range cols {
		c := &cols[i]
		w.buf = append(append(w.buf, c.Name...), 0)
		w.buf = binary.BigEndian.AppendUint32(w.buf, uint32(c.TableOID))
		w.buf = binary.BigEndian.AppendUint16(w.buf, uint16(c.AttNum))
		w.buf = binary.BigEndian.AppendUint32(w.buf, uint32(c.Type.OID))
		w.buf = binary.BigEndian.AppendUint16(w.buf, uint16(c.Type.Len()))
		w.buf = binary.BigEndian.AppendUint32(w.buf, uint32(c.Type.Mod))
		w.buf = binary.BigEndian.AppendUint16(w.buf, uint16(c.Format))
	}
	w.end(at)
	return w.err
}

// BeginRows implements sql.ResultWriter.
func (w *writer) BeginRows(cols []sql.Column) error {
	w.cols = cols
	return w.err
}

// Row implements sql.ResultWriter.
func (w *writer) Row(row types.Row) error {
	at := w.begin('D')
	w.buf = binary.BigEndian.AppendUint16(w.buf, uint16(len(row)))
	for i := range row {
		w.value(&w.cols[i], row[i])
	}
	w.end(at)
	return w.maybeFlush()
}

func (w *writer) value(c *sql.Column, d types.Datum) {
	at := len(w.buf)
	w.buf = append(w.buf, 0, 0, 0, 0)
	if d.IsNull() {
		binary.BigEndian.PutUint32(w.buf[at:], 0xffffffff)
		return
	}
	if c.Format == sql.FormatBinary {
		w.buf = types.AppendBinary(w.buf, c.Type, d)
	} else {
		w.buf = types.AppendText(w.buf, c.Type, d, w.env)
	}
	binary.BigEndian.PutUint32(w.buf[at:], uint32(len(w.buf)-at-4))
}

// CommandComplete implements sql.ResultWriter.
func (w *writer) CommandComplete(tag string) error {
	at := w.begin('C')
	w.buf = append(append(w.buf, tag...), 0)
	w.end(at)
	return w.maybeFlush()
}

// EmptyQuery implements sql.ResultWriter.
func (w *writer) EmptyQuery() error {
	w.end(w.begin('I'))
	return w.err
}

// PortalSuspended implements sql.ResultWriter.
func (w *writer) PortalSuspended() error {
	w.end(w.begin('s'))
	return w.err
}

// Notice implements sql.ResultWriter.
func (w *writer) Notice(e *sqlerr.Error) error {
	w.errorFields('N', e)
	return w.maybeFlush()
}

// errorResponse ends what failed.
func (w *writer) errorResponse(e *sqlerr.Error) { w.errorFields('E', e) }

// errorFields writes the fields of an error or a notice (manual, "Error and
// Notice Message Fields").
func (w *writer) errorFields(kind byte, e *sqlerr.Error) {
	at := w.begin(kind)
	field := func(code byte, v string) {
		if v != "" {
			w.buf = append(append(append(w.buf, code), v...), 0)
		}
	}
	severity := string(e.Severity)
	if severity == "" {
		severity = string(sqlerr.SeverityError)
	}
	field('S', severity)
	field('V', severity)
	field('C', string(e.Code))
	field('M', e.Message)
	field('D', e.Detail)
	field('H', e.Hint)
	if e.Position > 0 {
		code := byte('P')
		if e.InternalQuery != "" {
			code = 'p'
			field('q', e.InternalQuery)
		}
		w.buf = append(w.buf, code)
		w.buf = appendInt(w.buf, e.Position)
		w.buf = append(w.buf, 0)
	}
	field('W', e.Where)
	field('s', e.Schema)
	field('t', e.Table)
	field('c', e.Column)
	field('d', e.DataType)
	field('n', e.Constraint)
	w.buf = append(w.buf, 0)
	w.end(at)
}

func appendInt(b []byte, n int) []byte {
	if n >= 10 {
		b = appendInt(b, n/10)
	}
	return append(b, byte('0'+n%10))
}

// ParameterStatus implements sql.ResultWriter.
func (w *writer) ParameterStatus(name, value string) error {
	w.send(&pgproto3.ParameterStatus{Name: name, Value: value})
	return w.err
}

// CopyIn implements sql.ResultWriter.
func (w *writer) CopyIn(f sql.Format, columns int) (sql.CopyReader, error) {
	w.copyResponse('G', f, columns)
	if err := w.flush(); err != nil {
		return nil, err
	}
	return w.copyIn(), nil
}

// CopyOut implements sql.ResultWriter.
func (w *writer) CopyOut(f sql.Format, columns int) error {
	w.copyResponse('H', f, columns)
	return w.err
}

func (w *writer) copyResponse(kind byte, f sql.Format, columns int) {
	at := w.begin(kind)
	w.buf = append(w.buf, byte(f))
	w.buf = binary.BigEndian.AppendUint16(w.buf, uint16(columns))
	for range columns {
		w.buf = binary.BigEndian.AppendUint16(w.buf, uint16(f))
	}
	w.end(at)
}

// CopyData implements sql.ResultWriter.
func (w *writer) CopyData(b []byte) error {
	at := w.begin('d')
	w.buf = append(w.buf, b...)
	w.end(at)
	return w.maybeFlush()
}

// CopyDone implements sql.ResultWriter.
func (w *writer) CopyDone() error {
	w.end(w.begin('c'))
	return w.err
}

func (w *writer) readyForQuery(s sql.TxnStatus) error {
	at := w.begin('Z')
	w.buf = append(w.buf, byte(s))
	w.end(at)
	return w.flush()
}

// negotiateVersion says that protocol 3.0 is spoken and which options are unknown.
func (w *writer) negotiateVersion(unknown []string) error {
	at := w.begin('v')
	w.buf = binary.BigEndian.AppendUint32(w.buf, pgproto3.ProtocolVersion30)
	w.buf = binary.BigEndian.AppendUint32(w.buf, uint32(len(unknown)))
	for _, name := range unknown {
		w.buf = append(append(w.buf, name...), 0)
	}
	w.end(at)
	return w.err
}
