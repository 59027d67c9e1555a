package rpc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/internal/version"
	"github.com/cairndb/cairn/kv/kvapi"
)

const (
	methodEcho Method = iota + 1
	methodHang
	methodFail
	methodNote
)

// book is a Resolver that tests write to.
type book struct{ m sync.Map }

func (b *book) Address(id NodeID) (string, bool) {
	v, ok := b.m.Load(id)
	if !ok {
		return "", false
	}
	return v.(string), true
}

type testNode struct {
	*Network
	addr  string
	notes chan string
	hung  atomic.Int32
	freed atomic.Int32
}

var testCluster = kvapi.ClusterID{1}

func startNode(t testing.TB, id NodeID, cluster kvapi.ClusterID, b *book) *testNode {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &testNode{addr: lis.Addr().String(), notes: make(chan string, 1000)}
	mux := &Mux{}
	mux.HandleCall(methodEcho, func(_ context.Context, _ NodeID, p []byte) (Appender, error) { return Raw(p), nil })
	mux.HandleCall(methodFail, func(_ context.Context, _ NodeID, p []byte) (Appender, error) { return nil, errors.New("no luck") })
	mux.HandleCall(methodHang, func(ctx context.Context, _ NodeID, p []byte) (Appender, error) {
		n.hung.Add(1)
		<-ctx.Done()
		n.freed.Add(1)
		return nil, ctx.Err()
	})
	mux.HandleSend(methodNote, func(_ NodeID, p []byte) { n.notes <- string(p) })
	clock := hlc.NewClock(hlc.SystemClock{}, 500*time.Millisecond)
	n.Network = New(Config{Self: Identity{ClusterID: cluster, NodeID: id, Address: n.addr, Versions: version.Binary()}, Clock: clock,
		Offsets: hlc.NewOffsetMonitor(clock.MaxOffset()), Resolver: b, Mux: mux})
	srv := NewServer(nil)
	n.Register(srv)
	go srv.Serve(lis)
	b.m.Store(id, n.addr)
	t.Cleanup(func() {
		n.Close()
		srv.Stop()
	})
	return n
}

func TestCallSendAndErrors(t *testing.T) {
	b := &book{}
	n1 := startNode(t, 1, testCluster, b)
	n2 := startNode(t, 2, testCluster, b)
	for i := range 100 {
		msg := strings.Repeat("x", i*50)
		got, err := n1.Call(t.Context(), 2, KV, methodEcho, Raw(msg))
		if err != nil || string(got) != msg {
			t.Fatalf("echo of %d bytes: %q %v", len(msg), got, err)
		}
	}
	var e *Error
	if _, err := n1.Call(t.Context(), 2, KV, methodFail, nil); !errors.As(err, &e) || e.Kind != Remote || e.Message != "no luck" {
		t.Fatalf("failing handler: %v", err)
	}
	if _, err := n1.Call(t.Context(), 2, KV, 77, nil); !errors.As(err, &e) || e.Kind != Remote {
		t.Fatalf("unknown method: %v", err)
	}
	if _, err := n1.Call(t.Context(), 9, KV, methodEcho, nil); !errors.As(err, &e) || e.Kind != Unreachable || e.MaybeSent {
		t.Fatalf("unknown node: %v", err)
	}
	for i := range 10 {
		if !n1.Send(2, KV, methodNote, Raw(fmt.Sprint(i))) {
			t.Fatal("not queued")
		}
	}
	for i := range 10 {
		if got := <-n2.notes; got != fmt.Sprint(i) {
			t.Fatalf("note %d is %q", i, got)
		}
	}
}

func TestCancelReachesTheHandler(t *testing.T) {
	b := &book{}
	n1, n2 := startNode(t, 1, testCluster, b), startNode(t, 2, testCluster, b)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { _, err := n1.Call(ctx, 2, KV, methodHang, nil); done <- err }()
	await(t, func() bool { return n2.hung.Load() == 1 })
	cancel()
	var e *Error
	if err := <-done; !errors.As(err, &e) || e.Kind != Canceled || !e.MaybeSent {
		t.Fatalf("got %v", err)
	}
	await(t, func() bool { return n2.freed.Load() == 1 })
}

