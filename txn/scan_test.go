package txn_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/txn"
	"github.com/cairndb/cairn/txn/txntest"
)

// naiveScan is the twin: overlay one map on another, sort, cut.
func naiveScan(model map[string]string, from, to string, reverse bool) []string {
	var out []string
	for _, key := range slices.Sorted(maps.Keys(model)) {
		if key >= from && key < to {
			out = append(out, key+"="+model[key])
		}
	}
	if reverse {
		slices.Reverse(out)
	}
	return out
}

// TestScansMergeOwnWritesExactly runs random writes, savepoints and scans with
// random bounds against the twin: the pages of a scan, joined by their resume
// spans, are the twin's rows, and no page passes its bounds.
func TestScansMergeOwnWritesExactly(t *testing.T) {
	env := txntest.New(t)
	run := 0
	key := rapid.Custom(func(t *rapid.T) string { return fmt.Sprintf("%02d", rapid.IntRange(0, 40).Draw(t, "k")) })
	rapid.Check(t, func(rt *rapid.T) {
		run++
		ctx := context.Background()
		prefix := fmt.Sprintf("%05d/", run)
		pk := func(s string) kvapi.Key { return k(prefix + s) }
		base := rapid.MapOf(key, rapid.StringN(0, 6, 12)).Draw(rt, "base")
		for _, s := range rapid.SliceOfN(key, 0, 4).Draw(rt, "splits") {
			env.Cluster.Split(pk(s))
		}
		check := func(err error) {
			if err != nil {
				rt.Fatal(err)
			}
		}
		check(env.DB.Run(ctx, txn.Options{}, func(ctx context.Context, tx *txn.Txn) error {
			for kk, v := range base {
				if err := tx.Put(ctx, pk(kk), []byte(v)); err != nil {
					return err
				}
			}
			return nil
		}))
		tx := env.DB.Begin(txn.Options{})
		model, saved, sp := maps.Clone(base), maps.Clone(base), tx.Savepoint()
		if model == nil {
			model, saved = map[string]string{}, map[string]string{}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"put": func(rt *rapid.T) {
				kk, v := key.Draw(rt, "key"), rapid.StringN(0, 6, 12).Draw(rt, "value")
				check(tx.Put(ctx, pk(kk), []byte(v)))
				model[kk] = v
			},
			"delete": func(rt *rapid.T) {
				kk := key.Draw(rt, "key")
				check(tx.Delete(ctx, pk(kk)))
				delete(model, kk)
			},
			"savepoint": func(*rapid.T) { sp, saved = tx.Savepoint(), maps.Clone(model) },
			"rollback":  func(*rapid.T) { check(tx.RollbackTo(sp)); model = maps.Clone(saved) },
			"get": func(rt *rapid.T) {
				kk := key.Draw(rt, "key")
				v, ok, err := tx.Get(ctx, pk(kk), txn.GetOptions{})
				check(err)
				if want, wok := model[kk]; ok != wok || string(v) != want {
					rt.Fatalf("get %s = %q %v, want %q %v", kk, v, ok, want, wok)
				}
			},
			"scan": func(rt *rapid.T) {
				from, to := key.Draw(rt, "from"), key.Draw(rt, "to")
				o := txn.ScanOptions{Reverse: rapid.Bool().Draw(rt, "reverse"),
					MaxKeys:     int64(rapid.IntRange(0, 5).Draw(rt, "keys")),
					TargetBytes: int64(rapid.SampledFrom([]int{0, 1, 30, 100}).Draw(rt, "bytes"))}
				got := scanAll(ctx, rt, tx, kvapi.Span{Key: pk(from), EndKey: pk(to)}, o, len(pk("")))
				if want := naiveScan(model, from, to, o.Reverse); !slices.Equal(got, want) {
					rt.Fatalf("scan [%s,%s) %+v\n got %q\nwant %q", from, to, o, got, want)
				}
			},
			"scan many": func(rt *rapid.T) {
				cuts := rapid.SliceOfNDistinct(key, 2, 8, rapid.ID[string]).Draw(rt, "cuts")
				slices.Sort(cuts)
				var spans []kvapi.Span
				var want [][]string
				for i := 0; i+1 < len(cuts); i += 2 {
					spans = append(spans, kvapi.Span{Key: pk(cuts[i]), EndKey: pk(cuts[i+1])})
					want = append(want, naiveScan(model, cuts[i], cuts[i+1], false))
				}
				got, err := tx.ScanMany(ctx, spans, int64(rapid.SampledFrom([]int{0, 1, 30, 100}).Draw(rt, "bytes")))
				check(err)
				for i, rows := range got {
					var have []string
					for _, r := range rows {
						have = append(have, string(r.Key[len(pk("")):])+"="+string(r.Value))
					}
					if !slices.Equal(have, want[i]) {
						rt.Fatalf("span %d of %v: got %q, want %q", i, cuts, have, want[i])
					}
				}
			},
			"": func(*rapid.T) {},
		})
		check(tx.Commit(ctx))
		tx = env.DB.Begin(txn.Options{})
		got := scanAll(ctx, rt, tx, kvapi.Span{Key: pk(""), EndKey: pk("99")}, txn.ScanOptions{}, len(pk("")))
		if want := naiveScan(model, "", "99", false); !slices.Equal(got, want) {
			rt.Fatalf("after commit: got %q, want %q", got, want)
		}
		check(tx.Commit(ctx))
	})
}

// scanAll reads all pages and checks the bounds of each.
func scanAll(ctx context.Context, rt *rapid.T, tx *txn.Txn, sp kvapi.Span, o txn.ScanOptions, prefix int) []string {
	var out []string
	for next := &sp; next != nil; {
		rows, resume, err := tx.Scan(ctx, *next, o)
		if err != nil {
			rt.Fatal(err)
		}
		if o.MaxKeys > 0 && int64(len(rows)) > o.MaxKeys {
			rt.Fatalf("%d rows, bound %d", len(rows), o.MaxKeys)
		}
		if resume != nil && len(rows) == 0 {
			rt.Fatalf("no progress at %s", resume)
		}
		if resume != nil && o.MaxKeys == 0 && o.TargetBytes == 0 {
			rt.Fatalf("resume %s without bounds", resume)
		}
		size := 0
		for i, r := range rows {
			if o.TargetBytes > 0 && i > 0 && int64(size) >= o.TargetBytes {
				rt.Fatalf("row %d after the byte bound", i)
			}
			size += len(r.Key) + len(r.Value)
			out = append(out, string(r.Key[prefix:])+"="+string(bytes.Clone(r.Value)))
		}
		next = resume
	}
	return out
}
