package jobs

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/schema"
)

// Config is what a Registry is made of.
type Config struct {
	Store  schema.Store
	Clock  *hlc.Clock
	NodeID kvapi.NodeID
	Logger *slog.Logger
	// Work does a job until it has ended or is paused: it returns nil then. On
	// another error it is called again after a while. A request is to be
	// noticed between two steps.
	Work func(ctx context.Context, h *Handle) error
}

// Registry is a node's part in the jobs of the cluster. All methods are safe
// for concurrent use.
type Registry struct {
	cfg Config
	mu  struct {
		sync.Mutex
		// running are this node's jobs.
		running map[ID]*running
		closed  bool
	}
	wg sync.WaitGroup
}

// running is a job that this node works on.
type running struct {
	h      *Handle
	cancel context.CancelFunc
	done   chan struct{}
}

// errStopped says that Close was called.
var errStopped = errors.New("jobs: the node stops")

// NewRegistry returns a registry that works on the jobs it is told to Start. Run
// also has it look for others.
func NewRegistry(cfg Config) *Registry {
	g := &Registry{cfg: cfg}
	if g.cfg.Logger == nil {
		g.cfg.Logger = slog.New(slog.DiscardHandler)
	}
	g.mu.running = map[ID]*running{}
	return g
}

// Clock is the clock by which records are dated.
func (g *Registry) Clock() *hlc.Clock { return g.cfg.Clock }

// Run adopts jobs that nobody works on, until ctx ends. Then it stops this
// node's jobs, leaves them to others, and returns.
func (g *Registry) Run(ctx context.Context) {
	defer g.Close()
	tick := time.NewTicker(adoptInterval)
	defer tick.Stop()
	sweep := time.NewTicker(sweepInterval)
	defer sweep.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			err = g.Adopt(ctx)
		case <-sweep.C:
			err = g.sweep(ctx)
		}
		if err != nil && ctx.Err() == nil {
			g.cfg.Logger.Warn("looking for jobs", "err", err)
		}
	}
}

// Close stops this node's jobs and waits for them.
func (g *Registry) Close() {
	g.mu.Lock()
	g.mu.closed = true
	for _, r := range g.mu.running {
		r.cancel()
	}
	g.mu.Unlock()
	g.wg.Wait()
}

