//go:build trouble

package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/cairndb/cairn/internal/node"
)

// breaks are mistakes that databases of this kind have made. Only this build, a
// test build, can have one of them put back in.
var breaks = map[string]func(*node.Config){
	"timestamp-cache-off": func(c *node.Config) { c.Knobs.DisableTimestampCache = true },
	"readers-ignored":     func(c *node.Config) { c.Knobs.IgnoreReaders = true },
	"reads-dropped":       func(c *node.Config) { c.Knobs.DropReads = true },
	"floor-kept":          func(c *node.Config) { c.Knobs.KeepFloor = true },
	"no-prevention":       func(c *node.Config) { c.Knobs.NoPrevention = true },
	"lease-unchecked":     func(c *node.Config) { c.Knobs.DisableLeaseCheck = true },
	"promises-ignored":    func(c *node.Config) { c.Knobs.IgnorePromises = true },
	"withdrawn-early":     func(c *node.Config) { c.Knobs.WithdrawEarly = 2 * time.Second },
	"locks-in-memory":     func(c *node.Config) { c.Knobs.LocksInMemory = true },
	"unclosed-read":       func(c *node.Config) { c.Knobs.ReadUnclosed = true },
	"blind-retry":         func(c *node.Config) { c.SenderKnobs.BlindRetry = true },
	"commit-resent-whole": func(c *node.Config) { c.TxnKnobs.ResendCommitWithWrites = true },
	"settled-by-looking":  func(c *node.Config) { c.TxnKnobs.SettleByLooking = true },
}

// withBreak puts the mistake back in that CAIRN_BREAK names.
func withBreak(cfg *node.Config) error {
	name := os.Getenv("CAIRN_BREAK")
	if name == "" {
		return nil
	}
	apply := breaks[name]
	if apply == nil {
		return fmt.Errorf("CAIRN_BREAK=%s is none of %v", name, slices.Sorted(maps.Keys(breaks)))
	}
	apply(cfg)
	return nil
}
