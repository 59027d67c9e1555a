package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/mvcc"
	"github.com/cairndb/cairn/kv/snapshot"
	"github.com/cairndb/cairn/kv/storage"
)

// Replicas apply the same bytes in the same order, so at one index of the log
// they hold the same data: unless a disk has flipped a bit, a build applies a
// command differently, or there is a bug. Nobody would notice, for each replica
// answers from what it has. So ranges are checked, all the time, slowly:
//
//	leaseholder                     every replica
//	  command Check ───────────────▶  applies it: pins the engine's state
//	                                  reads it all, paced, off the apply path:
//	                                  checksum, statistics anew
//	  CollectChecksum ─────────────▶  answers when that is done
//	  judgeCheck: who differs? ─────▶ QuarantineReplica (quarantine.go)
//	  record: cairn.integrity
//
// The truth is what a majority of the voters have. If there is no majority
// nobody is quarantined: which copy is wrong is then for people to say, and
// taking one away at random could take the last good one.
//
// The rejected alternative, to compare states without a command in the log,
// would need all replicas to stand still at one index.

// checks are the sums that this store's replicas were asked for.
type checks struct {
	// pace is shared by all; its one place is taken by whoever reads.
	pace *snapshot.Limiter
	mu   struct {
		sync.Mutex
		byID map[checkKey]*checkSum
		// order is of the keys of byID, oldest first.
		order   []checkKey
		waiting int
		// added is closed and replaced when there is a new one.
		added chan struct{}
	}
}

type checkKey struct {
	rangeID kvapi.RangeID
	id      uint64
}

// checkSum is one replica's part in a check; sum and err are set before done is
// closed.
type checkSum struct {
	done chan struct{}
	sum  kvapi.ReplicaChecksum
	err  error
}

func (c *checks) init() {
	c.pace = snapshot.NewLimiter(checkBytesPerSecond, 1)
	c.mu.byID = map[checkKey]*checkSum{}
	c.mu.added = make(chan struct{})
}

// add makes the place for a sum; ok is false if too many wait already, and the
// sum then says so.
func (c *checks) add(k checkKey) (s *checkSum, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s = &checkSum{done: make(chan struct{})}
	if _, again := c.mu.byID[k]; !again {
		c.mu.order = append(c.mu.order, k)
	}
	c.mu.byID[k] = s
	if len(c.mu.order) > checksKept {
		delete(c.mu.byID, c.mu.order[0])
		c.mu.order = c.mu.order[1:]
	}
	if ok = c.mu.waiting < checksWaitingMax; ok {
		c.mu.waiting++
	} else {
		s.err = errors.New("too many checks at a time")
		close(s.done)
	}
	close(c.mu.added)
	c.mu.added = make(chan struct{})
	return s, ok
}

func (c *checks) finish(s *checkSum) {
	close(s.done)
	c.mu.Lock()
	c.mu.waiting--
	c.mu.Unlock()
}

// get returns the sum, or a channel that closes when there is another one.
func (c *checks) get(k checkKey) (*checkSum, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.byID[k], c.mu.added
}

// applyCheck pins the state as of the command, and has it read elsewhere.
func (a *applier) applyCheck(q *checkArgs) error {
	if err := a.flush(nil); err != nil {
		return err
	}
	r, s := a.r, a.r.store
	sum, ok := s.checks.add(checkKey{r.rangeID, q.ID})
	if !ok {
		return nil
	}
	snap, desc, st := s.cfg.Engine.NewSnapshot(), r.Desc(), a.state
	s.background.Go(func() {
		defer s.checks.finish(sum)
		sum.sum, sum.err = s.sumUp(snap, desc, st)
		if err := snap.Close(); err != nil && sum.err == nil {
			sum.err = err
		}
	})
	return nil
}

