package rangecache

import (
	"context"
	"sync"
	"time"

	"github.com/cairndb/cairn/kv/kvapi"
)

// watch guards one attempt against a replica that hangs. After slowAttempt,
// and again every slowAttempt, all replicas are asked who leads; the attempt
// is canceled when its node does not answer, or a newer lease is elsewhere.
//
// A plain time-out would be simpler and wrong: a request may rightly wait for
// minutes behind a lock, and giving up a commit makes its fate unknown.
type watch struct {
	cancel context.CancelFunc
	mu     sync.Mutex
	timer  *time.Timer
	ended  bool
	gaveUp bool
}

// watch starts guarding; stop ends it.
func (s *Sender) watch(ctx context.Context, e *entry, node kvapi.NodeID) (context.Context, *watch) {
	actx, cancel := context.WithCancel(ctx)
	w := &watch{cancel: cancel}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer = time.AfterFunc(slowAttempt, func() { s.suspect(actx, w, e, node) })
	return actx, w
}

// stop ends the watch and reports whether it had given the attempt up.
func (w *watch) stop() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	w.timer.Stop()
	w.cancel()
	return w.gaveUp
}

// suspect runs on the timer's goroutine.
func (s *Sender) suspect(ctx context.Context, w *watch, e *entry, node kvapi.NodeID) {
	healthy := s.stillLeads(ctx, e, node)
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.ended:
	case healthy:
		w.timer.Reset(slowAttempt)
	default:
		w.gaveUp = true
		w.cancel()
	}
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
