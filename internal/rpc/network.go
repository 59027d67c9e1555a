package rpc

import (
	"context"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/internal/version"
	"github.com/cairndb/cairn/internal/workers"
)

// Resolver says where a node is now; gossip implements it. It is a hint: the
// handshake verifies who answers.
type Resolver interface {
	Address(NodeID) (string, bool)
}

// Config is what a Network needs.
type Config struct {
	Self     Identity
	Clock    *hlc.Clock
	Offsets  *hlc.OffsetMonitor
	Resolver Resolver
	Mux      *Mux
	// TLS protects connections both ways; nil is for insecure clusters.
	TLS *tls.Config
	// OnHello is told of every peer that opens a stream.
	OnHello func(Hello)
	// OnRefused is told, in one line, of every stream that was refused.
	OnRefused func(error)
	// Active returns the cluster's version: peers that do not work in it are refused.
	// Nil is the first.
	Active func() version.Number
}

// Network is the Transport over gRPC. Create it with New, register it on a
// gRPC server with Register, end it with Close.
type Network struct {
	Stats   Stats
	cfg     Config
	clock   *hlc.Clock
	offsets *hlc.OffsetMonitor
	workers *workers.Pool
	buffers buffers
	ctx     context.Context
	cancel  context.CancelFunc
	wg      sync.WaitGroup
	closed  sync.Once

	mu struct {
		sync.Mutex
		links map[linkKey]*link
		// served are the streams that peers opened.
		served map[*stream]struct{}
	}
}

var _ Transport = (*Network)(nil)

type linkKey struct {
	peer  NodeID
	class Class
}

// New returns a network that has no connections yet.
func New(cfg Config) *Network {
	n := &Network{cfg: cfg, clock: cfg.Clock, offsets: cfg.Offsets, workers: workers.New(idleWorkersMax)}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	n.mu.links = map[linkKey]*link{}
	n.mu.served = map[*stream]struct{}{}
	return n
}

// NewServer returns a gRPC server with the codec that streams need.
func NewServer(t *tls.Config) *grpc.Server {
	opts := []grpc.ServerOption{
		grpc.ForceServerCodecV2(newCodec()),
		grpc.MaxRecvMsgSize(messageBytesMax), grpc.MaxSendMsgSize(messageBytesMax),
		grpc.InitialWindowSize(1 << 20), grpc.InitialConnWindowSize(4 << 20),
	}
	if t != nil {
		opts = append(opts, grpc.Creds(credentials.NewTLS(t)))
	}
	return grpc.NewServer(opts...)
}

// Dial connects to an address for unary calls. The connection is lazy.
func Dial(addr string, t *tls.Config) (*grpc.ClientConn, error) {
	creds := insecure.NewCredentials()
	if t != nil {
		creds = credentials.NewTLS(t)
	}
	return grpc.NewClient("passthrough:///"+addr,
		grpc.WithTransportCredentials(creds), grpc.WithNoProxy(),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(newCodec()),
			grpc.MaxCallRecvMsgSize(messageBytesMax), grpc.MaxCallSendMsgSize(messageBytesMax)),
		grpc.WithInitialWindowSize(1<<20), grpc.WithInitialConnWindowSize(4<<20))
}

// Register makes a gRPC server serve the streams that peers open.
func (n *Network) Register(s *grpc.Server) { s.RegisterService(streamDesc(), n) }

// Call implements Transport.
func (n *Network) Call(ctx context.Context, to NodeID, c Class, m Method, req Appender) ([]byte, error) {
	s, err := n.link(to, c).stream(ctx)
	if err != nil {
		return nil, err
	}
	n.Stats.Calls.Add(1)
	return s.call(ctx, m, req)
}

// Send implements Transport. Without a connection it starts to make one, which
// sends the first messages if it comes about.
func (n *Network) Send(to NodeID, c Class, m Method, msg Appender) bool {
	l := n.link(to, c)
	if s := l.ready(); s != nil {
		return s.enqueue(frameSend, m, 0, msg) == nil
	}
	return l.keep(m, msg)
}

// Close implements Transport.
func (n *Network) Close() {
	n.cancel()
	n.mu.Lock()
	links := make([]*link, 0, len(n.mu.links))
	for _, l := range n.mu.links {
		links = append(links, l)
	}
	for s := range n.mu.served {
		s.close(context.Canceled)
	}
	n.mu.Unlock()
	for _, l := range links {
		l.drop(context.Canceled)
	}
	n.wg.Wait()
	n.closed.Do(n.workers.Close)
}

