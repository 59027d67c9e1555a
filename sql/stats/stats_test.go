package stats

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/sql/rowenc"
	"github.com/cairndb/cairn/sql/types"
)

func key(n int) []byte { return rowenc.AppendKey(nil, types.NewInt(int64(n)), types.Int4, false) }

// sampleOf looks at values as at a column of which total rows exist.
func sampleOf(values []int, total int) Column {
	s := columnSample{}
	for _, v := range values {
		s.add(types.NewInt(int64(v)), types.Int4)
	}
	return s.column(len(values), total)
}

func TestSampleIsUniform(t *testing.T) {
	const rows, kept, rounds = 1000, 100, 400
	counts := make([]int, rows)
	for r := range rounds {
		s := NewSampler(kept, rand.New(rand.NewPCG(1, uint64(r))))
		for i := range rows {
			s.Add(kvapi.KeyValue{Key: binary.BigEndian.AppendUint32(nil, uint32(i))})
		}
		if len(s.kept) != kept || s.seen != rows {
			t.Fatalf("kept %d of %d", len(s.kept), s.seen)
		}
		for _, k := range s.kept {
			counts[binary.BigEndian.Uint32(k.Key)]++
		}
	}
	// Chi-square of 999 degrees of freedom: a mean of 999, a deviation of 45; a fixed seed besides.
	chi, want := 0.0, float64(rounds*kept)/rows
	for _, c := range counts {
		chi += (float64(c) - want) * (float64(c) - want) / want
	}
	if chi > 999+5*45 {
		t.Errorf("some rows are preferred: chi square %.0f", chi)
	}
}

func TestFractions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.IntRange(-300, 300), 1, 400).Draw(t, "values")
		c := sampleOf(values, len(values)*rapid.IntRange(1, 50).Draw(t, "times"))
		last := 0.0
		for n := -310; n <= 310; n += 7 {
			below, equal := c.Below(key(n)), c.Equal(key(n))
			if below < last-1e-9 || below < 0 || below > 1+1e-9 || equal < 0 || equal > 1+1e-9 {
				t.Fatalf("%d: below %v after %v, equal %v", n, below, last, equal)
			}
			last = below
		}
		if c.Distinct < 1 || c.EqualAny() > 1 {
			t.Fatalf("distinct %v", c.Distinct)
		}
	})
}

// TestRangesAreGuessedWell compares with counting, for skewed data.
func TestRangesAreGuessedWell(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	all := make([]int, 200_000)
	for i := range all {
		all[i] = int(math.Abs(rnd.NormFloat64()) * 10_000)
		if i%10 == 0 {
			all[i] = 77
		}
	}
	c := sampleOf(all[:SampleRows], len(all))
	for _, n := range []int{0, 78, 500, 5000, 9999, 20_000, 60_000} {
		below, equal := 0.0, 0.0
		for _, v := range all {
			if v < n {
				below++
			}
			if v == 77 {
				equal++
			}
		}
		below, equal = below/float64(len(all)), equal/float64(len(all))
		if got := c.Below(key(n)); math.Abs(got-below) > 0.02 {
			t.Errorf("below %d: %.3f, in truth %.3f", n, got, below)
		}
		if got := c.Equal(key(77)); math.Abs(got-equal) > 0.02 {
			t.Errorf("equal: %.3f, in truth %.3f", got, equal)
		}
	}
}

func TestDistinctIsGuessed(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	for _, distinct := range []int{3, 1000, 50_000} {
		values := make([]int, SampleRows)
		for i := range values {
			values[i] = rnd.IntN(distinct)
		}
		c := sampleOf(values, 20*SampleRows)
		if c.Distinct < float64(distinct)*0.8 || c.Distinct > float64(distinct)*1.3 {
			t.Errorf("%d different values guessed as %.0f", distinct, c.Distinct)
		}
	}
	keys := make([]int, SampleRows)
	for i := range keys {
		keys[i] = i
	}
	if c := sampleOf(keys, 20*SampleRows); c.Distinct != 20*SampleRows {
		t.Errorf("a key's values guessed as %.0f", c.Distinct)
	}
}
