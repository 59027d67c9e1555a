package memnet

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/internal/rpc"
)

type bubbleClock struct{}

func (bubbleClock) WallNanos() int64 { return time.Now().UnixNano() }

type node struct {
	*Endpoint
	// mu guards got: messages out of order come from goroutines of their own.
	mu    sync.Mutex
	got   []string
	calls atomic.Int32
}

func attach(n *Network, id rpc.NodeID) *node {
	nd := &node{}
	mux := &rpc.Mux{}
	mux.HandleCall(1, func(_ context.Context, _ rpc.NodeID, p []byte) (rpc.Appender, error) {
		nd.calls.Add(1)
		return rpc.Raw(p), nil
	})
	mux.HandleSend(2, func(_ rpc.NodeID, p []byte) {
		nd.mu.Lock()
		defer nd.mu.Unlock()
		nd.got = append(nd.got, string(p))
	})
	nd.Endpoint = n.Attach(id, hlc.NewClock(bubbleClock{}, time.Second), mux)
	return nd
}

func TestOrderDelayLossAndCrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := New(1)
		net.SetDefault(Faults{DelayMin: time.Millisecond, DelayMax: 20 * time.Millisecond})
		a, b := attach(net, 1), attach(net, 2)
		defer a.Close()
		for i := range 50 {
			a.Send(2, rpc.Raft, 2, rpc.Raw(fmt.Sprint(i)))
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		for i, m := range b.got {
			if m != fmt.Sprint(i) {
				t.Fatalf("message %d is %s", i, m)
			}
		}
		if len(b.got) != 50 {
			t.Fatalf("%d of 50 arrived", len(b.got))
		}

		begin := time.Now()
		if got, err := a.Call(t.Context(), 2, rpc.KV, 1, rpc.Raw("hi")); string(got) != "hi" || err != nil {
			t.Fatalf("%q %v", got, err)
		}
		if took := time.Since(begin); took < 2*time.Millisecond || took > 40*time.Millisecond {
			t.Fatalf("a call took %s", took)
		}

		// The answer's direction is cut: the handler runs, the caller cannot know.
		net.SetLink(2, 1, Faults{Cut: true})
		var e *rpc.Error
		_, err := a.Call(t.Context(), 2, rpc.KV, 1, rpc.Raw("hi"))
		if !errors.As(err, &e) || !e.MaybeSent || b.calls.Load() != 2 {
			t.Fatalf("%v after %d calls", err, b.calls.Load())
		}
		net.Heal()
		b.Close()
		if _, err := a.Call(t.Context(), 2, rpc.KV, 1, nil); !errors.As(err, &e) || e.MaybeSent {
			t.Fatalf("call to a node that is down: %v", err)
		}
		b = attach(net, 2)
		defer b.Close()
		if _, err := a.Call(t.Context(), 2, rpc.KV, 1, nil); err != nil {
			t.Fatal(err)
		}
	})
}

func TestDuplicateAndReorder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := New(7)
		net.SetDefault(Faults{Duplicate: 0.3, Reorder: 0.3, DelayMin: time.Millisecond, DelayMax: 9 * time.Millisecond})
		a, b := attach(net, 1), attach(net, 2)
		defer a.Close()
		defer b.Close()
		for i := range 100 {
			a.Send(2, rpc.Raft, 2, rpc.Raw(fmt.Sprint(i)))
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		seen, outOfOrder := map[string]int{}, 0
		for i, m := range b.got {
			seen[m]++
			if m != fmt.Sprint(i) {
				outOfOrder++
			}
		}
		if len(seen) != 100 || len(b.got) == 100 || outOfOrder == 0 {
			t.Fatalf("%d distinct, %d in all, %d out of order", len(seen), len(b.got), outOfOrder)
		}
	})
}
