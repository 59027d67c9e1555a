package rpc

import (
	"fmt"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/internal/version"
	"github.com/cairndb/cairn/kv/kvapi"
)

// ProtocolVersion is the version of what nodes say to each other. Two nodes
// talk if they share it; adjacent versions will overlap once there are two.
const ProtocolVersion = 1

// Hello is the first message of each side of a stream (I1).
type Hello struct {
	Protocol  uint32             `wire:"1"`
	ClusterID kvapi.ClusterID    `wire:"2"`
	From      NodeID             `wire:"3"`
	To        NodeID             `wire:"4"`
	Class     Class              `wire:"5"`
	MaxOffset int64              `wire:"6"`
	Now       hlc.ClockTimestamp `wire:"7"`
	// Address is where From listens, Incarnation its latest start: a peer
	// that moved is found again as soon as it speaks.
	Address     string `wire:"8"`
	Incarnation uint64 `wire:"9"`
	// VersionMin and VersionLatest are the cluster versions in which From works.
	VersionMin    version.Number `wire:"10"`
	VersionLatest version.Number `wire:"11"`
}

// Identity is who this node is.
type Identity struct {
	ClusterID   kvapi.ClusterID
	NodeID      NodeID
	Address     string
	Incarnation uint64
	// Versions are those in which this build works.
	Versions version.Range
}

// versions are those in which the peer works.
func (h *Hello) versions() version.Range {
	return version.Range{Min: h.VersionMin, Latest: h.VersionLatest}.Said()
}

// sealed reports whether batches between two nodes have checksums (I7): if both
// builds know them, whatever the cluster's version is.
func (h *Hello) sealed(self Identity) bool {
	return min(h.versions().Latest, self.Versions.Latest) >= version.V2
}

// check returns why a stream with this Hello is refused, in one clear line.
func (h *Hello) check(self Identity, active version.Number, clock *hlc.Clock) error {
	switch {
	case h.Protocol != ProtocolVersion:
		return fmt.Errorf("node %s speaks protocol version %d, this node version %d", h.From, h.Protocol, ProtocolVersion)
	case h.ClusterID != self.ClusterID:
		return fmt.Errorf("node %s belongs to cluster %s, this node to cluster %s", h.From, h.ClusterID, self.ClusterID)
	case h.versions().Latest < active:
		return fmt.Errorf("node %s is refused: %w", h.From, h.versions().Admit(active))
	case h.To != self.NodeID:
		return fmt.Errorf("this is node %s, not node %s", self.NodeID, h.To)
	case time.Duration(h.MaxOffset) != clock.MaxOffset():
		return fmt.Errorf("node %s runs with a maximum clock offset of %s, this node with %s",
			h.From, time.Duration(h.MaxOffset), clock.MaxOffset())
	}
	if err := clock.Update(h.Now); err != nil {
		return fmt.Errorf("clock of node %s: %w", h.From, err)
	}
	return nil
}

func hello(self Identity, to NodeID, class Class, clock *hlc.Clock) *Hello {
	return &Hello{Protocol: ProtocolVersion, ClusterID: self.ClusterID, From: self.NodeID, To: to,
		Class: class, MaxOffset: int64(clock.MaxOffset()), Now: clock.Now(),
		Address: self.Address, Incarnation: self.Incarnation,
		VersionMin: self.Versions.Min, VersionLatest: self.Versions.Latest}
}
