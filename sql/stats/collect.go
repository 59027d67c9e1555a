package stats

import (
	"bytes"
	"context"
	"math/rand/v2"
	"slices"
	"sort"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/sql/rowenc"
	"github.com/cairndb/cairn/sql/tablekv"
	"github.com/cairndb/cairn/sql/types"
)

// ReadPage reads the first rows of a span, at most about so many bytes, and says what is left.
type ReadPage func(ctx context.Context, span kvapi.Span, bytes int64) ([]kvapi.KeyValue, *kvapi.Span, error)

// Collect reads a table once and says what it found. Pages may be read at different times: the
// numbers are guesses anyway. Memory is bounded by the sample.
func Collect(ctx context.Context, c *tablekv.Codec, read ReadPage, rnd *rand.Rand) (*Table, error) {
	s := NewSampler(SampleRows, rnd)
	prefix := c.Primary.Prefix
	for span := (&kvapi.Span{Key: prefix, EndKey: prefix.PrefixEnd()}); span != nil; {
		rows, rest, err := read(ctx, *span, pageBytes)
		if err != nil {
			return nil, err
		}
		for i := range rows {
			s.Add(rows[i])
		}
		span = rest
	}
	return s.table(c)
}

// Sampler keeps a uniform sample of what it is shown (Vitter's algorithm R).
type Sampler struct {
	rnd  *rand.Rand
	max  int
	seen int
	kept []sampled
}

type sampled struct {
	kvapi.KeyValue
	at int // its place among all
}

// NewSampler makes a Sampler that keeps up to most.
func NewSampler(most int, rnd *rand.Rand) *Sampler { return &Sampler{max: most, rnd: rnd} }

// Add shows it a pair, of which it keeps a copy if any.
func (s *Sampler) Add(kv kvapi.KeyValue) {
	at := s.seen
	s.seen++
	switch {
	case len(s.kept) < s.max:
		s.kept = append(s.kept, sampled{own(kv), at})
	default:
		if i := s.rnd.IntN(s.seen); i < s.max {
			s.kept[i] = sampled{own(kv), at}
		}
	}
}

func own(kv kvapi.KeyValue) kvapi.KeyValue {
	b := make([]byte, 0, len(kv.Key)+len(kv.Value))
	b = append(append(b, kv.Key...), kv.Value...)
	return kvapi.KeyValue{Key: b[:len(kv.Key):len(kv.Key)], Value: b[len(kv.Key):]}
}

// table looks at the sample.
func (s *Sampler) table(c *tablekv.Codec) (*Table, error) {
	sort.Slice(s.kept, func(i, j int) bool { return s.kept[i].at < s.kept[j].at })
	at := make([]int, len(c.Table.Columns))
	for i := range at {
		at[i] = i
	}
	dec := c.Primary.NewDecoder(at)
	row := make(types.Row, len(at))
	cols := make([]columnSample, len(at))
	for i := range s.kept {
		if err := dec.Decode(s.kept[i].Key, s.kept[i].Value, row); err != nil {
			return nil, err
		}
		for j := range cols {
			cols[j].add(row[j], c.Types[j])
		}
	}
	t := &Table{Rows: float64(s.seen)}
	for j := range cols {
		if c.Table.Columns[j].Virtual {
			continue // not stored: computed by whoever reads it
		}
		x := cols[j].column(len(s.kept), s.seen)
		x.ID, x.TypeOID = c.Table.Columns[j].ID, uint32(c.Table.Columns[j].Type.OID)
		t.Columns = append(t.Columns, x)
	}
	return t, nil
}

// columnSample are a column's values in the sample, in the order of the rows.
type columnSample struct {
	keys  [][]byte
	arena []byte
	nulls int
	width int
}

