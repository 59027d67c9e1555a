package exec

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/contain"
	"github.com/cairndb/cairn/sql/rowenc"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/tablekv"
	"github.com/cairndb/cairn/sql/types"
	"github.com/cairndb/cairn/txn"
)

// Access says which part of an index a scan reads: equalities on the first key columns, then a
// range on the next one.
//
//	WHERE a = 1 AND b IN (2, 3) AND c > 4     over an index on (a, b, c, d)
//	Eq = [{1} {2 3}]  Lo = 4 (exclusive)      spans: /1/2/4…  /1/3/4…
type Access struct {
	Index  *tablekv.IndexCodec
	Eq     []EqCol
	Lo, Hi *Bound
	// Unique says that Eq covers a unique key: each combination is at most one row, read by Get.
	Unique bool
	// Text is the condition as EXPLAIN shows it.
	Text []string
}

// EqCol gives the values of a key column: any of Vals, or the elements of Array.
type EqCol struct {
	Vals  []Eval
	Array Eval
}

// Bound is an end of a range.
type Bound struct {
	E    Eval
	Incl bool
}

// spans evaluates the access. Spans (or keys, if Unique) ascend and do not overlap.
func (a *Access) spans(r *Run) ([]kvapi.Span, error) {
	prefixes := []kvapi.Key{a.Index.Prefix}
	for i := range a.Eq {
		vals, err := a.Eq[i].values(r)
		if err != nil {
			return nil, err
		}
		if len(vals)*len(prefixes) > SpansMax {
			return nil, sqlerr.New(sqlerr.ProgramLimitExceeded, "IN lists multiply to more than %d keys", SpansMax)
		}
		prefixes = a.extend(prefixes, i, vals)
	}
	if len(a.Eq) > 0 && len(prefixes) > 1 {
		slices.SortFunc(prefixes, func(x, y kvapi.Key) int { return bytes.Compare(x, y) })
		prefixes = slices.CompactFunc(prefixes, func(x, y kvapi.Key) bool { return bytes.Equal(x, y) })
	}
	out := make([]kvapi.Span, 0, len(prefixes))
	for _, p := range prefixes {
		s, ok, err := a.span(r, p)
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, s)
		}
	}
	return out, nil
}

func (a *Access) extend(prefixes []kvapi.Key, i int, vals []types.Datum) []kvapi.Key {
	if len(prefixes) == 1 && len(vals) == 1 {
		b := make(kvapi.Key, len(prefixes[0]), len(prefixes[0])+32)
		copy(b, prefixes[0])
		prefixes[0] = a.Index.AppendKeyCol(b, i, vals[0])
		return prefixes
	}
	out := make([]kvapi.Key, 0, len(prefixes)*len(vals))
	for _, p := range prefixes {
		for _, v := range vals {
			out = append(out, a.Index.AppendKeyCol(slices.Clone(p), i, v))
		}
	}
	return out
}

// values evaluates a column's alternatives; NULLs equal nothing.
func (q *EqCol) values(r *Run) ([]types.Datum, error) {
	if q.Array != nil {
		return q.arrayValues(r)
	}
	out := make([]types.Datum, 0, len(q.Vals))
	for _, v := range q.Vals {
		d, err := v(r)
		if err != nil {
			return nil, err
		}
		if !d.IsNull() {
			out = append(out, d)
		}
	}
	return out, nil
}

func (q *EqCol) arrayValues(r *Run) ([]types.Datum, error) {
	d, err := q.Array(r)
	if err != nil || d.IsNull() {
		return nil, err
	}
	var out []types.Datum
	for _, e := range d.Array().Elems {
		if !e.IsNull() {
			out = append(out, e)
		}
	}
	return out, nil
}

