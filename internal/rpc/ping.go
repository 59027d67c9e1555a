package rpc

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/cairndb/cairn/hlc"
)

// pingReply is the answer to a ping: the wall clock of the one asked.
type pingReply int64

// AppendWire implements Appender.
func (p pingReply) AppendWire(b []byte) []byte { return binary.BigEndian.AppendUint64(b, uint64(p)) }

// pingLoop pings the peer of a system stream until ctx ends, records its clock
// offset, and calls lost when the peer has been silent for pingTimeout.
func (n *Network) pingLoop(ctx context.Context, s *stream, lost func(error)) {
	t := time.NewTicker(pingInterval)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if err := n.ping(ctx, s); err != nil {
			if ctx.Err() == nil {
				lost(err)
			}
			return
		}
	}
}

// watch pings a stream of another class after it was used, until ctx ends, and calls
// lost when there is no answer: a damaged length in a header of gRPC or HTTP/2 has
// the peer wait for bytes that never come, or take for data what is none, and that
// ends one stream without an error while all others go on. An idle stream costs
// nothing.
func (n *Network) watch(ctx context.Context, s *stream, lost func(error)) {
	limit := streamTimeout
	if s.class == Bulk {
		limit = bulkStreamTimeout
	}
	t := time.NewTicker(pingInterval)
	defer t.Stop()
	answered := int64(0)
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		sent := s.batches.Load()
		if sent == answered {
			continue
		}
		limited, cancel := context.WithTimeout(ctx, limit)
		_, err := s.call(limited, methodPing, nil)
		cancel()
		var e *Error
		switch {
		case err == nil:
			answered = sent + 1 // the ping's own
		case errors.As(err, &e) && e.Kind == Overloaded:
		case ctx.Err() == nil:
			lost(err)
			return
		}
	}
}

func (n *Network) ping(ctx context.Context, s *stream) error {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	sent := n.clock.PhysicalNow()
	b, err := s.call(ctx, methodPing, nil)
	if err != nil {
		return err
	}
	if len(b) == 8 && n.offsets != nil {
		remote := int64(binary.BigEndian.Uint64(b))
		n.offsets.Record(hlc.PeerID(s.peer), hlc.MeasureOffset(sent, remote, n.clock.PhysicalNow()))
	}
	return nil
}
