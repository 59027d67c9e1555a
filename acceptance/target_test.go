package acceptance

import (
	"context"
	"os/exec"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/cairndb/cairn/acceptance/load"
	"github.com/cairndb/cairn/internal/testkit/check"
	"github.com/cairndb/cairn/internal/testkit/history"
)

// TestTheWorkloadsHoldOnTheTarget proves workloads and checks themselves on a
// server that is known to be right: a Postgres whose default isolation is
// serializable.
func TestTheWorkloadsHoldOnTheTarget(t *testing.T) {
	if *target == "" {
		t.Skip("no -target")
	}
	url := server(t)
	cfg, err := pgconn.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("pgbench", "-i", "-q", "-h", cfg.Host, "-p", itoa(int(cfg.Port)), "-U", cfg.User, cfg.Database).CombinedOutput(); err != nil {
		t.Fatalf("pgbench: %s", out)
	}
	conn := connect(t, url)
	regs, bank, bench := &load.Registers{Keys: 40}, &load.Bank{Opening: check.Opening{Accounts: 12, Balance: 50}}, &load.TPCB{Scale: 1}
	if err := regs.Create(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	if err := bank.Create(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	on := []load.Target{{Name: "target", URL: url}}
	for _, run := range []func(context.Context, *load.Pulse){
		func(ctx context.Context, p *load.Pulse) { regs.Run(ctx, on, 4, p) },
		func(ctx context.Context, p *load.Pulse) { bank.Run(ctx, on, 4, p) },
		func(ctx context.Context, p *load.Pulse) { bench.Run(ctx, on, 4, p) },
	} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		p := load.NewPulse(on)
		run(ctx, p)
		cancel()
		t.Log(p)
	}
	if v := check.Registers(regs.Log.All()); v != nil {
		t.Error(v)
	}
	if err := bank.FinalRead(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	if err := bank.Check(); err != nil {
		t.Error(err)
	}
	sums, err := load.ReadSums(t.Context(), conn)
	if err != nil || !sums.Agree() || sums.Entries != int64(bench.Count(history.OK)) {
		t.Errorf("%+v, %v, %d acknowledged", sums, err, bench.Count(history.OK))
	}
	if unnamed, problems, err := bench.Compare(t.Context(), conn); err != nil || unnamed != 0 || len(problems) > 0 {
		t.Error(unnamed, problems, err)
	}
}
