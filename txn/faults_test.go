package txn_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cairndb/cairn/internal/testkit/memkv"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/txn"
	"github.com/cairndb/cairn/txn/txntest"
)

var seedFlag = flag.Uint64("txn.seed", 0, "seed of the random histories; 0 draws one")

func newRand(t *testing.T) *lockedRand {
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d (-txn.seed=%d)", seed, seed)
	return &lockedRand{r: rand.New(rand.NewPCG(seed, 0))}
}

type lockedRand struct {
	mu sync.Mutex
	r  *rand.Rand
}

func (l *lockedRand) intn(n int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.r.IntN(n)
}

func unreachable(maybe bool) *kvapi.Error {
	err := kvapi.NewError(kvapi.ErrNodeUnreachable, "injected")
	err.MaybeApplied = maybe
	return err
}

// lossy loses one batch in n at each of three points: before it is sent (and
// the sender knows), before it is evaluated, and after. Some of the second
// kind are evaluated later, when the sender has long moved on. heal ends it.
func lossy(c *memkv.Cluster, r *lockedRand, n int) (heal func()) {
	type late struct{}
	var healed atomic.Bool
	c.SetOnSend(func(ctx context.Context, node kvapi.NodeID, ba *kvapi.BatchRequest) memkv.Fault {
		if healed.Load() || ctx.Value(late{}) != nil {
			return memkv.Fault{}
		}
		switch r.intn(n) {
		case 0:
			return memkv.Fault{Before: unreachable(false)}
		case 1:
			return memkv.Fault{Before: unreachable(true)}
		case 2:
			return memkv.Fault{After: unreachable(true)}
		case 3:
			d := time.Duration(r.intn(3000)) * time.Microsecond
			ctx, cancel := context.WithTimeout(context.WithValue(context.Background(), late{}, true), time.Second)
			time.AfterFunc(d, func() { defer cancel(); _, _ = c.Send(ctx, node, ba) })
			return memkv.Fault{Before: unreachable(true)}
		}
		return memkv.Fault{}
	})
	return func() { healed.Store(true) }
}

// restless splits, merges and moves leases until the returned stop.
func restless(c *memkv.Cluster, r *lockedRand, keys []kvapi.Key) (stop func()) {
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		tick := time.NewTicker(500 * time.Microsecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			key := keys[r.intn(len(keys))]
			switch r.intn(4) {
			case 0:
				c.Split(key)
			case 1:
				c.Merge(key)
			default:
				c.MoveLease(key, kvapi.NodeID(1+r.intn(3)))
			}
		}
	}()
	return func() { close(done); wg.Wait() }
}

// verdict of one transaction as its user was told.
type verdict int

const (
	failed verdict = iota
	acked
	maybe
)

func verdictOf(err error) verdict {
	switch {
	case err == nil:
		return acked
	case txn.IsAmbiguous(err):
		return maybe
	}
	return failed
}