// span narrows a prefix by the range. In an ascending column NULLs are last, in a descending one
// first; no range holds them.
func (a *Access) span(r *Run, prefix kvapi.Key) (kvapi.Span, bool, error) {
	if a.Unique {
		return kvapi.Span{Key: prefix}, true, nil
	}
	start, end := prefix, prefix.PrefixEnd()
	if a.Lo == nil && a.Hi == nil {
		return kvapi.Span{Key: start, EndKey: end}, true, nil
	}
	col := a.Index.KeyColAt(len(a.Eq))
	lo, hi := a.Lo, a.Hi
	if col.Desc {
		lo, hi = hi, lo
		start = kvapi.Key(rowenc.AppendKey(slices.Clone(prefix), types.Null, col.Type, true)).PrefixEnd()
	} else {
		end = rowenc.AppendKey(slices.Clone(prefix), types.Null, col.Type, false)
	}
	for _, b := range []*Bound{lo, hi} {
		if b == nil {
			continue
		}
		d, err := b.E(r)
		if err != nil {
			return kvapi.Span{}, false, err
		}
		if d.IsNull() {
			return kvapi.Span{}, false, nil
		}
		k := kvapi.Key(rowenc.AppendKey(slices.Clone(prefix), d, col.Type, col.Desc))
		switch {
		case b == lo && b.Incl:
			start = k
		case b == lo:
			start = k.PrefixEnd()
		case b.Incl:
			end = k.PrefixEnd()
		default:
			end = k
		}
	}
	return kvapi.Span{Key: start, EndKey: end}, start.Less(end), nil
}

// IndexScan reads a table through one of its indexes.
type IndexScan struct {
	Table  *tablekv.Codec
	Access *Access
	Alias  string
	Base   bind.ColID
	// Dec decodes entries of the index; Fetch, if not nil, decodes the row itself, which is read by
	// primary key because the index does not hold all columns needed.
	Dec   *tablekv.Decoder
	Fetch *tablekv.Decoder
	// Late, if not nil, decodes the columns that the Filter above does not read: only of rows that pass
	// it, which then asks for them (lateCursor).
	Late    *tablekv.Decoder
	Reverse bool
	// Virtual computes the virtual columns that are wanted and that no decoder fills.
	Virtual []Item
	// Beside, if not nil, is done to the rows where they lie; only of scans that fetch nothing, lock nothing, and
	// are read in order of keys.
	Beside *Beside
	// MaxRows, if not nil, says how many rows will be wanted at most.
	MaxRows Eval
	Opts    txn.GetOptions
}

// Open implements Node.
func (n *IndexScan) Open(r *Run) (Cursor, error) {
	spans, err := n.Access.spans(r)
	if err != nil {
		return nil, err
	}
	if n.Reverse {
		slices.Reverse(spans)
	}
	c := &scanCursor{n: n, r: r, spans: spans}
	if n.MaxRows != nil {
		d, err := n.MaxRows(r)
		if err != nil {
			return nil, err
		}
		if !d.IsNull() && d.Int() < 1<<31 {
			c.maxRows = max(d.Int(), 1)
		}
	}
	return c, nil
}

type scanCursor struct {
	n       *IndexScan
	r       *Run
	spans   []kvapi.Span
	maxRows int64

	entries []kvapi.KeyValue
	fetched []txn.Value // rows of entries, if the index is not enough
	keys    []kvapi.Key
	at      int

	// pages counts what was read of a span; ahead is the next page, being read.
	pages int
	ahead chan page

	// program is the text of Beside's, once that has been asked for.
	program []byte
	asked   bool
}

// page is an answer to a scan.
type page struct {
	rows     []kvapi.KeyValue
	resume   *kvapi.Span
	taken    int64
	partials []kvapi.Partial
	err      error
}

// Close implements Cursor.
func (c *scanCursor) Close() {
	if c.ahead != nil {
		<-c.ahead
		c.ahead = nil
	}
}

// Next implements Cursor.
func (c *scanCursor) Next() (bool, error) {
	for {
		if c.at < len(c.entries) {
			i := c.at
			c.at++
			ok, err := c.decode(i)
			if err != nil || ok {
				return ok, err
			}
			continue
		}
		if len(c.spans) == 0 {
			return false, nil
		}
		if err := c.refill(); err != nil {
			return false, err
		}
	}
}

