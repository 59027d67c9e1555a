package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cairndb/cairn/kv/kvapi"
)

// Two ranges can be merged if they have replicas on the same nodes. Those of the
// right one, which is small, are brought to the left one's, by the changes that
// an operator could ask for, each of which leaves the range sound:
//
//	left  1 2 3    right  1* 4 5     * has the lease
//	               1* 2 5            swap 4 for 2
//	               1* 2 3            swap 5 for 3
//
//	left  1 2 3    right  4* 2 3
//	               4* 2 3 1          add 1: 4 cannot go while it has the lease
//	               4 2 3 1*          move the lease
//	               2 3 1*            remove 4
//
// If anybody else changes the range meanwhile, each step is decided anew on what
// is then.

// errNotTogether says that two ranges could not be brought to the same nodes.
var errNotTogether = errors.New("the two ranges could not be brought to the same nodes")

// bringTogether brings the right neighbour of a range to the nodes of the range.
func (s *Store) bringTogether(ctx context.Context, left *kvapi.RangeDescriptor) error {
	if s.cfg.Sender == nil {
		return errNoTxns
	}
	if right := s.replicas.lookup(left.EndKey); right != nil && sameReplicas(left, right.Desc()) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, bringTimeout)
	defer cancel()
	for range bringStepsMax {
		br, kerr := s.cfg.Sender.Send(ctx, (&kvapi.BatchRequest{}).Add(kvapi.Request{Kind: kvapi.RangeStats, Key: left.EndKey}))
		if kerr != nil {
			return kerr
		}
		info := br.Responses[0].Info
		if !info.Desc.StartKey.Equal(left.EndKey) {
			return fmt.Errorf("no range begins at %s any more: %w", left.EndKey, errDescriptorChanged)
		}
		step, ok := stepTowards(left, info)
		if !ok {
			return nil
		}
		s.cfg.Log.Debug("bringing a range to its left neighbour", "range", info.Desc.RangeID, "at", &info.Desc, "step", step.Change, "lease to", step.Target)
		if _, kerr := s.cfg.Sender.Send(ctx, (&kvapi.BatchRequest{}).Add(step)); kerr != nil {
			return fmt.Errorf("bring %s to the nodes of %s: %w", &info.Desc, left, kerr)
		}
	}
	return fmt.Errorf("%s: %w", left, errNotTogether)
}

// stepTowards is the next change that brings a range to its left neighbour's nodes,
// if there is one to make.
func stepTowards(left *kvapi.RangeDescriptor, right *kvapi.RangeInfo) (q kvapi.Request, ok bool) {
	holder := right.Lease.Holder.NodeID
	var add, remove []kvapi.NodeID
	for _, rep := range left.Replicas {
		if _, has := right.Desc.Replica(rep.NodeID); !has {
			add = append(add, rep.NodeID)
		}
	}
	for _, rep := range right.Desc.Replicas {
		if _, has := left.Replica(rep.NodeID); !has && rep.NodeID != holder {
			remove = append(remove, rep.NodeID)
		}
	}
	_, stays := left.Replica(holder)
	change := &kvapi.ReplicaChange{Expected: right.Desc.Generation}
	switch {
	case len(add) > 0:
		change.Add = add[:1]
		change.Remove = remove[:min(1, len(remove))]
	case !stays:
		i := slices.IndexFunc(right.Desc.Replicas, func(rep kvapi.ReplicaDescriptor) bool {
			_, has := left.Replica(rep.NodeID)
			return has && rep.Type == kvapi.Voter
		})
		return kvapi.Request{Kind: kvapi.AdminTransferLease, Key: right.Desc.StartKey, Target: right.Desc.Replicas[max(i, 0)].NodeID}, i >= 0
	case len(remove) > 0:
		change.Remove = remove[:1]
	default:
		return q, false
	}
	return kvapi.Request{Kind: kvapi.AdminChangeReplicas, Key: right.Desc.StartKey, Change: change}, true
}