// TestEveryRequestKindSurvivesEveryFault loses each request once, at each of
// three points, in transactions of every shape; what the user is told must be
// what happened, and it must have happened at most once.
func TestEveryRequestKindSurvivesEveryFault(t *testing.T) {
	shapes := map[string]func(ctx context.Context, tx *txn.Txn) error{
		"one phase": func(ctx context.Context, tx *txn.Txn) error { return tx.Put(ctx, k("a"), []byte("1")) },
		"insert":    func(ctx context.Context, tx *txn.Txn) error { return tx.PutIfAbsent(ctx, k("a"), []byte("1")) },
		"parallel": func(ctx context.Context, tx *txn.Txn) error {
			return errors.Join(tx.Put(ctx, k("a"), []byte("1")), tx.Put(ctx, k("z"), []byte("1")))
		},
		"parallel insert with a lock": func(ctx context.Context, tx *txn.Txn) error {
			_, _, err := tx.Get(ctx, k("z"), txn.GetOptions{Lock: kvapi.LockExclusive})
			return errors.Join(err, tx.PutIfAbsent(ctx, k("a"), []byte("1")), tx.Put(ctx, k("z"), []byte("1")))
		},
	}
	faults := map[string]memkv.Fault{
		"not sent":        {Before: unreachable(false)},
		"sent and lost":   {Before: unreachable(true)},
		"evaluated, lost": {After: unreachable(true)},
	}
	for shape, body := range shapes {
		for name, fault := range faults {
			for at := range 6 {
				t.Run(fmt.Sprintf("%s/%s/%d", shape, name, at), func(t *testing.T) {
					env := txntest.New(t)
					env.Cluster.Split(k("m"))
					put(t, env, "b", "warm", "y", "warm")
					var mu sync.Mutex
					n := 0
					env.Cluster.SetOnSend(func(context.Context, kvapi.NodeID, *kvapi.BatchRequest) memkv.Fault {
						mu.Lock()
						defer mu.Unlock()
						if n++; n == at+1 {
							return fault
						}
						return memkv.Fault{}
					})
					ctx := context.Background()
					tx := env.DB.Begin(txn.Options{})
					err := body(ctx, tx)
					if err == nil {
						err = tx.Commit(ctx)
					}
					_ = tx.Rollback(ctx)
					must(t, env.DB.Close(ctx))
					_, a := env.Cluster.Value(k("a"))
					_, z := env.Cluster.Value(k("z"))
					happened := a
					if strings.HasPrefix(shape, "parallel") && a != z && err == nil {
						t.Fatalf("half a transaction: a %v, z %v", a, z)
					}
					if v := verdictOf(err); (v == acked && !happened) || (v == failed && happened) {
						t.Fatalf("told %v, happened %v", err, happened)
					}
					if txn.IsAmbiguous(err) {
						t.Fatalf("one lost message leaves the commit unknown: %v", err)
					}
				})
			}
		}
	}
}

// TestBankKeepsItsMoney moves money under lost messages, moving ranges and
// eager recovery. Each transfer also writes a receipt of its own: an
// acknowledged transfer has one, a failed one has none, and the balances are
// what the receipts add up to.
func TestBankKeepsItsMoney(t *testing.T) {
	for _, eager := range []bool{false, true} {
		t.Run(fmt.Sprintf("eager recovery %v", eager), func(t *testing.T) { bank(t, eager) })
	}
}

