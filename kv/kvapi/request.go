package kvapi

import (
	"hash/fnv"
	"time"

	"github.com/cairndb/cairn/hlc"
)

// Kind tells what a Request asks for.
type Kind uint8

// Request kinds. The comment says which fields of Request and Response are
// used beside Key; "range" means EndKey is set.
const (
	_ Kind = iota
	// Get: Lock, Wait → Value (nil: absent).
	Get
	// Scan (range): Lock, Wait → Rows, Resume.
	Scan
	// ReverseScan (range): like Scan, from EndKey down.
	ReverseScan
	// Put: Value, Seq; with Lock LockNoKeyUpdate it changes no unique key of a
	// row, and passes those who hold LockKeyShare on it.
	Put
	// ConditionalPut: Value, Seq, Expected, MustExist; fails with
	// ConditionFailed. With neither Expected nor MustExist the key must be
	// absent.
	ConditionalPut
	// Delete: Seq.
	Delete
	// DeleteRange (range): Seq; → Keys removed, Resume. In a transaction it
	// writes one intent per key.
	DeleteRange
	// EndTxn: EndTxn. Key is the anchor.
	EndTxn
	// HeartbeatTxn: Now → Txn. Key is the anchor. Creates the record.
	HeartbeatTxn
	// PushTxn: Push → Pushee. Key is the pushee's anchor.
	PushTxn
	// QueryTxn: Push (pushee, Known) → Pushee, Waiting, Waits.
	QueryTxn
	// RecoverTxn: Recover → Pushee.
	RecoverTxn
	// QueryIntent: Query → Found. Prevents a missing write, see QueryIntentArgs.
	QueryIntent
	// ResolveIntent: Resolve.
	ResolveIntent
	// ResolveIntentRange (range): Resolve → Keys resolved, Resume.
	ResolveIntentRange
	// Refresh: RefreshFrom; fails with RefreshFailed if Key was written in
	// (RefreshFrom, the transaction's read timestamp].
	Refresh
	// RefreshRange (range): like Refresh.
	RefreshRange
	// Barrier (range): waits for every earlier write of the span.
	Barrier
	// ClearRange (range): removes all versions, not transactional; only for
	// spans nothing refers to any more (dropped tables).
	ClearRange
	// AdminSplit: Key is where to split, StickyUntil until when no merge undoes
	// it by itself. Not part of a transaction.
	AdminSplit
	// AdminTransferLease: Target.
	AdminTransferLease
	// AdminChangeReplicas: Change.
	AdminChangeReplicas
	// RangeStats: → Info, Stats, Rate, QuietFor of the range that holds Key.
	RangeStats
	// RequestLease is internal to the replica.
	RequestLease
	// TruncateLog is internal to the replica.
	TruncateLog
	// LeaseInfo: → Info.
	LeaseInfo
	// QueryCommit: Push (pushee only) → Pushee, committed, if the version of
	// Key that it signed (Request.Sign) is there and no intent; else nil.
	QueryCommit
	// RaiseGCThreshold is internal to the replica: GC. Versions at or below the
	// threshold may be removed from then on.
	RaiseGCThreshold
	// CollectGarbage is internal to the replica: removes versions of Key that
	// no read above the range's threshold can see, as many as the batch's
	// MaxKeys allow → Keys versions removed, Resume.
	CollectGarbage
	// CheckProtection (range): GC, with the protected timestamp as Threshold;
	// fails with BelowGCThreshold if it is too late to protect it.
	CheckProtection
	// AdminMerge: Value is the boundary between the range of Key and its right
	// neighbour, which it swallows. Not part of a transaction.
	AdminMerge
	// WaitApplied: AppliedTo. Any replica answers it, with or without the
	// lease: when it has applied its log so far, durably.
	WaitApplied
	// AdminCheckRange: → Check. Compares the replicas of the range and recounts
	// its statistics, now. Not part of a transaction.
	AdminCheckRange
	// CollectChecksum: CheckID → Checksum. The replica that is asked answers it,
	// with or without the lease, when it has applied and worked off that check.
	CollectChecksum
	// QuarantineReplica: Quarantine. The replica that it names takes itself out
	// of use, for good.
	QuarantineReplica
	// FeedRange (range): Feed → Feed, a page of what is committed in the span. The
	// span lies in one range; any replica answers.
	FeedRange
	kindEnd
)

