package store

import (
	"context"
	"sync"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/concurrency"
	"github.com/cairndb/cairn/kv/kvapi"
)

// Send evaluates a batch on the replica of its range (or, without a range id,
// of its first key). It implements kvapi.Sender.
func (s *Store) Send(ctx context.Context, ba *kvapi.BatchRequest) (*kvapi.BatchResponse, *kvapi.Error) {
	br, err := s.send(ctx, ba)
	now := s.cfg.Clock.Now()
	if err != nil {
		s.metrics.FailedBatches.Add(1)
		// The error may be shared; the reading of the clock is this answer's.
		e := *err
		e.Now = now
		return nil, &e
	}
	if ba.IsReadOnly() {
		s.metrics.ReadBatches.Add(1)
	} else {
		s.metrics.WriteBatches.Add(1)
	}
	br.Now = now
	return br, nil
}

func (s *Store) send(ctx context.Context, ba *kvapi.BatchRequest) (*kvapi.BatchResponse, *kvapi.Error) {
	if !s.sends.enter() {
		return nil, kvapi.NewError(kvapi.ErrUnavailable, "%s is stopping", s.ident.NodeID)
	}
	defer s.sends.leave()
	if err := s.validate(ba); err != nil {
		return nil, err
	}
	if ba.Now != (hlc.ClockTimestamp{}) {
		if err := s.cfg.Clock.Update(ba.Now); err != nil {
			return nil, kvapi.NewError(kvapi.ErrUnavailable, "%v", err)
		}
	}
	r, err := s.route(ba)
	if err != nil {
		return nil, err
	}
	r.gateways.note(ba.Gateway)
	r.load.note(ba)
	r.noteAsked()
	br, err := r.Send(ctx, ba)
	if err != nil {
		return nil, err
	}
	if et := ba.EndTxnRequest(); et != nil && et.Commit {
		r.affinity.note(et)
		r.noteAsked()
	}
	if info := r.info(); ba.Generation != 0 && ba.Generation < info.Desc.Generation {
		br.Infos = append(br.Infos, info)
	}
	return br, nil
}

// gate counts who is inside, until it is closed.
type gate struct {
	mu struct {
		sync.Mutex
		inside int
		// empty is set by close, and closed when nobody is inside any more.
		empty chan struct{}
	}
}

func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.mu.empty != nil {
		return false
	}
	g.mu.inside++
	return true
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.mu.inside--; g.mu.inside == 0 && g.mu.empty != nil {
		close(g.mu.empty)
	}
}

// close lets nobody in any more and returns a channel that closes when all are
// out. It is called once.
func (g *gate) close() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mu.empty = make(chan struct{})
	if g.mu.inside == 0 {
		close(g.mu.empty)
	}
	return g.mu.empty
}

// validate refuses what no client may ask.
func (s *Store) validate(ba *kvapi.BatchRequest) *kvapi.Error {
	if len(ba.Requests) == 0 {
		return kvapi.NewError(kvapi.ErrInternal, "a batch without requests")
	}
	for i := range ba.Requests {
		k := ba.Requests[i].Kind
		if !k.IsValid() || k == kvapi.RequestLease || k == kvapi.TruncateLog ||
			k == kvapi.RaiseGCThreshold || k == kvapi.CollectGarbage {
			return kvapi.NewError(kvapi.ErrInternal, "a batch with request %d (%s)", uint8(k), k)
		}
		if k.IsAdmin() && len(ba.Requests) > 1 {
			return kvapi.NewError(kvapi.ErrInternal, "%s is not alone in its batch", k)
		}
	}
	return nil
}

func (s *Store) route(ba *kvapi.BatchRequest) (*Replica, *kvapi.Error) {
	if ba.RangeID != 0 {
		if r := s.replicas.get(ba.RangeID); r != nil {
			return r, nil
		}
		return nil, s.rangeGone(ba)
	}
	sp, err := addressedSpan(&ba.Requests[0])
	if err != nil {
		return nil, kvapi.NewError(kvapi.ErrInternal, "%v", err)
	}
	if r := s.replicas.lookup(sp.Key); r != nil {
		return r, nil
	}
	return nil, kvapi.NewError(kvapi.ErrRangeNotFound, "%s has no replica with %s", s.ident.NodeID, sp.Key)
}