func bank(t *testing.T, eager bool) {
	const accounts, workers, transfers, initial = 8, 6, 60, 100
	env, r := txntest.New(t), newRand(t)
	account := func(i int) kvapi.Key { return k(fmt.Sprintf("acct/%d", i)) }
	var keys []kvapi.Key
	for i := range accounts {
		put(t, env, fmt.Sprintf("acct/%d", i), strconv.Itoa(initial))
		keys = append(keys, account(i))
	}
	env.Cluster.RecoverEagerly = eager
	env.Cluster.Expiry = 300 * time.Millisecond
	heal := lossy(env.Cluster, r, 25)
	stop := restless(env.Cluster, r, append(keys, k("receipt/3"), k("receipt/4")))
	type result struct {
		from, to, amount int
		v                verdict
	}
	results := make([][]result, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range transfers {
				res := result{from: r.intn(accounts), to: r.intn(accounts), amount: 1 + r.intn(5)}
				lock := txn.GetOptions{Lock: kvapi.LockStrength(r.intn(2)) * kvapi.LockExclusive, Durable: r.intn(2) == 0}
				ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
				err := env.DB.Run(ctx, txn.Options{}, func(ctx context.Context, tx *txn.Txn) error {
					return transfer(ctx, tx, account(res.from), account(res.to), res.amount, lock,
						k(fmt.Sprintf("receipt/%d/%d", w, i)))
				})
				cancel()
				res.v = verdictOf(err)
				var un *txn.UnavailableError
				if res.v == failed && !txn.IsRetryable(err) && !errors.As(err, &un) {
					t.Errorf("transfer: %v", err)
				}
				results[w] = append(results[w], res)
			}
		}()
	}
	wg.Wait()
	stop()
	heal()
	balance := map[int]int{}
	counts := map[verdict]int{}
	must(t, env.DB.Run(context.Background(), txn.Options{}, func(ctx context.Context, tx *txn.Txn) error {
		clear(balance)
		clear(counts)
		for w := range workers {
			for i, res := range results[w] {
				_, ok, err := tx.Get(ctx, k(fmt.Sprintf("receipt/%d/%d", w, i)), txn.GetOptions{})
				if err != nil {
					return err
				}
				counts[res.v]++
				if (res.v == acked && !ok) || (res.v == failed && ok) {
					t.Errorf("transfer %d/%d: told %d, receipt %v", w, i, res.v, ok)
				}
				if ok {
					balance[res.from] -= res.amount
					balance[res.to] += res.amount
				}
			}
		}
		for i := range accounts {
			v, _, err := tx.Get(ctx, account(i), txn.GetOptions{})
			if err != nil {
				return err
			}
			if got, want := string(v), strconv.Itoa(initial+balance[i]); got != want {
				t.Errorf("account %d has %s, receipts say %s", i, got, want)
			}
		}
		return nil
	}))
	t.Logf("acked %d, ambiguous %d, failed %d; settled %d, refreshes %d, restarts %d", counts[acked], counts[maybe],
		counts[failed], env.DB.Metrics().Settled.Load(), env.DB.Metrics().Refreshes.Load(), env.DB.Metrics().Restarts.Load())
	if counts[maybe] > 0 {
		t.Errorf("the fate of %d transfers was not found out", counts[maybe])
	}
	if counts[acked] < workers*transfers/2 {
		t.Errorf("only %d of %d transfers succeeded", counts[acked], workers*transfers)
	}
}

func transfer(ctx context.Context, tx *txn.Txn, from, to kvapi.Key, amount int, lock txn.GetOptions, receipt kvapi.Key) error {
	add := func(key kvapi.Key, d int) error {
		v, _, err := tx.Get(ctx, key, lock)
		if err != nil {
			return err
		}
		n, err := strconv.Atoi(string(v))
		if err != nil {
			return err
		}
		return tx.Put(ctx, key, []byte(strconv.Itoa(n+d)))
	}
	if err := add(from, -amount); err != nil {
		return err
	}
	if err := add(to, amount); err != nil {
		return err
	}
	return tx.PutIfAbsent(ctx, receipt, []byte("x"))
}

