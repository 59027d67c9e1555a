package tablekv

import (
	"bytes"
	"context"
	"fmt"
	"hash/maphash"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/sql/types"
)

// CheckReader reads a table at one moment.
type CheckReader interface {
	// ScanPage returns some of a span's pairs, in order, and what is left of it.
	ScanPage(ctx context.Context, span kvapi.Span) (rows []kvapi.KeyValue, rest *kvapi.Span, err error)
	// GetAll returns the values of keys, nil for those that are not there.
	GetAll(ctx context.Context, keys []kvapi.Key) ([][]byte, error)
}

// CheckResult is what a check of a table's indexes found.
type CheckResult struct {
	// Rows is how many rows there are, Checked the indexes that were compared
	// with them.
	Rows    int64
	Checked []string
	// Skipped are indexes that are still being built.
	Skipped []string
	// Problems say what is wrong, for people; there may be more than those.
	Problems []string
}

// problemsMax bounds what a check says of one index.
const problemsMax = 10

// tally sums up entries, in any order: two 64-bit sums and a count. That equal
// tallies hide a difference has a chance of one in 2^100 for disks and bugs; only
// then are entries looked at one by one.
type tally struct {
	n    int64
	a, b uint64
}

func (t *tally) add(seeds *[2]maphash.Seed, key, value []byte) {
	t.n++
	for i, sum := range []*uint64{&t.a, &t.b} {
		var h maphash.Hash
		h.SetSeed(seeds[i])
		h.Write(key)
		h.WriteByte(0)
		var size [8]byte
		for j := range size {
			size[j] = byte(len(key) >> (8 * j))
		}
		h.Write(size[:])
		h.Write(value)
		*sum += h.Sum64()
	}
}

