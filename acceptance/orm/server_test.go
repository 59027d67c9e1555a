package orm

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	_ "github.com/jackc/pgx/v5/stdlib"
	_ "github.com/lib/pq"
)

// drivers of database/sql by which tools reach the server.
var drivers = []string{"pgx", "postgres"}

//go:embed testdata/migrations
var migrations embed.FS

const migrationDir = "testdata/migrations"

// fresh returns the URL of a database of its own.
func fresh(t *testing.T) string {
	t.Helper()
	base := os.Getenv("CAIRN_URL")
	if base == "" {
		t.Skip("CAIRN_URL says where the server is")
	}
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), base)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	name := fmt.Sprintf("orm%d", time.Now().UnixNano())
	if _, err := conn.Exec(t.Context(), "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// openDB opens a fresh database with a driver.
func openDB(t *testing.T, driver, url string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, url)
	check(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// migration is the text of one, by its number and direction.
func migration(t *testing.T, n int, direction string) string {
	t.Helper()
	entries, err := migrations.ReadDir(migrationDir)
	check(t, err)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), fmt.Sprintf("%06d_", n)) && strings.HasSuffix(e.Name(), "."+direction+".sql") {
			b, err := migrations.ReadFile(migrationDir + "/" + e.Name())
			check(t, err)
			return string(b)
		}
	}
	t.Fatalf("there is no migration %d %s", n, direction)
	return ""
}

// relations are the tables and indexes of schema public, and their columns.
func relations(t *testing.T, db *sql.DB) string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), `SELECT table_name || '.' || column_name || ' ' || data_type FROM information_schema.columns
		WHERE table_schema = 'public' UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1`)
	check(t, err)
	defer func() { _ = rows.Close() }()
	var out []string
	for rows.Next() {
		var s string
		check(t, rows.Scan(&s))
		out = append(out, s)
	}
	check(t, rows.Err())
	return strings.Join(out, "\n")
}
