package simulation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cairndb/cairn/internal/testkit/history"
	"github.com/cairndb/cairn/internal/workload"
	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/store"
	"github.com/cairndb/cairn/txn"
)

// Options are what a run is made of.
type Options struct {
	Seed  Seed
	Nodes int
	// Workloads run side by side; nil for all.
	Workloads []workload.Name
	// Safety is how long faults go on, in virtual time.
	Safety time.Duration
	// Faults are the kinds of faults; nil for all.
	Faults []FaultKind
	// Leases are those that stores take.
	Leases store.LeaseMode
	Knobs  store.TestingKnobs
	// GCTTL is how long old versions are kept, 0 to let the seed choose.
	GCTTL time.Duration
	Log   *slog.Logger
	// Settle is how long replicas may take to agree; 0 for settleTimeout,
	// and replicasTimeout.
	Settle time.Duration
	// Aim says how faults find their nodes.
	Aim Aim
	// Pulse, if set, counts the run's virtual seconds.
	Pulse *Pulse
}

// Result tells what a run did.
type Result struct {
	Schedule   []Fault
	Operations map[workload.Name]int
	// OK counts operations that succeeded.
	OK int64
	// FollowerReads counts batches that replicas without the lease have answered,
	// as far as their nodes have not crashed since.
	FollowerReads int64
	// CommitMerges counts merges of ranges that were committed in together, as far
	// as the same goes for them.
	CommitMerges int64
	// FeedEvents counts what feeds told.
	FeedEvents int
	// Collected counts versions that were collected, twice some.
	Collected  int
	Virtual    time.Duration
	Lost, Sent int64
}

const (
	clientsPerWorkload = 4
	// thinkMax is how long a client waits between operations.
	thinkMax = 60 * time.Millisecond
	// startTimeout bounds the start of a cluster, virtual.
	startTimeout = 3 * time.Minute
	// livenessOperations is what each client must get done once all is well,
	// in livenessTimeout.
	livenessOperations = 20
	livenessTimeout    = 60 * time.Second
	// settleTimeout is for last reads, replicasTimeout for intents to go and
	// replicas to agree: one that was removed while nothing reached it, and that
	// sleeps, asks after a minute or two whether it still is one (kv/store,
	// collect.go).
	settleTimeout   = 2 * time.Minute
	replicasTimeout = 4 * time.Minute
)

// overtime is what a run takes at most beside its safety phase: starts, the
// patience of operators and of liveness and verdict, the last lingering, and as
// much again.
const overtime = 2 * (startTimeout + adminTimeout + livenessTimeout + settleTimeout + replicasTimeout + lingerMax)

// neverEnds ends the process when something waits for ever. It can be nothing
// but a bug, and nothing that waits for it would ever come back to report it;
// nor does the bubble see a deadlock, for tickers tick on.
func (r *run) neverEnds() {
	debug.SetTraceback("all")
	panic(fmt.Sprintf("seed %d: not over after %s\n%s", r.Seed, time.Since(r.began), describe(r.result.Schedule)))
}

// run is one run.
type run struct {
	Options
	began     time.Time
	c         *Cluster
	lineage   *lineage
	moments   history.Counter
	workloads []workload.Workload
	ok        atomic.Int64
	result    Result
	// feeds follow what workloads write, if versions are kept.
	feeds []*feedWatch
	// splits are the keys at which ranges are, or may be, cut.
	splits []kvapi.Key
	errs   struct {
		sync.Mutex
		internal error
	}
}

