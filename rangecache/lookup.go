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
	found addresses
	err   error
}

// addresses are what addressing records say.
type addresses struct {
	committed []kvapi.RangeDescriptor
	// provisional are in intents: they may never come to hold.
	provisional []kvapi.RangeDescriptor
}

// flights coalesces equal look-ups.
type flights struct {
	mu sync.Mutex
	m  map[string]*flight
}

// fetcher looks ranges up.
type fetcher func(context.Context) (addresses, error)

// do runs fn once for all callers that ask for key meanwhile. fn outlives an
// impatient caller: the others still want its result.
func (f *flights) do(ctx context.Context, key string, fn fetcher) (addresses, error) {
	fl := f.start(ctx, key, fn)
	select {
	case <-fl.done:
		return fl.found, fl.err
	case <-ctx.Done():
		return addresses{}, context.Cause(ctx)
	}
}

// start runs fn unless it runs for key already, and does not wait for it.
func (f *flights) start(ctx context.Context, key string, fn fetcher) *flight {
	f.mu.Lock()
	defer f.mu.Unlock()
	fl, running := f.m[key]
	if !running {
		if f.m == nil {
			f.m = map[string]*flight{}
		}
		fl = &flight{done: make(chan struct{})}
		f.m[key] = fl
		go f.run(context.WithoutCancel(ctx), key, fl, fn)
	}
	return fl
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
//
// For the same reason a range whose only record is an intent is used for this
// once: where the record of one half was resolved and that of the other was
// not, no committed record holds the other's keys, and the transaction's record,
// by which the intent could be resolved, may well be among them. Whoever comes
// by has the intent resolved (settle).
func (s *Sender) lookup(ctx context.Context, k kvapi.Key, reverse bool) (*entry, error) {
	for b := (backoff{}); ; {
		if e := s.cache.get(k, reverse); e != nil {
			return e, nil
		}
		s.metrics.Lookups.Add(1)
		found, err := s.flights.do(ctx, flightKey(k, reverse), func(ctx context.Context) (addresses, error) {
			return s.fetch(ctx, k, reverse)
		})
		if err != nil {
			return nil, err
		}
		if e := s.cache.get(k, reverse); e != nil {
			return e, nil
		}
		if e := holderOf(k, reverse, found.committed); e != nil {
			return e, nil
		}
		if e := holderOf(k, reverse, found.provisional); e != nil {
			s.settle(ctx, e.desc.EndKey)
			return e, nil
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

// holderOf returns the one of descs that holds k, nil if none does.
func holderOf(k kvapi.Key, reverse bool, descs []kvapi.RangeDescriptor) *entry {
	for i := range descs {
		if e := newEntry(kvapi.RangeInfo{Desc: descs[i]}); e.contains(k, reverse) && len(e.desc.Replicas) > 0 {
			return e
		}
	}
	return nil
}

// settle has the intent on the addressing record of the range that ends at end
// resolved, in the background: it reads the record as anybody does who waits
// for what holds an intent, or pushes it.
func (s *Sender) settle(ctx context.Context, end kvapi.Key) {
	s.flights.start(ctx, "s"+string(end), func(ctx context.Context) (addresses, error) {
		ba := &kvapi.BatchRequest{Header: kvapi.Header{Gateway: s.cfg.NodeID}}
		if s.cfg.Clock != nil {
			ba.Timestamp = s.cfg.Clock.Now().Timestamp()
		}
		ba.Add(kvapi.Request{Kind: kvapi.Get, Key: keys.RangeMetaKey(end)})
		_, err := s.Send(ctx, ba)
		if err != nil {
			return addresses{}, err
		}
		return addresses{}, nil
	})
}

func flightKey(k kvapi.Key, reverse bool) string {
	if reverse {
		return "r" + string(k)
	}
	return "f" + string(k)
}

// fetch reads the addresses of the range of k, and of some neighbours, and
// offers the committed ones to the cache.
func (s *Sender) fetch(ctx context.Context, k kvapi.Key, reverse bool) (addresses, error) {
	found, err := s.addresses(ctx, k, reverse)
	for i := range found.committed {
		s.cache.Insert(kvapi.RangeInfo{Desc: found.committed[i]})
	}
	return found, err
}

func (s *Sender) addresses(ctx context.Context, k kvapi.Key, reverse bool) (addresses, error) {
	if k.Less(keys.MetaMax) || (reverse && k.Equal(keys.MetaMax)) {
		d, err := s.cfg.FirstRange.FirstRange()
		if err != nil {
			return addresses{}, fmt.Errorf("rangecache: first range: %w", err)
		}
		return addresses{committed: []kvapi.RangeDescriptor{d}}, nil
	}
	return s.scanMeta(ctx, k, reverse)
}

// scanMeta reads the addressing records from that of k's range on. Records
// are keyed by the END of their range: the range of k is the first record
// above k's meta key; of the keys before k, the first at or above it.
func (s *Sender) scanMeta(ctx context.Context, k kvapi.Key, reverse bool) (found addresses, err error) {
	from := append(keys.Meta2Prefix.Clone(), k...)
	if !reverse {
		from = from.Next()
	}
	ba := &kvapi.BatchRequest{Header: kvapi.Header{Inconsistent: true, MaxKeys: prefetchMax, Gateway: s.cfg.NodeID}}
	ba.Add(kvapi.Request{Kind: kvapi.Scan, Key: from, EndKey: keys.MetaMax})
	br, kerr := s.Send(ctx, ba)
	if kerr != nil {
		return found, fmt.Errorf("rangecache: looking up %s: %w", k, kerr)
	}
	if found.committed, err = addressesIn(br.Responses[0].Rows); err != nil {
		return found, err
	}
	found.provisional, err = addressesIn(br.Responses[0].Provisional)
	return found, err
}

func addressesIn(rows []kvapi.KeyValue) ([]kvapi.RangeDescriptor, error) {
	var out []kvapi.RangeDescriptor
	for _, row := range rows {
		var d kvapi.RangeDescriptor
		if err := d.UnmarshalWire(bytes.Clone(row.Value)); err != nil {
			return nil, fmt.Errorf("rangecache: addressing record %s: %w", row.Key, err)
		}
		out = append(out, d)
	}
	return out, nil
}
