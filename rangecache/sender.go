package rangecache

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
)

// Transport sends a batch to one node. An error of a broken connection is
// ErrNodeUnreachable; its MaybeApplied says whether the batch may have
// reached the node.
type Transport interface {
	Send(ctx context.Context, to kvapi.NodeID, ba *kvapi.BatchRequest) (*kvapi.BatchResponse, *kvapi.Error)
}

// Config is what a Sender is made of.
type Config struct {
	// NodeID is the node the Sender runs on; its replica is tried first when
	// nothing is known of a range's leader.
	NodeID     kvapi.NodeID
	Clock      *hlc.Clock
	Transport  Transport
	FirstRange FirstRangeProvider
	// Cache may be nil for a new one of the default size.
	Cache *Cache
	// Knobs break the sender for tests.
	Knobs TestingKnobs
	// Alive, if set, says which nodes are worth trying first.
	Alive func(kvapi.NodeID) bool
	// FollowerReadLag is how old what a batch reads must be for the nearest
	// replica to be asked first, leaseholder or not; 0 means never.
	FollowerReadLag time.Duration
	// Distance tells how far a node is, for comparison; nil if nothing is known.
	Distance func(kvapi.NodeID) int
	// Go runs a function on another goroutine; nil for a new one each time.
	Go func(func())
}

// Metrics counts what routing costs.
type Metrics struct {
	// Batches counts batches, Attempts the calls of the transport for them.
	Batches, Attempts atomic.Int64
	// Divided counts batches that reached more than one range.
	Divided atomic.Int64
	// Lookups counts cache misses; Mismatches, NotLeaseholder and Unreachable
	// count corrections; Rounds the times when no replica served a batch.
	Lookups, Mismatches, NotLeaseholder, Unreachable, Rounds atomic.Int64
	// Ambiguous counts batches whose fate stayed unknown.
	Ambiguous atomic.Int64
}

// Sender sends batches to the ranges that hold their keys. It implements
// kvapi.Sender and is safe for concurrent use.
type Sender struct {
	cfg      Config
	cache    *Cache
	flights  flights
	metrics  Metrics
	suspects suspects
	watches  watches
	// slots bounds the goroutines that send parts.
	slots chan struct{}
}

// NewSender returns a sender. It has no goroutines of its own between calls.
func NewSender(cfg Config) *Sender {
	if cfg.Cache == nil {
		cfg.Cache = NewCache(0)
	}
	if cfg.Go == nil {
		cfg.Go = func(fn func()) { go fn() }
	}
	return &Sender{cfg: cfg, cache: cfg.Cache, slots: make(chan struct{}, parallelMax)}
}

// Cache returns the sender's cache.
func (s *Sender) Cache() *Cache { return s.cache }

// Metrics returns the sender's counters.
func (s *Sender) Metrics() *Metrics { return &s.metrics }

// fate is what is known of the effects of a batch that is under way.
type fate struct {
	// once says that the effects must not happen twice or be misreported: the
	// batch carries a commit or runs beside one, or writes without a
	// transaction (I4).
	once bool
	// effects says that there are any.
	effects bool
	// resend says that sending it again is harmless nevertheless: writes of a
	// transaction are recognised by (id, epoch, sequence).
	resend bool
	// ambiguous is the first error after which an attempt may have had effects.
	ambiguous *kvapi.Error
	// depth counts divisions.
	depth int
}

// fateOf tells how ba may be retried.
func fateOf(ba *kvapi.BatchRequest) fate {
	if ba.IsReadOnly() {
		return fate{resend: true}
	}
	if ba.Txn != nil {
		e := ba.EndTxnRequest()
		return fate{effects: true, resend: true, once: e != nil && e.Commit}
	}
	for i := range ba.Requests {
		if !isIdempotent(ba.Requests[i].Kind) {
			return fate{effects: true, once: true}
		}
	}
	return fate{effects: true, resend: true}
}

// isIdempotent reports whether a write outside a transaction does nothing
// more when it is evaluated again.
func isIdempotent(k kvapi.Kind) bool {
	switch k {
	case kvapi.Put, kvapi.Delete, kvapi.ConditionalPut, kvapi.DeleteRange, kvapi.EndTxn,
		kvapi.AdminChangeReplicas, kvapi.ClearRange:
		return false
	}
	return true
}

