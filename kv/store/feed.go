package store

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/mvcc"
	"github.com/cairndb/cairn/kv/storage"
)

// A feed tells what is committed in a span of a range, as a replica applies it:
//
//	page 1 ──▶ begin, between two commands: pin the engine's state, note intents
//	                 │
//	   catch up: versions above After in that state, page by page
//	                 │            meanwhile commands apply: their changes wait
//	                 ▼
//	   live: changes as they apply, and up to where they are complete:
//	         resolved = what is closed, but below the oldest intent
//
// Its reader asks for page after page, and an unanswered one again, so a lost
// answer costs nothing, and a slow reader is heard less often but pushes nobody
// back: what waits for it is bounded, and beyond that the feed is lost, and begins
// again at what was resolved. It is lost, too, when the range's span changes, and
// with the replica. Any replica serves feeds; one that follows is as good.
//
// What is resolved is told only when all changes before it are in the answer:
// changes are handed over before the state that they are part of shows
// (applier.flush), and what is closed is of a state that shows.
//
// An intent that nobody resolves holds the feed back. After feedPushAge it is read,
// as a client would, which finds out what became of its transaction; one intent of each,
// since a transaction that is over has all of them resolved. A gateway that dies leaves
// many transactions, so they are looked after together.
type feed struct {
	id   uint64
	span kvapi.Span
	// reading is taken by the one request that makes a page; it guards rest, snap
	// and provisional, which are for catching up. A channel: others wait for long.
	reading     chan struct{}
	after       hlc.Timestamp
	snap        *storage.Snapshot
	rest        *kvapi.Span
	provisional map[string]hlc.Timestamp
	pushedAt    time.Time
	pushAge     time.Duration
	// pushing says that intents are being looked after.
	pushing atomic.Bool

	mu struct {
		sync.Mutex
		changes *mvcc.Changes
		waiting []kvapi.FeedEvent
		bytes   int
		// page is the last page made, last what was in it.
		page uint64
		last *kvapi.FeedPage
		// lost says why the feed is over.
		lost string
		// woken is closed and replaced when there is something to tell.
		woken   chan struct{}
		askedAt time.Time
	}
}

// feeds are those of a replica.
type feeds struct {
	// count is len(byID), for the many replicas that have none.
	count atomic.Int32
	mu    sync.Mutex
	byID  map[uint64]*feed
}

func (f *feeds) all() []*feed {
	if f.count.Load() == 0 {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]*feed, 0, len(f.byID))
	for _, x := range f.byID {
		out = append(out, x)
	}
	return out
}

func (f *feeds) get(id uint64) *feed {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.byID[id]
}

// loseFeeds ends a replica's feeds, or one of them. From its return on none of
// them tells anything; so it comes before what they must not tell of shows.
func (r *Replica) loseFeeds(only *feed, why string) {
	if r.feeds.count.Load() == 0 {
		return
	}
	f := &r.feeds
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, x := range f.byID {
		if only != nil && x != only {
			continue
		}
		delete(f.byID, id)
		x.mu.Lock()
		x.mu.lost, x.mu.changes, x.mu.waiting = why, nil, nil
		x.wakeLocked()
		x.mu.Unlock()
		r.store.background.Go(x.finish)
	}
	f.count.Store(int32(len(f.byID)))
}

// finish lets go of the pinned state, when nobody reads it.
func (x *feed) finish() {
	x.reading <- struct{}{}
	x.dropSnapshot()
	<-x.reading
}

// dropSnapshot ends catching up. reading is taken.
func (x *feed) dropSnapshot() {
	if x.snap != nil {
		_ = x.snap.Close()
		x.snap, x.rest, x.provisional = nil, nil, nil
	}
}

func (x *feed) wakeLocked() {
	close(x.mu.woken)
	x.mu.woken = make(chan struct{})
}

func feedLost(why string) *kvapi.Error { return kvapi.NewError(kvapi.ErrFeedLost, "%s", why) }

// pollFeed answers with the page that is asked for, at the latest after feedWait.
func (r *Replica) pollFeed(ctx context.Context, ba *kvapi.BatchRequest) (*kvapi.BatchResponse, *kvapi.Error) {
	q := &ba.Requests[0]
	if q.Feed == nil || len(ba.Requests) != 1 {
		return nil, kvapi.NewError(kvapi.ErrInternal, "a feed is asked for by a request of its own")
	}
	x := r.feeds.get(q.Feed.ID)
	if x == nil {
		if q.Feed.Page != 1 {
			return nil, feedLost("there is no such feed here")
		}
		var err *kvapi.Error
		if x, err = r.beginFeed(q.Span(), q.Feed); err != nil {
			return nil, err
		}
	}
	page, err := r.nextPage(ctx, x, q.Feed.Page)
	if err != nil {
		return nil, err
	}
	br := &kvapi.BatchResponse{Responses: []kvapi.Response{{Kind: q.Kind, Feed: page}}}
	if !r.leaseStatus(noTimestamp).IsValid() {
		br.FollowerReads = 1
	}
	return br, nil
}

