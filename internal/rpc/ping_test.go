package rpc

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/internal/version"
)

// pipeEnd is a stream whose other end answers pings, until it swallows all.
type pipeEnd struct {
	grpcStream
	ctx      context.Context
	answers  chan uint64
	swallows bool
	pings    int
}

func (p *pipeEnd) SendMsg(m any) error {
	for b := m.(*batch).bytes[headBytes:]; len(b) > 0; {
		f, rest, err := cutFrame(b)
		if err != nil {
			return err
		}
		if b = rest; f.method == methodPing && f.kind == frameCall {
			p.pings++
			if !p.swallows {
				p.answers <- f.call
			}
		}
	}
	return nil
}

// TestAStreamThatSwallowsIsLost: one of several streams has died without an error.
func TestAStreamThatSwallowsIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		n := New(Config{Clock: hlc.NewClock(hlc.SystemClock{}, time.Second), Self: Identity{Versions: version.Binary()}})
		defer n.Close()
		defer cancel()
		s := newStream(2, KV, n, true)
		defer s.close(context.Canceled)
		p := &pipeEnd{ctx: ctx, answers: make(chan uint64, 100)}
		go s.write(p)
		go func() {
			for {
				select {
				case call := <-p.answers:
					s.answer(call, result{payload: pingReply(0).AppendWire(nil)})
				case <-ctx.Done():
					return
				}
			}
		}()
		lost := make(chan error, 1)
		go n.watch(ctx, s, func(err error) { lost <- err })
		time.Sleep(time.Hour)
		synctest.Wait()
		if p.pings > 0 {
			t.Errorf("%d pings on an idle stream", p.pings)
		}
		use := func() {
			if err := s.enqueue(frameSend, methodNote, 0, Raw("x")); err != nil {
				t.Fatal(err)
			}
		}
		use()
		time.Sleep(time.Hour)
		synctest.Wait()
		if p.pings != 1 || len(lost) > 0 {
			t.Errorf("%d pings after one use, and lost: %d", p.pings, len(lost))
		}
		p.swallows = true
		use()
		before := time.Now()
		<-lost
		if d := time.Since(before); d > pingInterval+streamTimeout {
			t.Errorf("it took %v", d)
		}
	})
}