// sumUp reads a range's data at its leisure. What cannot be read is a result;
// an error is only that the store stops.
func (s *Store) sumUp(snap *storage.Snapshot, desc *kvapi.RangeDescriptor, st appliedState) (kvapi.ReplicaChecksum, error) {
	out := kvapi.ReplicaChecksum{Index: st.Index, Kept: st.Stats}
	ctx, cancel := context.WithTimeout(s.ctx, checkTimeout)
	defer cancel()
	release, err := s.checks.pace.Acquire(ctx)
	if err != nil {
		return out, err
	}
	defer release()
	sum, pairs, err := checksumOf(snap, desc, func(n int) error { return s.checks.pace.Wait(ctx, n) }, nil)
	if err == nil {
		began := time.Now()
		if out.Counted, err = mvcc.Recompute(snap, desc.StartKey, desc.EndKey); err == nil {
			err = s.restAfter(ctx, began)
		}
	}
	switch {
	case ctx.Err() != nil || s.isStopping():
		return out, errors.New("it was not done in time")
	case err != nil:
		out.Unreadable = err.Error()
	default:
		out.Sum, out.Keys = sum[:], pairs
	}
	return out, nil
}

// collectChecksum answers what this replica found.
func (r *Replica) collectChecksum(ctx context.Context, ba *kvapi.BatchRequest) (*kvapi.BatchResponse, *kvapi.Error) {
	k := checkKey{r.rangeID, ba.Requests[0].CheckID}
	for {
		sum, added := r.store.checks.get(k)
		done := added
		if sum != nil {
			done = sum.done
		}
		select {
		case <-done:
		case <-r.store.stopping:
			return nil, kvapi.NewError(kvapi.ErrUnavailable, "the node is stopping")
		case <-ctx.Done():
			return nil, kvapi.NewError(kvapi.ErrCanceled, "%s has not worked off the check: %v", r.rangeID, ctx.Err())
		}
		switch {
		case sum == nil:
		case sum.err != nil:
			return nil, kvapi.NewError(kvapi.ErrUnavailable, "%v", sum.err)
		default:
			return &kvapi.BatchResponse{Responses: []kvapi.Response{{Kind: kvapi.CollectChecksum, Checksum: &sum.sum}}}, nil
		}
	}
}

// check compares the range's replicas, does what follows from it, and records
// it. It runs on the leaseholder. An error says that there was no check.
func (r *Replica) check(ctx context.Context) (*kvapi.IntegrityRecord, error) {
	s := r.store
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	desc := r.Desc()
	id, err := r.proposeCheck(ctx)
	if err != nil {
		return nil, err
	}
	v := judgeCheck(r.collectSums(ctx, desc, id))
	rec := &kvapi.IntegrityRecord{Kind: kvapi.CheckReplicas, RangeID: r.rangeID, Outcome: v.outcome, Detail: v.detail,
		CheckedNanos: s.cfg.Clock.PhysicalNow(), NodeID: s.ident.NodeID}
	s.metrics.RangesChecked.Add(1)
	if v.outcome == kvapi.CheckDiverged {
		s.metrics.ChecksDiverged.Add(1)
		s.cfg.Log.Error("replicas differ", "range", r.rangeID, "what", v.detail)
	}
	if v.recount != (kvapi.RangeStatistics{}) {
		if err := r.correctStatistics(ctx, v.recount); err != nil {
			rec.Outcome, rec.Detail = kvapi.CheckIncomplete, rec.Detail+"; they could not be put right: "+err.Error()
		}
	}
	// First the record: if this replica is one of the bad, it is heard no more.
	err = s.record(*rec)
	if f := s.cfg.Knobs.Checked; f != nil {
		f(*rec)
	}
	for _, bad := range v.bad {
		if qerr := r.sendQuarantine(ctx, desc, bad, v.detail); qerr != nil {
			// The next check finds it again.
			s.cfg.Log.Error("a replica that differs could not be quarantined", "range", r.rangeID, "replica", bad, "err", qerr)
		}
	}
	return rec, err
}

// proposeCheck puts the command in the log, and returns when it has applied
// here. The range is in use meanwhile.
func (r *Replica) proposeCheck(ctx context.Context) (id uint64, err error) {
	id = uint64(r.store.nextCommandID())
	return id, r.proposeNow(ctx, func(h *commandHeader) { h.Check = &checkArgs{ID: id} })
}

