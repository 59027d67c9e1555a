package store

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
)

// load is what a range is asked for: a rate that forgets, and, only while that
// is high, a sample of the keys. A batch costs a cold range one atomic addition,
// a hot one a second, and every sampleEvery-th some comparisons of keys.
type load struct {
	// batches counts since the last look.
	batches atomic.Int64
	// rateBits is the rate, batches a second, as a float64.
	rateBits atomic.Uint64
	// latestBits is the rate between the last two looks, lookedAt when the last was,
	// in nanoseconds of time.Now.
	latestBits atomic.Uint64
	lookedAt   atomic.Int64
	// quietSince is since when the rate is low, in nanoseconds of time.Now; 0
	// while it is not.
	quietSince atomic.Int64
	sampler    atomic.Pointer[sampler]
}

// rate returns batches a second, of the last ten seconds or so.
func (l *load) rate() float64 { return math.Float64frombits(l.rateBits.Load()) }

// peak is the rate, or that of the last seconds if that is higher, counted up to
// now: a load that has just begun is one.
func (l *load) peak() float64 {
	p := max(l.rate(), math.Float64frombits(l.latestBits.Load()))
	if since := time.Since(time.Unix(0, l.lookedAt.Load())); since >= peakOver {
		p = max(p, float64(l.batches.Load())/since.Seconds())
	}
	return p
}

// peakOver is over how long at least a rate is one.
const peakOver = time.Second / 2

// quietFor is for how long the rate has been low, as far as is known here.
func (l *load) quietFor() time.Duration {
	since := l.quietSince.Load()
	if since == 0 {
		return 0
	}
	return time.Since(time.Unix(0, since))
}

// quietFromNow forgets how long the rate has been low: what came before somebody
// else knows.
func (l *load) quietFromNow() { l.quietSince.Store(time.Now().UnixNano()) }

// note counts a batch.
func (l *load) note(ba *kvapi.BatchRequest) {
	l.batches.Add(1)
	if s := l.sampler.Load(); s != nil && s.batches.Add(1)%sampleEvery == 0 {
		if sp, ok := batchSpan(ba); ok {
			s.note(sp, ba.EndTxnRequest() != nil)
		}
	}
}

// beginNow begins to count anew: nothing has come since the last look, however long
// ago that was.
func (l *load) beginNow() { l.lookedAt.Store(time.Now().UnixNano()) }

// isBusy reports whether a look would find anything.
func (l *load) isBusy() bool {
	return l.batches.Load() != 0 || l.rate() != 0 || l.sampler.Load() != nil
}

// look takes in what was counted since the last look, and begins or ends
// sampling. There is one that looks. Most ranges are asked for nothing: they cost
// two loads and a store.
func (l *load) look(elapsed time.Duration, hot, quiet float64) {
	counted, r := int64(0), l.rate()
	l.lookedAt.Store(time.Now().UnixNano())
	if l.batches.Load() != 0 {
		counted = l.batches.Swap(0)
	} else if r == 0 {
		return
	}
	now := float64(counted) / elapsed.Seconds()
	l.latestBits.Store(math.Float64bits(now))
	r += (now - r) * (1 - math.Exp(-elapsed.Seconds()/loadMemory.Seconds()))
	if r < rateMin {
		r = 0
	}
	l.rateBits.Store(math.Float64bits(r))
	switch {
	case r > quiet:
		l.quietSince.Store(0)
	case l.quietSince.Load() == 0:
		l.quietFromNow()
	}
	switch s := l.sampler.Load(); {
	case hot > 0 && r > hot && s == nil:
		l.sampler.Store(newSampler())
	case r < hot/2 && s != nil:
		l.sampler.Store(nil)
	}
}

// batchSpan is from the first to the last key of a batch that is addressed in
// the range; records and other local keys do not count.
func batchSpan(ba *kvapi.BatchRequest) (out kvapi.Span, ok bool) {
	for i := range ba.Requests {
		q := &ba.Requests[i]
		if keys.IsLocal(q.Key) || q.Kind == kvapi.EndTxn {
			continue
		}
		end := q.EndKey
		if !q.Kind.IsRange() {
			end = q.Key
		}
		if !ok || q.Key.Less(out.Key) {
			out.Key = q.Key
		}
		if !ok || out.EndKey.Less(end) {
			out.EndKey = end
		}
		ok = true
	}
	return out, ok
}

