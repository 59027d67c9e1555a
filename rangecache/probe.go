package rangecache

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cairndb/cairn/kv/kvapi"
)

// watch guards one attempt against a replica that hangs. After slowAttempt,
// and again every slowAttempt, all replicas are asked who leads; the attempt
// is canceled when its node does not answer, or a newer lease is elsewhere.
//
// A plain time-out would be simpler and wrong: a request may rightly wait for
// minutes behind a lock, and giving up a commit makes its fate unknown.
//
// A watch is its attempt's context. Most attempts end without that anybody waits
// for the end of their context, so a context that can wake who does is made when
// it is asked for; and one timer looks at all attempts (watches), rather than
// one for each.
type watch struct {
	// Context is the caller's.
	context.Context
	e    *entry
	node kvapi.NodeID

	// Guarded by the mutex of watches: the list, and how often the watch was
	// seen since it began, or since its range was found healthy; less than zero
	// while somebody asks.
	prev, next *watch
	seen       int

	// plain says that Err is Context's: nothing of the below is set.
	plain atomic.Bool

	mu sync.Mutex
	// own ends with Context, or by cancel; made by Done.
	own    context.Context
	cancel context.CancelFunc
	ended  bool
	gaveUp bool
}

// watches are the attempts under way.
type watches struct {
	mu sync.Mutex
	// list is the head of a circular list.
	list watch
	// timer fires every watchInterval, until it finds nothing to look at.
	timer *time.Timer
	armed bool
}

// watch starts guarding; stop ends it.
func (s *Sender) watch(ctx context.Context, e *entry, node kvapi.NodeID) *watch {
	w := &watch{Context: ctx, e: e, node: node}
	w.plain.Store(true)
	ws := &s.watches
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.list.next == nil {
		ws.list.prev, ws.list.next = &ws.list, &ws.list
	}
	w.prev, w.next = ws.list.prev, &ws.list
	w.prev.next, w.next.prev = w, w
	switch {
	case ws.timer == nil:
		ws.timer = time.AfterFunc(watchInterval, s.lookAtWatches)
	case !ws.armed:
		ws.timer.Reset(watchInterval)
	}
	ws.armed = true
	return w
}

// stop ends the watch and reports whether it had given the attempt up.
func (s *Sender) stop(w *watch) bool {
	s.watches.mu.Lock()
	w.prev.next, w.next.prev = w.next, w.prev
	s.watches.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	w.plain.Store(false)
	if w.own != nil {
		w.cancel()
	}
	return w.gaveUp
}

// lookAtWatches suspects the attempts that are slow: an attempt that was seen
// watchesSeen times is at least slowAttempt old.
func (s *Sender) lookAtWatches() {
	ws := &s.watches
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.armed = ws.list.next != &ws.list; ws.armed {
		ws.timer.Reset(watchInterval)
	}
	for w := ws.list.next; w != &ws.list; w = w.next {
		if w.seen < 0 {
			continue
		}
		if w.seen++; w.seen == watchesSeen {
			w.seen = -1
			go s.suspect(w)
		}
	}
}

func (s *Sender) suspect(w *watch) {
	healthy := s.stillLeads(w, w.e, w.node)
	s.watches.mu.Lock()
	w.seen = 0
	s.watches.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	if healthy || w.ended {
		return
	}
	w.gaveUp = true
	w.plain.Store(false)
	if w.own != nil {
		w.cancel()
	}
}

// Done implements context.Context.
func (w *watch) Done() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.own == nil {
		w.own, w.cancel = context.WithCancel(w.Context)
		w.plain.Store(false)
		if w.ended || w.gaveUp {
			w.cancel()
		}
	}
	return w.own.Done()
}

// Err implements context.Context.
func (w *watch) Err() error {
	if w.plain.Load() {
		return w.Context.Err()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.own != nil:
		return w.own.Err()
	case w.ended || w.gaveUp:
		return context.Canceled
	}
	return w.Context.Err()
}

// Value implements context.Context; package context finds what Done belongs to
// by it, to hang contexts on it that are derived.
func (w *watch) Value(key any) any {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.own != nil {
		return w.own.Value(key)
	}
	return w.Context.Value(key)
}

// stillLeads asks every replica for the range's lease and reports whether
// node answers and nobody knows of a newer lease elsewhere.
func (s *Sender) stillLeads(ctx context.Context, e *entry, node kvapi.NodeID) bool {
	ctx, cancel := context.WithTimeout(ctx, probeWait)
	defer cancel()
	type answer struct {
		from kvapi.NodeID
		info *kvapi.RangeInfo
	}
	answers := make(chan answer, len(e.desc.Replicas))
	for _, r := range e.desc.Replicas {
		go func() { answers <- answer{r.NodeID, s.askLease(ctx, e, r.NodeID)} }()
	}
	answered := false
	var newest kvapi.Lease
	for range e.desc.Replicas {
		a := <-answers
		if a.info == nil {
			continue
		}
		answered = answered || a.from == node
		if a.info.Lease.Sequence > newest.Sequence {
			newest = a.info.Lease
		}
		s.cache.Insert(*a.info)
	}
	return answered && (newest.IsEmpty() || newest.Holder.NodeID == node)
}

// askLease asks one replica for its view of the range; nil if it has none.
func (s *Sender) askLease(ctx context.Context, e *entry, node kvapi.NodeID) *kvapi.RangeInfo {
	ba := &kvapi.BatchRequest{Header: kvapi.Header{RangeID: e.desc.RangeID, Generation: e.desc.Generation,
		Inconsistent: true, Gateway: s.cfg.NodeID}}
	ba.Add(kvapi.Request{Kind: kvapi.LeaseInfo, Key: e.desc.StartKey})
	br, err := s.cfg.Transport.Send(ctx, node, ba)
	if err != nil {
		for i := range err.Infos {
			if err.Infos[i].Desc.RangeID == e.desc.RangeID {
				return &err.Infos[i]
			}
		}
		return nil
	}
	return br.Responses[0].Info
}