// correctStatistics adds what a recount has found missing. Commands between the
// check and this one have added theirs to the same wrong sum.
func (r *Replica) correctStatistics(ctx context.Context, by kvapi.RangeStatistics) error {
	return r.proposeNow(ctx, func(h *commandHeader) { h.StatsDelta = by })
}

// proposeNow proposes a command without bytes under the lease that this replica
// has, and waits until it has applied.
func (r *Replica) proposeNow(ctx context.Context, fill func(*commandHeader)) error {
	now := r.store.cfg.Clock.Now()
	r.mu.RLock()
	valid := r.leaseStatusLocked(now, noTimestamp).IsValid() && r.mu.transferUntil <= now.WallTime
	h := commandHeader{LeaseSequence: r.mu.lease.Sequence, Term: r.mu.term, Proposer: r.replicaID}
	r.mu.RUnlock()
	if !valid {
		return r.notLeaseholder("not the leaseholder")
	}
	fill(&h)
	p := newProposal(r.store.nextCommandID(), h, nil)
	if err := r.propose(p); err != nil {
		return err
	}
	switch fate, err := p.wait(ctx); {
	case err != nil:
		return fmt.Errorf("%s: %w", r.rangeID, err)
	case fate != applied:
		return fmt.Errorf("%s: the command came to nothing; the lease moved, or the range is being merged", r.rangeID)
	}
	return nil
}

// checkAnswer is what became of one replica's part.
type checkAnswer struct {
	replica kvapi.ReplicaDescriptor
	// sum is nil if the replica gave none, for the reason why.
	sum *kvapi.ReplicaChecksum
	why string
}

// collectSums asks all replicas for their sums.
func (r *Replica) collectSums(ctx context.Context, desc *kvapi.RangeDescriptor, id uint64) []checkAnswer {
	out := make([]checkAnswer, len(desc.Replicas))
	var wg sync.WaitGroup
	for i, rep := range desc.Replicas {
		out[i].replica = rep
		wg.Go(func() {
			q := kvapi.Request{Kind: kvapi.CollectChecksum, Key: desc.StartKey, CheckID: id}
			br, err := r.sendToReplica(ctx, rep, q)
			if err != nil {
				out[i].why = err.Error()
				return
			}
			out[i].sum = br.Responses[0].Checksum
		})
	}
	wg.Wait()
	return out
}

// sendToReplica asks one replica of the range, this one included.
func (r *Replica) sendToReplica(ctx context.Context, to kvapi.ReplicaDescriptor, q kvapi.Request) (*kvapi.BatchResponse, *kvapi.Error) {
	ba := (&kvapi.BatchRequest{Header: kvapi.Header{RangeID: r.rangeID}}).Add(q)
	switch {
	case to.NodeID == r.store.ident.NodeID:
		return r.Send(ctx, ba)
	case r.store.cfg.Peers == nil:
		return nil, kvapi.NewError(kvapi.ErrUnavailable, "this store was given no way to reach %s", to.NodeID)
	}
	return r.store.cfg.Peers.SendTo(ctx, to.NodeID, ba)
}

// checkVerdict is what the replicas' sums mean.
type checkVerdict struct {
	outcome kvapi.IntegrityOutcome
	detail  string
	// bad are to be quarantined.
	bad []kvapi.ReplicaDescriptor
	// recount is what the statistics lack.
	recount kvapi.RangeStatistics
}

