package raftlog

import (
	"context"
	"fmt"
	"runtime"
	"time"
)

// writeLoop commits what is queued, a batch at a time, waits until it is
// durable and calls back (I1), until the writer stops.
func (w *Writer) writeLoop() {
	for {
		items := w.take()
		if items == nil {
			return
		}
		g, err := w.commit(items)
		if err == nil {
			err = w.finish(g)
		}
		if err != nil {
			w.fail(err)
			return
		}
	}
}

// take waits for appends and returns as many as go in a batch, nil at the end.
func (w *Writer) take() []item {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.mu.queue) == 0 && !w.mu.stopping && w.mu.err == nil {
		w.work.Wait()
	}
	if w.mu.err != nil || len(w.mu.queue) == 0 {
		return nil
	}
	// Those that are about to append share the commit.
	w.mu.Unlock()
	runtime.Gosched()
	w.mu.Lock()
	if w.mu.err != nil {
		return nil
	}
	n, size := 0, 0
	for n < len(w.mu.queue) && (n == 0 || size < batchBytesMax) {
		size += w.mu.queue[n].write.sizeBytes()
		n++
	}
	items := w.mu.queue[:n:n]
	// What is left moves to a new array; usually nothing is.
	w.mu.queue = append([]item(nil), w.mu.queue[n:]...)
	w.mu.bytes -= size
	w.room.Broadcast()
	return items
}

// commit writes items as one batch: synced if somebody waits, and not at all
// if there is nothing to write and nothing unsynced before.
func (w *Writer) commit(items []item) (group, error) {
	w.Stats.Appends.Add(int64(len(items)))
	w.Stats.Batches.Add(1)
	waited, writes := false, false
	for i := range items {
		waited = waited || items[i].done != nil
		writes = writes || !items[i].write.empty()
	}
	g := group{items: items}
	if !writes && !w.unsynced {
		return g, nil
	}
	b := w.eng.NewBatch()
	for i := range items {
		var err error
		if w.scratch, err = items[i].write.addTo(b, w.scratch); err != nil {
			return g, fmt.Errorf("raftlog: append to %s: %w", items[i].write.id, err)
		}
	}
	if cap(w.scratch) > batchBytesMax {
		w.scratch = nil
	}
	w.unsynced = !waited
	if waited && w.o.Knobs.SyncTime == nil {
		g.batch = b
		if err := w.eng.CommitPipelined(b); err != nil {
			return g, fmt.Errorf("raftlog: append: %w", err)
		}
		return g, nil
	}
	g.slow = waited
	if err := w.eng.Commit(b, false); err != nil {
		return g, fmt.Errorf("raftlog: append: %w", err)
	}
	return g, b.Close()
}

// syncSlowly syncs what was committed without, in its time (Knobs.SyncTime).
func (w *Writer) syncSlowly() error {
	if w.hurried.Load() == 0 {
		t := time.NewTimer(w.o.Knobs.SyncTime())
		defer t.Stop()
		select {
		case <-t.C:
		case <-w.hurry:
		}
	}
	return w.eng.Barrier(context.Background())
}

// inAHurry lets slow syncs be done at once until the function returned is
// called: whoever waits for a barrier may hold locks, and virtual time stands
// still while others wait for those.
func (w *Writer) inAHurry() (end func()) {
	w.hurried.Add(1)
	select {
	case w.hurry <- struct{}{}:
	default:
	}
	return func() { w.hurried.Add(-1) }
}

// finish waits until a group is durable and calls back.
func (w *Writer) finish(g group) error {
	if w.o.Knobs.UnsafeAckBeforeSync {
		g.callBack()
	}
	if g.slow {
		if err := w.syncSlowly(); err != nil {
			return err
		}
	}
	if g.batch != nil {
		if err := g.batch.Wait(); err != nil {
			return fmt.Errorf("raftlog: sync: %w", err)
		}
		if err := g.batch.Close(); err != nil {
			return fmt.Errorf("raftlog: sync: %w", err)
		}
	}
	if !w.o.Knobs.UnsafeAckBeforeSync {
		g.callBack()
	}
	return nil
}

func (g group) callBack() {
	for _, it := range g.items {
		if it.done != nil {
			it.done(it.responses)
		}
	}
}

// fail ends the writer: every later Append fails, nobody is called back.
func (w *Writer) fail(err error) {
	w.mu.Lock()
	first := w.mu.err == nil
	if first {
		w.mu.err = err
		close(w.dead)
	}
	w.mu.queue = nil
	w.work.Broadcast()
	w.room.Broadcast()
	w.mu.Unlock()
	if first {
		w.o.Fatal(err)
	}
}