// beginFeed starts a feed between two commands.
func (r *Replica) beginFeed(span kvapi.Span, q *kvapi.FeedArgs) (*feed, *kvapi.Error) {
	r.raftMu.Lock()
	defer r.raftMu.Unlock()
	if r.raftMu.group == nil {
		return nil, kvapi.NewError(kvapi.ErrRangeNotFound, "%s was removed", r.rangeID)
	}
	if !r.Desc().ContainsSpan(span) {
		return nil, r.mismatch(span)
	}
	if gc := r.gcThreshold(); q.After.Less(gc) {
		return nil, kvapi.NewError(kvapi.ErrBelowGCThreshold, "a feed from %s on would lack versions up to %s", q.After, gc)
	}
	x := &feed{id: q.ID, span: kvapi.Span{Key: span.Key.Clone(), EndKey: span.EndKey.Clone()}, after: q.After, pushAge: cmp.Or(q.PushAge, feedPushAge), reading: make(chan struct{}, 1)}
	x.snap, x.rest = r.store.cfg.Engine.NewSnapshot(), &x.span
	x.mu.woken, x.mu.askedAt = make(chan struct{}), time.Now()
	var err error
	if x.mu.changes, err = mvcc.NewChanges(x.snap, x.span); err != nil {
		x.dropSnapshot()
		return nil, kvapi.NewError(kvapi.ErrInternal, "feed of %s: %v", r.rangeID, err)
	}
	x.provisional = x.mu.changes.Provisional()
	r.feeds.mu.Lock()
	defer r.feeds.mu.Unlock()
	if other := r.feeds.byID[x.id]; other != nil {
		x.dropSnapshot() // the same request, twice
		return other, nil
	}
	if len(r.feeds.byID) >= feedsMax {
		x.dropSnapshot()
		return nil, kvapi.NewError(kvapi.ErrOverloaded, "%s has %d feeds", r.rangeID, feedsMax)
	}
	if r.feeds.byID == nil {
		r.feeds.byID = map[uint64]*feed{}
	}
	r.feeds.byID[x.id] = x
	r.feeds.count.Store(int32(len(r.feeds.byID)))
	r.store.fed.add(r)
	return x, nil
}

