package ddl

import (
	"context"
	"errors"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/tablekv"
	"github.com/cairndb/cairn/sql/types"
	"github.com/cairndb/cairn/txn"
)

// rewrite reads all rows of a table that is held, checks them against what
// the changed table demands, and writes the indexes that are new.
//
//	old primary ──► row ──► new columns, checks ──► new primary
//	  (chunks)                                  └─► new secondary indexes
//
// New indexes have numbers that nobody reads before the commit of the changed
// descriptor. So outside of an explicit transaction the writing is done in
// chunks, each a transaction of its own, and becomes visible as a whole with
// that commit; if it never comes, what was written is cleared later. Inside
// an explicit transaction, or for a table that it created, the transaction
// itself writes, which bounds the size.
type rewrite struct {
	*stmt
	old, new *schema.Table
	// build are the indexes of new to write; the primary one among them if
	// rows change.
	build []schema.IndexID
	// notNull are columns of new that must have no NULL, checks conditions to
	// hold; fill computes columns of new that old does not have, or converts.
	notNull []schema.ColumnID
	checks  []schema.Check
	fill    map[schema.ColumnID]filler
	// compute are the generated columns of new whose values are not known yet.
	compute map[schema.ColumnID]bool
	// using computes columns of new from the whole row of old.
	using map[schema.ColumnID]Eval

	oldCodec, newCodec *tablekv.Codec
	decoder            *tablekv.Decoder
	targets            []*tablekv.IndexCodec
	bound              []Eval
	// from[i] is where the i-th column of new is in old, -1 if nowhere.
	from []int
	// fillAt and usingAt say what each column of a decoded row becomes.
	fillAt  []filler
	usingAt []Eval
	// computeAt computes columns of a new row from its others, after all else.
	computeAt []Eval
}

// filler computes a column from the value it had (NULL if it is new).
type filler func(ctx context.Context, d types.Datum) (types.Datum, error)

const (
	// chunkRows and chunkBytes bound one transaction of a rewrite, well below
	// where the transaction would have to flush its writes early.
	chunkRows  = 2000
	chunkBytes = 512 << 10
	// chunksInFlight is how many chunks are written at a time.
	chunksInFlight = 3
	// rowsInTxnMax bounds a rewrite inside an explicit transaction.
	rowsInTxnMax = 100_000
)

func (s *stmt) newRewrite(old, new *schema.Table) *rewrite {
	return &rewrite{stmt: s, old: old, new: new, fill: map[schema.ColumnID]filler{}, using: map[schema.ColumnID]Eval{},
		compute: map[schema.ColumnID]bool{}}
}

// idle reports whether there is nothing to read the rows for.
func (w *rewrite) idle() bool { return len(w.build)+len(w.notNull)+len(w.checks) == 0 }

func (w *rewrite) run(ctx context.Context) error {
	if w.idle() {
		return nil
	}
	if err := w.prepare(); err != nil {
		return err
	}
	if w.Plan != nil {
		w.explain(ctx)
		return nil
	}
	span := w.primarySpan()
	if w.Explicit || w.r.Created(w.old.ID) {
		return w.inTransaction(ctx, span)
	}
	return w.inChunks(ctx, span)
}

func (w *rewrite) primarySpan() kvapi.Span { return span(w.old.IndexPrefix(w.old.Primary.ID)) }

func span(prefix kvapi.Key) kvapi.Span { return kvapi.Span{Key: prefix, EndKey: prefix.PrefixEnd()} }

func (w *rewrite) prepare() error {
	w.oldCodec, w.newCodec = tablekv.NewCodec(w.old), tablekv.NewCodec(w.new)
	all := make([]int, len(w.old.Columns))
	for i := range all {
		all[i] = i
	}
	w.decoder = w.oldCodec.Primary.NewDecoder(all)
	for _, id := range w.build {
		w.targets = append(w.targets, w.newCodec.IndexByID(id))
	}
	for i := range w.new.Columns {
		c := &w.new.Columns[i]
		w.from = append(w.from, w.old.ColumnOrdinal(c.ID))
		w.fillAt = append(w.fillAt, w.fill[c.ID])
		w.usingAt = append(w.usingAt, w.using[c.ID])
	}
	if err := w.prepareGenerated(); err != nil {
		return err
	}
	for _, ck := range w.checks {
		n, query, err := parseExpr(ck.Expr)
		if err != nil {
			return err
		}
		e, err := w.bindFor(n, query, w.new, types.T{})
		if err != nil {
			return err
		}
		eval, err := w.Engine.Compile(e)
		if err != nil {
			return err
		}
		w.bound = append(w.bound, eval)
	}
	return nil
}

