package simulation

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/internal/workload"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/mvcc"
)

// checkVersions has workloads judged by what the disks hold. The replicas of
// each range are known to be equal, and without locks, when it is called.
func (r *run) checkVersions() error {
	if err := r.c.checkKept(); err != nil {
		return err
	}
	for _, w := range r.workloads {
		v, ok := w.(workload.VersionChecker)
		if !ok {
			continue
		}
		versions, err := r.c.versions(v.VersionedSpan())
		if err == nil {
			err = v.CheckVersions(sortVersions(append(versions, r.c.removed.of(v.VersionedSpan())...)))
		}
		if err != nil {
			return fmt.Errorf("%s: %w", w.Name(), err)
		}
	}
	return nil
}

// versions returns all versions of the keys of a span, of all nodes together,
// for a node may have no replica of some of the ranges.
func (c *Cluster) versions(sp kvapi.Span) ([]workload.Version, error) {
	var all []workload.Version
	for _, n := range c.nodes {
		if n.engine == nil {
			continue
		}
		err := mvcc.EachVersion(n.engine, sp, func(key kvapi.Key, at hlc.Timestamp, value []byte, tombstone bool) {
			all = append(all, workload.Version{Key: key.Clone(), At: at, Value: slices.Clone(value), Tombstone: tombstone})
		})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", n, err)
		}
	}
	return sortVersions(all), nil
}

// sortVersions puts versions in order, the newest of a key last, each once.
func sortVersions(vs []workload.Version) []workload.Version {
	order := func(a, b workload.Version) int {
		return cmp.Or(a.Key.Compare(b.Key), a.At.Compare(b.At), slices.Compare(a.Value, b.Value))
	}
	slices.SortFunc(vs, order)
	return slices.CompactFunc(vs, func(a, b workload.Version) bool { return order(a, b) == 0 })
}
