package sql

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/txn"
)

var invertedSeed = flag.Uint64("inverted-seed", 0, "run TestInvertedIndexesAgree with this seed only")

// ginMaker makes random documents, arrays and conditions on them. Keys and values are few.
type ginMaker struct {
	rnd   *rand.Rand
	moved int // rows that got another key
}

func (g *ginMaker) one(of ...string) string { return of[g.rnd.IntN(len(of))] }

func (g *ginMaker) json(depth int) string {
	switch n := g.rnd.IntN(8); {
	case n < 3 && depth > 0:
		var parts []string
		for range g.rnd.IntN(4) {
			parts = append(parts, `"`+g.one("a", "b", "c")+`": `+g.json(depth-1))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case n < 5 && depth > 0:
		var parts []string
		for range g.rnd.IntN(3) {
			parts = append(parts, g.json(depth-1))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	return g.one("1", "1.0", "2", "true", "null", `"a"`, `"b"`, `"x"`, `""`)
}

func (g *ginMaker) ints() string {
	var parts []string
	for range g.rnd.IntN(4) {
		parts = append(parts, g.one("1", "2", "3", "4", "null"))
	}
	return "'{" + strings.Join(parts, ",") + "}'::int[]"
}

func (g *ginMaker) orNull(s string) string {
	if g.rnd.IntN(8) == 0 {
		return "null"
	}
	return s
}

func (g *ginMaker) doc() string { return g.orNull("'" + g.json(3) + "'::jsonb") }

func (g *ginMaker) cond() string {
	switch g.rnd.IntN(9) {
	case 0, 1, 2:
		return "d @> '" + g.json(2) + "'"
	case 3:
		return "d ? '" + g.one("a", "b", "x", "") + "'"
	case 4:
		return "d ?& " + g.one("'{a}'", "'{a,b}'", "'{}'", "'{x,null}'")
	case 5:
		return "d ?| '{a,x}'"
	case 6:
		return "n @> " + g.ints()
	case 7:
		return g.ints() + " <@ n"
	}
	return "n " + g.one("=", "&&", "<@") + " " + g.ints()
}

func (g *ginMaker) change() string {
	id := g.rnd.IntN(60)
	switch g.rnd.IntN(6) {
	case 0, 1:
		return fmt.Sprintf("insert into t values (%d, %s, %s) on conflict (id) do update set d = excluded.d, n = excluded.n", id, g.doc(), g.orNull(g.ints()))
	case 2:
		return fmt.Sprintf("update t set d = %s where id %% 7 = %d", g.doc(), id%7)
	case 3:
		return fmt.Sprintf("update t set n = %s, d = d where id < %d", g.orNull(g.ints()), id/4)
	case 4:
		g.moved++
		return fmt.Sprintf("update t set id = %d where id = %d", 5000+g.moved, id)
	}
	return "delete from t where id % 11 = 3 and " + g.cond()
}

// TestInvertedIndexesAgree changes a table with inverted indexes at random. Conditions find the same rows
// with and without them, and the indexes hold what new ones of the same kind hold.
func TestInvertedIndexesAgree(t *testing.T) {
	seeds := []uint64{1, 2, 3}
	if *invertedSeed != 0 {
		seeds = []uint64{*invertedSeed}
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			g := &ginMaker{rnd: rand.New(rand.NewPCG(seed, 0))}
			env, srv := newTestServerEnv(t)
			s, plain := newTestSession(t, srv), newTestSession(t, srv)
			do := func(q string) {
				t.Helper()
				if _, err := query(t, s, q); err != nil {
					t.Fatalf("seed %d: %s: %v", seed, q, err)
				}
			}
			do("create table t (id int primary key, d jsonb, n int[])")
			if _, err := query(t, plain, "set enable_indexscan = off"); err != nil {
				t.Fatal(err)
			}
			if seed%2 == 1 { // built beside its writers; else it is there before the rows
				do("insert into t select i, jsonb_build_object('a', i % 3), array[i % 4] from generate_series(1000, 2100) i")
			}
			for _, ix := range ginIndexes {
				do("create index old_" + ix.name + " on t using gin (" + ix.on + ")")
			}
			for i := range 120 {
				do(g.change())
				c := g.cond()
				q := "select id from t where " + c + " order by id"
				want, err := query(t, plain, q)
				if err != nil {
					t.Fatalf("seed %d: %s: %v", seed, q, err)
				}
				if got, err := query(t, s, q); err != nil || got != want {
					p, _ := query(t, s, "explain "+q)
					t.Fatalf("seed %d, change %d: %s: %s, %v; without indexes: %s\n%s", seed, i, q, got, err, want, p)
				}
			}
			for _, ix := range ginIndexes {
				do("create index new_" + ix.name + " on t using gin (" + ix.on + ")")
				compareEntries(t, srv, env.DB, "old_"+ix.name, "new_"+ix.name)
			}
			do("delete from t")
			for _, ix := range ginIndexes {
				if got := entriesOf(t, srv, env.DB, "old_"+ix.name); len(got) > 0 {
					t.Errorf("seed %d: %s has %d entries of rows that are gone", seed, ix.name, len(got))
				}
			}
		})
	}
}

var ginIndexes = []struct{ name, on string }{{"d", "d"}, {"p", "d jsonb_path_ops"}, {"n", "n"}}

func compareEntries(t *testing.T, srv *Server, db *txn.DB, a, b string) {
	t.Helper()
	got, want := entriesOf(t, srv, db, a), entriesOf(t, srv, db, b)
	for k := range got {
		if !want[k] {
			t.Errorf("%s has an entry %x that no row has", a, k)
		}
	}
	for k := range want {
		if !got[k] {
			t.Errorf("%s lacks an entry %x", a, k)
		}
	}
}

// entriesOf are the entries of an index, without its prefix.
func entriesOf(t *testing.T, srv *Server, db *txn.DB, name string) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	c, err := srv.cfg.Catalog.Refresh(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	err = db.Run(t.Context(), txn.Options{}, func(ctx context.Context, tx *txn.Txn) error {
		for _, o := range c.Objects() {
			tab, ok := o.(*schema.Table)
			if !ok || tab.IndexByName(name) == nil {
				continue
			}
			p := tab.IndexPrefix(tab.IndexByName(name).ID)
			rows, _, err := tx.Scan(ctx, kvapi.Span{Key: p, EndKey: p.PrefixEnd()}, txn.ScanOptions{})
			if err != nil {
				return err
			}
			for _, kv := range rows {
				out[string(kv.Key[len(p):])+"="+string(kv.Value)] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
