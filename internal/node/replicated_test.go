package node

import (
	"encoding/binary"
	"testing"

	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
)

// TestReadyMeansReplicated: Start has returned, so every range has three voters;
// and so has every range that is made from now on, at once.
func TestReadyMeansReplicated(t *testing.T) {
	c := startCluster(t, 3)
	for _, n := range c.nodes {
		if err := n.Core().allReplicated(t.Context(), 3); err != nil {
			t.Errorf("node %d: %v", n.NodeID(), err)
		}
	}
	at := kvapi.Key(binary.BigEndian.AppendUint32(keys.TablePrefix.Clone(), 5000))
	if err := c.nodes[1].Core().DB.Split(t.Context(), at); err != nil {
		t.Fatal(err)
	}
	descs, err := c.nodes[2].Core().rangeDescriptors(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for i := range descs {
		found = found || descs[i].StartKey.Equal(at)
	}
	if err := c.nodes[2].Core().allReplicated(t.Context(), 3); err != nil || !found {
		t.Errorf("the split was made: %v; %v", found, err)
	}
}

func TestVotersWanted(t *testing.T) {
	for _, d := range []struct {
		join   []string
		factor int
		want   int
	}{
		{nil, 0, 1}, {[]string{"a"}, 0, 1}, {[]string{"b"}, 0, 2}, {[]string{"a", "b", "b"}, 0, 2},
		{[]string{"a", "b", "c", "d"}, 0, 3}, {[]string{"a", "b", "c", "d", "e"}, 5, 5}, {[]string{"a", "b", "c"}, 1, 1},
	} {
		n := &Node{rpcAddr: "a", cfg: Config{Join: d.join, ReplicationFactor: d.factor}}
		if got := n.votersWanted(); got != d.want {
			t.Errorf("%v, factor %d: %d voters, want %d", d.join, d.factor, got, d.want)
		}
	}
}