// Connected reports whether the peer's system stream is up.
func (n *Network) Connected(peer NodeID) bool {
	n.mu.Lock()
	l := n.mu.links[linkKey{peer, System}]
	n.mu.Unlock()
	return l != nil && l.current() != nil
}

func (n *Network) link(to NodeID, c Class) *link {
	n.mu.Lock()
	defer n.mu.Unlock()
	k := linkKey{to, c}
	l := n.mu.links[k]
	if l == nil {
		l = &link{net: n, key: k}
		n.mu.links[k] = l
	}
	return l
}

// dropPeer closes all streams to a peer that has gone silent.
func (n *Network) dropPeer(peer NodeID, why error) {
	for c := range classEnd {
		n.mu.Lock()
		l := n.mu.links[linkKey{peer, c}]
		n.mu.Unlock()
		if l != nil {
			l.drop(why)
		}
	}
}

// serveStream runs the server side of a stream that a peer opened.
func (n *Network) serveStream(g grpc.ServerStream) error {
	var first batch
	if err := g.RecvMsg(&first); err != nil {
		return err
	}
	h, err := decodeHello(first.bytes)
	if err != nil {
		return refuse("malformed hello: " + err.Error())
	}
	if err := h.check(n.cfg.Self, n.active(), n.clock); err != nil {
		if n.cfg.OnRefused != nil {
			n.cfg.OnRefused(err)
		}
		return refuse(err.Error())
	}
	if err := g.SendMsg(&batch{bytes: hello(n.cfg.Self, h.From, h.Class, n.clock).encode()}); err != nil {
		return err
	}
	if n.cfg.OnHello != nil {
		n.cfg.OnHello(h)
	}
	s := newStream(h.From, h.Class, n, h.sealed(n.cfg.Self))
	n.mu.Lock()
	if n.ctx.Err() != nil {
		n.mu.Unlock()
		return n.ctx.Err()
	}
	n.mu.served[s] = struct{}{}
	n.mu.Unlock()
	defer func() {
		n.mu.Lock()
		delete(n.mu.served, s)
		n.mu.Unlock()
	}()
	return n.run(g.Context(), s, g)
}

// active is the cluster's version.
func (n *Network) active() version.Number {
	if n.cfg.Active == nil {
		return version.V1
	}
	return n.cfg.Active()
}

// run drives both directions of a stream until one breaks.
func (n *Network) run(ctx context.Context, s *stream, g grpcStream) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	errs := make(chan error, 2)
	go func() { errs <- s.read(ctx, g) }()
	go func() { errs <- s.write(g) }()
	err := <-errs
	s.close(fmt.Errorf("stream ended: %w", err))
	return err
}

// link is the client side of one (peer, class): at most one stream, and at
// most one attempt to make one.
type link struct {
	net *Network
	key linkKey

	mu struct {
		sync.Mutex
		cur     *stream
		cancel  context.CancelFunc
		dialing chan struct{}
		lastErr *Error
		// retryAt and backoff pace attempts.
		retryAt time.Time
		backoff time.Duration
		// early are frames that wait for the attempt under way.
		early []byte
	}
}

// keep holds a message back until the attempt under way has ended. Dropping it
// would cost the sender a repetition, which Raft leaves to its heartbeat: the
// first replica that a node gets would wait for that.
func (l *link) keep(m Method, msg Appender) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.mu.cur; s != nil {
		return s.enqueue(frameSend, m, 0, msg) == nil
	}
	if l.mu.dialing == nil || len(l.mu.early) > earlyBytesMax {
		return false
	}
	l.mu.early = appendFrame(l.mu.early, frameSend, m, 0, msg)
	return true
}

func (l *link) current() *stream {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.cur
}

// ready returns the stream if it is up, and otherwise starts to dial.
func (l *link) ready() *stream {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.cur == nil {
		l.maybeDialLocked()
	}
	return l.mu.cur
}

