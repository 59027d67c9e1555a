package store

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/raftgroup"
	"github.com/cairndb/cairn/kv/storage"
)

// What a store does as its disk fills (storage.Space). New data are the writes
// of values to table keys; everything else goes on, so that tables can be
// emptied and dropped, leases renewed, and transactions ended.
//
//	level     as leaseholder                      as follower
//	plenty    takes all, unless that would leave  takes all
//	          less than a quorum of replicas
//	          with room
//	low       refuses new data (ErrDiskFull), and takes all, snapshots
//	          hands the range to a replica with   excepted
//	          room, if there is one
//	critical  the same                            drops appends of new data:
//	                                              the others are a quorum
//
// A follower that drops an append has promised nothing; Raft repeats it for
// ever, by log or by snapshot, so it catches up when there is room again. The
// price is that the range lives on the other replicas alone meanwhile; to go on
// to the last byte would end the process, and all its ranges would.

// fullNodes are the nodes whose disks take no new data.
type fullNodes struct {
	nodes []kvapi.NodeID
	// why describes the own disk, if it is among them.
	why string
}

// isFull reports whether the disk of a node takes no new data.
func (s *Store) isFull(n kvapi.NodeID) bool {
	f := s.full.Load()
	return f != nil && slices.Contains(f.nodes, n)
}

// spaceLoop looks at the disk, the more often the fuller it is.
func (s *Store) spaceLoop() {
	t := time.NewTimer(0)
	defer t.Stop()
	told := storage.SpacePlenty
	for {
		select {
		case <-t.C:
		case <-s.stopping:
			return
		}
		r := s.checkSpace()
		if r.Space != told {
			s.tellSpace(told, r)
			told = r.Space
		}
		// Beside the looks: what fills a small disk takes a second at most, and
		// so may a transfer that nobody answers.
		if r.Space != storage.SpacePlenty && s.handingOver.CompareAndSwap(false, true) {
			s.background.Go(func() {
				defer s.handingOver.Store(false)
				s.handOver()
			})
		}
		if r.Usage.AvailBytes/spaceAmple < r.Limits.LowBytes {
			t.Reset(spaceIntervalMin)
		} else {
			t.Reset(spaceInterval)
		}
	}
}

// checkSpace looks at the disk once, and remembers which nodes are full.
func (s *Store) checkSpace() storage.SpaceReport {
	r, err := s.cfg.Engine.CheckSpace()
	if err != nil {
		s.cfg.Log.Warn("the disk's space cannot be told", "err", err)
	}
	var others []kvapi.NodeID
	if s.cfg.Nodes != nil {
		others = s.cfg.Nodes.FullNodes()
	}
	now := &fullNodes{}
	for _, n := range others {
		if n != s.ident.NodeID {
			now.nodes = append(now.nodes, n)
		}
	}
	if r.Space != storage.SpacePlenty {
		now.nodes = append(now.nodes, s.ident.NodeID)
		now.why = fmt.Sprintf("%s of %s are free, %s are kept", megabytes(r.Usage.AvailBytes),
			megabytes(r.Usage.TotalBytes), megabytes(r.Limits.LowBytes))
	}
	if len(now.nodes) == 0 {
		now = nil
	}
	s.full.Store(now)
	return r
}

