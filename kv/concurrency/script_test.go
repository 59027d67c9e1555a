package concurrency

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/concurrency/locktable"
	"github.com/cairndb/cairn/kv/concurrency/txncache"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/spanset"
)

// The scripts in testdata drive one range's manager and show who is blocked
// on what. A line starting with > is a command; what follows it is its output:
// first the events it caused, then who waits.
//
//	> txn t1 [prio=N]             begin a transaction
//	> req r1 t1 exclusive a ...   a request of t1 (or -: none) that wants keys
//	                              with a strength: read@N, keyshare, shared,
//	                              nokey, exclusive, intent; a-c is a span;
//	                              nowait, skip, timeout=50ms; turn=N: it has a
//	                              right to turn N; holds: t1 may hold locks
//	> acquire r1 exclusive a      evaluation of r1 took a lock (intent: on disk)
//	> discover r1 t2 a ...        evaluation of r1 met t2's intents, all at 5,
//	                              or with a strength its durable locks
//	> finish r1                   r1 has evaluated
//	> cancel r1                   r1's client went away
//	> commit t1, abort t1         t1's record changes, its range is this one
//	> implicit t1                 t1 is known to be committed by its writes
//	> abandon t1                  t1's coordinator died: the next push aborts it
//	> resolve t1 a                t1's lock at a is resolved
//	> sleep 50ms                  (virtual) time passes
//	> ended N                     the transaction with turn N has sent its last
//	> lease, split c              the lease changes; the range splits
//	> table                       print the lock table
//
// -rewrite writes the outputs into the files.
var rewrite = flag.Bool("rewrite", false, "write the scripts' outputs into testdata")

func TestScripts(t *testing.T) {
	files, _ := filepath.Glob("testdata/*.txt")
	if len(files) == 0 {
		t.Fatal("no scripts")
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) { runScript(t, file) })
	}
}

func runScript(t *testing.T, file string) {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for line := range strings.Lines(string(data)) {
			switch {
			case strings.HasPrefix(line, "#"), line == "\n" && !strings.HasSuffix(out.String(), "\n\n"):
				out.WriteString(line)
			case strings.HasPrefix(line, "> "):
				out.WriteString(line)
				out.WriteString(w.command(strings.Fields(line[2:])))
			}
		}
		w.close()
	})
	if *rewrite {
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if out.String() != string(data) {
		t.Errorf("%s: output differs:\n%s", file, out.String())
	}
}

// world is a range with its manager and the records of all transactions.
type world struct {
	t     *testing.T
	m     *Manager
	right *Manager
	ctx   context.Context
	stop  context.CancelFunc

	mu     sync.Mutex
	events []string
	txns   map[string]*kvapi.Transaction
	dead   map[kvapi.TxnID]bool
	reqs   map[string]*scriptReq
	order  []string
	seq    kvapi.LeaseSequence
}

type scriptReq struct {
	guard  *Guard
	cancel context.CancelFunc
	busy   atomic.Bool
	place  *locktable.Request
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, txns: map[string]*kvapi.Transaction{}, dead: map[kvapi.TxnID]bool{}, reqs: map[string]*scriptReq{}, seq: 1}
	w.ctx, w.stop = context.WithCancel(context.Background())
	cfg := Config{Clock: hlc.NewClock(hlc.SystemClock{}, 0), Pusher: w, Txns: txncache.New()}
	w.m, w.right = New(cfg), New(cfg)
	w.m.OnLeaseChanged(true, 1)
	return w
}

// close proves that nothing is left behind (I4).
func (w *world) close() {
	for _, r := range w.reqs {
		r.cancel()
	}
	synctest.Wait()
	for _, r := range w.reqs {
		w.m.Finish(r.guard)
	}
	w.stop()
	synctest.Wait()
	if s := w.m.Metrics(); s.Latches+s.LockWaiters+s.PushWaiters != 0 {
		w.t.Errorf("left behind: %+v", s)
	}
}

func (w *world) event(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, fmt.Sprintf(format, args...))
}

func (w *world) nameOf(id kvapi.TxnID) string { return strings.TrimRight(string(id[:]), "\x00") }