func (c *scanCursor) decode(i int) (bool, error) {
	e := c.entries[i]
	var err error
	if c.n.Fetch == nil {
		err = c.n.Dec.Decode(e.Key, e.Value, c.r.Slots)
	} else if !c.fetched[i].Exists {
		return false, nil // skipped, or the entry's row is gone
	} else {
		err = c.n.Fetch.Decode(c.keys[i], c.fetched[i].Data, c.r.Slots)
	}
	if err == nil && len(c.n.Virtual) > 0 {
		err = compute(c.r, c.n.Virtual)
	}
	return err == nil, err
}

// late implements lateCursor for the row that Next gave.
func (c *scanCursor) late() error {
	if c.n.Late == nil {
		return nil
	}
	i := c.at - 1
	if c.n.Fetch == nil {
		return c.n.Late.Decode(c.entries[i].Key, c.entries[i].Value, c.r.Slots)
	}
	return c.n.Late.Decode(c.keys[i], c.fetched[i].Data, c.r.Slots)
}

// refill reads the next entries: the keys of several points at once, or a piece of a span.
func (c *scanCursor) refill() error {
	c.entries, c.at = c.entries[:0], 0
	var err error
	if c.n.Access.Unique {
		err = c.readPoints()
	} else {
		err = c.readSpan()
	}
	if err == nil && c.n.Fetch != nil && len(c.entries) > 0 {
		err = c.fetch()
	}
	return err
}

// lockHere says whether the index entries themselves are what is to be locked.
func (c *scanCursor) opts() txn.GetOptions {
	if c.n.Fetch != nil {
		return looking(c.n.Opts)
	}
	return c.n.Opts
}

// looking is how the entries of an index are read whose rows are read with o.
func looking(o txn.GetOptions) txn.GetOptions {
	if o.Lock == kvapi.LockNone && o.Wait == kvapi.WaitSkip {
		return txn.GetOptions{Wait: o.Wait}
	}
	return txn.GetOptions{}
}

func (c *scanCursor) readPoints() error {
	if len(c.spans) == 1 {
		key := c.spans[0].Key
		c.spans = nil
		v, ok, err := c.r.get(key, c.opts())
		if ok {
			c.r.KVRows++
			c.entries = append(c.entries, kvapi.KeyValue{Key: key, Value: v})
		}
		return err
	}
	n := min(len(c.spans), LookupBatchMax)
	keys := make([]kvapi.Key, n)
	for i := range keys {
		keys[i] = c.spans[i].Key
	}
	c.spans = c.spans[n:]
	vals, err := c.r.getMany(keys, c.opts())
	for i, v := range vals {
		if v.Exists {
			c.entries = append(c.entries, kvapi.KeyValue{Key: keys[i], Value: v.Data})
		}
	}
	return err
}

func (c *scanCursor) readSpan() error {
	o := txn.ScanOptions{Reverse: c.n.Reverse, TargetBytes: ScanBytesMax, MaxKeys: c.maxRows}
	opts := c.opts()
	o.Lock, o.Wait, o.Durable = opts.Lock, opts.Wait, opts.Durable
	if o.MaxKeys > 0 && o.Lock == kvapi.LockNone && o.Wait == kvapi.WaitSkip {
		o.MaxKeys = max(o.MaxKeys, triedMax) // the first may be taken
	}
	if c.n.Fetch != nil && o.MaxKeys == 0 {
		o.MaxKeys = LookupBatchMax
	}
	o.Program = c.beside()
	p := c.page(o)
	if p.err != nil {
		return p.err
	}
	c.r.KVBeside += p.taken
	if o.Program != nil && !c.r.BesideAtOnce && p.taken*fragmentWorth < int64(len(p.rows)) {
		c.program = nil
	}
	for i := range p.partials {
		if err := c.sink().absorb(p.partials[i].Data); err != nil {
			return err
		}
	}
	c.entries = p.rows
	if c.maxRows > 0 { // a filter above wants more than the limit said: read ahead in larger steps
		c.maxRows = min(c.maxRows*2, 1<<20)
	}
	if p.resume == nil {
		c.spans, c.pages = c.spans[1:], 0
		return nil
	}
	c.spans[0] = *p.resume
	if c.pages++; c.pages > 1 && c.r.ReadAhead && o.Lock == kvapi.LockNone && o.MaxKeys == 0 {
		c.readAhead(o)
	}
	return nil
}

