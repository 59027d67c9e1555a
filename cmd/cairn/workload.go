package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/spf13/cobra"

	"github.com/cairndb/cairn/internal/tpch"
)

func newWorkload() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "workload",
		Short: "Fill a database with a benchmark's data and run its queries",
	}
	cmd.AddCommand(newTPCH())
	return cmd
}

// tpchFlags say which data and which servers.
type tpchFlags struct {
	url, against string
	scale        float64
	queries      []int
	rounds       int
	set          []string
}

const demoURL = "postgres://root@127.0.0.1:7432/defaultdb?sslmode=disable"

func newTPCH() *cobra.Command {
	f := &tpchFlags{}
	cmd := &cobra.Command{
		Use:   "tpch",
		Short: "TPC-H: eight tables at any scale, and 22 queries",
		Long: `TPC-H's tables and queries. The data are made here; they have the shape of the specification but
are not those of TPC's dbgen to the byte. Any server that speaks Postgres's protocol will do, so that
two can be compared:

  cairn workload tpch load --scale 0.01
  cairn workload tpch load --scale 0.01 --url postgres://…   (a PostgreSQL)
  cairn workload tpch run  --scale 0.01 --against postgres://…`,
	}
	cmd.PersistentFlags().StringVar(&f.url, "url", demoURL, "where the server is")
	cmd.PersistentFlags().Float64Var(&f.scale, "scale", 0.01, "scale factor: 1 is 6 million lines of orders, about 1 GB")
	load := &cobra.Command{
		Use:   "load",
		Short: "Drop the tables if they are there, make them, and fill them",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return f.load(cmd) },
	}
	run := &cobra.Command{
		Use:   "run",
		Short: "Run the queries and print how long each took",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	run.Flags().StringVar(&f.against, "against", "", "a second server with the same data: compare the answers and the times")
	run.Flags().IntSliceVar(&f.queries, "queries", nil, "which queries, as 1,3,22; all without it")
	run.Flags().IntVar(&f.rounds, "rounds", 1, "how often each query runs; its best time counts")
	run.Flags().StringArrayVar(&f.set, "set", nil, "statement to run first at --url, as \"SET work_mem = '1MB'\"; may be given several times")
	cmd.AddCommand(load, run)
	return cmd
}

func (f *tpchFlags) check() error {
	if f.scale <= 0 || f.scale > 100 {
		return fmt.Errorf("--scale %v: above 0, at most 100", f.scale)
	}
	for _, q := range f.queries {
		if q < 1 || q > tpch.QueryCount {
			return fmt.Errorf("--queries %d: between 1 and %d", q, tpch.QueryCount)
		}
	}
	return nil
}

func (f *tpchFlags) load(cmd *cobra.Command) error {
	if err := f.check(); err != nil {
		return err
	}
	conn, err := pgconn.Connect(cmd.Context(), f.url)
	if err != nil {
		return err
	}
	defer conn.Close(context.Background())
	return tpch.Load(cmd.Context(), conn, f.scale, func(s string) { fmt.Fprintln(cmd.OutOrStdout(), s) })
}

func (f *tpchFlags) run(cmd *cobra.Command) error {
	if err := f.check(); err != nil {
		return err
	}
	ctx, out := cmd.Context(), cmd.OutOrStdout()
	conns := make([]*pgconn.PgConn, 0, 2)
	for _, url := range []string{f.url, f.against} {
		if url == "" {
			continue
		}
		c, err := pgconn.Connect(ctx, url)
		if err != nil {
			return err
		}
		defer c.Close(context.Background())
		conns = append(conns, c)
	}
	for _, s := range f.set {
		if _, err := conns[0].Exec(ctx, s).ReadAll(); err != nil {
			return sqlError(err)
		}
	}
	which := f.queries
	if which == nil {
		for n := range tpch.QueryCount {
			which = append(which, n+1)
		}
	}
	totals, failed := make([]time.Duration, len(conns)), 0
	for _, n := range which {
		res := make([]tpch.Result, len(conns))
		for i, c := range conns {
			var err error
			if res[i], err = f.best(ctx, c, n); err != nil {
				return fmt.Errorf("query %d: %w", n, sqlError(err))
			}
			totals[i] += res[i].Took
		}
		fmt.Fprintf(out, "q%-3d %6d rows  %9.1f ms", n, len(res[0].Rows), millis(res[0].Took))
		if len(conns) == 2 {
			fmt.Fprintf(out, "  against %9.1f ms  ratio %6.2f", millis(res[1].Took), millis(res[0].Took)/millis(res[1].Took))
			if err := tpch.Same(res[0], res[1]); err != nil {
				failed++
				fmt.Fprintf(out, "\n     DIFFERENT: %v", err)
			}
		}
		fmt.Fprintln(out)
	}
	fmt.Fprintf(out, "all              %9.1f ms", millis(totals[0]))
	if len(conns) == 2 {
		fmt.Fprintf(out, "  against %9.1f ms  ratio %6.2f", millis(totals[1]), millis(totals[0])/millis(totals[1]))
	}
	fmt.Fprintln(out)
	if failed > 0 {
		return fmt.Errorf("%d queries gave different answers", failed)
	}
	return nil
}

func (f *tpchFlags) best(ctx context.Context, c *pgconn.PgConn, n int) (tpch.Result, error) {
	var best tpch.Result
	for i := range max(f.rounds, 1) {
		r, err := tpch.Run(ctx, c, n, f.scale)
		if err != nil {
			return r, err
		}
		if i == 0 || r.Took < best.Took {
			best = r
		}
	}
	return best, nil
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