// --- the records' range, played by the world ---

func (w *world) PushTxn(ctx context.Context, pusher kvapi.TxnMeta, _ string, pushee kvapi.TxnMeta, typ kvapi.PushType, to hlc.Timestamp) (*kvapi.Transaction, *kvapi.Error) {
	ba := (&kvapi.BatchRequest{}).Add(kvapi.Request{Kind: kvapi.PushTxn,
		Push: &kvapi.PushArgs{Pusher: pusher, Pushee: pushee, Type: typ, To: to}})
	name := w.nameOf(pusher.ID)
	if name == "" {
		name = "a request"
	}
	w.event("%s pushes %s to %s", name, w.nameOf(pushee.ID), [...]string{"look", "move it", "abort it"}[typ])
	for {
		if br, _ := w.m.MaybeWaitForPush(ctx, ba); br != nil {
			return br.Responses[0].Pushee, nil
		}
		txn, pErr := w.evalPush(ba.Requests[0].Push)
		again, err := w.m.AfterPush(ctx, ba, nil, pErr)
		switch {
		case err != nil:
			return nil, err
		case again == nil:
			return txn, pErr
		}
		ba = again
	}
}

func (w *world) evalPush(p *kvapi.PushArgs) (*kvapi.Transaction, *kvapi.Error) {
	w.mu.Lock()
	txn := w.txns[w.nameOf(p.Pushee.ID)].Clone()
	dead := w.dead[txn.ID]
	w.mu.Unlock()
	wins := dead || p.Force || p.Pusher.Priority == kvapi.PriorityMax
	switch {
	case txn.Status.IsFinal():
		return txn, nil
	case p.Type == kvapi.PushTouch && !dead, !wins:
		e := kvapi.NewError(kvapi.ErrPushFailed, "")
		e.Pushee = txn
		return nil, e
	case p.Type == kvapi.PushTimestamp && !dead:
		txn.WriteTimestamp = p.To.Next()
	default:
		txn.Status = kvapi.Aborted
	}
	w.event("%s is pushed: %s@%d", w.nameOf(txn.ID), txn.Status, txn.WriteTimestamp.WallTime)
	w.setTxn(txn)
	return txn, nil
}

func (w *world) setTxn(txn *kvapi.Transaction) {
	w.mu.Lock()
	w.txns[w.nameOf(txn.ID)] = txn
	w.mu.Unlock()
	w.m.OnTxnUpdated(txn)
}

func (w *world) QueryTxn(ctx context.Context, meta kvapi.TxnMeta, known kvapi.WaitsSum) (*kvapi.Transaction, []kvapi.TxnWait, *kvapi.Error) {
	ba := (&kvapi.BatchRequest{}).Add(kvapi.Request{Kind: kvapi.QueryTxn, Push: &kvapi.PushArgs{Pushee: meta, Known: known}})
	for {
		w.mu.Lock()
		br := &kvapi.BatchResponse{Responses: []kvapi.Response{{Pushee: w.txns[w.nameOf(meta.ID)].Clone()}}}
		w.mu.Unlock()
		again, err := w.m.AfterPush(ctx, ba, br, nil)
		if again == nil {
			return br.Responses[0].Pushee, br.Responses[0].Waits, err
		}
		ba = again
	}
}

func (w *world) ResolveIntents(ctx context.Context, updates []kvapi.LockUpdate) *kvapi.Error {
	var ks []string
	for _, u := range updates {
		ks = append(ks, string(u.Span.Key))
	}
	w.event("resolve %s of %s: %s", strings.Join(ks, " "), w.nameOf(updates[0].Txn.ID), updates[0].Status)
	for _, u := range updates {
		w.m.OnLockUpdated(u)
	}
	return nil
}

// --- commands ---

