package rpc

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/internal/workers"
)

// grpcStream is the part of a client or server stream that is used.
type grpcStream interface {
	SendMsg(m any) error
	RecvMsg(m any) error
	Context() context.Context
}

// stream is one side of an established stream: the queue of outgoing frames,
// its writer, and the reader that hands frames on. Calls go out on streams
// that this node opened, and their replies come back on them; the peer's calls
// arrive on the streams that the peer opened.
type stream struct {
	peer  NodeID
	class Class
	// sealed says that batches have checksums, both ways.
	sealed bool
	clock  *hlc.Clock
	mux    *Mux
	stats  *Stats
	// buffers are where out comes from.
	buffers *buffers
	// workers run the handlers of calls.
	workers *workers.Pool

	// wake has room for one token: the writer has something to do.
	wake chan struct{}
	done chan struct{}

	mu struct {
		sync.Mutex
		out    []byte
		closed error
		// calls are ours under way, running the peer's.
		calls    map[uint64]chan result
		running  map[uint64]context.CancelFunc
		nextCall uint64
	}
	// batches counts those that were written.
	batches atomic.Int64
	// heardNanos is when the peer was last heard, on the wall clock.
	heardNanos atomic.Int64
}

type result struct {
	payload []byte
	err     error
}

func newStream(peer NodeID, class Class, n *Network, sealed bool) *stream {
	s := &stream{peer: peer, class: class, sealed: sealed, clock: n.clock, mux: n.cfg.Mux, stats: &n.Stats, buffers: &n.buffers, workers: n.workers,
		wake: make(chan struct{}, 1), done: make(chan struct{})}
	s.mu.calls = map[uint64]chan result{}
	s.mu.running = map[uint64]context.CancelFunc{}
	s.heardNanos.Store(s.clock.PhysicalNow())
	return s
}

var errQueueFull = errors.New("queue is full")

// enqueue appends a frame to the queue and wakes the writer.
func (s *stream) enqueue(kind frameKind, m Method, call uint64, msg Appender) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.enqueueLocked(kind, m, call, msg)
}

func (s *stream) enqueueLocked(kind frameKind, m Method, call uint64, msg Appender) error {
	if s.mu.closed != nil {
		return s.mu.closed
	}
	if len(s.mu.out) > queueBytesMax && kind != frameReply && kind != frameError {
		s.stats.Dropped.Add(1)
		return errQueueFull
	}
	s.beginLocked()
	s.mu.out = appendFrame(s.mu.out, kind, m, call, msg)
	s.stats.Frames.Add(1)
	return nil
}

