package acceptance

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/cairndb/cairn/acceptance/cluster"
)

// server returns the URL of a server to run clients against, with an empty
// schema to work in: a cluster's, or that of -target.
func server(t *testing.T) string {
	t.Helper()
	if *target == "" {
		return start(t, 3).Nodes[1].URL()
	}
	conn := connect(t, *target)
	name := fmt.Sprintf("t%d", time.Now().UnixNano())
	mustExec(t, conn, "CREATE DATABASE "+name)
	cfg, err := pgconn.ParseConfig(*target)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("postgres://%s@%s:%d/%s?sslmode=disable", cfg.User, cfg.Host, cfg.Port, name)
}

// wantCode fails unless the error has this SQLSTATE.
func wantCode(t *testing.T, err error, code string) *pgconn.PgError {
	t.Helper()
	var pe *pgconn.PgError
	if !errors.As(err, &pe) {
		t.Errorf("%v, want SQLSTATE %s", err, code)
		return &pgconn.PgError{}
	}
	if pe.Code != code {
		t.Errorf("%s %s, want SQLSTATE %s", pe.Code, pe.Message, code)
	}
	return pe
}

func TestAProgramWithPgx(t *testing.T) {
	url := server(t)
	for _, part := range []struct {
		name string
		run  func(*testing.T, string)
	}{
		{"values of every type", pgxTypes},
		{"ranges", pgxRanges},
		{"prepared statements", pgxPrepared},
		{"query modes", pgxModes},
		{"batch", pgxBatch},
		{"CopyFrom", pgxCopyFrom},
		{"COPY TO", pgxCopyTo},
		{"transactions and savepoints", pgxTransactions},
		{"errors", pgxErrors},
		{"pool and retries", pgxPool},
		{"cancel", pgxCancel},
		{"portals with row limits", pgxPortals},
		{"database/sql", databaseSQL},
	} {
		t.Run(part.name, func(t *testing.T) { part.run(t, url) })
	}
}

func pgxTypes(t *testing.T, url string) {
	conn := connect(t, url)
	mustExec(t, conn, `CREATE TABLE kinds (id int PRIMARY KEY, b bool, i2 int2, i4 int4, i8 int8, f4 float4, f8 float8,
		n numeric(20, 5), s text, vc varchar(20), c char(3), raw bytea, u uuid, d date, ts timestamp, tz timestamptz, iv interval,
		j jsonb, a int[])`)
	day := time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC)
	at := time.Date(2024, 2, 29, 12, 30, 15, 123456000, time.UTC)
	mustExec(t, conn, "INSERT INTO kinds VALUES (1,$1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16,$17,$18)",
		true, int16(-2), int32(4), int64(1)<<40, float32(1.5), 2.25, "12345.678", "héllo", "vc", "c", []byte{0, 1, 255},
		"5a9ad3d4-3f7e-4fd1-a5d6-b18c8e5d4b8f", day, at, at, pgtype.Interval{Microseconds: 3_600_000_000, Days: 2, Months: 1, Valid: true},
		`{"k": [1, 2]}`, []int32{1, 2, 3})
	var (
		b    bool
		i2   int16
		i4   int32
		i8   int64
		f4   float32
		f8   float64
		n    string
		s    string
		raw  []byte
		u    pgtype.UUID
		d    time.Time
		ts   time.Time
		tz   time.Time
		iv   pgtype.Interval
		j    map[string][]int
		a    []int32
		gone *int
	)
	err := conn.QueryRow(t.Context(), "SELECT b, i2, i4, i8, f4, f8, n::text, s, raw, u, d, ts, tz, iv, j, a, NULL::int FROM kinds WHERE id = $1", 1).
		Scan(&b, &i2, &i4, &i8, &f4, &f8, &n, &s, &raw, &u, &d, &ts, &tz, &iv, &j, &a, &gone)
	if err != nil {
		t.Fatal(err)
	}
	got := strings.TrimSpace(fmt.Sprintln(b, i2, i4, i8, f4, f8, n, s, raw, u.String(), d.Equal(day), ts.Equal(at), tz.Equal(at),
		iv.Months, iv.Days, iv.Microseconds, j, a, gone))
	want := "true -2 4 1099511627776 1.5 2.25 12345.67800 héllo [0 1 255] 5a9ad3d4-3f7e-4fd1-a5d6-b18c8e5d4b8f true true true 1 2 3600000000 map[k:[1 2]] [1 2 3] <nil>"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// pgxRanges sends and reads ranges, and an array of them, by pgx's own codecs in the binary format.
