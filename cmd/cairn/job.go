package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/spf13/cobra"
)

// newJob is the job command: what it does is SQL, and can be done there too.
func newJob() *cobra.Command {
	f := &sqlFlags{}
	cmd := &cobra.Command{Use: "job", Short: "Look at long work of the cluster, such as index builds, and steer it"}
	f.register(cmd)
	ls := &cobra.Command{
		Use: "ls", Short: "List jobs: how far they are, who works on them, why they failed", Args: cobra.NoArgs,
		Long: `List jobs, the latest last. A job goes on if the client that began it goes away,
and on another node if its node dies. It is the table cairn.jobs.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.do(cmd, `SELECT job_id AS job, status, coalesce(running_status, '') AS doing,
				round(100 * fraction_completed::numeric) || ' %' AS done, rows_done AS rows, coordinator_id AS node,
				description, coalesce(error, '') AS error FROM cairn.jobs ORDER BY job_id`)
		},
	}
	cmd.AddCommand(ls,
		f.jobRequest("pause", "Have a job stop where it is"),
		f.jobRequest("resume", "Have a paused job go on"),
		f.jobRequest("cancel", "Have a job stop and take back what it has done"))
	return cmd
}

func (f *sqlFlags) jobRequest(what, short string) *cobra.Command {
	return &cobra.Command{Use: what + " JOB", Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := strconv.ParseUint(args[0], 10, 32)
			if err != nil {
				return errors.New("the number of a job is expected, as cairn job ls shows it")
			}
			out := cmd.OutOrStdout()
			cmd.SetOut(io.Discard)
			if err := f.do(cmd, fmt.Sprintf("SELECT cairn.%s_job(%d)", what, id)); err != nil {
				return err
			}
			fmt.Fprintf(out, "job %d: %s asked for\n", id, what)
			return nil
		}}
}

// do runs one statement and prints its rows.
func (f *sqlFlags) do(cmd *cobra.Command, stmt string) error {
	conn, err := pgconn.Connect(cmd.Context(), f.url())
	if err != nil {
		return err
	}
	defer conn.Close(context.Background())
	if err := execute(cmd.Context(), conn, stmt, cmd.OutOrStdout()); err != nil {
		return sqlError(err)
	}
	return nil
}
