package sql

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/parser"
	"github.com/cairndb/cairn/sql/pgcatalog"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// cursor is a query of DECLARE … CURSOR whose rows are read as FETCH asks for
// them, so that a client may page through more than anyone could hold.
//
//	rows:  dropped │ base+1 … kept … base+len(rows) │ not read yet
//	                      ▲ pos (0: before the first row, 1: on it)
//
// A cursor sees the rows as of its DECLARE. So before the transaction writes, it
// reads what is left (readCursors); and so does COMMIT, for one WITH HOLD. Rows
// that were passed are kept for going back: all of them if the cursor is
// declared SCROLL, else as long as they are few.
type cursor struct {
	name, text   string
	scroll       scrolling
	hold, binary bool
	created      time.Time
	// number counts the session's cursors: ROLLBACK TO ends the later ones.
	number int
	cols   []Column

	po    *portal // nil when all is read
	rows  []types.Row
	bytes int64
	base  int64
	pos   int64
	// held: its transaction has committed.
	held bool
}

type scrolling uint8

const (
	scrollMaybe scrolling = iota
	scrollYes
	scrollNo
)

// Options of DECLARE, as the grammar has them (parsenodes.h).
const (
	cursorBinary   = 0x01
	cursorScroll   = 0x02
	cursorNoScroll = 0x04
	cursorHold     = 0x20
)

// Limits of cursors.
const (
	cursorsMax = 1000
	// cursorKeepMax bounds the rows kept for going back that nobody asked for.
	cursorKeepMax = 1 << 20
)

func (s *Session) declare(ctx context.Context, n *pg.DeclareCursorStmt, p *prepared, w ResultWriter, o utilityOptions) error {
	c := &cursor{name: n.Portalname, text: strings.TrimSuffix(strings.TrimSpace(p.stmt.Text), ";"), created: time.Now()}
	c.hold, c.binary = n.Options&cursorHold != 0, n.Options&cursorBinary != 0
	switch {
	case n.Options&cursorScroll != 0 && n.Options&cursorNoScroll != 0:
		return sqlerr.New(sqlerr.InvalidCursorDefinition, "cannot specify both SCROLL and NO SCROLL")
	case n.Options&cursorScroll != 0:
		c.scroll = scrollYes
	case n.Options&cursorNoScroll != 0:
		c.scroll = scrollNo
	}
	if !c.hold && !s.tx.explicit {
		return sqlerr.New(sqlerr.NoActiveSQLTransaction, "DECLARE CURSOR can only be used in transaction blocks")
	}
	if s.cursors[c.name] != nil || s.portals[c.name] != nil && c.name != "" {
		return sqlerr.New(sqlerr.DuplicateCursor, "cursor \"%s\" already exists", c.name)
	}
	if len(s.cursors) >= cursorsMax {
		return sqlerr.New(sqlerr.ConfigurationLimitExceeded, "a session can have at most %d cursors", cursorsMax)
	}
	q := &prepared{stmt: parser.Stmt{Tree: n.Query, Query: p.stmt.Query, Text: p.stmt.Text}, hints: p.hints}
	c.po = &portal{p: q, params: o.params}
	declared := false
	defer func() {
		if !declared {
			c.po.close(s)
		}
	}()
	if err := s.open(ctx, c.po, false); err != nil {
		return err
	}
	st := c.po.plan.Stmt
	if st.Kind != bind.KindSelect || st.Writes && c.hold {
		return sqlerr.New(sqlerr.FeatureNotSupported, "DECLARE CURSOR WITH HOLD ... FOR UPDATE is not supported").
			WithDetail("Holdable cursors must be READ ONLY.")
	}
	format := FormatText
	if c.binary {
		format = FormatBinary
	}
	c.cols = planColumns(st, []Format{format})
	s.cursorCount++
	c.number = s.cursorCount
	if s.cursors == nil {
		s.cursors = map[string]*cursor{}
	}
	s.cursors[c.name], declared = c, true
	return w.CommandComplete("DECLARE CURSOR")
}

func (s *Session) cursor(name string) (*cursor, error) {
	c := s.cursors[name]
	if c == nil {
		return nil, sqlerr.New(sqlerr.InvalidCursorName, "cursor \"%s\" does not exist", name)
	}
	return c, nil
}

