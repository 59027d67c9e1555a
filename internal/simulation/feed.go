package simulation

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/internal/workload"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/rangecache/feed"
)

// feedWatch follows what is committed in a workload's keys, from node after node:
// when one dies, or its feed cannot go on, another begins at what was resolved.
// What it was told must be, in the end, what the disks hold (I9 of doc.go).
type feedWatch struct {
	c     *Cluster
	span  kvapi.Span
	after hlc.Timestamp
	stop  context.CancelFunc
	ended sync.WaitGroup

	mu struct {
		sync.Mutex
		told     map[string]kvapi.FeedEvent
		last     hlc.Timestamp
		resolved hlc.Timestamp
		began    int
	}
}

// watchFeed begins to follow a span.
func (c *Cluster) watchFeed(ctx context.Context, span kvapi.Span, after hlc.Timestamp) *feedWatch {
	w := &feedWatch{c: c, span: span, after: after}
	w.mu.told, w.mu.resolved = map[string]kvapi.FeedEvent{}, after
	ctx, w.stop = context.WithCancel(ctx)
	w.ended.Go(func() { w.run(ctx) })
	return w
}

func (w *feedWatch) run(ctx context.Context) {
	for i := 0; ctx.Err() == nil; i++ {
		s, err := w.c.nodes[i%len(w.c.nodes)].Connect(ctx)
		if err != nil {
			return
		}
		w.mu.Lock()
		from := w.mu.resolved
		w.mu.began++
		w.mu.Unlock()
		octx, stop := s.Context(ctx)
		err = feed.Run(octx, s.l.core.Sender, w.span, from, w)
		stop()
		s.Close()
		if ctx.Err() == nil && !errors.Is(err, context.Canceled) {
			w.c.log.Info("a feed ended", "at", s.Where(), "err", err)
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

func nameOf(key kvapi.Key, at hlc.Timestamp) string { return fmt.Sprintf("%s@%s", key, at) }

// Change implements feed.Sink.
func (w *feedWatch) Change(e kvapi.FeedEvent) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch _, twice := w.mu.told[nameOf(e.Key, e.At)]; {
	case twice:
		w.c.fail(fmt.Errorf("feed: %s at %s comes twice", e.Key, e.At))
	case e.At.LessEq(w.mu.resolved), e.At.Less(w.mu.last):
		w.c.fail(fmt.Errorf("feed: %s at %s comes after %s, with %s resolved", e.Key, e.At, w.mu.last, w.mu.resolved))
	}
	w.mu.told[nameOf(e.Key, e.At)], w.mu.last = e, e.At
}

// Resolved implements feed.Sink.
func (w *feedWatch) Resolved(at hlc.Timestamp) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.resolved = at
}

// check waits until all versions are resolved, and compares them with what was
// told.
func (w *feedWatch) check(ctx context.Context, versions []workload.Version) error {
	var last hlc.Timestamp
	want := map[string]workload.Version{}
	for _, v := range versions {
		if w.after.Less(v.At) {
			last.Forward(v.At)
			want[nameOf(v.Key, v.At)] = v
		}
	}
	err := w.c.eventually(ctx, "the feed resolves all versions", func() error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.mu.resolved.Less(last) {
			return fmt.Errorf("resolved %s of %s", w.mu.resolved, last)
		}
		return nil
	})
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, v := range want {
		e, told := w.mu.told[name]
		if !told || e.Deleted != v.Tombstone || string(e.Value) != string(v.Value) {
			return fmt.Errorf("feed: %s is on the disks as %q (deleted %t), and was told: %t, as %q", name, v.Value, v.Tombstone, told, e.Value)
		}
	}
	for name := range w.mu.told {
		if _, there := want[name]; !there {
			return fmt.Errorf("feed: %s was told and is on no disk", name)
		}
	}
	return nil
}