// Flags of kinds.
const (
	// flagWrite: goes through Raft.
	flagWrite = 1 << iota
	// flagRange: addresses [Key, EndKey).
	flagRange
	// flagRead: its result depends on MVCC data, so it updates the timestamp
	// cache and a transaction's refresh spans.
	flagRead
	// flagAdmin: one per batch, runs above Raft.
	flagAdmin
	// flagIntent: writes an intent when in a transaction.
	flagIntent
)

var kinds = [kindEnd]struct {
	name  string
	flags int
}{
	Get:                 {"Get", flagRead},
	Scan:                {"Scan", flagRead | flagRange},
	ReverseScan:         {"ReverseScan", flagRead | flagRange},
	Put:                 {"Put", flagWrite | flagIntent},
	ConditionalPut:      {"ConditionalPut", flagWrite | flagRead | flagIntent},
	Delete:              {"Delete", flagWrite | flagIntent},
	DeleteRange:         {"DeleteRange", flagWrite | flagRead | flagRange | flagIntent},
	EndTxn:              {"EndTxn", flagWrite},
	HeartbeatTxn:        {"HeartbeatTxn", flagWrite},
	PushTxn:             {"PushTxn", flagWrite},
	QueryTxn:            {"QueryTxn", 0},
	RecoverTxn:          {"RecoverTxn", flagWrite},
	QueryIntent:         {"QueryIntent", 0},
	ResolveIntent:       {"ResolveIntent", flagWrite},
	ResolveIntentRange:  {"ResolveIntentRange", flagWrite | flagRange},
	Refresh:             {"Refresh", flagRead},
	RefreshRange:        {"RefreshRange", flagRead | flagRange},
	Barrier:             {"Barrier", flagWrite | flagRange},
	ClearRange:          {"ClearRange", flagWrite | flagRange},
	AdminSplit:          {"AdminSplit", flagAdmin},
	AdminTransferLease:  {"AdminTransferLease", flagAdmin},
	AdminChangeReplicas: {"AdminChangeReplicas", flagAdmin},
	RangeStats:          {"RangeStats", 0},
	RequestLease:        {"RequestLease", flagWrite},
	TruncateLog:         {"TruncateLog", flagWrite},
	LeaseInfo:           {"LeaseInfo", 0},
	QueryCommit:         {"QueryCommit", 0},
	RaiseGCThreshold:    {"RaiseGCThreshold", flagWrite},
	CollectGarbage:      {"CollectGarbage", flagWrite},
	CheckProtection:     {"CheckProtection", flagRange},
	AdminMerge:          {"AdminMerge", flagAdmin},
	WaitApplied:         {"WaitApplied", 0},
	AdminCheckRange:     {"AdminCheckRange", flagAdmin},
	CollectChecksum:     {"CollectChecksum", 0},
	QuarantineReplica:   {"QuarantineReplica", 0},
	FeedRange:           {"FeedRange", flagRange},
}

// String prints the kind's name.
func (k Kind) String() string {
	if k == 0 || k >= kindEnd {
		return "Unknown"
	}
	return kinds[k].name
}

// IsValid reports whether the kind is known to this build.
func (k Kind) IsValid() bool { return k > 0 && k < kindEnd }

// IsWrite reports whether the request goes through Raft.
func (k Kind) IsWrite() bool { return kinds[k].flags&flagWrite != 0 }

// IsRange reports whether the request addresses [Key, EndKey).
func (k Kind) IsRange() bool { return kinds[k].flags&flagRange != 0 }

// IsRead reports whether the result depends on MVCC data.
func (k Kind) IsRead() bool { return kinds[k].flags&flagRead != 0 }

// IsAdmin reports whether the request runs above Raft, alone in its batch.
func (k Kind) IsAdmin() bool { return kinds[k].flags&flagAdmin != 0 }

// IsIntentWrite reports whether the request leaves an intent in a transaction.
func (k Kind) IsIntentWrite() bool { return kinds[k].flags&flagIntent != 0 }

