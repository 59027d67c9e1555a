package node

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/cairndb/cairn/internal/mysqldump"
)

// rowText gives a query's rows as text.
func (c *client) rowText(query string, args ...any) string {
	c.t.Helper()
	rows, err := c.conn.Query(c.t.Context(), query, args...)
	if err != nil {
		c.t.Fatalf("%s: %v", query, err)
	}
	var out []string
	_, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (int, error) {
		vals, err := r.Values()
		out = append(out, strings.Trim(fmt.Sprint(vals), "[]"))
		return 0, err
	})
	if err != nil {
		c.t.Fatalf("%s: %v", query, err)
	}
	return strings.Join(out, ", ")
}

func (c *client) wantRows(want, query string, args ...any) {
	c.t.Helper()
	if got := c.rowText(query, args...); got != want {
		c.t.Errorf("%s\n got %s\nwant %s", query, got, want)
	}
}

func TestASessionInTheMySQLDialect(t *testing.T) {
	c := startCluster(t, 1).client(0)
	c.exec("SET cairn.dialect = 'mysql'")
	c.exec("CREATE TABLE `Hits` (`id` int unsigned NOT NULL AUTO_INCREMENT, `url` varchar(200) NOT NULL, `n` int NOT NULL DEFAULT '1', PRIMARY KEY (`id`), UNIQUE KEY `url` (`url`), KEY `n` (`n`)) ENGINE=InnoDB COMMENT='x'")
	for range 2 {
		tag, err := c.conn.Exec(t.Context(), "INSERT INTO Hits (url, n) VALUES (?, ?), (?, 1) ON DUPLICATE KEY UPDATE n = n + VALUES(n)", "/a", 2, "/b")
		if err != nil || tag.RowsAffected() != 2 {
			t.Fatal(tag, err)
		}
	}
	c.wantRows("/a 4, /b 2", "SELECT url, n FROM hits WHERE n > ? ORDER BY url LIMIT ?, ?", 1, 0, 10)
	c.wantRows("/b", "SELECT url AS URL FROM hits WHERE CONCAT(url, '!') = ? OR id = ? ORDER BY url", "/b!", 100)
	// A statement that becomes several, in the extended protocol.
	if _, err := c.conn.Exec(t.Context(), "CREATE TABLE two (a int, KEY (a))", pgx.QueryExecModeExec); err != nil {
		t.Fatal(err)
	}
	c.wantRows("two_a", "SELECT indexname FROM pg_indexes WHERE tablename = 'two'")
	c.exec("ALTER TABLE two ADD COLUMN b int, ADD KEY bee (b)")
	c.wantRows("two_a, two_bee", "SELECT indexname FROM pg_indexes WHERE tablename = 'two' ORDER BY 1")

	if e := c.fails("42601", "SELECT url\nFRM x hits"); e.Position != 16 || e.InternalQuery != "" {
		t.Errorf("%+v", e)
	}
	e := c.fails("42703", "SELECT `nope` FROM hits")
	if e.Position != 0 || e.InternalQuery != `SELECT "nope" FROM "hits"` || e.InternalPosition != 8 {
		t.Errorf("%+v", e)
	}
	if e := c.fails("0A000", "SELECT SOUNDEX(url) FROM hits"); e.Position != 8 {
		t.Errorf("%+v", e)
	}
	// A driver's own statements.
	tx, err := c.conn.BeginTx(t.Context(), pgx.TxOptions{IsoLevel: pgx.Serializable, AccessMode: pgx.ReadOnly})
	if err != nil {
		t.Fatal(err)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.conn.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.exec("SET cairn.dialect = 'postgres'")
	c.wantRows("/a!", "SELECT url || '!' FROM hits WHERE n = $1", 4)

	cfg := c.conn.Config()
	cfg.RuntimeParams["options"] = "-c cairn.dialect=mysql"
	conn, err := pgx.ConnectConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	(&client{t, conn}).wantRows("1", "SELECT `n` = ? FROM hits WHERE `n` > 3", 4)
}

type dumpConn struct{ *pgconn.PgConn }

// Exec implements mysqldump.Conn.
func (c dumpConn) Exec(ctx context.Context, q string) (string, error) {
	res, err := c.PgConn.Exec(ctx, q).ReadAll()
	if err != nil || len(res) == 0 || len(res[len(res)-1].Rows) == 0 {
		return "", err
	}
	return string(res[len(res)-1].Rows[0][0]), nil
}

// TestADumpCanBeImportedTwice: what it made is dropped first, views and all.
func TestADumpCanBeImportedTwice(t *testing.T) {
	c := startCluster(t, 1).client(0)
	for range 2 {
		f, err := os.Open("../mysqldump/testdata/shop.sql")
		if err != nil {
			t.Fatal(err)
		}
		m := &mysqldump.Importer{Conn: dumpConn{c.conn.PgConn()}, Progress: func(string) {}, Warn: func(string) {}}
		rows, err := m.Import(t.Context(), f)
		f.Close()
		if err != nil || fmt.Sprint(rows) != "[{order_lines 3} {orders 2}]" {
			t.Fatal(rows, err)
		}
	}
	c.wantRows("1 Zoë 1 a 0x72", "SELECT id, customer, gift, details->'tags'->>0, '0x' || encode(substr(receipt, 1, 1), 'hex') FROM orders WHERE due = '2024-02-29'")
	c.wantRows("6.00", "SELECT sum::text FROM paid")
	c.wantRows("8", "INSERT INTO orders (state) VALUES ('sent') RETURNING id")
	c.fails("23503", "INSERT INTO order_lines VALUES (100, 1, 'x')")
	c.fails("23514", "INSERT INTO orders (state) VALUES ('lost')")
	c.fails("23505", "INSERT INTO orders (customer, due) VALUES ('Zoë', '2024-02-29')")
}
