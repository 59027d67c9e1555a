package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/spf13/cobra"

	"github.com/cairndb/cairn/internal/mysqldump"
)

func newImport() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import",
		Short: "Bring data from another database",
	}
	cmd.AddCommand(newImportMySQL())
	return cmd
}

func newImportMySQL() *cobra.Command {
	f := &sqlFlags{}
	cmd := &cobra.Command{
		Use:   "mysql FILE|-",
		Short: "Run a dump that mysqldump wrote",
		Long: `Run a dump that mysqldump wrote: make its tables and views, and fill them. The dump is read as a
stream, so it may be of any size. Its foreign keys are added when all rows are there, and identity
columns go on behind the greatest number.

Types and names become Cairn's as docs/mysql.md says. Triggers, procedures, functions and events are
left out, each with a warning. An import that failed can be run again: a dump drops the tables that
it makes.`,
		Example: `  mysqldump --single-transaction shop | cairn import mysql - -d shop
  cairn import mysql shop.sql`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return f.importMySQL(cmd, args[0]) },
	}
	f.register(cmd)
	return cmd
}

func (f *sqlFlags) importMySQL(cmd *cobra.Command, path string) error {
	in := cmd.InOrStdin()
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		in = file
	}
	conn, err := pgconn.Connect(cmd.Context(), f.url())
	if err != nil {
		return err
	}
	defer conn.Close(context.Background())
	say := func(s string) { fmt.Fprintln(cmd.ErrOrStderr(), s) }
	m := &mysqldump.Importer{Conn: importConn{conn}, Progress: say, Warn: func(s string) { say("warning: " + s) }}
	rows, err := m.Import(cmd.Context(), in)
	printTables(cmd.OutOrStdout(), rows)
	return err
}

func printTables(out io.Writer, rows []mysqldump.TableRows) {
	if len(rows) == 0 {
		return
	}
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "TABLE\tROWS")
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%d\n", r.Table, r.Rows)
	}
	w.Flush()
}

// importConn is a connection as the import needs it.
type importConn struct{ conn *pgconn.PgConn }

// Exec implements mysqldump.Conn.
func (c importConn) Exec(ctx context.Context, query string) (string, error) {
	results, err := c.conn.Exec(ctx, query).ReadAll()
	if err != nil {
		return "", importError{err}
	}
	if n := len(results); n > 0 && len(results[n-1].Rows) > 0 {
		return string(results[n-1].Rows[0][0]), nil
	}
	return "", nil
}

// importError prints an error as the other commands do.
type importError struct{ err error }

// Error implements error.
func (e importError) Error() string { return sqlError(e.err).Error() }

// Unwrap implements error: the import looks for its SQLSTATE.
func (e importError) Unwrap() error { return e.err }