// Adopt starts the jobs that nobody works on.
func (g *Registry) Adopt(ctx context.Context) error {
	recs, err := g.list(ctx, activePrefix)
	if err != nil {
		return err
	}
	for _, r := range recs {
		if g.free(r) {
			if err := g.Start(ctx, r.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// free reports whether a job may be claimed (I2).
func (g *Registry) free(r *Record) bool {
	return r.State != Paused && !r.State.Ended() &&
		r.Claim.Expires.WallTime+int64(g.cfg.Clock.MaxOffset()) < g.cfg.Clock.PhysicalNow()
}

// Start claims a job, unless somebody else has it, and works on it.
func (g *Registry) Start(ctx context.Context, id ID) error {
	h := &Handle{g: g, id: id, poke: make(chan struct{}, 1)}
	rand.Read(h.token[:])
	var mine bool
	err := g.cfg.Store.Run(ctx, "claim a job", func(ctx context.Context, t schema.Txn) error {
		mine = false
		r, err := get(ctx, t, id)
		if err != nil || r == nil || !g.free(r) {
			return err
		}
		if r.State == Pending {
			r.State, r.StartedNanos = Running, g.cfg.Clock.PhysicalNow()
		} else {
			r.Resumed++
		}
		r.Claim = Claim{Node: g.cfg.NodeID, Token: h.token, Expires: g.claimExpiry()}
		r.Coordinator, r.ModifiedNanos = g.cfg.NodeID, g.cfg.Clock.PhysicalNow()
		mine = true
		h.rec.Store(r)
		return put(ctx, t, r)
	})
	if err != nil || !mine {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.mu.closed {
		return errStopped // the claim will run out
	}
	jctx, cancel := context.WithCancel(context.Background())
	r := &running{h: h, cancel: cancel, done: make(chan struct{})}
	g.mu.running[id] = r
	g.wg.Go(func() {
		g.work(jctx, h, cancel)
		cancel()
		g.mu.Lock()
		if g.mu.running[id] == r {
			delete(g.mu.running, id)
		}
		closed := g.mu.closed
		g.mu.Unlock()
		close(r.done)
		if !closed { // it may have been resumed meanwhile
			g.startAgain(id)
		}
	})
	return nil
}

// startAgain claims a job that this node has just let go of, if it is to go on.
func (g *Registry) startAgain(id ID) {
	ctx, cancel := context.WithTimeout(context.Background(), releaseMax)
	defer cancel()
	if err := g.Start(ctx, id); err != nil {
		g.cfg.Logger.Warn("looking after a job; some node will", "job", id, "err", err)
	}
}

// work does a job while the claim holds.
func (g *Registry) work(ctx context.Context, h *Handle, cancel context.CancelFunc) {
	var renewal sync.WaitGroup
	rctx, stop := context.WithCancel(ctx)
	renewal.Go(func() { h.renew(rctx, cancel) })
	defer renewal.Wait()
	defer stop()
	for pause := retryPauseMin; ; pause = min(2*pause, retryPauseMax) {
		err := g.cfg.Work(ctx, h)
		if err == nil || errors.Is(err, ErrLost) {
			return
		}
		if ctx.Err() != nil {
			g.release(h)
			return
		}
		g.cfg.Logger.Warn("a job is tried again", "job", h.id, "what", h.Record().Description, "in", pause, "err", err)
		if !sleep(ctx, pause) {
			g.release(h)
			return
		}
		if err := h.Reload(ctx); errors.Is(err, ErrLost) {
			return
		}
	}
}

// release gives the claim back, for another node to go on at once.
func (g *Registry) release(h *Handle) {
	ctx, cancel := context.WithTimeout(context.Background(), releaseMax)
	defer cancel()
	err := g.cfg.Store.Run(ctx, "release a job", func(ctx context.Context, t schema.Txn) error {
		r, err := get(ctx, t, h.id)
		if err != nil || r == nil || r.Claim.Token != h.token {
			return err
		}
		r.Claim = Claim{}
		return put(ctx, t, r)
	})
	if err != nil {
		g.cfg.Logger.Warn("releasing a job; its claim will run out", "job", h.id, "err", err)
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// Wait returns a job's record when it has ended or is paused.
func (g *Registry) Wait(ctx context.Context, id ID) (*Record, error) {
	for {
		r, err := g.Get(ctx, id)
		if err != nil {
			return nil, err
		}
		if r == nil {
			return nil, fmt.Errorf("job %s does not exist", id)
		}
		if r.State.Ended() || r.State == Paused {
			return r, nil
		}
		g.mu.Lock()
		var done chan struct{}
		if mine := g.mu.running[id]; mine != nil {
			done = mine.done
		}
		g.mu.Unlock()
		t := time.NewTimer(pollInterval)
		select {
		case <-ctx.Done():
		case <-done:
		case <-t.C:
		}
		t.Stop()
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
}

// Get reads a job; nil is none.
func (g *Registry) Get(ctx context.Context, id ID) (r *Record, err error) {
	err = g.cfg.Store.Run(ctx, "read a job", func(ctx context.Context, t schema.Txn) (err error) {
		r, err = find(ctx, t, id)
		return err
	})
	return r, err
}

// List returns all jobs by number.
func (g *Registry) List(ctx context.Context) ([]*Record, error) {
	active, err := g.list(ctx, activePrefix)
	if err != nil {
		return nil, err
	}
	done, err := g.list(ctx, donePrefix)
	if err != nil {
		return nil, err
	}
	// One that ended in between is in both.
	all := append(done, active...)
	slices.SortStableFunc(all, func(a, b *Record) int { return cmp.Compare(a.ID, b.ID) })
	return slices.CompactFunc(all, func(a, b *Record) bool { return a.ID == b.ID }), nil
}

func (g *Registry) list(ctx context.Context, prefix kvapi.Key) (recs []*Record, err error) {
	err = g.cfg.Store.Run(ctx, "list jobs", func(ctx context.Context, t schema.Txn) (err error) {
		recs, err = list(ctx, t, prefix)
		return err
	})
	return recs, err
}

// Ask puts a request on record. It returns the job as it then is, nil if there
// is none that has not ended. A job that is paused is canceled by whoever
// finds it next, so it becomes running again.
func (g *Registry) Ask(ctx context.Context, id ID, req Request) (r *Record, err error) {
	err = g.cfg.Store.Run(ctx, "ask of a job", func(ctx context.Context, t schema.Txn) (err error) {
		if r, err = get(ctx, t, id); err != nil || r == nil {
			return err
		}
		switch {
		case r.State == Reverting || r.State == Paused && req == RequestPause || r.Request == RequestCancel:
			return nil
		case r.State == Paused:
			r.State = Running
		}
		r.Request = req
		return put(ctx, t, r)
	})
	if err == nil && r != nil {
		g.nudge(ctx, id)
	}
	return r, err
}

// Resume has a paused job go on, and takes back a request to pause. It returns
// as Ask does.
func (g *Registry) Resume(ctx context.Context, id ID) (r *Record, err error) {
	err = g.cfg.Store.Run(ctx, "resume a job", func(ctx context.Context, t schema.Txn) (err error) {
		if r, err = get(ctx, t, id); err != nil || r == nil {
			return err
		}
		if r.State == Paused {
			r.State = Running
		}
		if r.Request == RequestPause {
			r.Request = NoRequest
		}
		return put(ctx, t, r)
	})
	if err == nil && r != nil {
		g.nudge(ctx, id)
	}
	return r, err
}

// nudge has this node look at a job's record at once, if it is its own or nobody's.
func (g *Registry) nudge(ctx context.Context, id ID) {
	g.mu.Lock()
	mine := g.mu.running[id]
	g.mu.Unlock()
	if mine != nil {
		select {
		case mine.h.poke <- struct{}{}:
		default:
		}
		return
	}
	if err := g.Start(ctx, id); err != nil && ctx.Err() == nil {
		g.cfg.Logger.Warn("starting a job; another node will", "job", id, "err", err)
	}
}

// sweep removes the records of jobs that ended long ago.
func (g *Registry) sweep(ctx context.Context) error {
	recs, err := g.list(ctx, donePrefix)
	if err != nil {
		return err
	}
	for _, r := range recs {
		if r.FinishedNanos+int64(keepDone) > g.cfg.Clock.PhysicalNow() {
			continue
		}
		err := g.cfg.Store.Run(ctx, "forget a job", func(ctx context.Context, t schema.Txn) error {
			return t.Delete(ctx, jobKey(donePrefix, r.ID))
		})
		if err != nil {
			return err
		}
	}
	return nil
}