// rangeGone is the answer for a range that has no replica here. If another one
// holds the keys, the sender's range may have been merged into it.
func (s *Store) rangeGone(ba *kvapi.BatchRequest) *kvapi.Error {
	e := kvapi.NewError(kvapi.ErrRangeNotFound, "%s has no replica of %s", s.ident.NodeID, ba.RangeID)
	if sp, err := addressedSpan(&ba.Requests[0]); err == nil {
		if r := s.replicas.lookup(sp.Key); r != nil {
			e.Infos = append(e.Infos, r.info())
		}
	}
	return e
}

// RangeReport is what one store knows of one of its ranges, for people.
type RangeReport struct {
	kvapi.RangeInfo
	ReplicaID kvapi.ReplicaID
	Leader    kvapi.ReplicaID
	Leads     bool
	// LeaseValid says that this replica serves the range now.
	LeaseValid bool
	// LeaseEnd is where its lease ends as far as this replica knows.
	LeaseEnd hlc.Timestamp
	// Awake says that the replica is ticked.
	Awake   bool
	Term    kvapi.Term
	Applied kvapi.LogIndex
	Stats   kvapi.RangeStatistics
	// GCThreshold is where reads are refused, and below.
	GCThreshold hlc.Timestamp
	Concurrency concurrency.Metrics
	// QPS is the batches a second that came here lately.
	QPS float64
}

// RangeInfos reports on every replica of the store, in order of range id.
func (s *Store) RangeInfos() []RangeReport {
	var out []RangeReport
	for _, r := range s.replicas.all() {
		st := r.leaseStatus(noTimestamp)
		qps, _ := r.gateways.load()
		r.mu.RLock()
		out = append(out, RangeReport{QPS: qps,
			RangeInfo: kvapi.RangeInfo{Desc: *r.mu.desc, Lease: st.Lease},
			ReplicaID: r.replicaID, Leader: r.mu.leader, Leads: r.mu.leads, LeaseValid: st.IsValid(),
			LeaseEnd: st.End, Awake: r.awake.Load(),
			Term: r.mu.term, Applied: r.mu.applied.Index, Stats: r.mu.applied.Stats,
			GCThreshold: r.mu.gcThreshold,
			Concurrency: r.mgr.Metrics(),
		})
		r.mu.RUnlock()
	}
	return out
}

// Counts is what a store has to do.
type Counts struct {
	Ranges, Leases int64
	// QPS is how many batches a second the ranges that are led here are sent.
	QPS float64
}

// RangeCount is how many ranges have a replica here.
func (s *Store) RangeCount() int { return len(s.replicas.all()) }

// Load is Counts as nodes tell each other of it: of ranges whose leader has no lease at
// the moment, too. It costs a look at the replicas that were asked lately.
func (s *Store) Load() Counts {
	c := Counts{Ranges: int64(s.RangeCount()), Leases: s.leads.Load()}
	for _, r := range s.asked.all() {
		if r.leading.Load() {
			qps, _ := r.gateways.load()
			c.QPS += qps
		}
	}
	return c
}

// Counts counts. It costs a look at every replica.
func (s *Store) Counts() (c Counts) {
	for _, r := range s.replicas.all() {
		c.Ranges++
		if r.holdsLease() {
			qps, _ := r.gateways.load()
			c.Leases++
			c.QPS += qps
		}
	}
	return c
}

// FirstRange returns the first range's descriptor, if this store has it: gossip
// carries it to everybody, for all other look-ups begin there.
func (s *Store) FirstRange() (kvapi.RangeInfo, bool) {
	if r := s.replicas.get(firstRangeID); r != nil && r.Desc().IsInitialized() {
		return r.info(), true
	}
	return kvapi.RangeInfo{}, false
}
