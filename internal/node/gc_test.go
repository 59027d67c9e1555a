package node

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/cairndb/cairn/kv/gc"
	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
)

// tableSpan is where the rows of a table are.
func (c *client) tableSpan(name string) kvapi.Span {
	c.t.Helper()
	var oid uint32
	if err := c.conn.QueryRow(c.t.Context(), "select $1::regclass::oid", name).Scan(&oid); err != nil {
		c.t.Fatal(err)
	}
	start := keys.Table(oid)
	return kvapi.Span{Key: start, EndKey: start.PrefixEnd()}
}

func TestTablesKeepTheirPastAsLongAsTheySay(t *testing.T) {
	c := startCluster(t, 1)
	a := c.client(0)
	a.exec("create table brief (a int primary key, b int) with (gc_ttl = '1 s')")
	a.exec("create table kept (a int primary key, b int)")
	core := c.nodes[0].core.Load()
	policy := func(sp kvapi.Span) time.Duration {
		t.Helper()
		ttl, err := (&gcPolicy{c: core}).TTL(t.Context(), sp)
		if err != nil {
			t.Fatal(err)
		}
		return ttl
	}
	brief, kept := a.tableSpan("brief"), a.tableSpan("kept")
	both := kvapi.Span{Key: brief.Key, EndKey: kept.EndKey}
	for _, p := range []struct {
		sp   kvapi.Span
		want time.Duration
	}{{brief, time.Second}, {kept, gc.DefaultTTL}, {both, gc.DefaultTTL},
		{kvapi.Span{Key: brief.Key, EndKey: brief.EndKey.Next()}, time.Second}, {kvapi.Span{Key: keys.Min, EndKey: keys.MetaMax}, gc.DefaultTTL}} {
		if got := policy(p.sp); got != p.want {
			t.Errorf("%s: %s, not %s", p.sp, got, p.want)
		}
	}

	for _, table := range []string{"brief", "kept"} {
		a.exec("insert into " + table + " values (1, 1)")
	}
	var then string
	if err := a.conn.QueryRow(t.Context(), "select clock_timestamp()::text").Scan(&then); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"brief", "kept"} {
		a.exec("update " + table + " set b = 2")
	}
	past := func(table string) (b int, err error) {
		a.exec("set cairn.read_as_of = '" + then + "'")
		defer a.exec("reset cairn.read_as_of")
		err = a.conn.QueryRow(t.Context(), "select b from "+table).Scan(&b)
		return b, err
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		core.Store.CollectGarbage(ctx)
		b, err := past("brief")
		var e *pgconn.PgError
		if errors.As(err, &e) && e.Code == "72000" {
			break
		}
		if err != nil || b != 1 || ctx.Err() != nil {
			t.Fatalf("%d, %v, %v", b, err, ctx.Err())
		}
	}
	if b, err := past("kept"); err != nil || b != 1 {
		t.Errorf("of the table that keeps its past: %d, %v", b, err)
	}

	a.exec("alter table kept set (gc_ttl = '2 days')")
	a.exec("alter system set cairn.gc_ttl = '10 min'")
	for sp, want := range map[*kvapi.Span]time.Duration{&brief: time.Second, &kept: 48 * time.Hour, &both: 48 * time.Hour} {
		if got := policy(*sp); got != want {
			t.Errorf("then %s: %s, not %s", sp, got, want)
		}
	}
	if got := policy(kvapi.Span{Key: keys.Min, EndKey: keys.MetaMax}); got != 10*time.Minute {
		t.Errorf("elsewhere: %s", got)
	}
}
