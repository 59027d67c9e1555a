package store

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/closedts"
	"github.com/cairndb/cairn/kv/concurrency"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/lease"
	"github.com/cairndb/cairn/kv/liveness"
	"github.com/cairndb/cairn/kv/raftgroup"
	"github.com/cairndb/cairn/kv/raftlog"
)

// noTimestamp asks about a lease for now only.
var noTimestamp hlc.Timestamp

// Replica is this store's copy of a range, for one replica id: a range that
// leaves the node and comes back is another Replica.
//
// Lock order: raftMu, then the replicaSet's, then mu, then inbox.
type Replica struct {
	store     *Store
	rangeID   kvapi.RangeID
	replicaID kvapi.ReplicaID
	mgr       *concurrency.Manager
	// known and knownAt, which the lock of the replica set guards, say that it finds
	// the replica by key, and where its span begins there.
	known   bool
	knownAt kvapi.Key
	// leading is mu.leads for those who look at all replicas, of which most do not.
	leading atomic.Bool

	inbox inbox
	// waitsLater says that the replica is to have a turn soon (later.go).
	waitsLater atomic.Bool
	// appending counts the appends that the log writer has yet to sync.
	appending atomic.Int32
	// committed is Raft's commit index, as of the last Ready.
	committed atomic.Uint64
	// cleanUps and commits collect what is evaluated together.
	cleanUps, commits deferral
	// closing is what this replica has closed as a leaseholder (closed.go).
	closing closedts.Tracker
	long    longWrites
	// feeds are who is told what commits here (feed.go).
	feeds feeds
	// gateways counts requests by the node they come from (follow.go).
	gateways gateways
	// size lets writes wait while the range is far too large (split_queue.go).
	size sizeGate
	// breaker refuses requests while they could not be served (breaker.go).
	breaker breaker
	// doubt decides when to ask whether this still is a replica (collect.go).
	doubt doubt
	// campaignSoon asks the next run to stand for election.
	campaignSoon atomic.Bool
	// supportChanged and wakeSoon ask the next run to look at what hangs on
	// support, and to stay awake; asked, a follower, to ask its leader.
	supportChanged, wakeSoon, askSoon atomic.Bool
	// awake says that the store ticks the replica (quiesce.go).
	awake atomic.Bool
	// promise is what this replica owes a leader; it is never changed in place.
	promise atomic.Pointer[promise]
	// durableTerm is a term that is durable, which answers to a leader say
	// beside committed (promise.go).
	durableTerm atomic.Uint64
	// removeSoon, if set, asks the next run to remove the replica: it is older
	// than the replica id it says.
	removeSoon atomic.Uint64
	// quarantined, if set, says why the replica is out of use (quarantine.go).
	quarantined atomic.Pointer[quarantine]
	// checkedAt is when the range was last checked, as far as is known here;
	// of the check loop alone.
	checkedAt time.Time
	// load is what the range is asked for (load.go); saidHot, of the split
	// queue, is when its hot key was last reported.
	load    load
	saidHot time.Time
	// isAsked says that the store counts the replica among those asked lately.
	isAsked atomic.Bool
	// affinity is how often its commits write in its neighbours, too (affinity.go).
	affinity affinity
	// merge is what the merge queue remembers of the range.
	merge mergeMemory
	// settling is true while somebody finds out how a merge ended.
	settling atomic.Bool
	// changing is held by whoever changes the descriptor by an admin request,
	// so that a split and a replica change wait for each other here rather
	// than fail in their transactions. A channel: waiting ends with a context.
	changing chan struct{}
	// moving is held by whoever changes the replicas, over all of its steps; in
	// between others may change the descriptor, by a split for one.
	moving chan struct{}
	// noRecordsAt is one more than the count of local keys at which there was no
	// transaction record (collectRecords).
	noRecordsAt atomic.Int64
	// heard says where messages came from of replicas that the descriptor does not
	// name: all that a replica without one knows of its peers.
	heard struct {
		sync.Mutex
		peers map[kvapi.ReplicaID]kvapi.ReplicaDescriptor
	}

	// raftMu is held by whoever works on the Raft group: the scheduler's
	// worker, or one that takes the replica apart.
	raftMu struct {
		sync.Mutex
		group *raftgroup.Group
		log   *raftlog.Log
		ticks uint64
		held  heldCommits
		// standing is for how many ticks the replica repeats its campaign while
		// the range has no leader.
		standing int
		// campaignAt is the tick at which it is this replica's turn to stand.
		campaignAt uint64
		promises   promises
		// committed is, on a leader, how far followers know the log committed.
		committed map[kvapi.ReplicaID]kvapi.LogIndex
		// graceUntil is the tick until which an uninitialized replica ignores
		// appends, because a split here will make it.
		graceUntil uint64
		// prepared is the snapshot that Raft was last promised; see snapshot.go.
		prepared *preparedSnapshot
		// staged is a received snapshot that Raft has to decide on.
		staged *stagedSnapshot
	}

	mu struct {
		sync.RWMutex
		// desc is never changed in place.
		desc    *kvapi.RangeDescriptor
		lease   kvapi.Lease
		applied appliedState
		// freeze is set while the range is frozen for a merge; never changed in
		// place.
		freeze *freeze
		// term, leader and leads are Raft's, as of the last Ready.
		term   kvapi.Term
		leader kvapi.ReplicaID
		leads  bool
		// minProposedAt proscribes older leases of ours (package lease).
		minProposedAt hlc.ClockTimestamp
		// acknowledged are the epochs at which followers have promised their
		// votes to this replica, as leader of term.
		acknowledged map[kvapi.ReplicaID]liveness.Epoch
		// spent is a term in which a transfer was begun: its leader lease is dead
		// for good, also if the transfer fails (L4 of leader_lease.pml).
		spent kvapi.Term
		// handed is what the applied lease's command handed over, and knowsUnder
		// the last lease of this replica; both as of this process (handover.go).
		handed     *handedOver
		knowsUnder kvapi.LeaseSequence
		// foreignUntil is up to where, besides the lease's start, local timestamps of
		// what is in the range may come from other clocks than the leaseholder's (I19).
		foreignUntil hlc.Timestamp
		// transferUntil is a wall time until which we do not ask for a lease,
		// having named a successor.
		transferUntil int64
		// leaseChanged is closed and replaced whenever the lease, the
		// leadership or the replica's life changes.
		leaseChanged chan struct{}
		// leaseAsked is true while a lease command of ours is in flight.
		leaseAsked bool
		// buffer holds proposals that the worker has not yet given to Raft;
		// pending holds those in Raft, and in buffer, by id.
		buffer  []*proposal
		pending map[commandID]*proposal
		// applying says that entries are being applied: some are in neither pending
		// nor applied then.
		applying bool
		// dataEpoch counts the replacements of the data below (snapshots,
		// removal): a read that sees it move starts over.
		dataEpoch   uint64
		removed     bool
		truncating  bool
		gcThreshold hlc.Timestamp
	}
}

