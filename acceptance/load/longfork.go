package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"sort"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cairndb/cairn/internal/testkit/check"
	"github.com/cairndb/cairn/internal/testkit/history"
)

// LongFork inserts rows blindly into several tables, and reads them all as of
// some time ago, from whichever replica answers: mostly so long ago that the
// nearest may. What was read of a time is read again, later and elsewhere.
type LongFork struct {
	recorder
	log    history.Log[history.SetOp]
	values atomic.Int64
	// created is when the tables were there.
	created time.Time
	nodes   int
	// followed counts reads that replicas without the lease answered, of those
	// that asked.
	followed atomic.Int64
	mu       struct {
		sync.Mutex
		// seen are reads to do again.
		seen []history.SetOp
		// began is when the clients began to fill each set, in µs since 1970.
		began []int64
	}
}

const (
	forkTables = 3
	// forkSizeMax is when a set is left for another.
	forkSizeMax = 120
	// seenMax bounds the reads that are done again.
	seenMax = 400
	// readsOfPast is one read of the past in so many operations.
	readsOfPast = 3
	// readerRest is how long one who only reads rests between two reads.
	readerRest = 20 * time.Millisecond
	// forkLag is more than the lag at which any replica may answer
	// (cairn.follower_read_timestamp).
	forkLag = 6 * time.Second
)

func newLongFork() *LongFork { return &LongFork{} }

// Create implements Workload.
func (f *LongFork) Create(ctx context.Context, conn *pgx.Conn) error {
	// Each has a range of its own, as tables do that no transaction writes together:
	// a fork is a thing of several.
	for i := range forkTables {
		if err := execAll(ctx, conn, fmt.Sprintf("CREATE TABLE fork%d (s int, v bigint, PRIMARY KEY (s, v))", i)); err != nil {
			return err
		}
	}
	f.created = time.Now()
	return nil
}

// Run implements Workload.
func (f *LongFork) Run(ctx context.Context, targets []Target, each int, pulse *Pulse) {
	f.nodes = len(targets)
	// One more for each node only reads: an insert waits where a link is cut, and it
	// is then and there that a replica that has fallen behind may be asked.
	crew(ctx, targets, each+1, pulse, func(ctx context.Context, c *client) {
		age := time.Since(f.created)
		reader := int(c.id)%(each+1) == each
		if reader {
			time.Sleep(readerRest)
		}
		if age > time.Second && (reader || c.rng.IntN(readsOfPast) == 0) {
			c.note(f.readPast(ctx, c, age))
			return
		}
		v := f.values.Add(1)
		set := f.set(v)
		op := history.SetOp{Op: f.begin(c), Key: setKey(set), Add: history.Value(v), Count: -1}
		_, err := c.conn.Exec(ctx, fmt.Sprintf("INSERT INTO fork%d VALUES ($1, $2)", v%forkTables), set, v)
		f.end(&op.Op, commitOutcome(err), err)
		f.log.Add(op)
		c.note(err)
	})
}

// set is where a value goes, and notes when the first of a set does.
func (f *LongFork) set(v int64) int {
	set := int(v-1) / forkSizeMax
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.mu.began) <= set {
		f.mu.began = append(f.mu.began, time.Now().UnixMicro())
	}
	return set
}

// filledAt is the set that was being filled at a time, or the one before it: any
// other was empty, or is the same for ever.
func (f *LongFork) filledAt(at int64, rng *rand.Rand) history.Key {
	f.mu.Lock()
	defer f.mu.Unlock()
	after := sort.Search(len(f.mu.began), func(i int) bool { return f.mu.began[i] > at })
	return setKey(max(0, after-1-rng.IntN(2)))
}

// readPast reads a set at a new time or at one that was read before.
func (f *LongFork) readPast(ctx context.Context, c *client, age time.Duration) error {
	op := history.SetOp{Op: f.begin(c), Key: setKey(0), Count: -1}
	again, isAgain := f.again(c.rng)
	if isAgain {
		op.Key, op.At = again.Key, again.At
	}
	explain := c.rng.IntN(4) == 0 && f.followed.Load() < 100
	outcome, err := c.transaction(ctx, "BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY", func() error {
		if err := f.asOf(ctx, c, &op, age); err != nil {
			return err
		}
		if !isAgain {
			op.Key = f.filledAt(op.At, c.rng)
		}
		for i := range forkTables {
			if err := f.read(ctx, c.conn, i, &op, explain); err != nil {
				return err
			}
		}
		return nil
	})
	f.end(&op.Op, outcome, err)
	f.log.Add(op)
	if outcome == history.OK && !isAgain {
		f.remember(op, c.rng)
	}
	return err
}

