package node

import (
	"context"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/txn"
)

// A table's ranges are led by several nodes, each of which filters and
// aggregates what it leads (package pushdown); rows do not travel for it.
func TestWorkIsDoneBesideTheData(t *testing.T) {
	c := startCluster(t, 3)
	s := c.client(0)
	s.exec("CREATE TABLE wide (id int PRIMARY KEY, g int, s text)")
	s.exec("INSERT INTO wide SELECT x, x % 10, repeat('x', 1000) FROM generate_series(1, 3000) x")
	s.exec("INSERT INTO wide VALUES (3001, NULL, 'last')")
	c.awaitReplicas()
	db := c.nodes[0].Core().DB
	var oid uint32
	if err := s.conn.QueryRow(t.Context(), "SELECT 'wide'::regclass::oid").Scan(&oid); err != nil {
		t.Fatal(err)
	}
	table := kvapi.Key(binary.BigEndian.AppendUint32(keys.TablePrefix.Clone(), oid))
	var rows []kvapi.KeyValue
	err := db.Run(t.Context(), txn.Options{}, func(ctx context.Context, x *txn.Txn) (err error) {
		rows, _, err = x.Scan(ctx, kvapi.Span{Key: table, EndKey: table.PrefixEnd()}, txn.ScanOptions{})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, at := range []int{len(rows) - 2000, len(rows) - 1000} {
		key := rows[at].Key
		if err := db.Split(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		ba := (&kvapi.BatchRequest{}).Add(kvapi.Request{Kind: kvapi.AdminTransferLease, Key: key, Target: kvapi.NodeID(i + 2)})
		if _, err := db.Send(t.Context(), ba); err != nil {
			t.Fatal(err)
		}
	}
	for _, q := range []struct{ query, want string }{
		{"SELECT count(*), count(g), sum(g), min(id), max(s) FROM wide WHERE id > 500 OR s = 'last'", "2501 2500 11250 501 xx"},
		{"SELECT g, count(*) FROM wide WHERE g < 3 OR g IS NULL GROUP BY g ORDER BY g", "0 300, 1 300, 2 300, <nil> 1"},
		{"SELECT id FROM wide WHERE s LIKE 'l%'", "3001"},
	} {
		for _, how := range []string{"off", "on", "force"} {
			s.exec("SET cairn.pushdown = " + how)
			if got := strings.ReplaceAll(s.rowText(q.query), strings.Repeat("x", 1000), "xx"); got != q.want {
				t.Errorf("cairn.pushdown = %s: %s: %s, want %s", how, q.query, got, q.want)
			}
			plan := s.rowText("EXPLAIN (ANALYZE, COSTS off, TIMING off) " + q.query)
			if beside := strings.Contains(plan, "Rows Done Beside Data"); beside != (how != "off") {
				t.Errorf("cairn.pushdown = %s: %s", how, plan)
			}
		}
	}
	s.fails("22023", "SET cairn.pushdown = maybe")
}