// prepareGenerated prepares the columns that are new and generated, or virtual.
func (w *rewrite) prepareGenerated() error {
	w.computeAt = make([]Eval, len(w.new.Columns))
	for i := range w.new.Columns {
		c := &w.new.Columns[i]
		if c.Virtual {
			e, err := bind.BindVirtual(w.Bind, w.new, i)
			if err == nil {
				w.computeAt[i], err = w.Engine.Compile(e)
			}
			if err != nil {
				return err
			}
			continue
		}
		if !w.compute[c.ID] {
			continue
		}
		n, query, err := parseExpr(c.Default)
		if err != nil {
			return err
		}
		e, err := bind.BindStored(w.Bind, n, query, w.new, bind.UseIndex, c)
		if err != nil {
			return err
		}
		if w.computeAt[i], err = w.Engine.Compile(e); err != nil {
			return err
		}
	}
	return nil
}

// inTransaction does the work in the session's transaction.
func (w *rewrite) inTransaction(ctx context.Context, span kvapi.Span) error {
	rows := 0
	for {
		kvs, resume, err := w.Txn.Scan(ctx, span, txn.ScanOptions{MaxKeys: chunkRows, TargetBytes: chunkBytes})
		if err != nil {
			return err
		}
		if rows += len(kvs); rows > rowsInTxnMax {
			return sqlerr.New(sqlerr.ProgramLimitExceeded, "table \"%s\" is too large to be changed inside a transaction block", w.old.Name).
				WithDetail("It has more than %d rows.", rowsInTxnMax).
				WithHint("Run the statement outside of a transaction block.")
		}
		out, err := w.newRows(ctx, kvs)
		if err != nil {
			return err
		}
		if err := w.write(ctx, w.Txn, out); err != nil {
			return err
		}
		if resume == nil {
			return nil
		}
		span = *resume
	}
}