// Send implements kvapi.Sender.
func (s *Sender) Send(ctx context.Context, ba *kvapi.BatchRequest) (*kvapi.BatchResponse, *kvapi.Error) {
	s.metrics.Batches.Add(1)
	if len(ba.Requests) == 0 {
		return &kvapi.BatchResponse{}, nil
	}
	br, err := s.send(ctx, ba, fateOf(ba))
	if err != nil && err.Kind == kvapi.ErrAmbiguous {
		s.metrics.Ambiguous.Add(1)
	}
	return br, err
}

// send sends a batch that may span ranges.
func (s *Sender) send(ctx context.Context, ba *kvapi.BatchRequest, f fate) (*kvapi.BatchResponse, *kvapi.Error) {
	if f.depth++; f.depth > depthMax {
		return nil, s.giveUp(f, kvapi.NewError(kvapi.ErrInternal, "rangecache: batch was divided %d times", f.depth))
	}
	b, err := boundsOf(ba)
	if err != nil {
		return nil, kvapi.NewError(kvapi.ErrInternal, "%v", err)
	}
	e, err := s.lookup(ctx, b.first, false)
	if err != nil {
		return nil, s.giveUp(f, lookupError(ctx, err))
	}
	if b.within(&e.desc) {
		return s.sendPart(ctx, e, ba, f)
	}
	s.metrics.Divided.Add(1)
	if e := ba.EndTxnRequest(); e != nil && e.RequireOnePhase {
		return nil, s.giveUp(f, kvapi.NewError(kvapi.ErrTxnRetry, "one-phase commit over several ranges"))
	}
	if ba.MaxKeys > 0 || ba.TargetBytes > 0 {
		return s.sendOrdered(ctx, ba, b, f)
	}
	return s.sendDivided(ctx, ba, f)
}

// bounds are the keys a batch addresses: from first to the larger of the
// point last and the exclusive end.
type bounds struct {
	first, last, end kvapi.Key
}

func (b *bounds) within(d *kvapi.RangeDescriptor) bool {
	return !b.first.Less(d.StartKey) && b.first.Less(d.EndKey) &&
		(b.last == nil || b.last.Less(d.EndKey)) && !d.EndKey.Less(b.end)
}

func boundsOf(ba *kvapi.BatchRequest) (bounds, error) {
	var b bounds
	for i := range ba.Requests {
		sp, err := addr(&ba.Requests[i])
		if err != nil {
			return b, err
		}
		if b.first == nil || sp.Key.Less(b.first) {
			b.first = sp.Key
		}
		if sp.IsPoint() {
			if b.last == nil || b.last.Less(sp.Key) {
				b.last = sp.Key
			}
		} else if b.end.Less(sp.EndKey) {
			b.end = sp.EndKey
		}
	}
	return b, nil
}

// addr returns the user keys by which a request is routed.
func addr(r *kvapi.Request) (kvapi.Span, error) {
	if !keys.IsLocal(r.Key) {
		if len(r.EndKey) > 0 && !r.Key.Less(r.EndKey) {
			return kvapi.Span{}, fmt.Errorf("rangecache: %s of empty span %s", r.Kind, r.Span())
		}
		return r.Span(), nil
	}
	k, err := keys.Addr(r.Key)
	if err == nil && len(r.EndKey) > 0 {
		err = fmt.Errorf("rangecache: %s over local keys %s", r.Kind, r.Span())
	}
	return kvapi.Span{Key: k}, err
}

// lookupError says in the API's terms why no range was found.
func lookupError(ctx context.Context, err error) *kvapi.Error {
	if ctx.Err() != nil {
		return kvapi.NewError(kvapi.ErrCanceled, "%v", context.Cause(ctx))
	}
	return kvapi.NewError(kvapi.ErrUnavailable, "%v", err)
}

// giveUp returns err, or what it amounts to when an earlier attempt may have
// had effects (I4, I5).
func (s *Sender) giveUp(f fate, err *kvapi.Error) *kvapi.Error {
	if f.ambiguous == nil || err.Kind == kvapi.ErrTxnFinished {
		// That the record is committed proves the earlier attempt.
		return err
	}
	e := *err
	e.MaybeApplied = true
	if f.once {
		e.Kind = kvapi.ErrAmbiguous
		e.Message = fmt.Sprintf("%v; an earlier attempt may have been evaluated: %v", err, f.ambiguous)
	}
	return &e
}
