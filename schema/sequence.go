package schema

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/txn"
)

// idAllocator hands out descriptor ids from blocks.
type idAllocator struct {
	turn      turn
	next, end DescID
}

// turn is held by one at a time; who waits for it can be canceled, also while its
// holder waits for the store.
type turn chan struct{}

func newTurn() turn { return make(turn, 1) }

func (t turn) take(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t turn) giveBack() { <-t }

// NewID draws a number that no descriptor, index or constraint ever had. It
// is drawn outside of any transaction; unused ones are lost.
func (c *Catalog) NewID(ctx context.Context) (DescID, error) {
	a := &c.ids
	if err := a.turn.take(ctx); err != nil {
		return 0, err
	}
	defer a.turn.giveBack()
	if a.next == a.end {
		if err := c.fillIDs(ctx); err != nil {
			return 0, err
		}
	}
	a.next++
	return a.next - 1, nil
}

func (c *Catalog) fillIDs(ctx context.Context) error {
	return c.store.Run(ctx, "draw descriptor ids", func(ctx context.Context, t Txn) error {
		b, _, err := t.Get(ctx, keys.DescIDGeneratorKey, txn.GetOptions{Lock: kvapi.LockExclusive})
		if err != nil {
			return err
		}
		v, err := decodeVersion(b)
		if err != nil {
			return err
		}
		first := max(DescID(v), FirstUserID)
		c.ids.next, c.ids.end = first, first+idBlock
		return t.Put(ctx, keys.DescIDGeneratorKey, encodeVersion(CatalogVersion(first+idBlock)))
	})
}

// sequenceCache holds values drawn ahead. Values are unique in the cluster;
// they are in order on one node, and only roughly between nodes.
type sequenceCache struct {
	mu     sync.Mutex
	blocks map[DescID]*sequenceBlock
}

type sequenceBlock struct {
	turn turn
	next int64
	left int64
	// size is how many values the next draw takes; it doubles while draws
	// follow each other quickly.
	size    int64
	drawnAt int64
}

// SequenceLimitError says that a sequence has no value left.
type SequenceLimitError struct {
	Name string
	Max  bool
	At   int64
}

// Error implements error, in Postgres's words.
func (e *SequenceLimitError) Error() string {
	kind := "minimum"
	if e.Max {
		kind = "maximum"
	}
	return fmt.Sprintf("nextval: reached %s value of sequence %q (%d)", kind, e.Name, e.At)
}

// SQLState is sequence_generator_limit_exceeded.
func (*SequenceLimitError) SQLState() string { return "2200H" }

func (c *sequenceCache) block(id DescID) *sequenceBlock {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.blocks[id]
	if b == nil {
		b = &sequenceBlock{turn: newTurn(), size: 1}
		c.blocks[id] = b
	}
	return b
}

// Nextval draws a sequence's next value, outside of any transaction.
func (c *Catalog) Nextval(ctx context.Context, s *Sequence) (int64, error) {
	b := c.sequences.block(s.ID)
	if err := b.turn.take(ctx); err != nil {
		return 0, err
	}
	defer b.turn.giveBack()
	if b.left == 0 {
		if err := c.fillSequence(ctx, s, b); err != nil {
			return 0, err
		}
	}
	v := b.next
	b.next += s.Increment
	b.left--
	return v, nil
}

// drawSoon is how quickly a block must be used up for the next to be larger.
const drawSoon = 20 * time.Millisecond

func (c *Catalog) fillSequence(ctx context.Context, s *Sequence, b *sequenceBlock) error {
	now := c.clock.PhysicalNow()
	if now-b.drawnAt < int64(drawSoon) {
		b.size = min(2*b.size, sequenceBlockMax)
	} else {
		b.size = 1
	}
	b.drawnAt = now
	want := max(b.size, s.Cache)
	return c.store.Run(ctx, "nextval", func(ctx context.Context, t Txn) error {
		rec, err := readSequence(ctx, t, s, kvapi.LockExclusive)
		if err != nil {
			return err
		}
		first, n, err := s.draw(rec, want)
		if err != nil {
			return err
		}
		b.next, b.left = first, n
		rec = sequenceRecord{Last: first + (n-1)*s.Increment, Called: true}
		return t.Put(ctx, sequenceKey(s.ID), encodeRecord(&rec))
	})
}

func readSequence(ctx context.Context, t Txn, s *Sequence, lock kvapi.LockStrength) (sequenceRecord, error) {
	rec := sequenceRecord{Last: s.Start}
	v, ok, err := t.Get(ctx, sequenceKey(s.ID), txn.GetOptions{Lock: lock})
	if err == nil && ok {
		err = decodeRecord(v, &rec)
	}
	return rec, err
}

// draw finds the first of at most want further values, and how many there are
// before the limit or the wrap.
func (s *Sequence) draw(rec sequenceRecord, want int64) (first, n int64, err error) {
	first = rec.Last
	if rec.Called {
		up := s.Increment > 0
		if up && rec.Last > s.Max-s.Increment || !up && rec.Last < s.Min-s.Increment {
			if !s.Cycle {
				return 0, 0, s.limitError()
			}
			first = s.Min
			if !up {
				first = s.Max
			}
		} else {
			first = rec.Last + s.Increment
		}
	}
	var room uint64 // further values after first; distances may exceed int64
	if s.Increment > 0 {
		room = uint64(s.Max-first) / uint64(s.Increment)
	} else {
		room = uint64(first-s.Min) / uint64(-s.Increment)
	}
	return first, int64(min(uint64(want-1), room)) + 1, nil
}

func (s *Sequence) limitError() error {
	if s.Increment > 0 {
		return &SequenceLimitError{Name: s.Name, Max: true, At: s.Max}
	}
	return &SequenceLimitError{Name: s.Name, At: s.Min}
}

// Setval sets a sequence's value. Values that other nodes have drawn ahead
// are not called back.
func (c *Catalog) Setval(ctx context.Context, s *Sequence, v int64, called bool) error {
	b := c.sequences.block(s.ID)
	if err := b.turn.take(ctx); err != nil {
		return err
	}
	defer b.turn.giveBack()
	b.left, b.size, b.drawnAt = 0, 1, 0
	return c.store.Run(ctx, "setval", func(ctx context.Context, t Txn) error {
		return t.Put(ctx, sequenceKey(s.ID), encodeRecord(&sequenceRecord{Last: v, Called: called}))
	})
}

// SequenceValue returns a sequence's last_value and is_called.
func (c *Catalog) SequenceValue(ctx context.Context, s *Sequence) (last int64, called bool, err error) {
	var rec sequenceRecord
	err = c.store.Run(ctx, "sequence value", func(ctx context.Context, t Txn) (err error) {
		rec, err = readSequence(ctx, t, s, kvapi.LockNone)
		return err
	})
	return rec.Last, rec.Called, err
}
