package exec

import (
	"strings"

	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/types"
)

// IndexEnds yields one row: of each input, which is in order, the first row's value; NULL without a
// row. It is min and max by index.
type IndexEnds struct {
	In []Node
	// From are the registers read, To those written.
	From, To []bind.ColID
	Text     []string
}

// Open implements Node.
func (n *IndexEnds) Open(r *Run) (Cursor, error) {
	vals := make([]types.Datum, len(n.In))
	for i, in := range n.In {
		c, err := in.Open(r)
		if err != nil {
			return nil, err
		}
		ok, err := c.Next()
		if ok {
			vals[i] = r.Slots[n.From[i]]
		}
		c.Close()
		if err != nil {
			return nil, err
		}
	}
	for i, id := range n.To {
		r.Slots[id] = vals[i]
	}
	return &oneRowCursor{}, nil
}

// Explain implements Node.
func (n *IndexEnds) Explain() Explained {
	return Explained{Title: "Index Ends", Details: []string{"Output: " + strings.Join(n.Text, ", ")}, Kids: n.In}
}
