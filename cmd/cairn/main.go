// Command cairn is Cairn's one binary: the server, its tools, and a first look.
//
//	cairn demo                         three nodes in one process, to try it; --chaos hurts them
//	cairn start, cairn init            a real cluster
//	cairn sql, node, range, cert       talking to a cluster
//	cairn import                       data from elsewhere
//	cairn workload                     a benchmark's data and queries
//	cairn verify                       proving that it keeps its promises
//
// Every command is in a file of its own; what they start is in internal/node.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/cairndb/cairn/internal/node"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := newRoot().ExecuteContext(ctx); err != nil {
		var quiet *exitError
		if !errors.As(err, &quiet) {
			fmt.Fprintln(os.Stderr, "cairn:", err)
			os.Exit(node.ExitStatus(err))
		}
		os.Exit(quiet.code)
	}
}

// exitError ends the process with a status; its message has been printed.
type exitError struct{ code int }

// Error implements error.
func (e *exitError) Error() string { return fmt.Sprintf("exit status %d", e.code) }

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "cairn",
		Short:         "Cairn is a distributed SQL database that speaks Postgres's protocol",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.AddCommand(newStart(), newStartSingleNode(), newStartTroubled(), newInit(), newDemo(), newSQL(), newNode(), newRange(), newJob(), newCert(), newImport(), newWorkload(), newVerify(), newVersion())
	explain(root)
	return root
}

// explain has what a command is given wrongly be answered with how it is used, and a word that is no
// subcommand with an error.
func explain(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return fmt.Errorf("%w; usage: %s", err, c.UseLine())
			}
			return nil
		}
	}
	if cmd.HasParent() && cmd.HasSubCommands() && !cmd.Runnable() {
		cmd.RunE = func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return c.Help()
			}
			return fmt.Errorf("unknown command %q for %q; see %s --help", args[0], c.CommandPath(), c.CommandPath())
		}
	}
	for _, c := range cmd.Commands() {
		explain(c)
	}
}
