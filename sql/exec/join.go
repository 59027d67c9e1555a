package exec

import (
	"github.com/cairndb/cairn/sql/bind"
)

// NestedLoop opens its right side anew for each left row; the right side may read the left's
// registers (lateral). Kinds: inner, left, semi, anti.
type NestedLoop struct {
	Kind  bind.JoinKind
	L, R  Node
	On    Eval // nil: true
	Text  string
	RCols []bind.ColID // cleared for left rows without a match
	// LCols are saved while the right side is materialised; Materialize keeps the right side's rows,
	// which must not depend on the left.
	Materialize bool
}

type loopCursor struct {
	n       *NestedLoop
	r       *Run
	l, rc   Cursor
	matched bool
	kept    *rowStore
	read    bool
}

// Open implements Node.
func (n *NestedLoop) Open(r *Run) (Cursor, error) {
	l, err := n.L.Open(r)
	return &loopCursor{n: n, r: r, l: l}, err
}

// Explain implements Node.
func (n *NestedLoop) Explain() Explained {
	x := Explained{Title: "Nested Loop" + kindName(n.Kind), Kids: []Node{n.L, n.R}}
	if n.Text != "" {
		x.Details = []string{"Join Filter: " + n.Text}
	}
	return x
}

func kindName(k bind.JoinKind) string {
	return [...]string{"", " Left Join", " Right Join", " Full Join", " Semi Join", " Anti Join"}[k]
}

func (c *loopCursor) openRight() error {
	if !c.n.Materialize {
		rc, err := c.n.R.Open(c.r)
		c.rc = rc
		return err
	}
	if !c.read {
		var err error
		if c.kept, err = c.r.keep(c.n.RCols, c.n.R); err != nil {
			return err
		}
		c.read = true
	}
	c.rc = c.kept.cursor(c.r, c.n.RCols)
	return nil
}

func (c *loopCursor) Next() (bool, error) {
	for {
		if c.rc == nil {
			ok, err := c.l.Next()
			if err != nil || !ok {
				return false, err
			}
			if err := c.openRight(); err != nil {
				return false, err
			}
			c.matched = false
		}
		ok, done, err := c.step()
		if err != nil || ok {
			return ok, err
		}
		if done {
			c.closeRight()
		}
	}
}

// step takes one right row. done says that the left row is finished with.
func (c *loopCursor) step() (emit, done bool, err error) {
	ok, err := c.rc.Next()
	if err != nil {
		return false, true, err
	}
	if !ok {
		c.closeRight()
		return c.unmatched(), true, nil
	}
	if c.n.On != nil {
		if ok, err = evalBool(c.r, c.n.On); err != nil || !ok {
			if err == nil {
				err = c.r.tick()
			}
			return false, false, err
		}
	}
	c.matched = true
	switch c.n.Kind {
	case bind.JoinSemi:
		c.closeRight()
		return true, true, nil
	case bind.JoinAnti:
		return false, true, nil
	}
	return true, false, nil
}

// unmatched says whether a left row without a match is a result.
func (c *loopCursor) unmatched() bool {
	if c.matched {
		return false
	}
	switch c.n.Kind {
	case bind.JoinLeft:
		layout(c.n.RCols).clear(c.r)
		return true
	case bind.JoinAnti:
		return true
	}
	return false
}

func (c *loopCursor) closeRight() {
	if c.rc != nil {
		c.rc.Close()
		c.rc = nil
	}
}

func (c *loopCursor) Close() {
	c.closeRight()
	c.kept.close()
	c.l.Close()
}
