package txn

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/cairndb/cairn/kv/kvapi"
)

// heartbeats renews the records of all transactions of a DB that may hold
// locks and are older than heartbeatAge; without a renewal others take a
// transaction for abandoned after five seconds. It stands above everything
// else: a transaction is registered before its first lock can exist, and it
// uses the sender directly, for it runs beside whatever the transaction does.
//
// One loop serves the DB. A goroutine for each transaction would cost more
// than most transactions themselves.
type heartbeats struct {
	db     *DB
	cancel context.CancelFunc
	done   chan struct{}
	mu     struct {
		sync.Mutex
		live map[*Txn]struct{}
	}
}

func startHeartbeats(db *DB) *heartbeats {
	ctx, cancel := context.WithCancel(context.Background())
	h := &heartbeats{db: db, cancel: cancel, done: make(chan struct{})}
	h.mu.live = map[*Txn]struct{}{}
	go h.loop(ctx)
	return h
}

func (h *heartbeats) stop() {
	h.cancel()
	<-h.done
}

func (h *heartbeats) add(t *Txn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mu.live[t] = struct{}{}
}

func (h *heartbeats) remove(t *Txn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.mu.live, t)
}

func (h *heartbeats) loop(ctx context.Context) {
	defer close(h.done)
	tick := time.NewTicker(heartbeatInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			h.beatAll(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// beatAll sends one round, bounded in number and in time: a range that does
// not answer must not delay the next round of the others.
func (h *heartbeats) beatAll(ctx context.Context) {
	due := h.due()
	if len(due) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, heartbeatInterval)
	defer cancel()
	slots := make(chan struct{}, heartbeatParallelMax)
	var wg sync.WaitGroup
	for _, t := range due {
		slots <- struct{}{}
		wg.Add(1)
		go func() {
			defer wg.Done()
			h.beat(ctx, t)
			<-slots
		}()
	}
	wg.Wait()
}

// due are the transactions that are old enough. Transactions come and go with
// their own lock held, so none may be looked into with this one held.
func (h *heartbeats) due() []*Txn {
	now := h.db.cfg.Clock.PhysicalNow()
	h.mu.Lock()
	live := slices.Collect(maps.Keys(h.mu.live))
	h.mu.Unlock()
	return slices.DeleteFunc(live, func(t *Txn) bool {
		return now-t.snapshot().MinTimestamp.WallTime < int64(heartbeatAge)
	})
}

// beat renews one record. An answer that the transaction is aborted counts
// only while no commit was sent: after it, a record that was committed,
// resolved and removed looks the same.
func (h *heartbeats) beat(ctx context.Context, t *Txn) {
	h.db.metrics.Heartbeats.Add(1)
	p := t.snapshot()
	ba := &kvapi.BatchRequest{Header: kvapi.Header{Txn: p, Gateway: h.db.cfg.NodeID}}
	ba.Add(kvapi.Request{Kind: kvapi.HeartbeatTxn, Key: p.AnchorKey, Now: h.db.cfg.Clock.Now().Timestamp()})
	br, err := h.db.cfg.Sender.Send(ctx, ba)
	switch {
	case err != nil && err.Kind == kvapi.ErrTxnAborted:
		t.onRecordAborted(p.ID)
	case err == nil && br.Txn != nil && br.Txn.Status == kvapi.Aborted:
		t.onRecordAborted(p.ID)
	case err == nil && len(br.Responses) > 0 && br.Responses[0].Pushee != nil && br.Responses[0].Pushee.Status == kvapi.Aborted:
		t.onRecordAborted(p.ID)
	}
}