// Run runs a cluster through its phases and judges it. It must be called in a
// synctest bubble.
func Run(ctx context.Context, o Options) (Result, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Pulse != nil {
		stop := make(chan struct{})
		defer close(stop)
		go o.Pulse.beat(stop)
	}
	began := time.Now()
	r := &run{Options: o, began: began}
	defer time.AfterFunc(o.Safety+overtime, r.neverEnds).Stop()
	err := r.all(ctx)
	for _, w := range r.feeds {
		w.stop()
		w.ended.Wait()
		r.result.FeedEvents += len(w.mu.told)
	}
	if r.c != nil {
		for _, n := range r.c.nodes {
			if core := n.Core(); core != nil {
				r.result.FollowerReads += core.Store.Metrics().FollowerReads.Load()
				r.result.CommitMerges += core.Store.Metrics().CommitMerges.Load()
			}
		}
		r.c.Stop()
		r.result.Sent, r.result.Lost = r.c.net.Counts()
		if b := r.c.Broken(); b != nil {
			err = errors.Join(err, b)
		}
	}
	if r.c != nil {
		r.result.Collected = len(r.c.removed.all())
	}
	r.result.Virtual, r.result.OK = time.Since(began), r.ok.Load()
	r.result.Operations = map[workload.Name]int{}
	for _, w := range r.workloads {
		r.result.Operations[w.Name()] = w.Operations()
	}
	return r.result, err
}

func (r *run) all(ctx context.Context) error {
	if err := r.start(ctx); err != nil {
		return fmt.Errorf("start: %w", err)
	}
	if err := r.safety(ctx); err != nil {
		return fmt.Errorf("safety phase: %w", err)
	}
	if err := r.liveness(ctx); err != nil {
		return fmt.Errorf("liveness phase: %w", err)
	}
	return r.verdict(ctx)
}

func (r *run) start(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if r.c, err = NewCluster(ctx, r.Seed, r.Nodes, r.Leases, cmp.Or(r.GCTTL, chooseTTL(r.Seed)), r.Knobs, r.Log); err != nil {
		return err
	}
	names := r.Workloads
	if len(names) == 0 {
		names = workload.Names()
	}
	for _, n := range names {
		w, err := workload.New(n, &r.moments)
		if err != nil {
			return err
		}
		s, err := r.c.nodes[0].Connect(ctx)
		if err != nil {
			return err
		}
		err = w.Setup(ctx, s)
		for i, k := range w.SplitKeys() {
			if err == nil && i%2 == 0 { // the others are for the schedule
				err = s.DB().Split(ctx, k)
			}
		}
		s.Close()
		if err != nil {
			return fmt.Errorf("%s: %w", n, err)
		}
		r.workloads, r.splits = append(r.workloads, w), append(r.splits, w.SplitKeys()...)
	}
	r.c.splits = r.splits
	if r.Aim == AimLineage {
		r.lineage = newLineage(r.Seed.source("lineage"))
		r.c.net.Trace(r.lineage.delivered)
	}
	r.result.Schedule = Schedule(r.Seed.source("faults"), r.Nodes, r.Safety, r.splits, r.Faults)
	if len(r.Faults) == 0 {
		combined := Combined(r.Seed.source("combined faults"), r.Nodes, r.Safety, r.splits)
		for _, f := range combined {
			if f.Kind == SplitStorm {
				r.splits = append(r.splits, stormKeys(f)...)
			}
		}
		r.result.Schedule = inOrder(r.result.Schedule, combined)
		churn := Churn(r.Seed.source("membership"), r.Nodes, r.Safety, r.splits)
		r.result.Schedule = inOrder(r.result.Schedule, churn)
	}
	if len(r.Faults) == 0 || slices.Contains(r.Faults, RangeStorm) {
		storms := Storms(r.Seed.source("range storms"), r.Nodes, r.Safety, r.splits)
		for _, f := range storms {
			r.splits = append(r.splits, stormKeys(f)...)
		}
		r.result.Schedule = inOrder(r.result.Schedule, storms)
	}
	if len(r.Faults) == 0 || slices.Contains(r.Faults, LeaseStorm) {
		r.result.Schedule = inOrder(r.result.Schedule, LeaseStorms(r.Seed.source("lease storms"), r.Nodes, r.Safety, r.splits))
	}
	r.follow(ctx)
	return r.c.waitReplicated(ctx)
}