// judgeCheck compares the sums. A replica is bad only if a majority of the
// voters agree on something else.
//
//	all equal, all there                    good
//	all equal, some missing                 incomplete
//	a majority agrees, others differ, or    diverged; the others are bad
//	cannot read what they have
//	no majority, and they differ, or        diverged; nobody is bad
//	some cannot read what they have
//	no majority, and those agree that       incomplete
//	are there
//	equal, but statistics are not a recount repaired
func judgeCheck(answers []checkAnswer) checkVerdict {
	voters := 0
	agree := map[string]int{}
	for _, a := range answers {
		if !a.replica.IsVoter() {
			continue
		}
		voters++
		if a.sum != nil && a.sum.Unreadable == "" {
			agree[string(a.sum.Sum)]++
		}
	}
	truth, found := "", false
	for sum, n := range agree {
		if n > voters/2 {
			truth, found = sum, true
		}
	}
	var v checkVerdict
	var good *kvapi.ReplicaChecksum
	var missing, differing []string
	distinct, unreadable := map[string]bool{}, 0
	for _, a := range answers {
		switch {
		case a.sum == nil:
			missing = append(missing, fmt.Sprintf("%s gave no answer: %s", a.replica, a.why))
			continue
		case a.sum.Unreadable != "":
			unreadable++
			differing = append(differing, fmt.Sprintf("%s cannot read its data: %s", a.replica, a.sum.Unreadable))
		case found && string(a.sum.Sum) == truth:
			good = a.sum
			continue
		default:
			good = a.sum
			distinct[string(a.sum.Sum)] = true
			differing = append(differing, fmt.Sprintf("%s has %d pairs with checksum %.4x%s", a.replica, a.sum.Keys, a.sum.Sum, recountText(a.sum)))
			if !found {
				continue
			}
		}
		if found {
			v.bad = append(v.bad, a.replica)
		}
	}
	switch {
	case found && len(differing) > 0:
		v.outcome, v.detail = kvapi.CheckDiverged, fmt.Sprintf("%d of %d voters agree; %s", agree[truth], voters, strings.Join(differing, "; "))
	case found && len(missing) > 0:
		v.outcome, v.detail = kvapi.CheckIncomplete, strings.Join(missing, "; ")
	case found:
		v.outcome, v.detail = kvapi.CheckGood, fmt.Sprintf("%d replicas have the same %d pairs", len(answers), good.Keys)
	case len(distinct) > 1 || unreadable > 0:
		v.outcome = kvapi.CheckDiverged
		v.detail = "no majority says what is right; " + strings.Join(append(differing, missing...), "; ")
	default:
		v.outcome, v.detail = kvapi.CheckIncomplete, strings.Join(append(missing, "a majority is needed"), "; ")
	}
	if found && good.Kept != good.Counted {
		v.recount = good.Counted
		v.recount.Subtract(good.Kept)
		if v.outcome == kvapi.CheckGood {
			v.outcome = kvapi.CheckRepaired
		}
		v.detail += "; statistics were " + fmt.Sprintf("%+v, a recount gives %+v", good.Kept, good.Counted)
	}
	return v
}

// recountText says whether a replica's own statistics speak for it.
func recountText(s *kvapi.ReplicaChecksum) string {
	if s.Kept != s.Counted {
		return " (which are not what its statistics count)"
	}
	return ""
}

// record keeps the result of a check, and since when nothing has proven the
// range good.
func (s *Store) record(rec kvapi.IntegrityRecord) error {
	if s.cfg.Txns == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(s.ctx, recordTimeout)
	defer cancel()
	err := s.cfg.Txns.RunTxn(ctx, "integrity", func(ctx context.Context, txn Txn) error {
		now, key := rec, keys.RangeIntegrity(rec.RangeID)
		old, _, err := lastCheck(ctx, txn, rec.RangeID)
		if err != nil {
			return err
		}
		now.ProvenNanos = old.ProvenNanos
		if rec.Outcome == kvapi.CheckGood {
			now.ProvenNanos = rec.CheckedNanos
		}
		if rec.Outcome == kvapi.CheckDiverged {
			e := kvapi.RangeEvent{RangeID: rec.RangeID, Kind: kvapi.EventQuarantine, Why: rec.Detail}
			if err := s.logEvent(ctx, txn, e); err != nil {
				return err
			}
		}
		return txn.Put(ctx, key, now.AppendWire(nil))
	})
	if err != nil {
		return fmt.Errorf("record the check of %s: %w", rec.RangeID, err)
	}
	return nil
}

func lastCheck(ctx context.Context, txn Txn, id kvapi.RangeID) (rec kvapi.IntegrityRecord, ok bool, err error) {
	b, ok, err := txn.Get(ctx, keys.RangeIntegrity(id))
	if err != nil || !ok {
		return rec, false, err
	}
	return rec, true, rec.UnmarshalWire(b)
}