func megabytes(n uint64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// tellSpace says what has changed.
func (s *Store) tellSpace(was storage.Space, r storage.SpaceReport) {
	attrs := []any{slog.String("store", s.cfg.Engine.Dir()), slog.String("space", r.Space.String()),
		slog.String("free", megabytes(r.Usage.AvailBytes)), slog.String("kept", megabytes(r.Limits.LowBytes))}
	switch {
	case r.Space == storage.SpacePlenty:
		s.cfg.Log.Info("the disk has room again: writes are taken", attrs...)
	case r.Space < was:
		s.cfg.Log.Warn("the disk has some room again; new data are still refused", attrs...)
	case r.Space == storage.SpaceCritical:
		s.cfg.Log.Error("the disk is almost full: new data are refused, from other nodes too; reads and deletes go on", attrs...)
	default:
		s.cfg.Log.Warn("the disk is nearly full: new data are refused; reads and deletes go on", attrs...)
	}
	if s.cfg.OnSpace != nil {
		s.cfg.OnSpace(r)
	}
}

// handOver gives ranges of tables to replicas with room, as many as spaceInterval
// allows.
func (s *Store) handOver() {
	ctx, cancel := context.WithTimeout(s.ctx, spaceInterval)
	defer cancel()
	for _, r := range s.replicas.all() {
		if ctx.Err() != nil || s.isStopping() {
			return
		}
		desc := r.Desc()
		if !holdsTables(desc) || !r.holdsLease() {
			continue
		}
		to := s.withRoom(desc)
		if to == 0 {
			continue
		}
		if err := r.transferAway(ctx, to); err != nil {
			s.cfg.Log.Debug("hand over for want of space", "range", r.rangeID, "to", to, "err", err)
		} else {
			s.cfg.Log.Info("range handed over: this node's disk is nearly full", "range", r.rangeID, "to", to)
		}
	}
}

// withRoom returns a live node with a voter of the range and room on its disk,
// or 0.
func (s *Store) withRoom(desc *kvapi.RangeDescriptor) kvapi.NodeID {
	if s.cfg.Nodes == nil {
		return 0
	}
	for _, n := range s.cfg.Nodes.LiveNodes() {
		if rep, ok := desc.Replica(n); ok && rep.Type == kvapi.Voter && !s.isFull(n) {
			return n
		}
	}
	return 0
}

// holdsTables reports whether a range may hold users' data: the one in which
// the first tables lie begins before them.
func holdsTables(desc *kvapi.RangeDescriptor) bool { return keys.TablePrefix.Less(desc.EndKey) }

// refuseWithoutSpace refuses a batch of new data if this store's disk, or those
// of too many replicas, are full.
func (r *Replica) refuseWithoutSpace(ba *kvapi.BatchRequest) *kvapi.Error {
	f, self := r.store.full.Load(), r.store.cfg.Engine.Space() != storage.SpacePlenty
	switch {
	case f == nil && !self, !bringsData(ba):
		return nil
	case self && f != nil && f.why != "":
		return kvapi.NewError(kvapi.ErrDiskFull, "the disk of node %s is nearly full: %s", r.store.ident.NodeID, f.why)
	case self:
		return kvapi.NewError(kvapi.ErrDiskFull, "the disk of node %s is full", r.store.ident.NodeID)
	}
	desc := r.Desc()
	voters, room := 0, 0
	var full []string
	for _, rep := range desc.Replicas {
		if rep.Type == kvapi.Learner {
			continue
		}
		voters++
		if slices.Contains(f.nodes, rep.NodeID) {
			full = append(full, rep.NodeID.String())
		} else {
			room++
		}
	}
	if room <= voters/2 {
		return kvapi.NewError(kvapi.ErrDiskFull, "the disks of nodes %s are nearly full", strings.Join(full, " and "))
	}
	return nil
}

// bringsData reports whether a batch writes values to tables.
func bringsData(ba *kvapi.BatchRequest) bool {
	for i := range ba.Requests {
		q := &ba.Requests[i]
		if (q.Kind == kvapi.Put || q.Kind == kvapi.ConditionalPut) && !q.Key.Less(keys.TablePrefix) {
			return true
		}
	}
	return false
}

// hasNoSpaceFor reports whether a message from the leader must not be taken for
// want of space: an append of commands that add versions and take nothing away.
func (s *Store) hasNoSpaceFor(desc *kvapi.RangeDescriptor, m *raftgroup.Message) bool {
	if s.cfg.Engine.Space() != storage.SpaceCritical || m.Type() != raftgroup.MsgAppend || !holdsTables(desc) {
		return false
	}
	return m.AnyEntry(func(e raftgroup.Entry) bool {
		if e.Kind != raftgroup.EntryCommand || len(e.Data) == 0 {
			return false
		}
		cmd, err := decodeCommand(e.Data)
		d := &cmd.header.StatsDelta
		return err == nil && d.ValCount > 0 && d.LiveBytes >= 0
	})
}
