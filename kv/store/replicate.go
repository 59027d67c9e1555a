package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cairndb/cairn/kv/allocator"
	"github.com/cairndb/cairn/kv/kvapi"
)

// The replicate queue does what the allocator decides, for the ranges whose
// lease is here:
//
//	every replicateEvery, or when kicked
//	   │  the cluster as gossip tells it, and what was done here since (view)
//	   ▼
//	Decide for each range ──▶ sorted by concern: repair before beauty
//	   │                          │ replicateWorkers at a time, decided again
//	   ▼                          ▼ just before, on the view as it is by then
//	setBlocked                  changeReplicas / transferAway
//
// A pass repairs all that it can, but makes at most movesMax moves and
// transfersMax transfers that only even things out: the next pass sees what
// came of them. What the data costs on its way is paced where it flows
// (kv/snapshot: a rate, and few snapshots at a time on both ends). A node that
// could not take a replica is left alone for refusedFor.

// replicateLoop runs the queue.
func (s *Store) replicateLoop() {
	t := time.NewTimer(replicateEvery)
	defer t.Stop()
	for needsAll := true; ; {
		select {
		case <-s.stopping:
			return
		case <-s.kick:
			needsAll = true
		case <-t.C:
		}
		did, ok := s.replicatePass(s.ctx, needsAll)
		needsAll = did || !ok
		if ok {
			t.Reset(replicateEvery)
		} else {
			t.Reset(replicateAgain)
		}
	}
}

// KickReplicate makes the replicate loop look now: a node joined, or a range
// was made.
func (s *Store) KickReplicate() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// maybeKickReplicate looks soon at a range whose lease or leadership came here
// and that lacks voters: one that a split made while its left side lacked them too, or
// one whose last leaseholder was lost in the middle of a change.
func (s *Store) maybeKickReplicate(d *kvapi.RangeDescriptor) {
	if v := d.Voters(); v < s.cfg.ReplicationFactor || v < len(d.Replicas) {
		s.KickReplicate()
	}
}

// due is a range that something should be done about.
type due struct {
	r       *Replica
	concern allocator.Concern
}

// PlacementPolicy tells what is asked for replicas; internal/node fills it in.
type PlacementPolicy interface {
	// Placements returns what is asked for those of any span of tables, as of now or
	// lately.
	Placements(ctx context.Context) (func(kvapi.Span) allocator.Placement, error)
}

// wants is what is asked for the replicas of a range. It is not known while nobody
// can tell, as on a node that cannot reach the catalog since it started: then nothing
// is done about ranges with tables. Who leads the catalog's ranges can.
func (p *pass) wants(d *kvapi.RangeDescriptor) (w allocator.Placement, known bool) {
	switch {
	case p.s.cfg.Placement == nil || !holdsTables(d):
		return w, true
	case p.placements == nil:
		return w, false
	}
	return p.placements(d.Span()), true
}

// pass is one turn of the queue.
type pass struct {
	s *Store
	// placements say what is asked for tables; nil if that is not known.
	placements func(kvapi.Span) allocator.Placement
	// needsAll says that each of them may need something.
	needsAll bool
	// urgent and beauty are done in this order.
	mu struct {
		sync.Mutex
		view             *allocator.View
		moves, transfers int
		failed           bool
	}
}

// ReplicateOnce looks once at every range here, for tests.
func (s *Store) ReplicateOnce(ctx context.Context) {
	s.collectPass(ctx, s.replicas.all())
	s.replicatePass(ctx, true)
}

// replicatePass looks once at the ranges that are led here, needsAll at every one. It
// reports whether it began anything, and whether all of that succeeded.
func (s *Store) replicatePass(ctx context.Context, needsAll bool) (did, ok bool) {
	if s.cfg.Txns == nil || s.cfg.Nodes == nil {
		return false, true
	}
	p := &pass{s: s, needsAll: needsAll}
	if s.cfg.Placement != nil {
		var err error
		if p.placements, err = s.cfg.Placement.Placements(ctx); err != nil {
			s.cfg.Log.Info("ranges of tables stay where they are: it is not known what is asked for them", "err", err)
		}
	}
	p.mu.view = s.view()
	nodes := p.mu.view.Condition()
	if was := s.condition.Swap(&nodes); was == nil || *was != nodes {
		p.needsAll = true
	}
	p.mu.moves, p.mu.transfers = movesMax, transfersMax
	work := p.scan()
	p.mu.transfers += int(s.leads.Load()) / transfersShare
	queue := make(chan due)
	var workers sync.WaitGroup
	for range min(replicateWorkers, len(work)) {
		workers.Go(func() {
			for d := range queue {
				p.work(ctx, d.r)
			}
		})
	}
	for _, d := range work {
		if s.isStopping() || ctx.Err() != nil {
			break
		}
		queue <- d
	}
	close(queue)
	workers.Wait()
	return len(work) > 0, !p.mu.failed
}