func (s *columnSample) add(d types.Datum, t types.T) {
	if d.IsNull() {
		s.nulls++
		return
	}
	s.width += d.SizeBytes() - 24
	if !rowenc.KeyEncodable(t) {
		return
	}
	if cap(s.arena)-len(s.arena) < 4<<10 {
		s.arena = make([]byte, 0, 64<<10)
	}
	start := len(s.arena)
	s.arena = rowenc.AppendKey(s.arena, d, t, false)
	key := s.arena[start:]
	if len(key) > keyBytesMax {
		s.arena = s.arena[:start+keyBytesMax]
		key = s.arena[start:]
	}
	s.keys = append(s.keys, key[:len(key):len(key)])
}

// run is a value of the sample and how often it is in it.
type run struct {
	key   []byte
	count int
}

// column computes what is kept; of n rows looked at among total.
func (s *columnSample) column(n, total int) Column {
	c := Column{}
	if n == 0 {
		return c
	}
	c.NullFrac = float64(s.nulls) / float64(n)
	if notNull := n - s.nulls; notNull > 0 {
		c.WidthBytes = float64(s.width)/float64(notNull) + 8
	}
	if len(s.keys) == 0 {
		if s.nulls < n { // values that cannot be told apart cheaply: taken as different
			c.Distinct = float64(total) * (1 - c.NullFrac)
		}
		return c
	}
	c.Correlation = correlation(s.keys)
	sorted := slices.Clone(s.keys)
	slices.SortFunc(sorted, bytes.Compare)
	runs := runsOf(sorted)
	c.Distinct = distinct(runs, len(sorted), n, total)
	common := commonOf(runs, len(sorted), c.Distinct)
	rest := sorted[:0:0]
	for _, r := range common {
		c.Common = append(c.Common, Common{Key: r.key, Freq: float64(r.count) / float64(n)})
	}
	if len(common) < len(runs) {
		isCommon := map[string]bool{}
		for _, r := range common {
			isCommon[string(r.key)] = true
		}
		for _, k := range sorted {
			if len(common) == 0 || !isCommon[string(k)] {
				rest = append(rest, k)
			}
		}
		c.Bounds = boundsOf(rest)
	}
	return c
}

func runsOf(sorted [][]byte) []run {
	var out []run
	for _, k := range sorted {
		if n := len(out); n > 0 && bytes.Equal(out[n-1].key, k) {
			out[n-1].count++
			continue
		}
		out = append(out, run{k, 1})
	}
	return out
}

// distinct guesses the number of different values in the whole table from how many were seen, and
// how many of those once (Haas and Stokes, as PostgreSQL does).
func distinct(runs []run, values, n, total int) float64 {
	d, once := float64(len(runs)), 0.0
	for _, r := range runs {
		if r.count == 1 {
			once++
		}
	}
	notNull := float64(total) * float64(values) / float64(n)
	if n >= total {
		return d
	}
	if once == float64(values) {
		return notNull // no value twice: it is a key
	}
	v := float64(values)
	guess := v * d / (v - once + once*v/notNull)
	return min(max(guess, d), notNull)
}

// commonOf picks the values that are clearly more frequent than the average.
func commonOf(runs []run, values int, distinct float64) []run {
	var out []run
	few := len(runs) <= commonMax && float64(len(runs)) >= distinct*0.99
	average := float64(values) / max(distinct, 1)
	for _, r := range runs {
		if len(r.key) < keyBytesMax && (few || r.count > 1 && float64(r.count) > 1.25*average) {
			out = append(out, r)
		}
	}
	slices.SortStableFunc(out, func(a, b run) int { return b.count - a.count })
	return out[:min(len(out), commonMax)]
}

func boundsOf(sorted [][]byte) [][]byte {
	if len(sorted) < 2 {
		return nil
	}
	n := min(len(sorted), boundsMax)
	out := make([][]byte, n)
	for i := range out {
		out[i] = sorted[i*(len(sorted)-1)/(n-1)]
	}
	return out
}

// correlation compares the order of values with the order of rows, by their ranks.
func correlation(keys [][]byte) float64 {
	n := len(keys)
	if n < 2 {
		return 1
	}
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return bytes.Compare(keys[a], keys[b]) })
	sum := 0.0
	for rank, i := range order {
		d := float64(rank - i)
		sum += d * d
	}
	f := float64(n)
	return 1 - 6*sum/(f*(f*f-1))
}
