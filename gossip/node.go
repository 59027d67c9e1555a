package gossip

import (
	"time"

	"github.com/cairndb/cairn/internal/version"
	"github.com/cairndb/cairn/kv/kvapi"
)

// Keys of records.
const (
	// KeyNode holds a NodeDescriptor of the owner.
	KeyNode = "node"
	// KeyFirstRange holds the kvapi.RangeInfo of the first range, written by
	// whoever holds its lease.
	KeyFirstRange = "first-range"
)

// NodeDescriptor is what a node says of itself. It is said again every
// HeartbeatInterval, which also shows that the node is alive.
type NodeDescriptor struct {
	NodeID      kvapi.NodeID `wire:"1"`
	RPCAddress  string       `wire:"2"`
	SQLAddress  string       `wire:"3"`
	HTTPAddress string       `wire:"4"`
	Version     string       `wire:"5"`
	// StartedNanos is the wall time of the start.
	StartedNanos int64 `wire:"6"`
	// Draining nodes take no new leases or replicas.
	Draining bool     `wire:"7"`
	Capacity Capacity `wire:"8"`
	// Locality is where the node is, as region=eu,zone=b (kv/allocator).
	Locality string `wire:"9"`
	// Versions are the cluster versions in which the node's build works.
	Versions version.Range `wire:"10"`
}

// Capacity is how full a node is.
type Capacity struct {
	DiskUsedBytes      uint64 `wire:"1"`
	DiskAvailableBytes uint64 `wire:"2"`
	Ranges             int64  `wire:"3"`
	Leases             int64  `wire:"4"`
	// DiskFull says that the node takes no new data.
	DiskFull bool `wire:"5"`
	// BatchesPerSecond is what its leases serve.
	BatchesPerSecond int64 `wire:"6"`
}

// Node is a node as this one sees it.
type Node struct {
	NodeDescriptor
	Incarnation Incarnation
	// Heard is when the descriptor was last renewed.
	Heard time.Time
	// Live says that it was renewed within LiveWindow.
	Live bool
}
