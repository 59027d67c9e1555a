package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"github.com/cairndb/cairn/internal/certs"
	"github.com/cairndb/cairn/internal/node"
	"github.com/cairndb/cairn/internal/rpc"
)

// adminFlags say which node a command talks to.
type adminFlags struct {
	host     string
	certsDir string
}

func (f *adminFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.host, "host", node.DefaultRPCAddr, "RPC address of any node")
	cmd.Flags().StringVar(&f.certsDir, "certs-dir", "", "folder with ca.crt and a node's or root's certificate; without it the connection is insecure")
}

// adminTimeout bounds one administrative call.
const adminTimeout = 30 * time.Second

// call connects to the node and runs fn; gRPC's errors become plain lines.
func (f *adminFlags) call(ctx context.Context, fn func(context.Context, *grpc.ClientConn) error) error {
	return f.callFor(ctx, adminTimeout, fn)
}

// callFor is call for what may take longer.
func (f *adminFlags) callFor(ctx context.Context, timeout time.Duration, fn func(context.Context, *grpc.ClientConn) error) error {
	t, err := certs.LoadClient(f.certsDir)
	if err != nil {
		return err
	}
	conn, err := rpc.Dial(f.host, t)
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := fn(ctx, conn); err != nil {
		if st, ok := status.FromError(err); ok {
			return fmt.Errorf("%s: %s", f.host, f.plainly(st.Message()))
		}
		return err
	}
	return nil
}

// plainly is what gRPC says of a connection, in fewer words, or what it most likely means.
func (f *adminFlags) plainly(message string) string {
	switch {
	case f.certsDir == "" && strings.Contains(message, "error reading server preface"):
		return "it does not talk without encryption; name the folder of the certificates: --certs-dir"
	case f.certsDir != "" && strings.Contains(message, "first record does not look like a TLS handshake"):
		return "it talks without encryption only; leave out --certs-dir"
	}
	if _, cause, ok := strings.Cut(message, "Error while dialing: "); ok {
		return strings.TrimSuffix(cause, "\"")
	}
	return message
}