// stream returns the stream, waiting for an attempt under way. Between
// attempts it fails at once with the last one's error.
func (l *link) stream(ctx context.Context) (*stream, error) {
	l.mu.Lock()
	if l.mu.cur != nil {
		defer l.mu.Unlock()
		return l.mu.cur, nil
	}
	l.maybeDialLocked()
	dialing, lastErr := l.mu.dialing, l.mu.lastErr
	l.mu.Unlock()
	if dialing == nil {
		return nil, lastErr
	}
	select {
	case <-dialing:
	case <-ctx.Done():
		return nil, errorf(l.key.peer, Canceled, false, "%s", context.Cause(ctx))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.cur == nil {
		return nil, l.mu.lastErr
	}
	return l.mu.cur, nil
}

func (l *link) maybeDialLocked() {
	if l.mu.dialing != nil || time.Now().Before(l.mu.retryAt) || l.net.ctx.Err() != nil {
		if l.mu.lastErr == nil {
			l.mu.lastErr = errorf(l.key.peer, Unreachable, false, "the network is closed")
		}
		return
	}
	l.mu.dialing = make(chan struct{})
	l.net.wg.Go(l.dial)
	if l.key.class != System {
		// The system stream's pings tell when a peer has gone silent.
		l.net.link(l.key.peer, System).ready()
	}
}

// dial makes one attempt and, if it succeeds, runs the stream to its end.
func (l *link) dial() {
	l.net.Stats.Dials.Add(1)
	ctx, cancel := context.WithCancel(l.net.ctx)
	defer cancel()
	s, g, conn, err := l.connect(ctx, cancel)
	l.mu.Lock()
	if err != nil {
		l.net.Stats.DialErrors.Add(1)
		l.mu.backoff = min(max(2*l.mu.backoff, backoffMin), backoffMax)
		l.mu.retryAt = time.Now().Add(l.mu.backoff/2 + rand.N(l.mu.backoff))
		l.mu.lastErr = err
	} else {
		l.mu.cur, l.mu.cancel, l.mu.backoff = s, cancel, 0
		s.enqueueFrames(l.mu.early)
	}
	l.mu.early = nil
	close(l.mu.dialing)
	l.mu.dialing = nil
	l.mu.Unlock()
	if err != nil {
		if conn != nil {
			conn.Close()
		}
		return
	}
	defer conn.Close()
	if l.key.class == System {
		l.net.wg.Go(func() {
			l.net.pingLoop(ctx, s, func(err error) { l.net.dropPeer(l.key.peer, err) })
		})
	} else {
		l.net.wg.Go(func() { l.net.watch(ctx, s, l.drop) })
	}
	why := l.net.run(ctx, s, g)
	l.mu.Lock()
	l.mu.cur = nil
	l.mu.lastErr = errorf(l.key.peer, Unreachable, false, "connection lost: %v", why)
	l.mu.Unlock()
}

// drop closes the stream, if there is one; the next use dials again.
func (l *link) drop(why error) {
	l.mu.Lock()
	s, cancel := l.mu.cur, l.mu.cancel
	l.mu.cur = nil
	if s != nil {
		l.mu.lastErr = errorf(l.key.peer, Unreachable, false, "connection dropped: %v", why)
	}
	l.mu.Unlock()
	if s != nil {
		s.close(why)
		cancel()
	}
}

// connect opens the gRPC stream and shakes hands (I1).
func (l *link) connect(ctx context.Context, cancel context.CancelFunc) (*stream, grpcStream, *grpc.ClientConn, *Error) {
	n, peer := l.net, l.key.peer
	addr, ok := n.cfg.Resolver.Address(peer)
	if !ok {
		return nil, nil, nil, errorf(peer, Unreachable, false, "no address is known")
	}
	conn, err := Dial(addr, n.cfg.TLS)
	if err != nil {
		return nil, nil, nil, errorf(peer, Unreachable, false, "dial %s: %s", addr, err)
	}
	timer := time.AfterFunc(dialTimeout, cancel)
	defer timer.Stop()
	g, err := conn.NewStream(ctx, &streamDesc().Streams[0], "/"+serviceName+"/"+methodName)
	if err == nil {
		err = g.SendMsg(&batch{bytes: hello(n.cfg.Self, peer, l.key.class, n.clock).encode()})
	}
	var in batch
	if err == nil {
		err = g.RecvMsg(&in)
	}
	if err != nil {
		return nil, nil, conn, dialError(peer, addr, err)
	}
	h, err := decodeHello(in.bytes)
	if err != nil {
		return nil, nil, conn, errorf(peer, WrongPeer, false, "malformed hello from %s: %s", addr, err)
	}
	if h.From != peer {
		return nil, nil, conn, errorf(peer, WrongPeer, false, "%s is now node %s", addr, h.From)
	}
	if err := h.check(n.cfg.Self, n.active(), n.clock); err != nil {
		return nil, nil, conn, errorf(peer, WrongPeer, false, "%s: %s", addr, err)
	}
	return newStream(peer, l.key.class, n, h.sealed(n.cfg.Self)), g, conn, nil
}