// page is the next page of the first span.
func (c *scanCursor) page(o txn.ScanOptions) page {
	if c.ahead != nil {
		p := <-c.ahead
		c.ahead = nil
		return p
	}
	return c.r.scanPage(c.spans[0], o)
}

// scanPage reads a page.
func (r *Run) scanPage(span kvapi.Span, o txn.ScanOptions) page {
	var p page
	o.Taken = func(n int64, partials []kvapi.Partial) {
		p.taken, p.partials = p.taken+n, append(p.partials, partials...)
	}
	p.rows, p.resume, p.err = r.scan(span, o)
	return p
}

// beside is the program for the next page, nil for none: a scan that is done with its first page gets none, and
// one of which most rows come anyway no more.
func (c *scanCursor) beside() []byte {
	b := c.n.Beside
	if b == nil || c.r.NoBeside || c.pages == 0 && !c.r.BesideAtOnce || c.maxRows > 0 ||
		b.Aggregates && !c.sink().wantsPartials() {
		return nil
	}
	if !c.asked {
		c.program, c.asked = b.Program(c.r.Params), true
	}
	return c.program
}

// sink is the aggregation above.
func (c *scanCursor) sink() *aggCursor { return c.r.state[c.n.Beside.Sink].(*aggCursor) }

// readAhead reads the next page while this one, of a scan that has shown to be long, is worked on.
func (c *scanCursor) readAhead(o txn.ScanOptions) {
	out, span, r := make(chan page, 1), c.spans[0], c.r
	c.ahead = out
	r.ahead.Go(func() {
		var p page
		err := contain.Do(func() error {
			p = r.scanPage(span, o)
			return p.err
		})
		p.err = err
		out <- p
	})
}

// fetch reads the rows that entries of a secondary index point to.
func (c *scanCursor) fetch() error {
	c.keys = c.keys[:0]
	row := c.r.Slots[c.n.Base : int(c.n.Base)+len(c.n.Table.Types)]
	for _, e := range c.entries {
		if err := c.n.Dec.Decode(e.Key, e.Value, c.r.Slots); err != nil {
			return err
		}
		k, _, err := c.n.Table.Primary.Key(row)
		if err != nil {
			return err
		}
		c.keys = append(c.keys, k)
	}
	var err error
	c.fetched, err = c.r.getMany(c.keys, c.n.Opts)
	return err
}

// Explain implements Node.
func (n *IndexScan) Explain() Explained {
	x := Explained{}
	name := n.Table.Table.Name
	on := name
	if n.Alias != "" && n.Alias != name {
		on += " " + n.Alias
	}
	back := ""
	if n.Reverse {
		back = " Backward"
	}
	ix := n.Access.Index.Index.Name
	switch {
	case n.Access.Index.IsPrimary() && len(n.Access.Text) == 0:
		x.Title = "Seq Scan" + back + " on " + on
	case n.Fetch == nil && !n.Access.Index.IsPrimary():
		x.Title = fmt.Sprintf("Index Only Scan%s using %s on %s", back, ix, on)
	default:
		x.Title = fmt.Sprintf("Index Scan%s using %s on %s", back, ix, on)
	}
	if len(n.Access.Text) > 0 {
		x.Details = append(x.Details, "Index Cond: "+joinConds(n.Access.Text))
	}
	if n.Access.Unique {
		x.Details = append(x.Details, "Key Lookup: point")
	}
	if n.Opts.Lock != kvapi.LockNone {
		x.Details = append(x.Details, "Locking: "+lockName(n.Opts.Lock))
	}
	return x
}

func lockName(l kvapi.LockStrength) string {
	return [...]string{"", "key share", "shared", "no key update", "exclusive", ""}[l]
}

func joinConds(cs []string) string {
	if len(cs) == 1 {
		return cs[0]
	}
	return "(" + strings.Join(cs, " AND ") + ")"
}