// nextPage returns a page, the last one again if that is asked for.
func (r *Replica) nextPage(ctx context.Context, x *feed, page uint64) (*kvapi.FeedPage, *kvapi.Error) {
	select {
	case x.reading <- struct{}{}:
		defer func() { <-x.reading }()
	case <-ctx.Done():
		return nil, kvapi.NewError(kvapi.ErrCanceled, "%v", ctx.Err())
	}
	x.mu.Lock()
	x.mu.askedAt = time.Now()
	last, lost := x.mu.last, x.mu.lost
	x.mu.Unlock()
	switch {
	case lost != "":
		return nil, feedLost(lost)
	case last != nil && page == last.Page:
		return last, nil
	case last == nil && page != 1, last != nil && page != last.Page+1:
		return nil, feedLost("pages were asked for out of order")
	}
	out := &kvapi.FeedPage{Page: page, Span: x.span}
	var err *kvapi.Error
	if x.rest != nil {
		err = r.catchUp(x, out)
	} else {
		err = r.liveChanges(ctx, x, out)
	}
	if err != nil {
		return nil, err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.mu.lost != "" {
		return nil, feedLost(x.mu.lost)
	}
	x.mu.page, x.mu.last = page, out
	return out, nil
}

// catchUp makes a page of versions that were there when the feed began. reading is
// held.
func (r *Replica) catchUp(x *feed, out *kvapi.FeedPage) *kvapi.Error {
	rest, err := mvcc.CatchUp(x.snap, *x.rest, x.after, x.provisional, feedPageBytes, func(c mvcc.Change) {
		out.Events = append(out.Events, feedEvent(c))
	})
	if err != nil {
		return kvapi.NewError(kvapi.ErrInternal, "feed of %s: %v", r.rangeID, err)
	}
	if x.rest = rest; rest == nil {
		x.dropSnapshot()
	}
	return nil
}

func feedEvent(c mvcc.Change) kvapi.FeedEvent {
	return kvapi.FeedEvent{Key: c.Key, Value: append([]byte{}, c.Value...), Deleted: c.Deleted, At: c.At}
}

// liveChanges makes a page of what has applied since, or, if there is nothing for
// feedWait, of what is resolved. reading is taken.
func (r *Replica) liveChanges(ctx context.Context, x *feed, out *kvapi.FeedPage) *kvapi.Error {
	t := time.NewTimer(feedWait)
	defer t.Stop()
	for waited := false; ; {
		closed := r.closedHere() // before what waits is looked at
		x.mu.Lock()
		if x.mu.lost != "" {
			defer x.mu.Unlock()
			return feedLost(x.mu.lost)
		}
		if len(x.mu.waiting) > 0 || waited {
			x.takeLocked(out, closed)
			stale := r.staleLocked(x)
			x.mu.Unlock()
			r.push(x, stale)
			return nil
		}
		woken := x.mu.woken
		x.mu.Unlock()
		select {
		case <-woken:
		case <-t.C:
			waited = true
		case <-r.store.stopping:
			return kvapi.NewError(kvapi.ErrUnavailable, "the node is stopping")
		case <-ctx.Done():
			return kvapi.NewError(kvapi.ErrCanceled, "%v", ctx.Err())
		}
	}
}

// takeLocked moves what waits to a page, and says what is resolved if that is all.
func (x *feed) takeLocked(out *kvapi.FeedPage, closed hlc.Timestamp) {
	n, size := 0, 0
	for n < len(x.mu.waiting) && size < feedPageBytes {
		size += eventBytes(&x.mu.waiting[n])
		n++
	}
	out.Events = x.mu.waiting[:n:n]
	x.mu.waiting = x.mu.waiting[n:]
	x.mu.bytes -= size
	if len(x.mu.waiting) > 0 {
		return
	}
	if oldest, open := x.mu.changes.Oldest(); open {
		closed = closed.Min(oldest.Prev())
	}
	if x.after.Less(closed) {
		out.Resolved = closed
	}
}

func eventBytes(e *kvapi.FeedEvent) int { return len(e.Key) + len(e.Value) + 64 }

// staleLocked returns keys with intents that have been open for long, if it is time
// to look for them. reading is taken.
func (r *Replica) staleLocked(x *feed) []kvapi.Key {
	s := r.store
	if s.cfg.Sender == nil || time.Since(x.pushedAt) < x.pushAge || x.pushing.Load() {
		return nil
	}
	return x.mu.changes.Stale(hlc.Timestamp{WallTime: s.cfg.Clock.PhysicalNow()}.AddNanos(-int64(x.pushAge)), feedPushesMax)
}

// push reads keys, which finds out about the transactions that have intents there.
// reading is taken.
func (r *Replica) push(x *feed, keys []kvapi.Key) {
	if len(keys) == 0 {
		return
	}
	s := r.store
	x.pushedAt = time.Now()
	x.pushing.Store(true)
	s.background.Go(func() {
		defer x.pushing.Store(false)
		ctx, cancel := context.WithTimeout(s.ctx, feedPushAge)
		defer cancel()
		var g errgroup.Group
		g.SetLimit(feedPushesParallel)
		for _, key := range keys {
			g.Go(func() error {
				ba := &kvapi.BatchRequest{Header: kvapi.Header{LockTimeout: feedPushWait, Gateway: s.ident.NodeID}}
				if _, err := s.cfg.Sender.Send(ctx, ba.Add(kvapi.Request{Kind: kvapi.Get, Key: key})); err != nil {
					s.cfg.Log.Debug("an intent holds a feed back", "range", r.rangeID, "key", key, "err", err)
				}
				return nil
			})
		}
		_ = g.Wait()
	})
}

// feedApplied hands the changes of commands to the feeds, before the state that
// they are part of shows. raftMu is held.
func (r *Replica) feedApplied(batches [][]byte) error {
	for _, x := range r.feeds.all() {
		x.mu.Lock()
		err := x.applyLocked(batches)
		size := x.mu.bytes
		if x.mu.changes != nil {
			size += x.mu.changes.SizeBytes()
		}
		x.mu.Unlock()
		if err != nil {
			return fmt.Errorf("feed: %w", err)
		}
		if size > feedBufferMax {
			r.loseFeeds(x, "its reader is too slow, or too much is written and not committed")
		}
	}
	return nil
}

func (x *feed) applyLocked(batches [][]byte) error {
	if x.mu.changes == nil {
		return nil
	}
	before := len(x.mu.waiting)
	for _, b := range batches {
		err := x.mu.changes.Apply(b, func(c mvcc.Change) {
			if c.At.LessEq(x.after) {
				return
			}
			e := feedEvent(c)
			x.mu.bytes += eventBytes(&e)
			x.mu.waiting = append(x.mu.waiting, e)
		})
		if err != nil {
			return err
		}
	}
	if len(x.mu.waiting) > before {
		x.wakeLocked()
	}
	return nil
}

// expireFeeds ends the feeds that nobody reads any more.
func (s *Store) expireFeeds() {
	for _, r := range s.fed.all() {
		r.feeds.mu.Lock()
		if len(r.feeds.byID) == 0 {
			s.fed.remove(r)
		}
		r.feeds.mu.Unlock()
		for _, x := range r.feeds.all() {
			x.mu.Lock()
			old := time.Since(x.mu.askedAt) > feedIdleMax
			x.mu.Unlock()
			if old {
				r.loseFeeds(x, "nobody has asked for it")
			}
		}
	}
}