// Request is one operation of a batch: a flat struct, so that a batch is one
// allocation. Arguments of rare kinds hang off pointers. It is read-only once
// sent.
type Request struct {
	Kind   Kind   `wire:"1"`
	Key    Key    `wire:"2"`
	EndKey Key    `wire:"3"`
	Seq    TxnSeq `wire:"4"`
	Value  []byte `wire:"5"`
	// Expected, with MustExist, is the value a ConditionalPut must find.
	Expected  []byte         `wire:"6"`
	MustExist bool           `wire:"7"`
	Lock      LockStrength   `wire:"8"`
	Wait      WaitPolicy     `wire:"9"`
	EndTxn    *EndTxnArgs    `wire:"10"`
	Push      *PushArgs      `wire:"11"`
	Recover   *RecoverArgs   `wire:"12"`
	Query     *QueryArgs     `wire:"13"`
	Resolve   *LockUpdate    `wire:"14"`
	Change    *ReplicaChange `wire:"15"`
	// RefreshFrom is the exclusive lower end of the refreshed interval.
	RefreshFrom hlc.Timestamp `wire:"16"`
	// Now is the sender's clock (HeartbeatTxn).
	Now hlc.Timestamp `wire:"17"`
	// Target is the node a lease shall move to.
	Target NodeID `wire:"18"`
	// Lease is the lease asked for (RequestLease), replacing PrevLease.
	Lease     *Lease `wire:"19"`
	PrevLease *Lease `wire:"20"`
	// TruncateTo is the last log index to forget (TruncateLog), of TruncateTerm.
	TruncateTo   LogIndex `wire:"21"`
	TruncateTerm Term     `wire:"22"`
	// ReadAt, if set, is where the transaction read the key of this write: the
	// write fails with ErrRefreshFailed if others have written it since. A Get
	// that locks, and skips what is locked (WaitSkip), leaves the key out then.
	ReadAt hlc.Timestamp `wire:"23"`
	// Durable makes the Lock of a read a replicated one: the request goes
	// through Raft, and the lock outlives leases, splits and processes.
	Durable bool `wire:"24"`
	// Sign leaves the transaction's mark on the version that this write makes,
	// for QueryCommit.
	Sign bool    `wire:"25"`
	GC   *GCArgs `wire:"30"`
	// StickyUntil keeps a boundary (AdminSplit).
	StickyUntil hlc.Timestamp `wire:"31"`
	// AppliedTo is a log index to wait for (WaitApplied).
	AppliedTo LogIndex `wire:"32"`
	// CheckID names a check of the range's replicas (CollectChecksum).
	CheckID    uint64          `wire:"33"`
	Quarantine *QuarantineArgs `wire:"34"`
	Feed       *FeedArgs       `wire:"35"`
	// Program works on the rows of a Scan that locks nothing (Programs).
	Program []byte `wire:"36"`
	// Why says to the range log why a range is split, or two are merged (AdminSplit,
	// AdminMerge); empty means that somebody asked for it.
	Why string `wire:"37"`
}

// IsWrite reports whether the request goes through Raft.
func (r *Request) IsWrite() bool { return r.Durable || r.Kind.IsWrite() }

// Span returns the keys the request addresses.
func (r *Request) Span() Span { return Span{Key: r.Key, EndKey: r.EndKey} }

// GCArgs are of the collection of old versions.
type GCArgs struct {
	Threshold hlc.Timestamp `wire:"1"`
	// ProtectedAsOf is the timestamp up to which records of protection are
	// known: to whoever raises a threshold it is where they were read, to whoever
	// protects it is where the record was written.
	ProtectedAsOf hlc.Timestamp `wire:"2"`
}

// EndTxnArgs commits or aborts a transaction.
type EndTxnArgs struct {
	Commit bool `wire:"1"`
	// InFlightWrites is the promise of a parallel commit: with it the record
	// becomes Staging unless the batch proves all of them itself. It includes
	// the writes of this batch.
	InFlightWrites []SequencedWrite `wire:"2"`
	// LockSpans covers all replicated locks of all epochs.
	LockSpans []Span `wire:"3"`
	// CanCommitOnePhase says that this batch holds all writes the
	// transaction ever sent, so one range may write committed values.
	CanCommitOnePhase bool `wire:"4"`
	// Require1PC fails the batch rather than fall back to intents.
	RequireOnePhase bool `wire:"5"`
	// Deadline, if set, is the first timestamp the commit must not reach.
	Deadline hlc.Timestamp `wire:"6"`
	// Split is the trigger of a split, applied with the commit.
	Split *SplitTrigger `wire:"7"`
	// ChangeReplicas is the trigger of a replica change.
	ChangeReplicas *ChangeReplicasTrigger `wire:"8"`
	// Merge is the trigger of a merge.
	Merge *MergeTrigger `wire:"10"`
	// Poison leaves a mark that refuses later requests of the transaction.
	Poison bool `wire:"9"`
}

// SplitTrigger turns one range into two when its transaction commits.
type SplitTrigger struct {
	Left  RangeDescriptor `wire:"1"`
	Right RangeDescriptor `wire:"2"`
}

