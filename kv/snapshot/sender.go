package snapshot

import (
	"context"
	"fmt"
	"hash/crc32"

	"github.com/cockroachdb/pebble/v2"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/storage"
)

// Stats says what was sent.
type Stats struct {
	Keys  int64
	Bytes int64
}

// Send streams the range of h out of r, an engine snapshot whose applied index
// is h.Index. send must not keep the chunk. lim may be nil.
func Send(ctx context.Context, r storage.Reader, h Header, lim *Limiter, send func(chunk []byte) error) (Stats, error) {
	s := &sender{ctx: ctx, lim: lim, send: send}
	if err := s.run(r, &h); err != nil {
		return Stats{}, fmt.Errorf("send snapshot of %s at %d: %w", h.Desc.RangeID, h.Index, err)
	}
	return Stats{Keys: s.t.Keys, Bytes: s.t.Bytes}, nil
}

type sender struct {
	ctx  context.Context
	lim  *Limiter
	send func([]byte) error
	buf  []byte
	t    trailer
}

func (s *sender) run(r storage.Reader, h *Header) error {
	s.buf = h.AppendWire(beginChunk(s.buf, chunkHeader))
	if err := s.flush(); err != nil {
		return err
	}
	s.buf = beginChunk(s.buf, chunkData)
	for _, span := range Spans(&h.Desc) {
		if err := s.span(r, span); err != nil {
			return err
		}
	}
	if err := s.flushData(); err != nil {
		return err
	}
	s.buf = s.t.AppendWire(beginChunk(s.buf, chunkTrailer))
	return s.flush()
}

func (s *sender) span(r storage.Reader, span kvapi.Span) error {
	it, err := r.NewIter(&pebble.IterOptions{
		LowerBound: storage.EncodeKey(nil, span.Key),
		UpperBound: storage.EncodeKey(nil, span.EndKey),
		KeyTypes:   pebble.IterKeyTypePointsAndRanges,
	})
	if err != nil {
		return err
	}
	defer func() { _ = it.Close() }()
	for ok := it.First(); ok; ok = it.Next() {
		if _, hasRange := it.HasPointAndRange(); hasRange {
			return fmt.Errorf("range keys are not supported, one is at %x", it.Key())
		}
		v, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		if err := s.add(it.Key(), v); err != nil {
			return err
		}
	}
	return it.Error()
}

func (s *sender) add(key, value []byte) error {
	s.buf = appendKV(s.buf, key, value)
	s.t.Keys++
	s.t.Bytes += int64(len(key) + len(value))
	if len(s.buf) < chunkBytes {
		return nil
	}
	if err := s.flushData(); err != nil {
		return err
	}
	s.buf = beginChunk(s.buf, chunkData)
	return nil
}

func (s *sender) flushData() error {
	if len(s.buf) == chunkOverhead {
		return nil
	}
	s.t.Sum = uint64(crc32.Update(uint32(s.t.Sum), castagnoli, s.buf[chunkOverhead:]))
	return s.flush()
}

func (s *sender) flush() error {
	if err := s.ctx.Err(); err != nil {
		return err
	}
	if s.lim != nil {
		if err := s.lim.Wait(s.ctx, len(s.buf)); err != nil {
			return err
		}
	}
	return s.send(sealChunk(s.buf))
}
