package statements

import (
	"cmp"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Who runs a statement, and where.
type Who struct {
	// User is the role whose rights it has, by name and number.
	User     string
	RoleID   int64
	Database int64
}

type key struct {
	role, database, number int64
}

// Entry counts one statement. It may be kept, to count without a look-up, for as
// long as it is not Gone.
type Entry struct {
	Who   Who
	Shape Shape
	gone  atomic.Bool

	mu    sync.Mutex
	plans Times
	execs Times
	rows  int64
	// usage decays, so that what was used long ago goes first.
	usage float64
}

// Times are durations in milliseconds, as a number of them, their mean, and the
// sum of the squares of what they differ by from it (Welford).
type Times struct {
	Count                         int64
	Total, Min, Max, Mean, SumVar float64
}

// Add counts a duration.
func (t *Times) Add(ms float64) {
	t.Count++
	t.Total += ms
	if t.Count == 1 {
		t.Min, t.Max, t.Mean = ms, ms, ms
		return
	}
	old := t.Mean
	t.Mean += (ms - old) / float64(t.Count)
	t.SumVar += (ms - old) * (ms - t.Mean)
	t.Min, t.Max = min(t.Min, ms), max(t.Max, ms)
}

// Merge adds what was counted elsewhere (I4; Chan, Golub and LeVeque 1979).
func (t *Times) Merge(o Times) {
	if o.Count == 0 {
		return
	}
	if t.Count == 0 {
		*t = o
		return
	}
	n, m := float64(t.Count), float64(o.Count)
	delta := o.Mean - t.Mean
	t.SumVar += o.SumVar + delta*delta*n*m/(n+m)
	t.Mean += delta * m / (n + m)
	t.Count += o.Count
	t.Total += o.Total
	t.Min, t.Max = min(t.Min, o.Min), max(t.Max, o.Max)
}

// Stddev is the standard deviation of all, not of a sample, as in PostgreSQL.
func (t Times) Stddev() float64 {
	if t.Count < 2 {
		return 0
	}
	return math.Sqrt(t.SumVar / float64(t.Count))
}

// Gone says that the entry is not in its table any more (I3).
func (e *Entry) Gone() bool { return e.gone.Load() }

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// Executed counts an execution.
func (e *Entry) Executed(d time.Duration, rows int64) {
	e.mu.Lock()
	e.execs.Add(millis(d))
	e.rows += rows
	e.usage++
	e.mu.Unlock()
}

// Planned counts a planning.
func (e *Entry) Planned(d time.Duration) {
	e.mu.Lock()
	e.plans.Add(millis(d))
	e.mu.Unlock()
}

// Table are the entries of a node.
type Table struct {
	mu    sync.Mutex
	byKey map[key]*Entry
	// max is Max, or less in tests.
	max int
	// dealloc is how often entries were evicted, reset when all were thrown away.
	dealloc int64
	reset   time.Time
}

// NewTable makes a table that counts from now on.
func NewTable(now time.Time) *Table { return &Table{byKey: map[key]*Entry{}, max: Max, reset: now} }

// Entry finds a statement's entry, or makes it.
func (t *Table) Entry(who Who, s Shape) *Entry {
	k := key{who.RoleID, who.Database, s.Number}
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.byKey[k]; e != nil {
		return e
	}
	if len(t.byKey) >= t.max {
		t.evictLocked()
	}
	e := &Entry{Who: who, Shape: s}
	t.byKey[k] = e
	return e
}

// evictLocked throws those away that were used least (I2).
func (t *Table) evictLocked() {
	type used struct {
		key
		usage float64
	}
	all := make([]used, 0, len(t.byKey))
	for k, e := range t.byKey {
		e.mu.Lock()
		all = append(all, used{k, e.usage})
		e.usage *= usageDecay
		e.mu.Unlock()
	}
	slices.SortFunc(all, func(a, b used) int { return cmp.Compare(a.usage, b.usage) })
	for _, u := range all[:max(1, len(all)*EvictPercent/100)] {
		t.removeLocked(u.key)
	}
	t.dealloc++
}

func (t *Table) removeLocked(k key) {
	t.byKey[k].gone.Store(true)
	delete(t.byKey, k)
}

// Reset throws away the entries of a role, of a database and with a number; 0
// means all.
func (t *Table) Reset(role, database, number int64, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for k := range t.byKey {
		if (role == 0 || k.role == role) && (database == 0 || k.database == database) && (number == 0 || k.number == number) {
			t.removeLocked(k)
		}
	}
	if role == 0 && database == 0 && number == 0 {
		t.dealloc, t.reset = 0, now
	}
}

// Row is what an entry has counted.
type Row struct {
	Role, Database, Number int64
	Text                   string
	Plans, Execs           Times
	Rows                   int64
}

// Report lists what was counted, in no order, with how often entries were evicted
// and since when that is counted.
func (t *Table) Report() (rows []Row, dealloc int64, since time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	rows = make([]Row, 0, len(t.byKey))
	for k, e := range t.byKey {
		e.mu.Lock()
		if e.execs.Count+e.plans.Count > 0 {
			rows = append(rows, Row{Role: k.role, Database: k.database, Number: k.number, Text: e.Shape.Text,
				Plans: e.plans, Execs: e.execs, Rows: e.rows})
		}
		e.mu.Unlock()
	}
	return rows, t.dealloc, t.reset
}

// Merge makes one list of several, in which a statement stands once, the most
// expensive first.
func Merge(lists ...[]Row) []Row {
	at := map[key]int{}
	var out []Row
	for _, l := range lists {
		for _, r := range l {
			k := key{r.Role, r.Database, r.Number}
			i, ok := at[k]
			if !ok {
				at[k] = len(out)
				out = append(out, r)
				continue
			}
			out[i].Plans.Merge(r.Plans)
			out[i].Execs.Merge(r.Execs)
			out[i].Rows += r.Rows
		}
	}
	slices.SortFunc(out, func(a, b Row) int {
		return cmp.Or(cmp.Compare(b.Execs.Total, a.Execs.Total), cmp.Compare(a.Number, b.Number))
	})
	return out
}
