package check

import (
	"slices"

	"github.com/cairndb/cairn/internal/testkit/history"
)

// Mutex reports whether no lock had two holders at a time, but for such as
// share it. Holds that nobody confirmed are left out: their lock may have been
// lost, and was not claimed to be kept.
func Mutex(holds []history.Hold) *Violation {
	byKey := map[history.Key][]history.Hold{}
	for _, h := range holds {
		if h.Outcome == history.OK {
			byKey[h.Key] = append(byKey[h.Key], h)
		}
	}
	for _, hs := range byKey {
		slices.SortFunc(hs, func(a, b history.Hold) int { return int(a.Call - b.Call) })
		for i := range hs {
			for j := i + 1; j < len(hs) && hs[j].Call < hs[i].Return; j++ {
				if !hs[i].Shared || !hs[j].Shared {
					return violation(TwoHolders, hs[i].String(), hs[j].String())
				}
			}
		}
	}
	return nil
}
