package tpch

import (
	"bytes"
	"crypto/sha256"
	"strings"
	"testing"
)

func TestRowsAreTheSameEachTime(t *testing.T) {
	for i := range Tables {
		tab := &Tables[i]
		var sums [2][32]byte
		lines := 0
		for k := range sums {
			h := sha256.New()
			if err := tab.Rows(0.001, func(b []byte) error { lines += bytes.Count(b, []byte("\n")); h.Write(b); return nil }); err != nil {
				t.Fatal(err)
			}
			h.Sum(sums[k][:0])
		}
		if sums[0] != sums[1] {
			t.Errorf("%s differs from run to run", tab.Name)
		}
		if lines == 0 {
			t.Errorf("%s has no rows", tab.Name)
		}
	}
}

// TestLinesHaveAsManyValuesAsColumns finds a tab too many or too few.
func TestLinesHaveAsManyValuesAsColumns(t *testing.T) {
	want := map[string]int{"region": 3, "nation": 4, "supplier": 7, "part": 9, "partsupp": 5, "customer": 8, "orders": 9, "lineitem": 16}
	for i := range Tables {
		tab := &Tables[i]
		err := tab.Rows(0.001, func(b []byte) error {
			for line := range strings.Lines(string(b)) {
				if n := strings.Count(line, "\t") + 1; n != want[tab.Name] {
					t.Fatalf("%s: %d values in %q", tab.Name, n, line)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestKeysOfPartSuppliersAreUnique holds what partsupp's primary key says, at odd scales too.
func TestKeysOfPartSuppliersAreUnique(t *testing.T) {
	for _, scale := range []float64{0.0001, 0.001, 0.003, 0.01} {
		s := sizesAt(scale)
		for p := 1; p <= s.parts; p++ {
			seen := map[int]bool{}
			for k := range 4 {
				seen[supplierOf(s, p, k)] = true
			}
			if len(seen) != 4 {
				t.Fatalf("scale %v: part %d has suppliers %v", scale, p, seen)
			}
		}
	}
}