// newReplica returns a replica over loaded state, without its Raft group.
func newReplica(s *Store, st rangeState, id kvapi.ReplicaID) *Replica {
	r := &Replica{store: s, rangeID: st.desc.RangeID, replicaID: id, changing: make(chan struct{}, 1), moving: make(chan struct{}, 1)}
	cc := concurrency.Config{Clock: s.cfg.Clock, Txns: s.txns}
	if s.resolver != nil {
		cc.Pusher = s.resolver
	}
	r.mgr = concurrency.New(cc)
	desc := st.desc
	r.mu.desc, r.mu.lease, r.mu.applied, r.mu.gcThreshold, r.mu.freeze = &desc, st.lease, st.applied, st.gcThreshold, st.freeze
	r.mu.minProposedAt = s.startedAt
	r.mu.leaseChanged = make(chan struct{})
	r.mu.pending = map[commandID]*proposal{}
	r.load.quietFromNow()
	return r
}

// Desc returns the range's descriptor as applied here; it is read-only.
func (r *Replica) Desc() *kvapi.RangeDescriptor {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.mu.desc
}

// own returns this replica's own descriptor.
func (r *Replica) own(d *kvapi.RangeDescriptor) kvapi.ReplicaDescriptor {
	if own, ok := d.ReplicaByID(r.replicaID); ok {
		return own
	}
	return kvapi.ReplicaDescriptor{NodeID: r.store.ident.NodeID, ReplicaID: r.replicaID}
}

// info returns the range's place, as far as this replica knows.
func (r *Replica) info() kvapi.RangeInfo {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.infoLocked()
}

func (r *Replica) infoLocked() kvapi.RangeInfo {
	in := kvapi.RangeInfo{Desc: *r.mu.desc}
	l := r.mu.lease
	switch {
	case r.mu.leader == 0:
		// Nobody to point to.
	case l.Holder.ReplicaID == r.mu.leader:
		in.Lease = l
	default:
		// The leader is about to hold the lease.
		if rep, ok := r.mu.desc.ReplicaByID(r.mu.leader); ok {
			in.Lease = kvapi.Lease{Sequence: l.Sequence, Holder: rep}
		}
	}
	return in
}

// leaseStatus judges the applied lease with a fresh clock reading.
func (r *Replica) leaseStatus(ts hlc.Timestamp) lease.Status {
	now := r.store.cfg.Clock.Now()
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.leaseStatusLocked(now, ts)
}

// holdsLease reports whether the range may be served from here now. Whoever asks all
// replicas pays an atomic load for most: only a leader holds a lease.
func (r *Replica) holdsLease() bool {
	return r.leading.Load() && r.leaseStatus(noTimestamp).IsValid()
}

func (r *Replica) leaseStatusLocked(now hlc.ClockTimestamp, ts hlc.Timestamp) lease.Status {
	in := lease.Input{
		Own: r.replicaID, Leads: r.mu.leads, Term: r.mu.term, Now: now,
		MinProposedAt: r.mu.minProposedAt, Request: ts, MaxOffset: r.store.cfg.Clock.MaxOffset(),
	}
	if l := &r.mu.lease; l.Kind == kvapi.LeaderLease && r.mu.leads && l.Term == r.mu.term && r.mu.spent != l.Term {
		in.LeadSupportUntil = r.leadSupportUntilLocked()
	}
	return lease.Judge(r.mu.lease, in)
}

// leaseMovedLocked wakes everybody who waits for the lease to change.
func (r *Replica) leaseMovedLocked() {
	close(r.mu.leaseChanged)
	r.mu.leaseChanged = make(chan struct{})
}
