package main

import (
	"os"
	"runtime/debug"
)

// gcPercent lets the Go heap grow to four times what is live before it is
// collected. The live heap of a node is small (caches and memtables of the
// storage engine are outside it), so the default of 100 collects many times a
// second under load: 10 % of CPU in TPC-B, for some tens of megabytes.
const gcPercent = 300

// tuneGC applies gcPercent unless the user has set GOGC.
func tuneGC() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
}