func pgxRanges(t *testing.T, url string) {
	conn := connect(t, url)
	mustExec(t, conn, "CREATE TABLE spans (r int4range PRIMARY KEY, n numrange, ts tstzrange, rs int8range[])")
	day := time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC)
	in := func(lo, hi int32) pgtype.Range[pgtype.Int4] {
		return pgtype.Range[pgtype.Int4]{Lower: pgtype.Int4{Int32: lo, Valid: true}, Upper: pgtype.Int4{Int32: hi, Valid: true},
			LowerType: pgtype.Inclusive, UpperType: pgtype.Inclusive, Valid: true}
	}
	since := pgtype.Range[pgtype.Timestamptz]{Lower: pgtype.Timestamptz{Time: day, Valid: true}, LowerType: pgtype.Exclusive, UpperType: pgtype.Unbounded, Valid: true}
	mustExec(t, conn, "INSERT INTO spans VALUES ($1, '(1.50,2]', $2, '{\"[1,2]\",empty}')", in(1, 9), since)
	var r pgtype.Range[pgtype.Int4]
	var n pgtype.Range[pgtype.Numeric]
	var ts pgtype.Range[pgtype.Timestamptz]
	var rs pgtype.FlatArray[pgtype.Range[pgtype.Int8]]
	if err := conn.QueryRow(t.Context(), "SELECT r, n, ts, rs FROM spans WHERE r = $1", in(1, 9)).Scan(&r, &n, &ts, &rs); err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintf("%d %d %c%c, %d %c%c, %v %c%c, %d %c%c", r.Lower.Int32, r.Upper.Int32, r.LowerType, r.UpperType,
		n.Upper.Int, n.LowerType, n.UpperType, ts.Lower.Time.Equal(day), ts.LowerType, ts.UpperType, rs[0].Upper.Int64, rs[0].UpperType, rs[1].LowerType)
	if want := "1 10 ie, 2 ei, true eU, 3 eE"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func pgxPrepared(t *testing.T, url string) {
	conn := connect(t, url)
	mustExec(t, conn, "CREATE TABLE prep (k int PRIMARY KEY, v text)")
	sd, err := conn.Prepare(t.Context(), "put", "INSERT INTO prep VALUES ($1, $2) RETURNING k, v")
	if err != nil {
		t.Fatal(err)
	}
	if len(sd.ParamOIDs) != 2 || sd.ParamOIDs[0] != pgtype.Int4OID || sd.ParamOIDs[1] != pgtype.TextOID || len(sd.Fields) != 2 || sd.Fields[1].Name != "v" {
		t.Errorf("described as %+v", sd)
	}
	for i := range 3 {
		if got := one[int](t, conn, "WITH x AS (SELECT 1) SELECT 1"); got != 1 {
			t.Error(got)
		}
		var k int
		var v string
		if err := conn.QueryRow(t.Context(), "put", i, fmt.Sprint("v", i)).Scan(&k, &v); err != nil || k != i || v != fmt.Sprint("v", i) {
			t.Errorf("put %d: %d %q %v", i, k, v, err)
		}
	}
	// A statement prepared before its table changed is not answered from the
	// old plan.
	if _, err := conn.Prepare(t.Context(), "all", "SELECT v FROM prep WHERE k = $1"); err != nil {
		t.Fatal(err)
	}
	mustExec(t, connect(t, url), "CREATE INDEX ON prep (v)")
	if got := one[string](t, conn, "all", 2); got != "v2" {
		t.Error(got)
	}
	if err := conn.Deallocate(t.Context(), "put"); err != nil {
		t.Error(err)
	}
}

func pgxModes(t *testing.T, url string) {
	conn := connect(t, url)
	for _, m := range []pgx.QueryExecMode{pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe,
		pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol} {
		if got := one[string](t, conn, "SELECT $1::text || 'x' || ($2::int + 1)::text", m, "it's", 41); got != "it'sx42" {
			t.Errorf("%v: %q", m, got)
		}
	}
}

