package orm

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/golang-migrate/migrate/v4"
	"github.com/golang-migrate/migrate/v4/database"
	migratepgx "github.com/golang-migrate/migrate/v4/database/pgx/v5"
	migratepq "github.com/golang-migrate/migrate/v4/database/postgres"
	"github.com/golang-migrate/migrate/v4/source/iofs"
	"github.com/jackc/pgx/v5"
	tern "github.com/jackc/tern/v2/migrate"
	"github.com/pressly/goose/v3"
)

// golang-migrate holds an advisory lock and records a version in a table of its own.
func TestGolangMigrate(t *testing.T) {
	for _, driver := range drivers {
		t.Run(driver, func(t *testing.T) {
			source, err := iofs.New(migrations, migrationDir)
			check(t, err)
			db := openDB(t, driver, fresh(t))
			var d database.Driver
			if driver == "pgx" {
				d, err = migratepgx.WithInstance(db, &migratepgx.Config{MultiStatementEnabled: true})
			} else {
				d, err = migratepq.WithInstance(db, &migratepq.Config{})
			}
			check(t, err)
			m, err := migrate.NewWithInstance("iofs", source, driver, d)
			check(t, err)
			empty := relations(t, db)
			var full string
			for range 2 {
				check(t, m.Up())
				if now := relations(t, db); full != "" && now != full {
					t.Errorf("the second time there is\n%s\nand not\n%s", now, full)
				} else {
					full = now
				}
				check(t, m.Down())
				if now := relations(t, db); now != empty {
					t.Errorf("what is left is\n%s\nand not\n%s", now, empty)
				}
			}
			check(t, m.Up())
			check(t, m.Steps(-1))
			check(t, m.Migrate(2))
			if v, dirty, err := m.Version(); v != 2 || dirty || err != nil {
				t.Errorf("at version %d, %v, %v", v, dirty, err)
			}
			check(t, m.Drop())
			if now := relations(t, db); now != "" {
				t.Errorf("what is left is\n%s", now)
			}
		})
	}
}

// goose runs each migration in a transaction, but for one that says that it must not.
func TestGoose(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) { check(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600)) }
	for n := 1; n <= 2; n++ {
		write(fmt.Sprintf("%05d_step.sql", n), "-- +goose Up\n"+migration(t, n, "up")+
			"-- +goose StatementBegin\nDO $$ BEGIN PERFORM 1; END $$;\n-- +goose StatementEnd\n-- +goose Down\n"+migration(t, n, "down"))
	}
	write("00003_step.sql", "-- +goose NO TRANSACTION\n-- +goose Up\nCREATE INDEX CONCURRENTLY pets_name ON pets (name);\n"+
		"-- +goose Down\nDROP INDEX CONCURRENTLY pets_name;\n")
	goose.SetLogger(goose.NopLogger())
	check(t, goose.SetDialect("postgres"))
	for _, driver := range drivers {
		t.Run(driver, func(t *testing.T) {
			db := openDB(t, driver, fresh(t))
			for range 2 {
				check(t, goose.UpContext(t.Context(), db, dir))
				check(t, goose.ResetContext(t.Context(), db, dir))
			}
			check(t, goose.UpContext(t.Context(), db, dir))
			check(t, goose.RedoContext(t.Context(), db, dir))
			check(t, goose.StatusContext(t.Context(), db, dir))
			if v, err := goose.GetDBVersionContext(t.Context(), db); v != 3 || err != nil {
				t.Errorf("at version %d, %v", v, err)
			}
			if !strings.Contains(relations(t, db), "pets_name") {
				t.Error("there is no index of the third migration")
			}
		})
	}
}

// tern holds an advisory lock too.
func TestTern(t *testing.T) {
	ctx := t.Context()
	url := fresh(t)
	conn, err := pgx.Connect(ctx, url)
	check(t, err)
	defer func() { _ = conn.Close(ctx) }()
	m, err := tern.NewMigrator(ctx, conn, "public.schema_version")
	check(t, err)
	for n := 1; n <= 2; n++ {
		m.AppendMigration(fmt.Sprint(n), migration(t, n, "up"), migration(t, n, "down"))
	}
	for range 2 {
		check(t, m.Migrate(ctx))
		check(t, m.MigrateTo(ctx, 0))
	}
	check(t, m.Migrate(ctx))
	if v, err := m.GetCurrentVersion(ctx); v != 2 || err != nil {
		t.Errorf("at version %d, %v", v, err)
	}
	if !strings.Contains(relations(t, openDB(t, "pgx", url)), "people.email text") {
		t.Error("there is no column of the second migration")
	}
}