// fetchStmt is FETCH and MOVE.
func (s *Session) fetchStmt(ctx context.Context, n *pg.FetchStmt, w ResultWriter, o utilityOptions) error {
	c, err := s.cursor(n.Portalname)
	if err != nil {
		return err
	}
	if c.po != nil {
		c.po.run.Ctx = ctx
	}
	m := &cursorMove{c: c, s: s}
	if !n.Ismove {
		cols := c.cols
		if len(o.formats) > 0 {
			cols = withFormats(append([]Column{}, c.cols...), o.formats)
		}
		if o.describe {
			if err := w.RowDescription(cols); err != nil {
				return err
			}
		}
		if err := w.BeginRows(cols); err != nil {
			return err
		}
		m.w = w
	}
	if err := m.move(n.Direction, n.HowMany); err != nil {
		return err
	}
	if s.tx != nil && c.po != nil {
		if err := s.tx.r.Check(ctx); err != nil {
			return err
		}
	}
	return w.CommandComplete(fmt.Sprintf("%s %d", map[bool]string{true: "MOVE", false: "FETCH"}[n.Ismove], m.count))
}

// cursorMove is one FETCH or MOVE (then w is nil).
type cursorMove struct {
	c     *cursor
	s     *Session
	w     ResultWriter
	count int64
}

func (m *cursorMove) move(d pg.FetchDirection, n int64) error {
	c := m.c
	switch d {
	case pg.FetchDirection_FETCH_FORWARD:
		if n < 0 {
			return m.backward(-n)
		}
		return m.forward(n)
	case pg.FetchDirection_FETCH_BACKWARD:
		if n < 0 {
			return m.forward(-n)
		}
		return m.backward(n)
	case pg.FetchDirection_FETCH_RELATIVE:
		return m.to(c.pos + n)
	}
	if n < 0 {
		if err := c.read(m.s, math.MaxInt64); err != nil {
			return err
		}
		n = max(c.base+int64(len(c.rows))+1+n, 0)
	}
	return m.to(n)
}

// forward passes n rows and shows them; 0 shows the present one again.
func (m *cursorMove) forward(n int64) error {
	c := m.c
	if n == 0 {
		return m.show(c.pos)
	}
	for ; n > 0; n-- {
		ok, err := c.has(m.s, c.pos+1)
		if err != nil {
			return err
		}
		if c.pos++; !ok {
			c.pos = c.base + int64(len(c.rows)) + 1
			return nil
		}
		if err := m.show(c.pos); err != nil {
			return err
		}
		c.forget()
		if n%1000 == 0 && m.s.ec.Ctx.Err() != nil {
			return m.s.ec.Ctx.Err()
		}
	}
	return nil
}

func (m *cursorMove) backward(n int64) error {
	c := m.c
	if n == 0 {
		return m.show(c.pos)
	}
	if c.scroll == scrollNo {
		return errForwardOnly()
	}
	for ; n > 0 && c.pos > 0; n-- {
		c.pos--
		if c.pos > 0 {
			if err := m.show(c.pos); err != nil {
				return err
			}
		}
	}
	return nil
}

// to goes to a row, or beyond the last.
func (m *cursorMove) to(pos int64) error {
	c := m.c
	pos = max(pos, 0)
	if pos < c.pos && c.scroll == scrollNo {
		return errForwardOnly()
	}
	ok, err := c.has(m.s, pos)
	if err != nil {
		return err
	}
	if c.pos = pos; !ok && pos > 0 {
		c.pos = c.base + int64(len(c.rows)) + 1
		return nil
	}
	return m.show(pos)
}

func errForwardOnly() error {
	return sqlerr.New(sqlerr.ObjectNotInPrerequisiteState, "cursor can only scan forward").
		WithHint("Declare it with SCROLL option to enable backward scan.")
}

// show sends the row at a position, if there is one.
func (m *cursorMove) show(pos int64) error {
	c := m.c
	if pos < 1 || pos > c.base+int64(len(c.rows)) {
		return nil
	}
	if pos <= c.base {
		return errForwardOnly()
	}
	m.count++
	if m.w == nil {
		return nil
	}
	return m.w.Row(c.rows[pos-c.base-1])
}

// has reads up to a position and reports whether there is a row.
func (c *cursor) has(s *Session, pos int64) (bool, error) {
	err := c.read(s, pos)
	return pos >= 1 && pos <= c.base+int64(len(c.rows)), err
}