// sampler finds a key that divides a range's requests. It keeps a reservoir of
// keys, each as likely as every other to be in it, and counts for each what has
// come since on its left, on its right, and across it:
//
//	requests   a  c  c  f  [b,g)  h  f
//	key f:     left 3, at or right of it 3, across 1
//
// The key whose sides are the most even, and across which little goes, is where
// to split. There is none if the requests are for one key, or each for all.
//
// A batch that commits its transaction besides is a one-phase commit. Across the
// cut it becomes a distributed one, which costs as much as several: a record,
// intents, their resolution, in two logs. So a key across which many of them go
// is no place for a cut, until the range is asked for more than one leader can
// bear.
type sampler struct {
	batches atomic.Int64
	born    time.Time
	mu      struct {
		sync.Mutex
		seen       int
		candidates []candidate
	}
}

// candidate is a key and what came after it.
type candidate struct {
	key                         kvapi.Key
	left, right, across, itself int
	// commits are those of across that commit in one phase.
	commits int
}

func newSampler() *sampler { return &sampler{born: time.Now()} }

// note takes in the span of a batch, and whether it is a whole transaction.
func (s *sampler) note(sp kvapi.Span, commits bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.mu.candidates {
		s.mu.candidates[i].note(sp, commits)
	}
	s.mu.seen++
	if len(s.mu.candidates) < candidatesMax {
		s.mu.candidates = append(s.mu.candidates, candidate{key: sp.Key.Clone()})
	} else if i := rand.IntN(s.mu.seen); i < candidatesMax {
		s.mu.candidates[i] = candidate{key: sp.Key.Clone()}
	}
}

func (c *candidate) note(sp kvapi.Span, commits bool) {
	point := sp.Key.Equal(sp.EndKey)
	switch {
	case !sp.Key.Less(c.key):
		c.right++
		if point && sp.Key.Equal(c.key) {
			c.itself++
		}
	case sp.EndKey.Less(c.key), !point && sp.EndKey.Equal(c.key):
		c.left++
	default:
		c.across++
		if commits {
			c.commits++
		}
	}
}

func (c *candidate) total() int { return c.left + c.right + c.across }

// worse is how far a candidate is from dividing the load in halves.
func (c *candidate) worse() float64 {
	return float64(max(c.left, c.right)+c.across) / float64(c.total())
}

// verdict is what the samples say. Without a key and without a hot one there is
// nothing to be done, or not yet.
type loadVerdict struct {
	// key divides the load, share is what stays on the busier side or goes
	// across.
	key   kvapi.Key
	share float64
	// hot, if set, is a key that most requests are for.
	hot kvapi.Key
}

// breaksCommits reports whether a cut would make many one-phase commits
// distributed ones.
func (c *candidate) breaksCommits() bool {
	return float64(c.commits) > brokenCommitsMax*float64(c.total())
}

// judge reads the samples once there are enough. With overloaded, a cut may
// break commits.
func (s *sampler) judge(desc *kvapi.RangeDescriptor, rowStart func(kvapi.Key) kvapi.Key, overloaded bool) (v loadVerdict, ready bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.born) < sampleFor || s.mu.seen < samplesMin {
		return v, false
	}
	var usable []candidate
	for _, c := range s.mu.candidates {
		if rowStart != nil {
			c.key = rowStart(c.key)
		}
		if c.total() >= samplesMin/2 && desc.StartKey.Less(c.key) && c.key.Less(desc.EndKey) &&
			(overloaded || !c.breaksCommits()) {
			usable = append(usable, c)
		}
	}
	slices.SortFunc(usable, func(a, b candidate) int { return cmp.Compare(a.worse(), b.worse()) })
	if len(usable) > 0 && usable[0].worse() <= dividedShareMax {
		return loadVerdict{key: usable[0].key, share: usable[0].worse()}, true
	}
	for _, c := range s.mu.candidates {
		if c.total() >= samplesMin/2 && float64(c.itself) > hotKeyShare*float64(c.total()) {
			return loadVerdict{hot: c.key.Clone()}, true
		}
	}
	return v, true
}
