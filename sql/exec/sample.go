package exec

import (
	"hash/fnv"
	"math"
	"math/rand/v2"

	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/tablekv"
)

// Sample passes on those rows whose primary key, hashed with the seed, is below a share.
type Sample struct {
	In            Node
	Table         *tablekv.Codec
	Base          bind.ColID
	Percent, Seed Eval // Seed nil: another each time
	Text          string
}

// Open implements Node.
func (n *Sample) Open(r *Run) (Cursor, error) {
	p, err := n.Percent(r)
	if err != nil {
		return nil, err
	}
	if p.IsNull() {
		return nil, sqlerr.New(sqlerr.InvalidTablesampleArgument, "TABLESAMPLE parameter cannot be null")
	}
	seed := rand.Uint64()
	if n.Seed != nil {
		d, err := n.Seed(r)
		if err != nil {
			return nil, err
		}
		if d.IsNull() {
			return nil, sqlerr.New(sqlerr.InvalidTablesampleRepeat, "TABLESAMPLE REPEATABLE parameter cannot be null")
		}
		seed = math.Float64bits(d.Float())
	}
	if f := p.Float(); math.IsNaN(f) || f < 0 || f > 100 {
		return nil, sqlerr.New(sqlerr.InvalidTablesampleArgument, "sample percentage must be between 0 and 100")
	}
	in, err := n.In.Open(r)
	return &sampleCursor{n: n, r: r, in: in, seed: seed, share: p.Float() / 100}, err
}

// Explain implements Node.
func (n *Sample) Explain() Explained {
	return Explained{Title: "Sample", Details: []string{"Sampling: " + n.Text}, Kids: []Node{n.In}}
}

type sampleCursor struct {
	n     *Sample
	r     *Run
	in    Cursor
	seed  uint64
	share float64
}

// Next implements Cursor.
func (c *sampleCursor) Next() (bool, error) {
	for {
		ok, err := c.in.Next()
		if err != nil || !ok {
			return ok, err
		}
		in, err := c.chosen()
		if err != nil || in {
			return in, err
		}
		if err := c.r.tick(); err != nil {
			return false, err
		}
	}
}

func (c *sampleCursor) chosen() (bool, error) {
	row := c.r.Slots[c.n.Base : int(c.n.Base)+len(c.n.Table.Types)]
	k, _, err := c.n.Table.Primary.Key(row)
	if err != nil {
		return false, err
	}
	h := fnv.New64a()
	_, _ = h.Write(k[len(c.n.Table.Primary.Prefix):])
	// The finaliser of MurmurHash3: neighbouring keys must not be chosen together.
	x := h.Sum64() ^ c.seed*0x9e3779b97f4a7c15
	x = (x ^ x>>33) * 0xff51afd7ed558ccd
	x = (x ^ x>>33) * 0xc4ceb9fe1a85ec53
	x ^= x >> 33
	return float64(x>>11)/(1<<53) < c.share, nil
}

// Close implements Cursor.
func (c *sampleCursor) Close() { c.in.Close() }