func TestWrongPeerIsRefused(t *testing.T) {
	b := &book{}
	n1 := startNode(t, 1, testCluster, b)
	n2 := startNode(t, 2, testCluster, b)
	startNode(t, 3, kvapi.ClusterID{9}, b)
	for _, tc := range []struct {
		to   NodeID
		addr string
		want string
	}{
		{4, n2.addr, "this is node n2, not node n4"},
		{3, mustAddr(b, 3), "belongs to cluster"},
	} {
		b.m.Store(tc.to, tc.addr)
		var e *Error
		_, err := n1.Call(t.Context(), tc.to, KV, methodEcho, nil)
		if !errors.As(err, &e) || e.Kind != WrongPeer || !strings.Contains(e.Message, tc.want) {
			t.Errorf("calling n%d at %s: %v, want %q", tc.to, tc.addr, err, tc.want)
		}
	}
}

func mustAddr(b *book, id NodeID) string { a, _ := b.Address(id); return a }

// TestLostConnectionFailsCallsAsMaybeSent stops the peer under a call.
func TestLostConnectionFailsCallsAsMaybeSent(t *testing.T) {
	b := &book{}
	n1, n2 := startNode(t, 1, testCluster, b), startNode(t, 2, testCluster, b)
	done := make(chan error)
	go func() { _, err := n1.Call(t.Context(), 2, KV, methodHang, nil); done <- err }()
	await(t, func() bool { return n2.hung.Load() == 1 })
	n2.Close()
	var e *Error
	if err := <-done; !errors.As(err, &e) || e.Kind != Unreachable || !e.MaybeSent {
		t.Fatalf("got %v", err)
	}
}

// TestPeerAtNewAddressIsFound moves node 2 to another port.
func TestPeerAtNewAddressIsFound(t *testing.T) {
	b := &book{}
	n1, n2 := startNode(t, 1, testCluster, b), startNode(t, 2, testCluster, b)
	if _, err := n1.Call(t.Context(), 2, KV, methodEcho, nil); err != nil {
		t.Fatal(err)
	}
	n2.Close()
	startNode(t, 2, testCluster, b)
	await(t, func() bool {
		_, err := n1.Call(t.Context(), 2, KV, methodEcho, nil)
		return err == nil
	})
}

// TestClockReadingsTravel checks that a call moves both clocks past each other.
func TestClockReadingsTravel(t *testing.T) {
	b := &book{}
	n1, n2 := startNode(t, 1, testCluster, b), startNode(t, 2, testCluster, b)
	ahead := hlc.ClockTimestamp{WallTime: n1.clock.PhysicalNow() + int64(300*time.Millisecond)}
	if err := n1.clock.Update(ahead); err != nil {
		t.Fatal(err)
	}
	if _, err := n1.Call(t.Context(), 2, KV, methodEcho, nil); err != nil {
		t.Fatal(err)
	}
	if now := n2.clock.Now(); !hlc.Timestamp(ahead).Less(hlc.Timestamp(now)) {
		t.Fatalf("peer's clock %s is not past %s", now, ahead)
	}
}

func TestFrameDecoderSurvivesGarbage(t *testing.T) {
	good := appendFrame(nil, frameCall, 3, 900, Raw(strings.Repeat("p", 300)))
	for cut := range good {
		if _, _, err := cutFrame(good[:cut]); err == nil {
			t.Fatalf("cut at %d was accepted", cut)
		}
	}
}

func FuzzFrame(f *testing.F) {
	f.Add(appendFrame(nil, frameReply, 1, 2, Raw("x")))
	f.Fuzz(func(t *testing.T, b []byte) {
		for len(b) > 0 {
			var err error
			if _, b, err = cutFrame(b); err != nil {
				return
			}
		}
	})
}

// await polls, since real sockets have no event to wait for.
func await(t *testing.T, ok func() bool) {
	t.Helper()
	for range 500 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("did not happen within 5 s")
}

func BenchmarkEcho(b *testing.B) {
	bk := &book{}
	n1 := startNode(b, 1, testCluster, bk)
	startNode(b, 2, testCluster, bk)
	msg := Raw(make([]byte, 300))
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(max(1, callers/2))
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := n1.Call(context.Background(), 2, KV, methodEcho, msg); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}