// beginLocked makes room for the head of a batch.
func (s *stream) beginLocked() {
	if len(s.mu.out) > 0 {
		return
	}
	s.mu.out = *s.buffers.Get(headBytes)
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// enqueueFrames appends frames that were encoded before the stream was there.
func (s *stream) enqueueFrames(frames []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(frames) > 0 {
		s.beginLocked()
		s.mu.out = append(s.mu.out, frames...)
	}
}

// write sends what has gathered until the stream closes; while one batch is
// being written the next one fills.
func (s *stream) write(g grpcStream) error {
	var sums chain
	for {
		select {
		case <-s.wake:
		case <-s.done:
			return s.closeErr()
		}
		// Whoever is ready to run may have more to send: one batch of several
		// frames costs hardly more than of one.
		runtime.Gosched()
		s.mu.Lock()
		buf := s.mu.out
		s.mu.out = nil
		s.mu.Unlock()
		if len(buf) == 0 {
			continue
		}
		if s.sealed {
			sums.seal(buf, s.clock.Now())
		} else {
			buf = buf[sumBytes:]
			putClock(buf, s.clock.Now())
		}
		s.stats.Batches.Add(1)
		s.batches.Add(1)
		if err := g.SendMsg(&batch{buf, s.buffers}); err != nil {
			return err
		}
	}
}

// read hands on what arrives until the stream breaks.
func (s *stream) read(ctx context.Context, g grpcStream) error {
	var sums chain
	for {
		var in batch
		if err := g.RecvMsg(&in); err != nil {
			return err
		}
		s.heardNanos.Store(s.clock.PhysicalNow())
		now, b, err := s.open(&sums, in.bytes)
		if err != nil {
			return err
		}
		if err := s.clock.Update(now); err != nil {
			return err
		}
		for len(b) > 0 {
			var f frame
			if f, b, err = cutFrame(b); err != nil {
				return err
			}
			if err := s.handle(ctx, f); err != nil {
				return err
			}
		}
	}
}

// open checks a batch and cuts off its head.
func (s *stream) open(sums *chain, b []byte) (hlc.ClockTimestamp, []byte, error) {
	if !s.sealed {
		return cutClock(b)
	}
	now, frames, err := sums.open(b)
	if err != nil {
		s.stats.Damaged.Add(1)
	}
	return now, frames, err
}

func (s *stream) handle(ctx context.Context, f frame) error {
	switch f.kind {
	case frameSend:
		s.mux.Deliver(s.peer, f.method, f.payload)
	case frameReply:
		s.answer(f.call, result{payload: f.payload})
	case frameError:
		s.answer(f.call, result{err: errorf(s.peer, Remote, true, "%s", f.payload)})
	case frameCancel:
		s.mu.Lock()
		cancel := s.mu.running[f.call]
		s.mu.Unlock()
		if cancel != nil {
			cancel()
		}
	case frameCall:
		return s.serve(ctx, f)
	}
	return nil
}

func (s *stream) answer(call uint64, r result) {
	s.mu.Lock()
	ch := s.mu.calls[call]
	delete(s.mu.calls, call)
	s.mu.Unlock()
	if ch != nil {
		ch <- r
	}
}

// serve runs the handler of a call on a goroutine of its own.
func (s *stream) serve(ctx context.Context, f frame) error {
	if f.method == methodPing {
		return s.enqueue(frameReply, methodPing, f.call, pingReply(s.clock.PhysicalNow()))
	}
	ctx, cancel := context.WithCancel(ctx)
	s.mu.Lock()
	full := len(s.mu.running) >= callsMax
	if !full {
		s.mu.running[f.call] = cancel
	}
	s.mu.Unlock()
	if full {
		cancel()
		return s.enqueue(frameError, f.method, f.call, Raw("too many calls under way"))
	}
	s.workers.Go(func() {
		defer cancel()
		reply, err := s.mux.Call(ctx, s.peer, f.method, f.payload)
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.mu.running, f.call)
		if err != nil {
			_ = s.enqueueLocked(frameError, f.method, f.call, Raw(err.Error()))
			return
		}
		_ = s.enqueueLocked(frameReply, f.method, f.call, reply)
	})
	return nil
}

// call sends a request and waits for its answer.
func (s *stream) call(ctx context.Context, m Method, req Appender) ([]byte, error) {
	ch := make(chan result, 1)
	s.mu.Lock()
	s.mu.nextCall++
	id := s.mu.nextCall
	err := s.enqueueLocked(frameCall, m, id, req)
	if err == nil {
		s.mu.calls[id] = ch
	}
	s.mu.Unlock()
	switch {
	case err == errQueueFull:
		return nil, errorf(s.peer, Overloaded, false, "%s", err)
	case err != nil:
		return nil, errorf(s.peer, Unreachable, false, "%s", err)
	}
	select {
	case r := <-ch:
		return r.payload, r.err
	case <-ctx.Done():
		s.mu.Lock()
		delete(s.mu.calls, id)
		_ = s.enqueueLocked(frameCancel, m, id, nil)
		s.mu.Unlock()
		return nil, errorf(s.peer, Canceled, true, "%s", context.Cause(ctx))
	}
}

// close ends the stream: calls under way fail as possibly delivered, calls
// being served are cancelled.
func (s *stream) close(why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.closed != nil {
		return
	}
	s.mu.closed = why
	for _, ch := range s.mu.calls {
		ch <- result{err: errorf(s.peer, Unreachable, true, "connection lost: %s", why)}
	}
	clear(s.mu.calls)
	for _, cancel := range s.mu.running {
		cancel()
	}
	close(s.done)
}

func (s *stream) closeErr() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.closed
}
