package node

import (
	"sync"
	"testing"

	"github.com/cairndb/cairn/kv/allocator"
)

// A change of a node's membership is not forgotten again because somebody had read
// the records before it: cairn node decommission would take that for a cancellation.
func TestMembershipIsReadInOrder(t *testing.T) {
	c := startCluster(t, 2)
	core, leaving := c.nodes[0].Core(), c.nodes[1].Core().Ident.NodeID
	stop := make(chan struct{})
	var reading sync.WaitGroup
	defer func() {
		close(stop)
		reading.Wait()
	}()
	for range 64 {
		reading.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					_ = core.readMembers(t.Context())
				}
			}
		})
	}
	for range 20 {
		for _, to := range []allocator.Membership{allocator.Decommissioning, allocator.Member} {
			if err := core.SetMembership(t.Context(), leaving, to); err != nil {
				t.Fatal(err)
			}
			for range 2000 {
				if got := core.members.of(leaving); got != to {
					t.Fatalf("it was made %s, and is %s", to, got)
				}
			}
		}
	}
}