// Check compares the entries of a table's indexes with what its rows demand:
//
//	rows ──decode──▶ entries of each index ──▶ tally ─┐
//	index ─────────▶ entries ────────────────▶ tally ─┴ equal, or else:
//	                                                   each row's entry looked up,
//	                                                   each entry's row looked up
//
// A sound table is read once, and each of its indexes, in order: nothing is looked
// up, and nothing held in memory. Virtual gives a row its virtual columns: the keys
// of indexes on expressions, and whether partial indexes have it.
func (c *Codec) Check(ctx context.Context, r CheckReader, virtual func(context.Context, types.Row) error) (*CheckResult, error) {
	out := &CheckResult{}
	var checked []*IndexCodec
	for i := range c.Indexes {
		ic := &c.Indexes[i]
		if !ic.Index.IsPublic() {
			out.Skipped = append(out.Skipped, ic.Index.Name)
			continue
		}
		checked = append(checked, ic)
		out.Checked = append(out.Checked, ic.Index.Name)
	}
	k := &checker{c: c, r: r, virtual: virtual, out: out, seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}}
	all := make([]int, len(c.Types))
	for i := range all {
		all[i] = i
	}
	k.rows = c.Primary.NewDecoder(all)
	want := make([]tally, len(checked))
	err := k.eachRow(ctx, func(_ kvapi.KeyValue, row types.Row) error {
		out.Rows++
		for i, ic := range checked {
			if !ic.Holds(row) {
				continue
			}
			key, _, err := ic.Key(row)
			if err != nil {
				return err
			}
			want[i].add(&k.seeds, key, ic.Value(row))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i, ic := range checked {
		var got tally
		if err := k.each(ctx, ic.span(), func(kv kvapi.KeyValue) error {
			got.add(&k.seeds, kv.Key, kv.Value)
			return nil
		}); err != nil {
			return nil, err
		}
		if got == want[i] {
			continue
		}
		if err := k.findProblems(ctx, ic, want[i].n, got.n); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (ic *IndexCodec) span() kvapi.Span {
	return kvapi.Span{Key: ic.Prefix, EndKey: ic.Prefix.PrefixEnd()}
}

// checker is a check at work.
type checker struct {
	c       *Codec
	r       CheckReader
	virtual func(context.Context, types.Row) error
	rows    *Decoder
	out     *CheckResult
	seeds   [2]maphash.Seed
}

// pages calls f with each page of a span.
func (k *checker) pages(ctx context.Context, span kvapi.Span, f func([]kvapi.KeyValue) error) error {
	for rest := &span; rest != nil; {
		page, next, err := k.r.ScanPage(ctx, *rest)
		if err != nil {
			return err
		}
		if err := f(page); err != nil {
			return err
		}
		rest = next
	}
	return nil
}

func (k *checker) each(ctx context.Context, span kvapi.Span, f func(kvapi.KeyValue) error) error {
	return k.pages(ctx, span, func(page []kvapi.KeyValue) error {
		for _, kv := range page {
			if err := f(kv); err != nil {
				return err
			}
		}
		return nil
	})
}

// eachRow calls f with each row, whose memory it may not keep.
func (k *checker) eachRow(ctx context.Context, f func(kvapi.KeyValue, types.Row) error) error {
	row := make(types.Row, len(k.c.Types))
	return k.each(ctx, k.c.Primary.span(), func(kv kvapi.KeyValue) error {
		if err := k.decodeRow(ctx, kv, row); err != nil {
			return fmt.Errorf("row %x of %s: %w", []byte(kv.Key), k.c.Table.Name, err)
		}
		return f(kv, row)
	})
}

func (k *checker) decodeRow(ctx context.Context, kv kvapi.KeyValue, row types.Row) error {
	for i := range row {
		row[i] = types.Null
	}
	if err := k.rows.Decode(kv.Key, kv.Value, row); err != nil {
		return err
	}
	return k.virtual(ctx, row)
}

// findProblems says which entries of an index are missing, wrong or too many.
func (k *checker) findProblems(ctx context.Context, ic *IndexCodec, rows, entries int64) error {
	found := 0
	say := func(format string, args ...any) {
		if found++; found <= problemsMax {
			k.out.Problems = append(k.out.Problems, fmt.Sprintf("index %s: ", ic.Index.Name)+fmt.Sprintf(format, args...))
		}
	}
	if err := k.missing(ctx, ic, say); err != nil {
		return err
	}
	if err := k.dangling(ctx, ic, say); err != nil {
		return err
	}
	if found > problemsMax {
		k.out.Problems = append(k.out.Problems, fmt.Sprintf("index %s: and %d more", ic.Index.Name, found-problemsMax))
	}
	if found == 0 {
		say("%d rows and %d entries do not sum up to the same", rows, entries)
	}
	return nil
}

// missing looks up the entry of each row.
func (k *checker) missing(ctx context.Context, ic *IndexCodec, say func(string, ...any)) error {
	row := make(types.Row, len(k.c.Types))
	return k.pages(ctx, k.c.Primary.span(), func(page []kvapi.KeyValue) error {
		var keys, of []kvapi.Key
		var values [][]byte
		for _, kv := range page {
			if err := k.decodeRow(ctx, kv, row); err != nil {
				return err
			}
			if !ic.Holds(row) {
				continue
			}
			key, _, err := ic.Key(row)
			if err != nil {
				return err
			}
			keys, of, values = append(keys, key), append(of, kv.Key), append(values, ic.Value(row))
		}
		got, err := k.r.GetAll(ctx, keys)
		if err != nil {
			return err
		}
		for i := range got {
			switch pk := of[i][len(k.c.Primary.Prefix):]; {
			case got[i] == nil:
				say("row %x has no entry", []byte(pk))
			case !bytes.Equal(got[i], values[i]):
				say("the entry of row %x is not of that row", []byte(pk))
			}
		}
		return nil
	})
}

// dangling looks up the row of each entry.
func (k *checker) dangling(ctx context.Context, ic *IndexCodec, say func(string, ...any)) error {
	at := make([]int, len(k.c.Types))
	for i := range at {
		at[i] = -1
	}
	for _, col := range k.c.Primary.Keys {
		at[col.Ordinal] = col.Ordinal
	}
	entries := ic.NewDecoder(at)
	row := make(types.Row, len(k.c.Types))
	return k.pages(ctx, ic.span(), func(page []kvapi.KeyValue) error {
		keys := make([]kvapi.Key, len(page))
		for i, kv := range page {
			for j := range row {
				row[j] = types.Null
			}
			if err := entries.Decode(kv.Key, kv.Value, row); err != nil {
				say("entry %x cannot be read: %v", []byte(kv.Key[len(ic.Prefix):]), err)
				continue
			}
			key, _, err := k.c.Primary.Key(row)
			if err != nil {
				return err
			}
			keys[i] = key
		}
		return k.lookUpRows(ctx, ic, page, keys, say)
	})
}

func (k *checker) lookUpRows(ctx context.Context, ic *IndexCodec, page []kvapi.KeyValue, keys []kvapi.Key, say func(string, ...any)) error {
	var ask []kvapi.Key
	var of []int
	for i, key := range keys {
		if key != nil {
			ask, of = append(ask, key), append(of, i)
		}
	}
	got, err := k.r.GetAll(ctx, ask)
	if err != nil {
		return err
	}
	row := make(types.Row, len(k.c.Types))
	for i, value := range got {
		entry := page[of[i]].Key
		name := []byte(entry[len(ic.Prefix):])
		if value == nil {
			say("entry %x is of no row", name)
			continue
		}
		if err := k.decodeRow(ctx, kvapi.KeyValue{Key: ask[i], Value: value}, row); err != nil {
			return err
		}
		key, _, err := ic.Key(row)
		if err != nil {
			return err
		}
		if !key.Equal(entry) || !ic.Holds(row) {
			say("entry %x is not what its row has", name)
		}
	}
	return nil
}