// follow has a feed of each workload that is judged by versions, if none of them
// goes while it lasts.
func (r *run) follow(ctx context.Context) {
	for _, w := range r.workloads {
		if v, ok := w.(workload.VersionChecker); ok && (r.c.gcTTL == 0 || r.c.gcTTL >= time.Hour) {
			after := r.c.nodes[0].Core().Clock.Now().Timestamp()
			r.feeds = append(r.feeds, r.c.watchFeed(context.WithoutCancel(ctx), v.VersionedSpan(), after))
		}
	}
}

// safety runs the clients while the schedule goes on. Anything may fail;
// nothing may be wrong.
func (r *run) safety(ctx context.Context) error {
	began := time.Now()
	clients, stopClients := context.WithCancel(ctx)
	var working, faults sync.WaitGroup
	r.clients(func(w workload.Workload, c workload.Client, id history.Client) {
		working.Go(func() {
			r.drive(clients, c, id, func() bool { return clients.Err() == nil })
		})
	})
	for i, f := range r.result.Schedule {
		time.Sleep(time.Until(began.Add(f.At)))
		if r.lineage != nil {
			f = r.lineage.aim(f)
			r.result.Schedule[i] = f
		}
		r.Log.Info("fault", "what", f.String())
		faults.Go(func() { r.c.Inject(ctx, f) })
		if r.c.Broken() != nil {
			break
		}
	}
	faults.Wait()
	stopClients()
	working.Wait()
	return errors.Join(r.c.Broken(), r.internal())
}

// clients makes the clients of all workloads.
func (r *run) clients(f func(workload.Workload, workload.Client, history.Client)) {
	for i, w := range r.workloads {
		for j := range clientsPerWorkload {
			id := history.Client(i*clientsPerWorkload + j)
			f(w, w.Client(id, r.Seed.source("client %d", id)), id)
		}
	}
}

// drive lets a client work while more says so, at its own node and sometimes
// at another.
func (r *run) drive(ctx context.Context, c workload.Client, id history.Client, more func() bool) {
	rng := r.Seed.source("pace %d", id)
	for more() {
		at := r.c.nodes[int(id)%len(r.c.nodes)]
		if rng.IntN(5) == 0 {
			at = r.c.nodes[rng.IntN(len(r.c.nodes))]
		}
		think := time.Duration(rng.Int64N(int64(thinkMax)))
		select {
		case <-time.After(think):
		case <-ctx.Done():
			return
		}
		r.do(ctx, c, at)
	}
}

// connectPatience is how long a client waits for a node that is down before
// it goes elsewhere.
const connectPatience = 500 * time.Millisecond

func (r *run) do(ctx context.Context, c workload.Client, at *Node) {
	patience, cancel := context.WithTimeout(ctx, connectPatience)
	s, err := at.Connect(patience)
	cancel()
	if err != nil {
		return
	}
	defer s.Close()
	octx, stop := s.Context(ctx)
	defer stop()
	called := time.Now()
	switch err = c.Do(octx, s); {
	case err == nil:
		r.ok.Add(1)
		if r.lineage != nil {
			r.lineage.acknowledged(at.id, called, time.Now())
		}
	case workload.IsInternal(err) && !s.Crashed():
		r.errs.Lock()
		if r.errs.internal == nil {
			r.errs.internal = fmt.Errorf("%s: a client was told what no client should be: %w", s.Where(), err)
		}
		r.errs.Unlock()
	default:
		r.Log.Debug("operation", "at", s.Where(), "err", err)
	}
}

func (r *run) internal() error {
	r.errs.Lock()
	defer r.errs.Unlock()
	return r.errs.internal
}