func pgxBatch(t *testing.T, url string) {
	conn := connect(t, url)
	mustExec(t, conn, "CREATE TABLE batch (k int PRIMARY KEY)")
	b := &pgx.Batch{}
	for i := range 100 {
		b.Queue("INSERT INTO batch VALUES ($1)", i)
	}
	total := 0
	b.Queue("SELECT count(*) FROM batch").QueryRow(func(row pgx.Row) error { return row.Scan(&total) })
	if err := conn.SendBatch(t.Context(), b).Close(); err != nil || total != 100 {
		t.Errorf("%d rows, %v", total, err)
	}
	// A batch is one implicit transaction: the error in its middle undoes it.
	bad := &pgx.Batch{}
	bad.Queue("INSERT INTO batch VALUES (1000)")
	bad.Queue("INSERT INTO batch VALUES (1)")
	bad.Queue("INSERT INTO batch VALUES (1001)")
	wantCode(t, conn.SendBatch(t.Context(), bad).Close(), "23505")
	if got := one[int](t, conn, "SELECT count(*) FROM batch"); got != 100 {
		t.Errorf("after a failed batch: %d rows", got)
	}
}

func pgxCopyFrom(t *testing.T, url string) {
	conn := connect(t, url)
	mustExec(t, conn, "CREATE TABLE copied (k int PRIMARY KEY, v text, at timestamptz, n numeric)")
	const rows = 5000
	n, err := conn.CopyFrom(t.Context(), pgx.Identifier{"copied"}, []string{"k", "v", "at", "n"},
		pgx.CopyFromSlice(rows, func(i int) ([]any, error) {
			return []any{i, fmt.Sprintf("row\t%d\n", i), time.Unix(int64(i), 0), fmt.Sprintf("%d.5", i)}, nil
		}))
	if err != nil || n != rows {
		t.Fatalf("%d, %v", n, err)
	}
	if got := one[string](t, conn, "SELECT count(*) || ' ' || sum(n) FROM copied"); got != "5000 12500000.0" {
		t.Error(got)
	}
	_, err = conn.CopyFrom(t.Context(), pgx.Identifier{"copied"}, []string{"k"}, pgx.CopyFromRows([][]any{{rows}, {1}}))
	wantCode(t, err, "23505")
	if got := one[int](t, conn, "SELECT count(*) FROM copied"); got != rows {
		t.Errorf("after a failed COPY: %d rows", got)
	}
}

func pgxCopyTo(t *testing.T, url string) {
	conn := connect(t, url)
	mustExec(t, conn, "CREATE TABLE out (k int PRIMARY KEY, v text)")
	mustExec(t, conn, `INSERT INTO out VALUES (1, 'a'), (2, NULL), (3, E'tab\there')`)
	for stmt, want := range map[string]string{
		"COPY out TO STDOUT": "1\ta\n2\t\\N\n3\ttab\\there\n",
		"COPY (SELECT k, v FROM out WHERE k < 3) TO STDOUT (FORMAT csv)": "1,a\n2,\n",
	} {
		var buf bytes.Buffer
		if _, err := conn.PgConn().CopyTo(t.Context(), &buf, stmt); err != nil || buf.String() != want {
			t.Errorf("%s: %q, %v", stmt, buf.String(), err)
		}
	}
}

func pgxTransactions(t *testing.T, url string) {
	conn, ctx := connect(t, url), t.Context()
	mustExec(t, conn, "CREATE TABLE tx (k int PRIMARY KEY)")
	errNo := errors.New("no")
	err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		mustExec(t, conn, "INSERT INTO tx VALUES (1)")
		return errNo
	})
	if !errors.Is(err, errNo) {
		t.Error(err)
	}
	err = pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{IsoLevel: pgx.Serializable}, func(tx pgx.Tx) error {
		mustExec(t, conn, "INSERT INTO tx VALUES (2)")
		inner := pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error { // a savepoint
			mustExec(t, conn, "INSERT INTO tx VALUES (3)")
			_, err := tx.Exec(ctx, "INSERT INTO tx VALUES (2)")
			return err
		})
		wantCode(t, inner, "23505")
		mustExec(t, conn, "INSERT INTO tx VALUES (4)")
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if got := one[string](t, conn, "SELECT string_agg(k::text, ',' ORDER BY k) FROM tx"); got != "2,4" {
		t.Error(got)
	}
	// In a failed transaction nothing runs, and COMMIT says ROLLBACK.
	tx, err := conn.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	_, err = tx.Exec(ctx, "SELECT 1/0")
	wantCode(t, err, "22012")
	_, err = tx.Exec(ctx, "SELECT 1")
	wantCode(t, err, "25P02")
	if err := tx.Commit(ctx); !errors.Is(err, pgx.ErrTxCommitRollback) {
		t.Error(err)
	}
	ro, err := conn.BeginTx(ctx, pgx.TxOptions{AccessMode: pgx.ReadOnly})
	if err != nil {
		t.Fatal(err)
	}
	_, err = ro.Exec(ctx, "INSERT INTO tx VALUES (9)")
	wantCode(t, err, "25006")
	if err := ro.Rollback(ctx); err != nil {
		t.Error(err)
	}
}

