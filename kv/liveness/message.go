package liveness

import (
	"fmt"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
)

//go:generate go run ../../internal/wiregen kv/liveness

// Epoch numbers the times for which a node was supported without a break, by
// one peer. Epochs of different pairs of nodes have nothing to do with each
// other.
type Epoch uint64

// Message is what one node tells another: what it asks for, and what it gives.
type Message struct {
	// Epoch and Until ask the receiver to support the sender. Zero asks for
	// nothing.
	Epoch Epoch         `wire:"1"`
	Until hlc.Timestamp `wire:"2"`
	// GivenEpoch and GivenUntil say how the sender supports the receiver; zero
	// says nothing. Withdrawn says that the epoch is dead.
	GivenEpoch Epoch         `wire:"3"`
	GivenUntil hlc.Timestamp `wire:"4"`
	Withdrawn  bool          `wire:"5"`
}

// String prints what is asked and what is given.
func (m *Message) String() string {
	s := ""
	if m.Epoch != 0 {
		s = fmt.Sprintf("asks epoch %d until %s", m.Epoch, seconds(m.Until))
	}
	switch {
	case m.GivenEpoch == 0:
		return s
	case s != "":
		s += ", "
	}
	if m.Withdrawn {
		return s + fmt.Sprintf("epoch %d is withdrawn", m.GivenEpoch)
	}
	return s + fmt.Sprintf("gives epoch %d until %s", m.GivenEpoch, seconds(m.GivenUntil))
}

func seconds(t hlc.Timestamp) string { return fmt.Sprintf("%.1fs", float64(t.WallTime)/1e9) }

// Record is what a node remembers across restarts.
type Record struct {
	// Last is the highest epoch that the node has asked for, of anybody.
	Last Epoch `wire:"1"`
	// Grants are what it gives.
	Grants []GrantRecord `wire:"2"`
}

// GrantRecord is support given to a node, or withdrawn.
type GrantRecord struct {
	Node  kvapi.NodeID `wire:"1"`
	Epoch Epoch        `wire:"2"`
	// Until is at least as late as any time that was granted.
	Until     hlc.Timestamp `wire:"3"`
	Withdrawn bool          `wire:"4"`
}