// read reads rows until so many are known.
func (c *cursor) read(s *Session, upTo int64) error {
	for c.po != nil && c.base+int64(len(c.rows)) < upTo {
		ok, err := c.po.cur.Next()
		if err != nil {
			return err
		}
		if !ok {
			c.po.close(s)
			c.po = nil
			return nil
		}
		row := make(types.Row, len(c.po.plan.Out))
		for i, id := range c.po.plan.Out {
			row[i] = c.po.run.Slots[id]
			c.bytes += int64(row[i].SizeBytes())
		}
		c.bytes += 24
		if limit := s.srv.cfg.StatementBytesMax; c.bytes > limit && limit > 0 {
			return sqlerr.New(sqlerr.OutOfMemory, "out of memory").
				WithDetail("The rows of cursor \"%s\" need more than the limit of %d bytes.", c.name, limit).
				WithHint("Declare it with NO SCROLL, and close it before the transaction writes.")
		}
		c.rows = append(c.rows, row)
	}
	return nil
}

// forget drops the rows that were passed, if nobody may go back to them.
func (c *cursor) forget() {
	if c.po == nil || c.scroll == scrollYes || c.scroll == scrollMaybe && c.bytes < cursorKeepMax {
		return
	}
	if c.scroll == scrollMaybe {
		c.scroll = scrollNo
	}
	if n := c.pos - c.base - 1; n > 0 { // the present row may be asked for again
		c.rows = append(c.rows[:0:0], c.rows[n:]...)
		c.base += n
		c.bytes = 0
		for _, row := range c.rows {
			for _, d := range row {
				c.bytes += int64(d.SizeBytes())
			}
		}
	}
}

// readCursors reads what open cursors have left, before the transaction changes
// what they are to see.
func (s *Session) readCursors(ctx context.Context) error {
	for _, c := range s.cursors {
		if c.po == nil {
			continue
		}
		c.po.run.Ctx = ctx
		if err := c.read(s, math.MaxInt64); err != nil {
			return err
		}
	}
	return nil
}

// holdCursors is readCursors for those that outlive the commit.
func (s *Session) holdCursors(ctx context.Context) error {
	for _, c := range s.cursors {
		if !c.hold || c.po == nil {
			continue
		}
		c.po.run.Ctx = ctx
		if err := c.read(s, math.MaxInt64); err != nil {
			return err
		}
	}
	return nil
}

// endCursors ends the cursors of a transaction that has ended.
func (s *Session) endCursors(committed bool) {
	for name, c := range s.cursors {
		if c.hold && committed {
			c.held = true
		}
		if !c.held {
			s.endCursor(name)
		}
	}
}

// endCursorsAfter ends those that were declared after the first n.
func (s *Session) endCursorsAfter(n int) {
	for name, c := range s.cursors {
		if c.number > n && !c.held {
			s.endCursor(name)
		}
	}
}

func (s *Session) endCursor(name string) {
	if c := s.cursors[name]; c.po != nil {
		c.po.close(s)
	}
	delete(s.cursors, name)
}

func (s *Session) closeCursor(n *pg.ClosePortalStmt, w ResultWriter) error {
	if n.Portalname == "" {
		for name := range s.cursors {
			s.endCursor(name)
		}
		return w.CommandComplete("CLOSE CURSOR ALL")
	}
	if _, err := s.cursor(n.Portalname); err != nil {
		return err
	}
	s.endCursor(n.Portalname)
	return w.CommandComplete("CLOSE CURSOR")
}

// halfRead says that something is being read at the transaction's snapshot.
func (s *Session) halfRead() bool {
	for _, po := range s.portals {
		if po.cur != nil {
			return true
		}
	}
	for _, c := range s.cursors {
		if c.po != nil {
			return true
		}
	}
	return false
}

// cursorList is pg_cursors.
func (s *Session) cursorList() []pgcatalog.Cursor {
	var out []pgcatalog.Cursor
	for _, c := range s.cursors {
		out = append(out, pgcatalog.Cursor{Name: c.name, Statement: c.text, Holdable: c.hold, Binary: c.binary,
			Scrollable: c.scroll != scrollNo, Created: c.created})
	}
	return out
}