// MergeTrigger makes one range of two when its transaction commits. The right
// one was frozen before, by the command at FrozenAt of its log.
type MergeTrigger struct {
	// Merged is the left range as it becomes, Right the right one as it was.
	Merged   RangeDescriptor `wire:"1"`
	Right    RangeDescriptor `wire:"2"`
	FrozenAt LogIndex        `wire:"3"`
	// ReadsUntil is above everything that was read in the right range.
	ReadsUntil hlc.Timestamp `wire:"4"`
}

// ChangeReplicasTrigger changes a range's replicas when its transaction commits.
type ChangeReplicasTrigger struct {
	Desc RangeDescriptor `wire:"1"`
}

// ReplicaChange asks for a replica to be added to or removed from a range.
type ReplicaChange struct {
	Add    []NodeID `wire:"1"`
	Remove []NodeID `wire:"2"`
	// Expected is the generation the change was planned on.
	Expected Generation `wire:"3"`
}

// PushType says what a pusher wants.
type PushType uint8

// Push types: move the pushee's timestamp, abort it, or only look.
const (
	PushTouch PushType = iota
	PushTimestamp
	PushAbort
)

// PushArgs asks for a transaction to be pushed out of the way.
type PushArgs struct {
	Pushee TxnMeta  `wire:"1"`
	Pusher TxnMeta  `wire:"2"`
	Type   PushType `wire:"3"`
	// To is the timestamp the pushee must move above (PushTimestamp).
	To hlc.Timestamp `wire:"4"`
	// Force pushes whatever the priorities (deadlock victims).
	Force bool `wire:"5"`
	// Name is the pusher's, for people.
	Name string `wire:"6"`
	// Known, of a query that is alone in its batch, is what the asker knows of
	// who waits: the answer may wait until there is something else to tell.
	// Zero asks for an answer at once.
	Known WaitsSum `wire:"7"`
}

// WaitsSum tells sets of waits apart; it is never zero.
type WaitsSum uint64

// SumOfWaits returns the sum of a set of waits, in any order.
func SumOfWaits(waits []TxnWait) WaitsSum {
	var s uint64
	for i := range waits {
		h := fnv.New64a()
		h.Write(waits[i].Waiter[:])
		h.Write(waits[i].Holder[:])
		s += h.Sum64()
	}
	return WaitsSum(max(s, 1))
}

// RecoverArgs settles a staging transaction after its in-flight writes have
// been queried.
type RecoverArgs struct {
	// Txn is the staging record as it was seen.
	Txn Transaction `wire:"1"`
	// ImplicitlyCommitted says that every in-flight write was found.
	ImplicitlyCommitted bool `wire:"2"`
}

// QueryArgs looks for the intent of one in-flight write. If it is not there,
// the server first makes sure that it can never appear at or below the
// transaction's timestamp, and only then answers.
type QueryArgs struct {
	Txn TxnMeta `wire:"1"`
	Seq TxnSeq  `wire:"2"`
}

// Header is common to the requests of a batch.
type Header struct {
	// Txn is nil for a non-transactional batch.
	Txn *Transaction `wire:"1"`
	// Timestamp is where a non-transactional batch reads and writes; if
	// empty the server takes its clock's reading.
	Timestamp hlc.Timestamp `wire:"2"`
	// RangeID and Generation are where the sender believes the keys are.
	RangeID    RangeID    `wire:"3"`
	Generation Generation `wire:"4"`
	// MaxKeys and TargetBytes bound the rows read by the batch, 0 for none.
	// Exceeding TargetBytes by one row is allowed, so progress is made.
	MaxKeys     int64 `wire:"5"`
	TargetBytes int64 `wire:"6"`
	// Inconsistent reads do not wait for locks (addressing only): they see what
	// is committed, and scans tell besides what is about to be.
	Inconsistent bool `wire:"7"`
	// CanForwardReadTimestamp says that the transaction has read nothing
	// yet outside this batch, so the server may raise its read timestamp.
	CanForwardReadTimestamp bool `wire:"8"`
	// AmbiguousReplay says that an earlier attempt of this batch may have
	// been evaluated; timestamps must then not move (see package txn).
	AmbiguousReplay bool `wire:"9"`
	// Gateway is the node that sent the batch first.
	Gateway NodeID `wire:"10"`
	// Now is the sender's clock.
	Now hlc.ClockTimestamp `wire:"11"`
	// Deferrable says that nobody waits for the batch's effects: its range may
	// hold it back for a moment, to evaluate it together with others. Only
	// work outside transactions may be: ResolveIntent, RecoverTxn of a finished
	// transaction, and, as a batch of its own, RecoverTxn of an implicitly
	// committed one.
	Deferrable bool `wire:"12"`
	// LockTimeout, if positive, is how long the batch may wait for one lock;
	// then it fails with ErrLockTimeout.
	LockTimeout time.Duration `wire:"13"`
	// Turn is set by a transaction that has lost so often that what it reads is to
	// be its turn (kv/concurrency's turns).
	Turn TurnID `wire:"14"`
	// Holds says that the transaction may hold locks already, or may come to while
	// the batch waits: others may be waiting for it.
	Holds bool `wire:"15"`
}

