package sql

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/cairndb/cairn/internal/testkit/hermitage"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/txn/txntest"
)

// scripted is a session of a script.
type scripted struct{ s *Session }

// Exec implements hermitage.Session.
func (x scripted) Exec(ctx context.Context, q string) (string, bool) {
	w := &textWriter{s: x.s}
	if err := x.s.ExecSimple(ctx, q, w); err != nil {
		return "ERROR " + string(sqlerr.From(err).Code), true
	}
	lines := strings.Split(strings.TrimSpace(w.out.String()), "\n")
	if n := len(lines); strings.HasPrefix(lines[n-1], "SELECT") {
		return strings.Join(lines[:n-1], ","), false
	}
	return lines[len(lines)-1], false
}

// gateways returns servers that share a cluster, each with its own coordinator.
func gateways(t *testing.T, n int) []*Server {
	env, first := newTestServerEnv(t)
	out := []*Server{first}
	for i := 1; i < n; i++ {
		e := txntest.Over(t, env.Cluster, env.Clock)
		cat := schema.NewCatalog(schema.Config{Store: schema.NewStore(e.DB), Clock: env.Clock, NodeID: kvapi.NodeID(i + 1)})
		out = append(out, NewServer(Config{DB: e.DB, Catalog: cat}))
	}
	return out
}

func TestAnomaliesOfEachIsolationLevel(t *testing.T) {
	srvs := gateways(t, 3)
	for _, sc := range hermitage.Scripts {
		for i, level := range hermitage.Levels {
			t.Run(sc.Name+"/"+level, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				open := func(n int) hermitage.Session { return scripted{newTestSession(t, srvs[n%len(srvs)])} }
				if got := hermitage.Run(ctx, open, sc.Steps, level); got != sc.Want[i] {
					t.Errorf("\n got: %s\nwant: %s", got, sc.Want[i])
				}
			})
		}
	}
}