// asOf has the transaction read the past, and notes of when.
func (f *LongFork) asOf(ctx context.Context, c *client, op *history.SetOp, age time.Duration) error {
	if op.At != 0 {
		return c.conn.QueryRow(ctx, "SELECT (extract(epoch FROM cairn.as_of($1::timestamptz)) * 1000000)::bigint", time.UnixMicro(op.At)).Scan(&op.At)
	}
	// Clocks differ: a time before the tables were made is none.
	lag := min(forkLag, age-time.Second/2)
	if c.rng.IntN(3) == 0 {
		lag = time.Duration(c.rng.Int64N(int64(lag)))
	}
	return c.conn.QueryRow(ctx, "SELECT (extract(epoch FROM cairn.as_of($1::text::interval)) * 1000000)::bigint",
		fmt.Sprintf("-%d microseconds", lag.Microseconds())).Scan(&op.At)
}

var followerReads = regexp.MustCompile(`Follower Reads: (\d+)`)

func (f *LongFork) read(ctx context.Context, conn *pgx.Conn, table int, op *history.SetOp, explain bool) error {
	query := fmt.Sprintf("SELECT v FROM fork%d WHERE s = %s", table, op.Key)
	if explain {
		rows, err := conn.Query(ctx, "EXPLAIN ANALYZE "+query)
		if err != nil {
			return err
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		for _, line := range lines {
			if m := followerReads.FindStringSubmatch(line); m != nil {
				n, err := strconv.ParseInt(m[1], 10, 64)
				if err != nil {
					return err
				}
				f.followed.Add(n)
			}
		}
	}
	rows, err := conn.Query(ctx, query)
	if err != nil {
		return err
	}
	vs, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	for _, v := range vs {
		op.Values = append(op.Values, history.Value(v))
	}
	return err
}

// again draws a read to do again.
func (f *LongFork) again(rng *rand.Rand) (history.SetOp, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.mu.seen) == 0 || rng.IntN(2) == 0 {
		return history.SetOp{}, false
	}
	return f.mu.seen[rng.IntN(len(f.mu.seen))], true
}

func (f *LongFork) remember(op history.SetOp, rng *rand.Rand) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.mu.seen) < seenMax {
		f.mu.seen = append(f.mu.seen, op)
		return
	}
	f.mu.seen[rng.IntN(seenMax)] = op
}

// Final implements Workload: it reads every set as it is now.
func (f *LongFork) Final(ctx context.Context, conn *pgx.Conn) error {
	for set := range int(f.values.Load()/forkSizeMax) + 1 {
		op := history.SetOp{Op: f.beginFinal(), Key: setKey(set), Count: -1}
		err := pgx.BeginFunc(ctx, conn, func(pgx.Tx) error {
			for i := range forkTables {
				if err := f.read(ctx, conn, i, &op, false); err != nil {
					return err
				}
			}
			return nil
		})
		f.end(&op.Op, commitOutcome(err), err)
		f.log.Add(op)
		if err != nil {
			return err
		}
	}
	return nil
}

// Check implements Workload.
func (f *LongFork) Check() error { return asError(check.Snapshots(f.log.All())) }

// Tested implements Workload.
func (f *LongFork) Tested() (string, error) {
	n := map[string]int{"inserts": 0, "reads of the past": 0, "of them again": 0, "follower reads": int(f.followed.Load())}
	type when struct {
		key history.Key
		at  int64
	}
	times := map[when]int{}
	for _, o := range f.log.All() {
		switch {
		case o.Outcome != history.OK:
		case o.Add != history.Absent:
			n["inserts"]++
		case o.At != 0 && len(o.Values) > 0:
			n["reads of the past"]++
			if times[when{o.Key, o.At}]++; times[when{o.Key, o.At}] > 1 {
				n["of them again"]++
			}
		}
	}
	if f.nodes < 2 {
		delete(n, "follower reads")
	}
	text, err := enough(n)
	if err != nil && n["reads of the past"] == 0 {
		err = errors.New("no reads of the past: the run tested nothing")
	}
	return text, err
}