// TestAppendHistoriesAreSerializable appends to and reads random lists under
// faults, and looks for a cycle in what the transactions saw of each other.
func TestAppendHistoriesAreSerializable(t *testing.T) {
	const lists, workers, txns = 5, 6, 60
	env, r := txntest.New(t), newRand(t)
	list := func(i int) kvapi.Key { return k(fmt.Sprintf("list/%d", i)) }
	var keys []kvapi.Key
	for i := range lists {
		keys = append(keys, list(i))
	}
	env.Cluster.RecoverEagerly = true
	env.Cluster.Expiry = 300 * time.Millisecond
	heal := lossy(env.Cluster, r, 25)
	stop := restless(env.Cluster, r, keys)
	var mu sync.Mutex
	told := map[string]verdict{}
	seen := map[string]map[int]string{} // transaction → list → what it read
	wrote := map[string]map[int]bool{}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range txns {
				name := fmt.Sprintf("%d.%d", w, i)
				var reads map[int]string
				var writes map[int]bool
				ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
				err := env.DB.Run(ctx, txn.Options{}, func(ctx context.Context, tx *txn.Txn) error {
					reads, writes = map[int]string{}, map[int]bool{}
					if r.intn(2) == 0 {
						if err := readSome(ctx, tx, r, list, reads); err != nil {
							return err
						}
					}
					for range 1 + r.intn(3) {
						l := r.intn(lists)
						if writes[l] {
							continue
						}
						v, _, err := tx.Get(ctx, list(l), txn.GetOptions{})
						if err != nil {
							return err
						}
						reads[l] = string(v)
						if r.intn(3) == 0 {
							continue
						}
						writes[l] = true
						if err := tx.Put(ctx, list(l), append(append([]byte{}, v...), name+" "...)); err != nil {
							return err
						}
					}
					return nil
				})
				cancel()
				mu.Lock()
				told[name], seen[name], wrote[name] = verdictOf(err), reads, writes
				mu.Unlock()
			}
		}()
	}
	wg.Wait()
	stop()
	heal()
	final := map[int][]string{}
	must(t, env.DB.Run(context.Background(), txn.Options{}, func(ctx context.Context, tx *txn.Txn) error {
		for i := range lists {
			v, _, err := tx.Get(ctx, list(i), txn.GetOptions{})
			if err != nil {
				return err
			}
			final[i] = strings.Fields(string(v))
		}
		return nil
	}))
	happened := map[string]int{}
	for l, names := range final {
		for _, n := range names {
			happened[n]++
			if !wrote[n][l] {
				t.Errorf("list %d has %s, which appended nothing there (or twice)", l, n)
			}
			if told[n] == failed {
				t.Errorf("%s failed and is in list %d", n, l)
			}
		}
	}
	for n, lists := range wrote {
		if c := happened[n]; len(lists) != c && (c != 0 || told[n] == acked) {
			t.Errorf("%s (told %d) is in %d of its %d lists", n, told[n], c, len(lists))
		}
	}
	if c := cycle(final, seen, told); c != nil {
		t.Errorf("not serializable: %v", c)
	}
}

// readSome reads two lists in one batch, sometimes with locks.
func readSome(ctx context.Context, tx *txn.Txn, r *lockedRand, list func(int) kvapi.Key, reads map[int]string) error {
	a, b := r.intn(5), r.intn(5)
	o := txn.GetOptions{Lock: kvapi.LockStrength(r.intn(2)) * kvapi.LockExclusive, Durable: r.intn(2) == 0}
	vs, err := tx.GetMany(ctx, []kvapi.Key{list(a), list(b)}, o)
	if err != nil {
		return err
	}
	reads[a], reads[b] = string(vs[0].Data), string(vs[1].Data)
	return nil
}

// cycle looks for one in the dependencies of the acknowledged transactions:
// who appended before whom, who saw whose append, who missed it.
func cycle(final map[int][]string, seen map[string]map[int]string, told map[string]verdict) []string {
	after := map[string]map[string]bool{}
	edge := func(a, b string) {
		if a != b {
			if after[a] == nil {
				after[a] = map[string]bool{}
			}
			after[a][b] = true
		}
	}
	for l, names := range final {
		for i := 1; i < len(names); i++ {
			edge(names[i-1], names[i])
		}
		for n, reads := range seen {
			got, ok := reads[l]
			if !ok || told[n] != acked {
				continue
			}
			prefix := strings.Fields(got)
			for i := range prefix {
				if i >= len(names) || names[i] != prefix[i] {
					return []string{n, "read", got, "which is no prefix of list", strconv.Itoa(l)}
				}
			}
			if len(prefix) > 0 {
				edge(prefix[len(prefix)-1], n)
			}
			if len(prefix) < len(names) {
				edge(n, names[len(prefix)])
			}
		}
	}
	color := map[string]int{}
	var path []string
	var visit func(string) bool
	visit = func(n string) bool {
		color[n] = 1
		path = append(path, n)
		for m := range after[n] {
			if color[m] == 1 || (color[m] == 0 && visit(m)) {
				return true
			}
		}
		color[n] = 2
		path = path[:len(path)-1]
		return false
	}
	for n := range after {
		if color[n] == 0 && visit(n) {
			return path
		}
	}
	return nil
}
