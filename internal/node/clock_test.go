package node

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cairndb/cairn/hlc"
)

// TestANodeWhoseClockIsOffDoesNotJoin: a clock that is off by more than the
// maximum offset is told so in one line, in both directions, and the cluster's
// own clocks do not follow it.
func TestANodeWhoseClockIsOffDoesNotJoin(t *testing.T) {
	c := startCluster(t, 1)
	for _, off := range []time.Duration{time.Minute, -time.Minute} {
		t.Run(off.String(), func(t *testing.T) {
			wall := &hlc.SkewedClock{Base: hlc.SystemClock{}}
			wall.SetOffset(off)
			cfg := c.cfgs[0]
			cfg.StoreDir, cfg.RPCAddr, cfg.SQLAddr, cfg.HTTPAddr = filepath.Join(t.TempDir(), "n"), freePorts(t, 1)[0], "127.0.0.1:0", "127.0.0.1:0"
			cfg.Wall, cfg.Join = wall, []string{c.cfgs[0].RPCAddr}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			n, err := Start(ctx, cfg)
			if err == nil {
				n.Close()
				t.Fatal("it joined")
			}
			if !strings.Contains(err.Error(), "clock") || strings.Contains(err.Error(), "\n") {
				t.Errorf("%q is not one line about its clock", err)
			}
			if ahead := c.nodes[0].Core().Clock.Now().WallTime - time.Now().UnixNano(); ahead > int64(time.Second) {
				t.Errorf("the cluster's clock followed by %v", time.Duration(ahead))
			}
		})
	}
}
