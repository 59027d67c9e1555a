package main

import (
	"os"
	"runtime"
	"runtime/debug"

	"github.com/cairndb/cairn/internal/node"
)

// gcPercent lets the Go heap grow to four times what is live before it is
// collected. The live heap of a node is small (caches and memtables of the
// storage engine are outside it), so the default of 100 collects many times a
// second under load: 10 % of CPU in TPC-B, for some tens of megabytes.
const gcPercent = 300

// ballastBytesMax and ballastPart bound the ballast: a piece of heap that is
// never written, so it takes no memory, but counts as live. A node whose own
// live heap is 10 MB would still collect five times a second under load; with
// the ballast it is allowed gcPercent of 64 MB of garbage on top. The simpler
// idea, a higher gcPercent, multiplies the heap of a busy node as well.
const (
	ballastBytesMax = 64 << 20
	ballastPart     = 64
)

// tuneGC applies gcPercent and the ballast unless the user has set GOGC; who
// has set GOMEMLIMIT gets no ballast, which would count against it. The caller
// calls release at the end of what was tuned for.
func tuneGC() (release func()) {
	if os.Getenv("GOGC") != "" {
		return func() {}
	}
	debug.SetGCPercent(gcPercent)
	var ballast []byte
	if os.Getenv("GOMEMLIMIT") == "" {
		ballast = make([]byte, min(ballastBytesMax, node.MemoryBytes()/ballastPart))
	}
	return func() { runtime.KeepAlive(ballast) }
}
