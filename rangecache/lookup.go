package rangecache

import (
	"bytes"
	"context"
	"fmt"
	"sync"

	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
)

// FirstRangeProvider says where the first range is; gossip does. The first
// range, [keys.Min, keys.MetaMax), holds the addresses of all others.
type FirstRangeProvider interface {
	FirstRange() (kvapi.RangeDescriptor, error)
}

// flight is one look-up that others with the same key wait for.
type flight struct {
	done  chan struct{}
	found []kvapi.RangeDescriptor
	err   error
}

// flights coalesces equal look-ups.
type flights struct {
	mu sync.Mutex
	m  map[string]*flight
}

// fetcher looks ranges up.
type fetcher func(context.Context) ([]kvapi.RangeDescriptor, error)

// do runs fn once for all callers that ask for key meanwhile. fn outlives an
// impatient caller: the others still want its result.
func (f *flights) do(ctx context.Context, key string, fn fetcher) ([]kvapi.RangeDescriptor, error) {
	f.mu.Lock()
	fl, running := f.m[key]
	if !running {
		if f.m == nil {
			f.m = map[string]*flight{}
		}
		fl = &flight{done: make(chan struct{})}
		f.m[key] = fl
		go f.run(context.WithoutCancel(ctx), key, fl, fn)
	}
	f.mu.Unlock()
	select {
	case <-fl.done:
		return fl.found, fl.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (f *flights) run(ctx context.Context, key string, fl *flight, fn fetcher) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	fl.found, fl.err = fn(ctx)
	f.mu.Lock()
	delete(f.m, key)
	f.mu.Unlock()
	close(fl.done)
}

// lookup returns the range that holds k (with reverse: the keys before k),
// from the cache if it is there.
//
// The addressing records may be behind what the cache knows: look-ups do not
// wait for locks, so after a split they show the range as it was until the
// split's intents are resolved, and the cache, which has heard of one half,
// refuses that. The old range is then used for this once: its replicas have
// the other half, or tell of it. Waiting instead could last for ever, for who
// resolves those intents has to find the half that is missing, too.
func (s *Sender) lookup(ctx context.Context, k kvapi.Key, reverse bool) (*entry, error) {
	for b := (backoff{}); ; {
		if e := s.cache.get(k, reverse); e != nil {
			return e, nil
		}
		s.metrics.Lookups.Add(1)
		found, err := s.flights.do(ctx, flightKey(k, reverse), func(ctx context.Context) ([]kvapi.RangeDescriptor, error) {
			return s.fetch(ctx, k, reverse)
		})
		if err != nil {
			return nil, err
		}
		if e := s.cache.get(k, reverse); e != nil {
			return e, nil
		}
		for i := range found {
			if e := newEntry(kvapi.RangeInfo{Desc: found[i]}); e.contains(k, reverse) && len(e.desc.Replicas) > 0 {
				return e, nil
			}
		}
		// No record holds k: they are being written right now.
		if err := b.wait(ctx); err != nil {
			return nil, err
		}
		if b.total > patience {
			return nil, fmt.Errorf("rangecache: no range found for key %s", k)
		}
	}
}

func flightKey(k kvapi.Key, reverse bool) string {
	if reverse {
		return "r" + string(k)
	}
	return "f" + string(k)
}

// fetch reads the addresses of the range of k, and of some neighbours, and
// offers them to the cache.
func (s *Sender) fetch(ctx context.Context, k kvapi.Key, reverse bool) ([]kvapi.RangeDescriptor, error) {
	descs, err := s.addresses(ctx, k, reverse)
	for i := range descs {
		s.cache.Insert(kvapi.RangeInfo{Desc: descs[i]})
	}
	return descs, err
}

func (s *Sender) addresses(ctx context.Context, k kvapi.Key, reverse bool) ([]kvapi.RangeDescriptor, error) {
	if k.Less(keys.MetaMax) || (reverse && k.Equal(keys.MetaMax)) {
		d, err := s.cfg.FirstRange.FirstRange()
		if err != nil {
			return nil, fmt.Errorf("rangecache: first range: %w", err)
		}
		return []kvapi.RangeDescriptor{d}, nil
	}
	return s.scanMeta(ctx, k, reverse)
}

// scanMeta reads the addressing records from that of k's range on. Records
// are keyed by the END of their range: the range of k is the first record
// above k's meta key; of the keys before k, the first at or above it.
func (s *Sender) scanMeta(ctx context.Context, k kvapi.Key, reverse bool) ([]kvapi.RangeDescriptor, error) {
	from := append(keys.Meta2Prefix.Clone(), k...)
	if !reverse {
		from = from.Next()
	}
	ba := &kvapi.BatchRequest{Header: kvapi.Header{Inconsistent: true, MaxKeys: prefetchMax, Gateway: s.cfg.NodeID}}
	ba.Add(kvapi.Request{Kind: kvapi.Scan, Key: from, EndKey: keys.MetaMax})
	br, kerr := s.Send(ctx, ba)
	if kerr != nil {
		return nil, fmt.Errorf("rangecache: looking up %s: %w", k, kerr)
	}
	var out []kvapi.RangeDescriptor
	for _, row := range br.Responses[0].Rows {
		var d kvapi.RangeDescriptor
		if err := d.UnmarshalWire(bytes.Clone(row.Value)); err != nil {
			return nil, fmt.Errorf("rangecache: addressing record %s: %w", row.Key, err)
		}
		out = append(out, d)
	}
	return out, nil
}
