package simulation

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/internal/workload"
	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/store"
)

// gcInterval is how often stores look for old versions.
const gcInterval = 500 * time.Millisecond

// chooseTTL is how long a seed's cluster keeps old versions: of every three, one
// as long as a real one does, one for less than some transactions take under
// faults, and one for some seconds.
func chooseTTL(s Seed) time.Duration {
	rng := s.source("gc")
	switch rng.IntN(3) {
	case 0:
		return 0
	case 1:
		return time.Duration(200+rng.IntN(1300)) * time.Millisecond
	}
	return time.Duration(2+rng.IntN(6)) * time.Second
}

// removedVersions are what collection was about to remove: some of it may still
// be there, for want of a lease or of a quorum, but all of it was there.
type removedVersions struct {
	mu struct {
		sync.Mutex
		versions []workload.Version
	}
}

func (r *removedVersions) add(key kvapi.Key, at hlc.Timestamp, payload []byte, tombstone bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.versions = append(r.mu.versions, workload.Version{Key: key.Clone(), At: at, Value: slices.Clone(payload), Tombstone: tombstone})
}

func (r *removedVersions) all() []workload.Version {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.mu.versions)
}

func (r *removedVersions) of(sp kvapi.Span) []workload.Version {
	return slices.DeleteFunc(r.all(), func(v workload.Version) bool { return !sp.Contains(v.Key) })
}

// checkKept checks that nothing was collected that a read above its range's
// threshold sees: the versions above the threshold, and of those at or below it
// the newest, unless it is a tombstone. It looks at the disks first and at the
// thresholds last, since both go on.
func (c *Cluster) checkKept() error {
	sp := kvapi.Span{Key: keys.SystemPrefix, EndKey: keys.TableMax}
	kept, err := c.versions(sp)
	if err != nil {
		return err
	}
	all := sortVersions(append(slices.Clone(kept), c.removed.of(sp)...))
	onDisk := map[string]bool{}
	name := func(v *workload.Version) string { return fmt.Sprintf("%s@%s", v.Key, v.At) }
	for i := range kept {
		onDisk[name(&kept[i])] = true
	}
	ranges := c.thresholds()
	for i := range all {
		v := &all[i]
		threshold := thresholdOf(v.Key, ranges)
		newest := i+1 == len(all) || !all[i+1].Key.Equal(v.Key) || threshold.Less(all[i+1].At)
		if mustBe := threshold.Less(v.At) || newest && !v.Tombstone; mustBe && !onDisk[name(v)] {
			return fmt.Errorf("%s at %s was collected, at threshold %s", v.Key, v.At, threshold)
		}
	}
	return nil
}

// thresholds are those of all replicas.
func (c *Cluster) thresholds() (out []store.RangeReport) {
	for _, n := range c.nodes {
		if core := n.Core(); core != nil {
			out = append(out, core.Store.RangeInfos()...)
		}
	}
	return out
}

// thresholdOf is the highest that is known for the range of a key.
func thresholdOf(key kvapi.Key, ranges []store.RangeReport) (highest hlc.Timestamp) {
	for i := range ranges {
		if r := &ranges[i]; r.Desc.IsInitialized() && r.Desc.ContainsKey(key) {
			highest.Forward(r.GCThreshold)
		}
	}
	return highest
}