func (w *world) command(args []string) string {
	cmd, args := args[0], args[1:]
	if f, ok := map[string]func([]string){
		"txn": w.txn, "req": w.req, "acquire": w.acquire, "discover": w.discover,
		"finish": func(a []string) { w.m.Finish(w.reqs[a[0]].guard); w.drop(a[0]) },
		"cancel": func(a []string) { w.reqs[a[0]].cancel() },
		"commit": func(a []string) { w.finishTxn(a[0], kvapi.Committed) },
		"abort":  func(a []string) { w.finishTxn(a[0], kvapi.Aborted) },
		"implicit": func(a []string) {
			t := w.txns[a[0]].Clone()
			t.Status = kvapi.Staging
			w.m.OnImplicitCommit(t)
		},
		"abandon": func(a []string) { w.dead[w.txns[a[0]].ID] = true },
		"resolve": func(a []string) {
			t := w.txns[a[0]]
			w.m.OnLockUpdated(kvapi.LockUpdate{Span: span(a[1]), Txn: t.TxnMeta, Status: t.Status})
		},
		"sleep": func(a []string) { d, _ := time.ParseDuration(a[0]); time.Sleep(d) },
		"lease": func([]string) { w.seq++; w.m.OnLeaseChanged(true, w.seq) },
		"split": func(a []string) {
			w.right.OnLeaseChanged(true, 1)
			w.m.OnSplit(kvapi.Key(a[0]), w.right)
		},
		"ended": func(a []string) {
			n, _ := strconv.ParseUint(a[0], 10, 64)
			w.m.OnTurnEnded(kvapi.TurnID(n))
		},
		"table": func([]string) {},
	}[cmd]; ok {
		f(args)
	} else {
		w.t.Fatalf("unknown command %s", cmd)
	}
	synctest.Wait()
	return w.report(cmd == "table")
}

func (w *world) report(table bool) string {
	var b strings.Builder
	w.mu.Lock()
	sortPushes(w.events)
	for _, e := range w.events {
		fmt.Fprintf(&b, "  %s\n", e)
	}
	w.events = nil
	w.mu.Unlock()
	if table {
		for i, m := range []*Manager{w.m, w.right} {
			for line := range strings.Lines(m.locks.String(w.requestName, w.nameOf)) {
				b.WriteString([...]string{"  ", "  right "}[i] + line)
			}
		}
		return b.String()
	}
	for _, name := range w.order {
		r := w.reqs[name]
		if r == nil || !r.busy.Load() {
			continue
		}
		why := "a latch"
		w.m.turns.mu.Lock() // which the request takes when its wait is over
		if r.guard.yielded && r.guard.latches == nil {
			why = "a turn"
		}
		w.m.turns.mu.Unlock()
		if place := r.guard.place; place != nil {
			if bl := w.m.locks.Blockers(place); len(bl) > 0 {
				who := w.nameOf(bl[0].Txn.ID)
				if !bl[0].Held {
					who = "the queue (" + who + ")"
				}
				why = fmt.Sprintf("%s at %s", who, bl[0].Key)
			}
		}
		fmt.Fprintf(&b, "  %s waits for %s\n", name, why)
	}
	return b.String()
}

// sortPushes orders pushes of one moment, which have no order.
func sortPushes(events []string) {
	isPush := func(s string) bool { return strings.Contains(s, " pushes ") }
	for i := 0; i < len(events); i++ {
		j := i
		for j < len(events) && isPush(events[j]) {
			j++
		}
		slices.Sort(events[i:j])
		i = max(i, j-1)
	}
}

func (w *world) requestName(p *locktable.Request) string {
	for name, r := range w.reqs {
		if r.guard != nil && r.guard.place == p {
			return name
		}
	}
	return "?"
}

func (w *world) drop(name string) {
	delete(w.reqs, name)
	w.order = slices.DeleteFunc(w.order, func(s string) bool { return s == name })
}

func (w *world) txn(args []string) {
	t := &kvapi.Transaction{}
	copy(t.ID[:], args[0])
	t.AnchorKey, t.Priority = kvapi.Key("a"), kvapi.PriorityNormal
	t.WriteTimestamp.WallTime = 5
	for _, a := range args[1:] {
		switch v, _ := strings.CutPrefix(a, "prio="); v {
		case "max":
			t.Priority = kvapi.PriorityMax
		default:
			n, _ := strconv.Atoi(v)
			t.Priority = kvapi.Priority(n)
		}
	}
	w.txns[args[0]] = t
}