// BatchRequest is a list of requests that one range evaluates in order and
// atomically. Requests of a batch see the writes before them.
type BatchRequest struct {
	Header   `wire:"1"`
	Requests []Request `wire:"2"`
}

// Add appends a request and returns the batch.
func (b *BatchRequest) Add(r Request) *BatchRequest {
	b.Requests = append(b.Requests, r)
	return b
}

// IsReadOnly reports whether no request goes through Raft.
func (b *BatchRequest) IsReadOnly() bool {
	for i := range b.Requests {
		if b.Requests[i].IsWrite() {
			return false
		}
	}
	return true
}

// LooksUpTo returns the highest timestamp that the batch may look at. ok is false
// for a batch that does more than plain reads, or whose transaction may meet its
// own writes.
func (b *BatchRequest) LooksUpTo(maxOffset time.Duration) (ts hlc.Timestamp, ok bool) {
	if b.Inconsistent {
		return ts, false
	}
	for i := range b.Requests {
		switch r := &b.Requests[i]; r.Kind {
		case Get, Scan, ReverseScan:
			if r.Lock != LockNone || r.Durable || r.Wait != WaitBlock {
				return ts, false
			}
		default:
			return ts, false
		}
	}
	if t := b.Txn; t != nil {
		return t.ReadTimestamp.Max(t.WriteTimestamp).Max(t.GlobalUncertaintyLimit), !t.HasFlushed && t.Epoch == 0
	}
	return b.Timestamp.AddNanos(int64(maxOffset)), !b.Timestamp.IsEmpty()
}

// EndTxnRequest returns the batch's EndTxn, which is always last, or nil.
func (b *BatchRequest) EndTxnRequest() *EndTxnArgs {
	if n := len(b.Requests); n > 0 && b.Requests[n-1].Kind == EndTxn {
		return b.Requests[n-1].EndTxn
	}
	return nil
}

// IsAdmin reports whether the batch is a single admin request.
func (b *BatchRequest) IsAdmin() bool {
	return len(b.Requests) == 1 && b.Requests[0].Kind.IsAdmin()
}

// KeyValue is a row of a scan.
type KeyValue struct {
	Key   Key    `wire:"1"`
	Value []byte `wire:"2"`
}

// Response answers the request at its position. Byte slices may share one
// buffer with the whole response and must not be changed.
type Response struct {
	Kind Kind `wire:"1"`
	// Value is nil if the key is absent and non-nil (maybe empty) otherwise;
	// Exists tells them apart on the wire.
	Value  []byte     `wire:"2"`
	Exists bool       `wire:"3"`
	Rows   []KeyValue `wire:"4"`
	// Resume is what the limits left undone; nil if all was done.
	Resume *Span `wire:"5"`
	// Keys counts keys that were removed, resolved, or taken by the program of a scan.
	Keys int64 `wire:"6"`
	// Pushee is the transaction record after a push, query or recovery.
	Pushee *Transaction `wire:"7"`
	// Waiting lists the transactions that wait for the queried one.
	Waiting []TxnID `wire:"8"`
	// Waits are the edges of the wait-for graph that lead to the queried
	// transaction, for finding deadlocks.
	Waits []TxnWait `wire:"14"`
	// Found says that the queried intent is there.
	Found bool             `wire:"9"`
	Info  *RangeInfo       `wire:"10"`
	Stats *RangeStatistics `wire:"11"`
	// OnePhase says that EndTxn committed without intents or record.
	OnePhase bool `wire:"12"`
	// StagingTimestamp is set while the record is Staging: the commit holds
	// if every in-flight write was written at or below it.
	StagingTimestamp hlc.Timestamp `wire:"13"`
	// Replaced is the sequence number of the transaction's own intent that a
	// write took the place of, or a lower one; zero if there was none, or none
	// that counts.
	Replaced TxnSeq `wire:"15"`
	// Rate is how many batches a second the range has been sent lately.
	Rate float64 `wire:"20"`
	// QuietFor is for how long it has been asked for little, as its leaseholder knows.
	QuietFor time.Duration `wire:"30"`
	// Provisional are the values of intents in the span of an inconsistent
	// scan, in key order; deletions are left out, and so is what is beyond
	// ProvisionalMax.
	Provisional []KeyValue `wire:"21"`
	// Check is what a check of the range found, Checksum one replica's part in it.
	Check    *IntegrityRecord `wire:"22"`
	Checksum *ReplicaChecksum `wire:"23"`
	Feed     *FeedPage        `wire:"24"`
	// Partials are what a scan's program made of the rows that it took, of each range one.
	Partials []Partial `wire:"25"`
}

