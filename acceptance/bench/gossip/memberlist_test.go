package gossip

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/memberlist"
)

var (
	nodes = flag.Int("nodes", 50, "how many nodes")
	drain = flag.Duration("drain", 5*time.Minute, "for how long nodes may go on telling each other of joins that all know before there is news, in virtual time")
	calm  = flag.Duration("calm", 30*time.Second, "for how long what is sent without news is measured, in virtual time")
)

// network carries packets and streams between the nodes of one process.
type network struct {
	mu    sync.Mutex
	rng   *rand.Rand
	loss  float64
	peers map[string]*transport
	bytes atomic.Int64
}

func (n *network) lose() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.rng.Float64() < n.loss
}

func (n *network) setLoss(to float64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.loss = to
}

func (n *network) peer(addr string) *transport {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.peers[addr]
}

// transport implements memberlist.Transport.
type transport struct {
	net     *network
	addr    *net.UDPAddr
	packets chan *memberlist.Packet
	streams chan net.Conn
}

const port = 7946

func (n *network) attach(i int) *transport {
	t := &transport{net: n, addr: &net.UDPAddr{IP: net.IPv4(10, 0, byte(i>>8), byte(i)), Port: port},
		packets: make(chan *memberlist.Packet, 1000), streams: make(chan net.Conn, 100)}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.peers[t.addr.String()] = t
	return t
}

func (t *transport) FinalAdvertiseAddr(string, int) (net.IP, int, error) { return t.addr.IP, port, nil }
func (t *transport) PacketCh() <-chan *memberlist.Packet                 { return t.packets }
func (t *transport) StreamCh() <-chan net.Conn                           { return t.streams }
func (t *transport) Shutdown() error                                     { return nil }

func (t *transport) WriteTo(b []byte, addr string) (time.Time, error) {
	now := time.Now()
	t.net.bytes.Add(int64(len(b)))
	if p := t.net.peer(addr); p != nil && !t.net.lose() {
		select {
		case p.packets <- &memberlist.Packet{Buf: append([]byte(nil), b...), From: t.addr, Timestamp: now}:
		default: // its socket's buffer is full
		}
	}
	return now, nil
}

func (t *transport) DialTimeout(addr string, _ time.Duration) (net.Conn, error) {
	p := t.net.peer(addr)
	if p == nil || t.net.lose() {
		return nil, errors.New("no answer")
	}
	a, b := net.Pipe()
	select {
	case p.streams <- counted{b, t.net, p.addr, t.addr}:
		return counted{a, t.net, t.addr, p.addr}, nil
	default:
		return nil, errors.New("refused")
	}
}

// counted counts what is written to a stream.
type counted struct {
	net.Conn
	net           *network
	local, remote net.Addr
}

func (c counted) LocalAddr() net.Addr  { return c.local }
func (c counted) RemoteAddr() net.Addr { return c.remote }
func (c counted) Write(b []byte) (int, error) {
	c.net.bytes.Add(int64(len(b)))
	return c.Conn.Write(b)
}

// meta is a node's delegate: what it says of itself.
type meta struct{ text atomic.Pointer[string] }

func (m *meta) NodeMeta(int) []byte             { return []byte(*m.text.Load()) }
func (*meta) NotifyMsg([]byte)                  {}
func (*meta) GetBroadcasts(int, int) [][]byte   { return nil }
func (*meta) LocalState(bool) []byte            { return nil }
func (*meta) MergeRemoteState(_ []byte, _ bool) {}

// heard counts who has heard of what two nodes have to say, and of nodes.
type heard struct{ joined, news atomic.Int64 }

func (h *heard) NotifyJoin(*memberlist.Node)  { h.joined.Add(1) }
func (h *heard) NotifyLeave(*memberlist.Node) {}
func (h *heard) NotifyUpdate(n *memberlist.Node) {
	if (n.Name == "n0" || n.Name == "n1") && len(n.Meta) > 0 && n.Meta[0] == '!' {
		h.news.Add(1)
	}
}

// quietBytes is what a node sends in a second when there is no news: probes, and
// now and then all it knows.
const quietBytes = 1500

// cpu is what the process has used; there is no other time in a bubble than its own.
func cpu() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func TestNewsReachAllMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		say := func(format string, args ...any) {
			fmt.Fprintf(os.Stderr, "%6.0f s, %5.1f s of CPU: %s\n", time.Since(begin).Seconds(), cpu().Seconds(), fmt.Sprintf(format, args...))
		}
		n := &network{rng: rand.New(rand.NewPCG(rand.Uint64(), 1)), peers: map[string]*transport{}}
		h := &heard{}
		var members []*memberlist.Memberlist
		var metas []*meta
		for i := range *nodes {
			tr := n.attach(i)
			m := &meta{}
			text := tr.addr.String()
			m.text.Store(&text)
			cfg := memberlist.DefaultLANConfig()
			cfg.Name, cfg.Transport, cfg.Delegate, cfg.Events = "n"+strconv.Itoa(i), tr, m, h
			cfg.BindAddr, cfg.BindPort, cfg.AdvertisePort = tr.addr.IP.String(), port, port
			cfg.Logger = log.New(io.Discard, "", 0)
			l, err := memberlist.Create(cfg)
			if err != nil {
				t.Fatal(err)
			}
			members, metas = append(members, l), append(metas, m)
		}
		defer func() {
			for _, l := range members {
				_ = l.Shutdown()
			}
			time.Sleep(2 * time.Minute) // what waits for its time limits
		}()
		// Nodes exchange all they know with the first, and once more when that knows
		// all. To have them find each other by gossip takes much longer.
		first := []string{members[0].LocalNode().FullAddress().Addr}
		for range 2 {
			for _, l := range members[1:] {
				if _, err := l.Join(first); err != nil {
					t.Fatal(err)
				}
			}
		}
		if all := int64(*nodes) * int64(*nodes); h.joined.Load() < all {
			t.Fatalf("%d of %d joins are known", h.joined.Load(), all)
		}
		say("all know each other")
		// What each has heard it tells others, several times, whoever knows it already.
		for sent, until := int64(1<<62), time.Now().Add(*drain); sent > quietBytes && time.Now().Before(until); {
			before := n.bytes.Load()
			time.Sleep(5 * time.Second)
			sent = (n.bytes.Load() - before) / 5 / int64(*nodes)
			say("%d bytes a node and second", sent)
		}
		before := n.bytes.Load()
		time.Sleep(*calm)
		quiet := float64(n.bytes.Load()-before) / float64(*nodes) / calm.Seconds()
		n.setLoss(0.2)
		before = n.bytes.Load()
		began := time.Now()
		for i := range 2 {
			text := fmt.Sprintf("!%s", metas[1-i].NodeMeta(0))
			metas[i].text.Store(&text)
			if err := members[i].UpdateNode(0); err != nil {
				t.Fatal(err)
			}
		}
		// Each of the others is told of both, and each of the two of the other and itself.
		for h.news.Load() < int64(*nodes)*2 {
			if time.Since(began) > 5*time.Minute {
				t.Fatalf("%d of %d have heard after %s", h.news.Load(), *nodes*2, time.Since(began))
			}
			time.Sleep(100 * time.Millisecond)
		}
		took := time.Since(began)
		say("all have heard")
		t.Logf("%d nodes: %.1f s, %.0f bytes a node and second meanwhile, %.0f before, without losses", *nodes, took.Seconds(),
			float64(n.bytes.Load()-before)/float64(*nodes)/took.Seconds(), quiet)
	})
}
