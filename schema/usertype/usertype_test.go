package usertype

import (
	"testing"

	"pgregory.net/rapid"
)

// TestPositionsStay: labels put anywhere keep the order they were put in, and no label moves.
func TestPositionsStay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		typ := &Type{Kind: Enum}
		var names []string
		for i, n := 0, rapid.IntRange(1, 40).Draw(t, "labels"); i < n; i++ {
			before := typ.Clone()
			at := rapid.IntRange(0, len(names)).Draw(t, "at")
			name := string(rune('A' + i))
			if !typ.Insert(at, uint32(i), name) {
				if lo, hi := typ.Labels[at-1].Position, typ.Labels[at].Position; hi-lo > 1 {
					t.Fatalf("refused between %d and %d", lo, hi)
				}
				continue
			}
			names = append(names[:at], append([]string{name}, names[at:]...)...)
			for _, l := range before.Labels {
				if typ.Label(l.Name).Position != l.Position {
					t.Fatalf("label %s moved", l.Name)
				}
			}
		}
		for i, l := range typ.Labels {
			if l.Name != names[i] || i > 0 && l.Position <= typ.Labels[i-1].Position {
				t.Fatalf("order %v, want %v", typ.Labels, names)
			}
			if typ.LabelAt(l.Position).Name != l.Name {
				t.Fatalf("position %d is not %s", l.Position, l.Name)
			}
		}
	})
}