// scan decides for every range. Those with something to do come out, the most
// urgent first.
//
// Ranges that need nothing but perhaps beauty take turns, looksMax a pass: what
// could be evened out does not change so fast that each should be looked at anew.
// Whether something is needed is looked at for all only when that may have changed:
// when the nodes have, something was done or not done, somebody asks for a look; and
// each fullEvery-th time, for what is asked for tables may have changed, too.
func (p *pass) scan() (work []due) {
	all := p.s.replicas.all()
	scans := int(p.s.scans.Add(1))
	from := scans % (1 + len(all)/looksMax) * looksMax
	to := min(from+looksMax, len(all))
	first := 0
	if !p.needsAll && scans%fullEvery != 0 {
		all, first = all[:to], from
	}
	for i, r := range all[first:] {
		if p.s.isStopping() {
			return nil
		}
		if !r.holdsLease() {
			p.s.setBlocked(r.rangeID, "")
			continue
		}
		wants, known := p.wants(r.Desc())
		if !known {
			continue
		}
		if inTurn := first+i >= from && first+i < to; !inTurn && p.mu.view.IsSettled(r.Desc(), wants) {
			p.s.setBlocked(r.rangeID, "")
			continue
		}
		a := allocator.Decide(p.mu.view, r.allocatorRange(wants))
		why := ""
		if a.Kind == allocator.Blocked {
			why = a.Why
		} else if a.Kind != allocator.None {
			work = append(work, due{r, a.Concern})
		}
		p.s.setBlocked(r.rangeID, why)
	}
	slices.SortStableFunc(work, func(a, b due) int { return int(a.concern) - int(b.concern) })
	return work
}

// work does what a range needs, step by step while it is urgent.
func (p *pass) work(ctx context.Context, r *Replica) {
	select {
	case r.moving <- struct{}{}:
		defer func() { <-r.moving }()
	default:
		return // an operator is changing it
	}
	ctx, cancel := context.WithTimeout(ctx, replicateTimeout)
	defer cancel()
	for {
		a := p.decide(r)
		if a.Kind == allocator.None || a.Kind == allocator.Blocked {
			return
		}
		err := r.act(ctx, a)
		switch {
		case err == nil:
			p.s.cfg.Log.Info(a.Kind.String(), "range", r.rangeID, "for", a.Concern, "add", a.Add, "remove", a.Remove, "to", a.To, "why", a.Why)
		case p.s.isStopping():
			return
		default:
			p.fail(r, a, err)
			return
		}
		if a.Concern > allocator.Trim {
			return
		}
	}
}

// decide decides anew, takes what the action costs from the pass, and books it
// so that other decisions know of it.
func (p *pass) decide(r *Replica) allocator.Action {
	if !r.holdsLease() {
		return allocator.Action{}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	wants, known := p.wants(r.Desc())
	if !known {
		return allocator.Action{}
	}
	in := r.allocatorRange(wants)
	a := allocator.Decide(p.mu.view, in)
	budget := &p.mu.moves
	if a.Kind == allocator.TransferLease {
		budget = &p.mu.transfers
	}
	if a.Concern > allocator.Trim {
		if *budget == 0 {
			return allocator.Action{}
		}
		*budget--
	}
	p.mu.view.Applied(a, in.QPS)
	p.s.recent.add(a, in.QPS)
	return a
}

func (p *pass) fail(r *Replica, a allocator.Action, err error) {
	p.mu.Lock()
	p.mu.failed = true
	p.mu.Unlock()
	if a.Add != 0 && !errors.Is(err, errDescriptorChanged) {
		p.s.recent.refused(a.Add)
	}
	p.s.cfg.Log.Info("not done: "+a.Kind.String(), "range", r.rangeID, "add", a.Add, "remove", a.Remove, "to", a.To, "why", a.Why, "err", err)
}

// act carries an action out. The caller holds r.moving.
func (r *Replica) act(ctx context.Context, a allocator.Action) error {
	one := func(n kvapi.NodeID) []kvapi.NodeID {
		if n == 0 {
			return nil
		}
		return []kvapi.NodeID{n}
	}
	why := a.Concern.String() + ": " + a.Why
	switch a.Kind {
	case allocator.LeaveJoint:
		return r.leaveJoint(ctx, why)
	case allocator.AddReplica, allocator.ReplaceReplica, allocator.RemoveReplica:
		return r.changeReplicas(ctx, one(a.Add), one(a.Remove), why)
	case allocator.RemoveLearner:
		return r.removeLearner(ctx, a.Remove, why)
	case allocator.TransferLease:
		if err := r.transferAway(ctx, a.To); err != nil {
			return err
		}
		return r.logLease(ctx, a.To, why)
	}
	return fmt.Errorf("%s is no action", a.Kind)
}

// logLease writes that the lease was moved: a transfer has no transaction that
// could.
func (r *Replica) logLease(ctx context.Context, to kvapi.NodeID, why string) error {
	return r.store.cfg.Txns.RunTxn(ctx, "range log", func(ctx context.Context, txn Txn) error {
		return r.store.logEvent(ctx, txn, kvapi.RangeEvent{RangeID: r.rangeID, Kind: kvapi.EventLease,
			Why: fmt.Sprintf("%s; now at %s", why, to)})
	})
}

// allocatorRange is the range as the allocator wants it.
func (r *Replica) allocatorRange(wants allocator.Placement) allocator.Range {
	qps, near := r.gateways.load()
	return allocator.Range{Desc: r.Desc(), Leaseholder: r.store.ident.NodeID, QPS: qps, Near: near, Wants: wants}
}
