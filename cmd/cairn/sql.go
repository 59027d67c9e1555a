package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/spf13/cobra"

	"github.com/cairndb/cairn/internal/node"
)

// sqlFlags say where a SQL client connects to.
type sqlFlags struct {
	host, user, database, certsDir string
	execute                        []string
}

func newSQL() *cobra.Command {
	f := &sqlFlags{}
	cmd := &cobra.Command{
		Use:   "sql [-e STATEMENT]",
		Short: "Run SQL statements; psql does the same with more comfort",
		Long: `Run SQL statements: those given with -e, or those read from standard input,
each ended by a semicolon at the end of a line.`,
		Example: `  cairn sql -e 'SELECT 1'
  cairn sql < schema.sql`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	f.register(cmd)
	cmd.Flags().StringArrayVarP(&f.execute, "execute", "e", nil, "statement to run; may be given several times")
	return cmd
}

// register adds the flags to a command and those below it.
func (f *sqlFlags) register(cmd *cobra.Command) {
	flags := cmd.PersistentFlags()
	flags.StringVar(&f.host, "host", node.DefaultSQLAddr, "SQL address of any node")
	flags.StringVarP(&f.user, "user", "u", "root", "user")
	flags.StringVarP(&f.database, "database", "d", "defaultdb", "database")
	flags.StringVar(&f.certsDir, "certs-dir", "", "folder with ca.crt and client.USER.crt; without it the connection is insecure")
}

func (f *sqlFlags) url() string {
	u := fmt.Sprintf("postgres://%s@%s/%s?application_name=cairn+sql", f.user, f.host, f.database)
	if f.certsDir == "" {
		return u + "&sslmode=disable"
	}
	return fmt.Sprintf("%s&sslmode=verify-full&sslrootcert=%s/ca.crt&sslcert=%[2]s/client.%[3]s.crt&sslkey=%[2]s/client.%[3]s.key",
		u, f.certsDir, f.user)
}

func (f *sqlFlags) run(cmd *cobra.Command) error {
	ctx := cmd.Context()
	cfg, err := pgconn.ParseConfig(f.url())
	if err != nil {
		return err
	}
	cfg.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s:  %s\n", n.Severity, n.Message)
	}
	conn, err := pgconn.ConnectConfig(ctx, cfg)
	if err != nil {
		return err
	}
	defer conn.Close(context.Background())
	if len(f.execute) > 0 {
		for _, stmt := range f.execute {
			if err := execute(ctx, conn, stmt, cmd.OutOrStdout()); err != nil {
				return sqlError(err)
			}
		}
		return nil
	}
	return f.repl(ctx, conn, cmd)
}

// repl reads statements from standard input. On a terminal an error does not
// end it; in a script it does.
func (f *sqlFlags) repl(ctx context.Context, conn *pgconn.PgConn, cmd *cobra.Command) error {
	terminal := isTerminal(os.Stdin)
	prompt := func(p string) {
		if terminal {
			fmt.Fprint(cmd.OutOrStdout(), f.database+p)
		}
	}
	in := bufio.NewScanner(cmd.InOrStdin())
	in.Buffer(nil, 16<<20)
	var stmt strings.Builder
	prompt("=> ")
	for in.Scan() {
		line := in.Text()
		if t := strings.TrimSpace(line); stmt.Len() == 0 && (t == `\q` || t == "exit" || t == "quit") {
			return nil
		}
		stmt.WriteString(line + "\n")
		if !strings.HasSuffix(strings.TrimSpace(line), ";") {
			if strings.TrimSpace(stmt.String()) == "" {
				stmt.Reset()
			}
			prompt("-> ")
			continue
		}
		err := execute(ctx, conn, stmt.String(), cmd.OutOrStdout())
		stmt.Reset()
		if err != nil {
			if !terminal || conn.IsClosed() {
				return sqlError(err)
			}
			fmt.Fprintln(cmd.ErrOrStderr(), sqlError(err))
		}
		prompt("=> ")
	}
	if strings.TrimSpace(stmt.String()) != "" {
		if err := execute(ctx, conn, stmt.String(), cmd.OutOrStdout()); err != nil {
			return sqlError(err)
		}
	}
	return in.Err()
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// execute runs a query string and prints its results as psql does.
func execute(ctx context.Context, conn *pgconn.PgConn, stmt string, out io.Writer) error {
	results := conn.Exec(ctx, stmt)
	for results.NextResult() {
		if err := printResult(results.ResultReader(), out); err != nil {
			results.Close()
			return err
		}
	}
	return results.Close()
}

func printResult(r *pgconn.ResultReader, out io.Writer) error {
	fields := r.FieldDescriptions()
	if len(fields) == 0 {
		tag, err := r.Close()
		if err == nil && tag.String() != "" {
			fmt.Fprintln(out, tag)
		}
		return err
	}
	w := tabwriter.NewWriter(out, 0, 8, 1, ' ', tabwriter.Debug)
	names, rules := make([]string, len(fields)), make([]string, len(fields))
	for i, fd := range fields {
		names[i] = " " + fd.Name + " "
		rules[i] = strings.Repeat("-", len(names[i]))
	}
	fmt.Fprintln(w, strings.Join(names, "\t"))
	fmt.Fprintln(w, strings.Join(rules, "\t"))
	rows := 0
	for r.NextRow() {
		vals := make([]string, len(fields))
		for i, v := range r.Values() {
			if v != nil {
				vals[i] = " " + string(v) + " "
			}
		}
		fmt.Fprintln(w, strings.Join(vals, "\t"))
		rows++
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := r.Close()
	if err != nil {
		return err
	}
	s := "s"
	if rows == 1 {
		s = ""
	}
	fmt.Fprintf(out, "(%d row%s)\n", rows, s)
	return nil
}

// sqlError prints an error with its parts, as psql does.
func sqlError(err error) error {
	var pe *pgconn.PgError
	if !errors.As(err, &pe) {
		return err
	}
	msg := fmt.Sprintf("%s:  %s (SQLSTATE %s)", pe.Severity, pe.Message, pe.Code)
	if pe.Detail != "" {
		msg += "\nDETAIL:  " + pe.Detail
	}
	if pe.Hint != "" {
		msg += "\nHINT:  " + pe.Hint
	}
	return errors.New(msg)
}
