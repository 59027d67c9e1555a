package orm

import (
	"database/sql"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/lib/pq"
)

// What a program does with database/sql alone, by either driver.
func TestDatabaseSQL(t *testing.T) {
	for _, driver := range drivers {
		t.Run(driver, func(t *testing.T) {
			db, ctx := openDB(t, driver, fresh(t)), t.Context()
			for range 2 {
				for n := 1; n <= 2; n++ {
					_, err := db.ExecContext(ctx, migration(t, n, "up"))
					check(t, err)
				}
				for n := 2; n >= 1; n-- {
					_, err := db.ExecContext(ctx, migration(t, n, "down"))
					check(t, err)
				}
			}
			if now := relations(t, db); now != "" {
				t.Errorf("what is left is\n%s", now)
			}
			_, err := db.ExecContext(ctx, migration(t, 1, "up"))
			check(t, err)
			insert, err := db.PrepareContext(ctx, "INSERT INTO people (name, mood) VALUES ($1, $2) RETURNING id, made")
			check(t, err)
			var id int64
			var made time.Time
			check(t, insert.QueryRowContext(ctx, "ann", "happy").Scan(&id, &made))
			tx, err := db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelSerializable})
			check(t, err)
			check(t, tx.Stmt(insert).QueryRowContext(ctx, "bob", "sad").Scan(&id, &made))
			_, err = tx.ExecContext(ctx, "SAVEPOINT a")
			check(t, err)
			if _, err = tx.ExecContext(ctx, "INSERT INTO people (id, name) VALUES ($1, 'twice')", id); err == nil {
				t.Error("a second row has the key of one")
			}
			_, err = tx.ExecContext(ctx, "ROLLBACK TO a")
			check(t, err)
			check(t, tx.Commit())
			tx, err = db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true, Isolation: sql.LevelRepeatableRead})
			check(t, err)
			var n int
			check(t, tx.QueryRowContext(ctx, "SELECT count(*) FROM people WHERE lower(name) = ANY($1)", pq.Array([]string{"ann", "bob"})).Scan(&n))
			if n != 2 {
				t.Errorf("%d people", n)
			}
			if _, err := tx.ExecContext(ctx, "DELETE FROM people"); err == nil {
				t.Error("a transaction that reads only has written")
			}
			check(t, tx.Rollback())
			rows, err := db.QueryContext(ctx, "SELECT * FROM people")
			check(t, err)
			defer func() { _ = rows.Close() }()
			columns, err := rows.ColumnTypes()
			check(t, err)
			if len(columns) != 4 || columns[0].DatabaseTypeName() != "INT8" || columns[3].DatabaseTypeName() != "TIMESTAMPTZ" {
				t.Errorf("columns are %v %v", columns[0], columns[3])
			}
		})
	}
}

// What sqlc generates for pgx: plain queries with arrays, NULLs that stand for no
// condition, COPY and batches.
func TestGeneratedQueries(t *testing.T) {
	ctx := t.Context()
	conn, err := pgx.Connect(ctx, fresh(t))
	check(t, err)
	defer func() { _ = conn.Close(ctx) }()
	_, err = conn.Exec(ctx, migration(t, 1, "up"))
	check(t, err)
	type person struct {
		ID   int64
		Name string
		Mood string
		Made time.Time
	}
	rows, err := conn.Query(ctx, "INSERT INTO people (name, mood) VALUES ($1, $2) RETURNING id, name, mood, made", "ann", "happy")
	check(t, err)
	ann, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[person])
	check(t, err)
	if n, err := conn.CopyFrom(ctx, pgx.Identifier{"people"}, []string{"name"}, pgx.CopyFromRows([][]any{{"bob"}, {"cid"}})); n != 2 || err != nil {
		t.Errorf("copied %d, %v", n, err)
	}
	batch := &pgx.Batch{}
	for i := range int64(3) {
		batch.Queue("UPDATE people SET name = upper(name) WHERE id = $1", ann.ID+i)
	}
	check(t, conn.SendBatch(ctx, batch).Close())
	rows, err = conn.Query(ctx, `SELECT id, name, mood, made FROM people WHERE id = ANY($1::bigint[])
		AND ($2::mood IS NULL OR mood = $2::mood) ORDER BY id LIMIT $3`, []int64{ann.ID, ann.ID + 1, ann.ID + 2}, nil, 10)
	check(t, err)
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[person])
	check(t, err)
	if len(all) != 3 || all[0].Name != "ANN" || all[2].Mood != "ok" {
		t.Errorf("read %+v", all)
	}
}