func span(s string) kvapi.Span {
	if from, to, ok := strings.Cut(s, "-"); ok {
		return kvapi.Span{Key: kvapi.Key(from), EndKey: kvapi.Key(to)}
	}
	return kvapi.Span{Key: kvapi.Key(s)}
}

var strengths = map[string]kvapi.LockStrength{"keyshare": kvapi.LockKeyShare, "shared": kvapi.LockShared,
	"nokey": kvapi.LockNoKeyUpdate, "exclusive": kvapi.LockExclusive, "intent": kvapi.LockIntent}

// req starts a request; its goroutine reports how it went.
func (w *world) req(args []string) {
	name, txnName := args[0], args[1]
	q := Request{}
	if txnName != "-" {
		q.Txn = w.txns[txnName]
	}
	strength, wait, ts := kvapi.LockNone, kvapi.WaitBlock, hlc.Timestamp{WallTime: 5}
	for _, a := range args[2:] {
		if n, ok := strings.CutPrefix(a, "read@"); ok {
			ts.WallTime, _ = strconv.ParseInt(n, 10, 64)
			continue
		}
		if d, ok := strings.CutPrefix(a, "timeout="); ok {
			q.LockTimeout, _ = time.ParseDuration(d)
			continue
		}
		if n, ok := strings.CutPrefix(a, "turn="); ok {
			id, _ := strconv.ParseUint(n, 10, 64)
			q.Turn = kvapi.TurnID(id)
			continue
		}
		if s, ok := strengths[a]; ok {
			strength = s
			continue
		}
		switch a {
		case "holds":
			q.Holds = true
		case "nowait":
			wait = kvapi.WaitError
		case "skip":
			wait = kvapi.WaitSkip
		default:
			access := spanset.Read
			if strength > kvapi.LockShared {
				access = spanset.Write
			}
			q.Spans.Latch(access, span(a), ts)
			q.Spans.Lock(spanset.LockSpan{Span: span(a), Strength: strength, Wait: wait, Timestamp: ts})
		}
	}
	g := &Guard{req: q}
	w.start(name, g, func(ctx context.Context) *kvapi.Error { _, err := w.m.sequence(ctx, g); return err })
}

func (w *world) start(name string, g *Guard, f func(context.Context) *kvapi.Error) {
	ctx, cancel := context.WithCancel(w.ctx)
	r := &scriptReq{guard: g, cancel: cancel}
	r.busy.Store(true)
	if w.reqs[name] == nil {
		w.order = append(w.order, name)
	}
	w.reqs[name] = r
	go func() {
		err := f(ctx)
		r.busy.Store(false)
		if err != nil {
			w.event("%s fails: %v", name, err)
			return
		}
		skipped := ""
		for k := byte('a'); k <= 'z'; k++ {
			if g.ShouldSkip(kvapi.Key{k}) {
				skipped += ", without " + string(k)
			}
		}
		w.event("%s evaluates%s", name, skipped)
	}()
}

func (w *world) acquire(args []string) {
	strength := strengths[args[1]]
	for _, k := range args[2:] {
		w.m.OnLockAcquired(kvapi.Lock{Key: kvapi.Key(k), Txn: w.reqs[args[0]].guard.req.Txn.TxnMeta,
			Strength: strength, Replicated: strength == kvapi.LockIntent})
	}
}

func (w *world) discover(args []string) {
	var locks []kvapi.Lock
	strength := kvapi.LockIntent
	for _, k := range args[2:] {
		if s, ok := strengths[k]; ok {
			strength = s
			continue
		}
		locks = append(locks, kvapi.Lock{Key: kvapi.Key(k), Txn: w.txns[args[1]].TxnMeta, Strength: strength, Replicated: true})
	}
	g := w.reqs[args[0]].guard
	w.start(args[0], g, func(ctx context.Context) *kvapi.Error { return w.m.HandleLockConflict(ctx, g, 1, locks) })
}

func (w *world) finishTxn(name string, status kvapi.TxnStatus) {
	t := w.txns[name].Clone()
	t.Status = status
	w.setTxn(t)
}
