//go:build trouble

package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/cairndb/cairn/internal/node"
	"github.com/cairndb/cairn/internal/testkit/trouble"
	"github.com/cairndb/cairn/kv/storage/storagetest"
)

// This is a test build. A node of it reads its clock and uses its disk as the
// file named by CAIRN_TROUBLE says (package trouble), and has the mistake named
// by CAIRN_BREAK put back in. A build without the tag has neither.
const troubleBuild = true

// breaks are mistakes that databases of this kind have made.
var breaks = map[string]func(*node.Config){
	"timestamp-cache-off": func(c *node.Config) { c.Knobs.DisableTimestampCache = true },
	"readers-ignored":     func(c *node.Config) { c.Knobs.IgnoreReaders = true },
	"floor-kept":          func(c *node.Config) { c.Knobs.KeepFloor = true },
	"no-prevention":       func(c *node.Config) { c.Knobs.NoPrevention = true },
	"lease-unchecked":     func(c *node.Config) { c.Knobs.DisableLeaseCheck = true },
	"promises-ignored":    func(c *node.Config) { c.Knobs.IgnorePromises = true },
	"withdrawn-early":     func(c *node.Config) { c.Knobs.WithdrawEarly = 2 * time.Second },
	"locks-in-memory":     func(c *node.Config) { c.Knobs.LocksInMemory = true },
	"blind-retry":         func(c *node.Config) { c.SenderKnobs.BlindRetry = true },
	"commit-resent-whole": func(c *node.Config) { c.TxnKnobs.ResendCommitWithWrites = true },
	"settled-by-looking":  func(c *node.Config) { c.TxnKnobs.SettleByLooking = true },
}

// withTrouble prepares a node of a test build.
func withTrouble(cfg *node.Config) error {
	if name := os.Getenv("CAIRN_BREAK"); name != "" {
		apply := breaks[name]
		if apply == nil {
			return fmt.Errorf("CAIRN_BREAK=%s is none of %v", name, slices.Sorted(maps.Keys(breaks)))
		}
		apply(cfg)
	}
	if path := os.Getenv("CAIRN_TROUBLE"); path != "" {
		w := trouble.Watch(path)
		cfg.Wall = w
		cfg.FS = storagetest.Troubled(func(op storagetest.DiskOp) error { return w.Disk(op.Path, op.Write, op.Sync) })
	}
	return nil
}