// Bytes is what of TargetBytes the answer takes: its values and rows.
func (r *Response) Bytes() int64 {
	n := int64(len(r.Value))
	for i := range r.Rows {
		n += int64(len(r.Rows[i].Key) + len(r.Rows[i].Value))
	}
	return n
}

// ProvisionalMax is how many provisional values a scan tells at most.
const ProvisionalMax = 16

// TxnWait is an edge of the wait-for graph: Waiter waits for Holder.
type TxnWait struct {
	Waiter   TxnID    `wire:"1"`
	Priority Priority `wire:"2"`
	Holder   TxnID    `wire:"3"`
	// Name is the waiter's, for people.
	Name string `wire:"4"`
}

// BatchResponse answers a batch.
type BatchResponse struct {
	// Txn is the batch's transaction after it, if it changed.
	Txn *Transaction `wire:"1"`
	// Timestamp is where the batch read or wrote.
	Timestamp hlc.Timestamp `wire:"2"`
	Responses []Response    `wire:"3"`
	// Now is the server's clock.
	Now hlc.ClockTimestamp `wire:"4"`
	// Infos carries range places when the sender's were out of date.
	Infos []RangeInfo `wire:"5"`
	// FollowerReads counts the parts of the batch that were answered by replicas
	// without the lease.
	FollowerReads int32 `wire:"7"`
	// Err is set on the wire only; in Go the error is Send's second result.
	Err *Error `wire:"6"`
}

// RangeStatistics are the exact MVCC statistics of a range. Ages are kept as
// integrals so that replicas need no clock (FACTS of the field: CockroachDB's
// MVCCStats use the same idea).
type RangeStatistics struct {
	LiveBytes   int64 `wire:"1"`
	LiveCount   int64 `wire:"2"`
	KeyBytes    int64 `wire:"3"`
	KeyCount    int64 `wire:"4"`
	ValBytes    int64 `wire:"5"`
	ValCount    int64 `wire:"6"`
	IntentBytes int64 `wire:"7"`
	IntentCount int64 `wire:"8"`
	// SysBytes counts range-local replicated keys.
	SysBytes int64 `wire:"9"`
	SysCount int64 `wire:"10"`
	// LockCount counts durable locks. While it is zero nobody looks for any.
	LockCount int64 `wire:"11"`
}

// GarbageBytes is what is kept beside the newest values: older versions, and
// deletions.
func (s *RangeStatistics) GarbageBytes() int64 { return s.KeyBytes + s.ValBytes - s.LiveBytes }

// Add adds o to s.
func (s *RangeStatistics) Add(o RangeStatistics) {
	s.LiveBytes += o.LiveBytes
	s.LiveCount += o.LiveCount
	s.KeyBytes += o.KeyBytes
	s.KeyCount += o.KeyCount
	s.ValBytes += o.ValBytes
	s.ValCount += o.ValCount
	s.IntentBytes += o.IntentBytes
	s.IntentCount += o.IntentCount
	s.SysBytes += o.SysBytes
	s.SysCount += o.SysCount
	s.LockCount += o.LockCount
}

// Subtract takes o from s.
func (s *RangeStatistics) Subtract(o RangeStatistics) {
	s.LiveBytes -= o.LiveBytes
	s.LiveCount -= o.LiveCount
	s.KeyBytes -= o.KeyBytes
	s.KeyCount -= o.KeyCount
	s.ValBytes -= o.ValBytes
	s.ValCount -= o.ValCount
	s.IntentBytes -= o.IntentBytes
	s.IntentCount -= o.IntentCount
	s.SysBytes -= o.SysBytes
	s.SysCount -= o.SysCount
	s.LockCount -= o.LockCount
}