// inChunks does the work in transactions of its own. The table is held, so
// the rows do not change between them.
func (w *rewrite) inChunks(ctx context.Context, span kvapi.Span) error {
	for _, id := range w.build {
		if err := w.r.Announce(ctx, w.new.ID, id); err != nil {
			return err
		}
		w.r.KeepData(w.new.ID, id)
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(chunksInFlight)
	for next := &span; next != nil; {
		rows, resume, err := w.readChunk(gctx, *next)
		if err != nil {
			g.Go(func() error { return err })
			break
		}
		g.Go(func() error { return w.writeChunk(gctx, rows) })
		next = resume
	}
	return g.Wait()
}

// readChunk reads some rows and makes new ones of them, in the order of the
// table and each once: fillers may count.
func (w *rewrite) readChunk(ctx context.Context, span kvapi.Span) (rows []types.Row, resume *kvapi.Span, err error) {
	var kvs []kvapi.KeyValue
	err = w.Store.Run(ctx, "rewrite: read", func(ctx context.Context, t schema.Txn) (err error) {
		kvs, resume, err = t.Scan(ctx, span, txn.ScanOptions{MaxKeys: chunkRows, TargetBytes: chunkBytes})
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	rows, err = w.newRows(ctx, kvs)
	return rows, resume, err
}

func (w *rewrite) writeChunk(ctx context.Context, rows []types.Row) error {
	if len(w.targets) == 0 || len(rows) == 0 {
		return nil
	}
	err := w.Store.Run(ctx, "rewrite: write", func(ctx context.Context, t schema.Txn) error {
		return w.Guard(func() error { return w.write(ctx, t.(Txn), rows) })
	})
	return w.duplicate(err)
}

// duplicate gives a key that is there twice its SQL error.
func (w *rewrite) duplicate(err error) error {
	var failed *txn.ConditionFailedError
	if !errors.As(err, &failed) {
		return err
	}
	for _, ic := range w.targets {
		if !slices.Equal(ic.Prefix, failed.Key[:min(len(ic.Prefix), len(failed.Key))]) {
			continue
		}
		e := sqlerr.New(sqlerr.UniqueViolation, "could not create unique index \"%s\"", ic.Index.Name).
			WithTable("", w.new.Name).WithConstraint(ic.Index.Name)
		if vals, derr := ic.DecodeIndexed(failed.Key); derr == nil {
			e = e.WithDetail("Key (%s)=(%s) is duplicated.", w.keyNames(ic), w.keyText(ic, vals))
		}
		return e
	}
	return err
}

func (w *rewrite) keyNames(ic *tablekv.IndexCodec) string {
	var names []string
	for _, c := range ic.Index.Columns {
		if col := w.new.ColumnByID(c.ID); col.Virtual {
			names = append(names, tablekv.ColumnText(col))
		} else {
			names = append(names, quoteIdent(col.Name))
		}
	}
	return strings.Join(names, ", ")
}

func (w *rewrite) keyText(ic *tablekv.IndexCodec, vals []types.Datum) string {
	var out []string
	for i, d := range vals {
		if d.IsNull() {
			out = append(out, "null")
			continue
		}
		out = append(out, string(types.AppendText(nil, ic.Keys[i].Type, d, w.Bind.Types)))
	}
	return strings.Join(out, ", ")
}

// newRows decodes, converts and checks rows.
func (w *rewrite) newRows(ctx context.Context, kvs []kvapi.KeyValue) ([]types.Row, error) {
	in := make(types.Row, len(w.old.Columns))
	out := make([]types.Row, len(kvs))
	width := len(w.new.Columns)
	block := make(types.Row, width*len(kvs))
	for i, kv := range kvs {
		clear(in)
		if err := w.decoder.Decode(kv.Key, kv.Value, in); err != nil {
			return nil, err
		}
		out[i] = block[i*width : (i+1)*width : (i+1)*width]
		if err := w.convert(ctx, in, out[i]); err != nil {
			return nil, err
		}
		if err := w.checkRow(ctx, out[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// write writes the entries of rows into the new indexes.
func (w *rewrite) write(ctx context.Context, t Txn, rows []types.Row) error {
	for _, row := range rows {
		for _, ic := range w.targets {
			if err := w.writeEntry(ctx, t, ic, row); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *rewrite) convert(ctx context.Context, in, out types.Row) (err error) {
	for i, from := range w.from {
		out[i] = types.Null
		if from >= 0 {
			out[i] = in[from]
		}
		if f := w.usingAt[i]; f != nil {
			if out[i], err = f(ctx, in); err != nil {
				return err
			}
		}
		if f := w.fillAt[i]; f != nil {
			if out[i], err = f(ctx, out[i]); err != nil {
				return err
			}
		}
	}
	for i, f := range w.computeAt {
		if f != nil {
			if out[i], err = f(ctx, out); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *rewrite) checkRow(ctx context.Context, row types.Row) error {
	for _, id := range w.notNull {
		if row[w.new.ColumnOrdinal(id)].IsNull() {
			col := w.new.ColumnByID(id).Name
			return sqlerr.New(sqlerr.NotNullViolation, "column \"%s\" of relation \"%s\" contains null values", col, w.new.Name).
				WithTable("", w.new.Name).WithColumn(col)
		}
	}
	for i, eval := range w.bound {
		d, err := eval(ctx, row)
		if err != nil {
			return err
		}
		if !d.IsNull() && !d.Bool() {
			return sqlerr.New(sqlerr.CheckViolation, "check constraint \"%s\" of relation \"%s\" is violated by some row",
				w.checks[i].Name, w.new.Name).WithTable("", w.new.Name).WithConstraint(w.checks[i].Name)
		}
	}
	return nil
}

func (w *rewrite) writeEntry(ctx context.Context, t Txn, ic *tablekv.IndexCodec, row types.Row) error {
	value := ic.Value(row)
	return ic.EachKey(row, func(key kvapi.Key, conflict bool) error {
		if !conflict {
			return t.Put(ctx, key, value)
		}
		return w.duplicate(t.PutIfAbsent(ctx, key, value))
	})
}