func pgxErrors(t *testing.T, url string) {
	conn := connect(t, url)
	mustExec(t, conn, "CREATE TABLE errs (k int PRIMARY KEY, v text NOT NULL, n int CHECK (n > 0))")
	mustExec(t, conn, "INSERT INTO errs VALUES (1, 'x', 1)")
	for _, c := range []struct {
		stmt, code string
		position   int32
	}{
		{"SELEC 1", "42601", 1},
		{"SELECT 1 FROM nowhere", "42P01", 15},
		{"SELECT nothing FROM errs", "42703", 8},
		{"SELECT k + 'a' FROM errs", "22P02", 12},
		{"SELECT nofunc(1)", "42883", 8},
		{"INSERT INTO errs VALUES (1, 'y', 1)", "23505", 0},
		{"INSERT INTO errs VALUES (2, NULL, 1)", "23502", 0},
		{"INSERT INTO errs VALUES (2, 'y', 0)", "23514", 0},
		{"INSERT INTO errs (k, k) VALUES (1, 2)", "42701", 22},
		{"SELECT 1/0", "22012", 0},
		{"SELECT 2147483647::int + 1", "22003", 0},
		{"CREATE TABLE errs (k int)", "42P07", 0},
		{"SELECT k FROM errs GROUP BY v", "42803", 8},
		{"SET no_such_setting = 1", "42704", 0},
	} {
		_, err := conn.Exec(t.Context(), c.stmt, pgx.QueryExecModeSimpleProtocol)
		pe := wantCode(t, err, c.code)
		if pe.Position != c.position {
			t.Errorf("%s: position %d, want %d", c.stmt, pe.Position, c.position)
		}
		if pe.Severity != "ERROR" || pe.Message == "" {
			t.Errorf("%s: %+v", c.stmt, pe)
		}
	}
	pe := wantCode(t, func() error { _, err := conn.Exec(t.Context(), "INSERT INTO errs VALUES (1, 'y', 1)"); return err }(), "23505")
	if pe.ConstraintName != "errs_pkey" || pe.TableName != "errs" || pe.Detail != "Key (k)=(1) already exists." {
		t.Errorf("%q %q %q", pe.ConstraintName, pe.TableName, pe.Detail)
	}
}

// retry runs a transaction again as long as the server says it may be.
func retry(ctx context.Context, pool *pgxpool.Pool, fn func(pgx.Tx) error) (attempts int, err error) {
	for attempts = 1; ; attempts++ {
		err = pgx.BeginTxFunc(ctx, pool, pgx.TxOptions{IsoLevel: pgx.Serializable}, fn)
		var pe *pgconn.PgError
		if !errors.As(err, &pe) || pe.Code != "40001" && pe.Code != "40P01" {
			return attempts, err
		}
	}
}