// liveness heals everything; then every client must get its work done.
func (r *run) liveness(ctx context.Context) error {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, livenessTimeout)
	defer cancel()
	if err := r.c.Heal(ctx); err != nil {
		return err
	}
	var working sync.WaitGroup
	var late history.Log[error]
	diagnosis := make(chan string, 1)
	look := time.AfterFunc(lateAfter-time.Since(began), func() { diagnosis <- r.c.diagnose() })
	r.clients(func(w workload.Workload, c workload.Client, id history.Client) {
		working.Go(func() {
			counted := &countOK{Client: c}
			r.drive(ctx, counted, id, func() bool { return ctx.Err() == nil && counted.done < livenessOperations })
			if counted.done < livenessOperations {
				late.Add(fmt.Errorf("client %d of %s got only %d operations done within %s of healing; last: %w",
					id, w.Name(), counted.done, livenessTimeout, counted.last))
			}
		})
	})
	working.Wait()
	errs := late.All()
	if !look.Stop() && len(errs) > 0 {
		errs = append(errs, errors.New(<-diagnosis))
	}
	return errors.Join(append(errs, r.c.Broken(), r.internal())...)
}

// countOK counts a client's successes, and keeps its last failure.
type countOK struct {
	workload.Client
	done int
	last error
}

// Do implements workload.Client.
func (c *countOK) Do(ctx context.Context, g workload.Gateway) error {
	began := time.Now()
	err := c.Client.Do(ctx, g)
	if err == nil {
		c.done++
	} else {
		c.last = fmt.Errorf("%s, after %s: %w", g.Where(), time.Since(began).Round(time.Millisecond), err)
	}
	return err
}

// verdict reads everything, and asks the checkers.
func (r *run) verdict(all context.Context) error {
	r.c.settled.Store(true) // ranges that come and go cannot be compared
	ctx, cancel := context.WithTimeout(all, cmp.Or(r.Settle, settleTimeout))
	defer cancel()
	s, err := r.c.nodes[0].Connect(ctx)
	if err != nil {
		return err
	}
	for _, w := range r.workloads {
		if ferr := w.Finish(ctx, s); ferr != nil {
			err = errors.Join(err, fmt.Errorf("%s: last read: %w", w.Name(), ferr))
		}
	}
	if terr := r.touch(ctx, s); terr != nil {
		err = errors.Join(err, terr)
	}
	s.Close()
	if cerr := r.c.callOff(ctx); cerr != nil {
		err = errors.Join(err, cerr)
	}
	for _, w := range r.workloads {
		if cerr := w.Check(); cerr != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", w.Name(), cerr))
		}
	}
	if err != nil {
		// How replicas differ may explain it; there is nothing to wait for.
		ctx, cancel = context.WithTimeout(ctx, time.Second)
	} else {
		ctx, cancel = context.WithTimeout(all, cmp.Or(r.Settle, replicasTimeout))
	}
	defer cancel()
	if rerr := r.c.checkReplicas(ctx); rerr != nil {
		return errors.Join(err, rerr)
	}
	if err := errors.Join(err, r.checkVersions()); err != nil {
		return err
	}
	for _, w := range r.feeds {
		versions, err := r.c.versions(w.span)
		if err == nil {
			err = w.check(ctx, sortVersions(append(versions, r.c.removed.of(w.span)...)))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// touch reads whatever may have been left locked by coordinators that died:
// whoever meets such a lock resolves it. To wait for one may take longer than
// versions are kept, and a range may have been without a leader until just now;
// then another transaction goes on from there.
func (r *run) touch(ctx context.Context, s *Session) error {
	rest := &kvapi.Span{Key: keys.Min, EndKey: keys.Max}
	read := func(ctx context.Context, t *txn.Txn) error {
		for rest != nil {
			_, resume, err := t.Scan(ctx, *rest, txn.ScanOptions{MaxKeys: 1000})
			if err != nil {
				return fmt.Errorf("read everything: %w", err)
			}
			rest = resume
		}
		for _, start := range append(r.splits, keys.Min, keys.MetaMax, keys.SystemMax) {
			if _, _, err := t.Get(ctx, keys.RangeDescriptor(start), txn.GetOptions{}); err != nil {
				return fmt.Errorf("read descriptor: %w", err)
			}
		}
		return nil
	}
	return r.c.eventually(ctx, "read what is locked", func() error {
		return s.DB().Run(ctx, txn.Options{Name: "touch"}, read)
	})
}