func pgxPool(t *testing.T, url string) {
	ctx := t.Context()
	pool, err := pgxpool.New(ctx, url+"&pool_max_conns=8")
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if _, err := pool.Exec(ctx, "CREATE TABLE counters (id int PRIMARY KEY, n int NOT NULL)"); err != nil {
		t.Fatal(err)
	}
	if _, err := pool.Exec(ctx, "INSERT INTO counters VALUES (1, 0), (2, 0)"); err != nil {
		t.Fatal(err)
	}
	const workers, each = 8, 20
	var wg sync.WaitGroup
	var mu sync.Mutex
	attempts := 0
	for range workers {
		wg.Go(func() {
			for range each {
				n, err := retry(ctx, pool, func(tx pgx.Tx) error {
					var n int
					if err := tx.QueryRow(ctx, "SELECT n FROM counters WHERE id = 1").Scan(&n); err != nil {
						return err
					}
					_, err := tx.Exec(ctx, "UPDATE counters SET n = $1 WHERE id = 1", n+1)
					return err
				})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				attempts += n
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	var n int
	if err := pool.QueryRow(ctx, "SELECT n FROM counters WHERE id = 1").Scan(&n); err != nil || n != workers*each {
		t.Errorf("counted to %d of %d, %v", n, workers*each, err)
	}
	t.Logf("%d increments of one row by %d clients took %d attempts", workers*each, workers, attempts)
}

func pgxCancel(t *testing.T, url string) {
	conn := connect(t, url)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	begin := time.Now()
	_, err := conn.Exec(ctx, "SELECT pg_sleep(20)")
	if err == nil || time.Since(begin) > 10*time.Second {
		t.Errorf("%v after %v", err, time.Since(begin))
	}
	// The cancel request proper, on a connection of its own, leaves the
	// session usable.
	other := connect(t, url)
	go func() {
		time.Sleep(300 * time.Millisecond)
		other.PgConn().CancelRequest(t.Context())
	}()
	_, err = other.Exec(t.Context(), "SELECT pg_sleep(20)")
	wantCode(t, err, "57014")
	if got := one[int](t, other, "SELECT 1"); got != 1 {
		t.Error(got)
	}
	// A statement's own limit is the same to the session.
	mustExec(t, other, "SET statement_timeout = '100ms'")
	_, err = other.Exec(t.Context(), "SELECT pg_sleep(20)")
	wantCode(t, err, "57014")
}

// pgxPortals reads a result in pieces of two rows by a cursor.
func pgxPortals(t *testing.T, url string) {
	conn := connect(t, url)
	rows, err := conn.Query(t.Context(), "SELECT g FROM generate_series(1, 20000) AS g")
	if err != nil {
		t.Fatal(err)
	}
	sum := 0
	got, err := pgx.CollectRows(rows, pgx.RowTo[int])
	for _, g := range got {
		sum += g
	}
	if err != nil || sum != 20000*20001/2 {
		t.Errorf("%d, %v", sum, err)
	}
	// Leaving a result early keeps the connection.
	rows, err = conn.Query(t.Context(), "SELECT g FROM generate_series(1, 20000) AS g")
	if err != nil {
		t.Fatal(err)
	}
	rows.Next()
	rows.Close()
	if got := one[int](t, conn, "SELECT 7"); got != 7 {
		t.Error(got)
	}
}

func databaseSQL(t *testing.T, url string) {
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), "CREATE TABLE std (id int PRIMARY KEY, name text, at timestamptz DEFAULT now())"); err != nil {
		t.Fatal(err)
	}
	tx, err := db.BeginTx(t.Context(), &sql.TxOptions{Isolation: sql.LevelSerializable})
	if err != nil {
		t.Fatal(err)
	}
	ins, err := tx.PrepareContext(t.Context(), "INSERT INTO std (id, name) VALUES ($1, $2)")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		if _, err := ins.ExecContext(t.Context(), i, sql.NullString{String: fmt.Sprint(i), Valid: i%2 == 0}); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	res, err := db.ExecContext(t.Context(), "UPDATE std SET name = 'none' WHERE name IS NULL")
	if err != nil {
		t.Fatal(err)
	}
	if n, _ := res.RowsAffected(); n != 5 {
		t.Errorf("%d rows", n)
	}
	var last sql.NullString
	if err := db.QueryRowContext(t.Context(), "SELECT max(name) FROM std WHERE at <= now()").Scan(&last); err != nil || last.String != "none" {
		t.Errorf("%v %v", last, err)
	}
}

func TestEveryNodeAnswersTheSame(t *testing.T) {
	c := start(t, 3)
	mustExec(t, connect(t, c.Nodes[0].URL()), "CREATE TABLE seen (k int PRIMARY KEY, v text DEFAULT 'd')")
	// A table is usable through every node as soon as it is created.
	for i, n := range c.Nodes {
		mustExec(t, connect(t, n.URL()), "INSERT INTO seen (k) VALUES ($1)", i)
		everybodySees(t, c, i+1)
	}
	mustExec(t, connect(t, c.Nodes[2].URL()), "ALTER TABLE seen ADD COLUMN w int DEFAULT 7")
	for _, n := range c.Nodes {
		if got := one[string](t, connect(t, n.URL()), "SELECT sum(w) || max(v) FROM seen"); got != "21d" {
			t.Errorf("%s: %q", n.Name, got)
		}
	}
	mustExec(t, connect(t, c.Nodes[1].URL()), "DROP TABLE seen")
	for _, n := range c.Nodes {
		_, err := connect(t, n.URL()).Exec(t.Context(), "SELECT 1 FROM seen")
		wantCode(t, err, "42P01")
	}
}

func everybodySees(t *testing.T, c *cluster.Cluster, rows int) {
	t.Helper()
	for _, n := range c.Nodes {
		if got := one[int](t, connect(t, n.URL()), "SELECT count(*) FROM seen"); got != rows {
			t.Errorf("%s sees %d rows of %d", n.Name, got, rows)
		}
	}
}
