package version

import (
	"strings"
	"testing"
)

func TestTheVersionRisesToWhatAllNodesHave(t *testing.T) {
	for _, tc := range []struct {
		active Number
		nodes  []Range
		want   Number
	}{
		{1, nil, 1},
		{1, []Range{{1, 1}, {1, 2}}, 1},
		{1, []Range{{1, 2}, {1, 2}}, 2},
		{1, []Range{{1, 4}, {1, 3}, {1, 4}}, 3},
		{3, []Range{{1, 2}, {1, 4}}, 3}, // never back
		{1, []Range{{2, 3}, {1, 3}}, 1}, // one is not admitted yet
	} {
		if got := Next(tc.active, tc.nodes); got != tc.want {
			t.Errorf("Next(%d, %v) = %d, want %d", tc.active, tc.nodes, got, tc.want)
		}
	}
}

func TestWhatIsAdmitted(t *testing.T) {
	for _, tc := range []struct {
		r      Range
		active Number
		why    string
	}{
		{Range{1, 2}, 1, ""}, {Range{1, 2}, 2, ""}, {Range{1, 2}, 3, "too old"}, {Range{2, 3}, 1, "too new"},
		{Range{}.Said(), 1, ""}, {Range{}.Said(), 2, "too old"},
	} {
		err := tc.r.Admit(tc.active)
		if (err == nil) != (tc.why == "") || err != nil && (!strings.Contains(err.Error(), tc.why) || strings.Contains(err.Error(), "\n")) {
			t.Errorf("%v in version %d: %v, want %q", tc.r, tc.active, err, tc.why)
		}
	}
}

func TestTheLinkerMakesABuildOlder(t *testing.T) {
	defer func(was string) { latest = was }(latest)
	for text, want := range map[string]Number{"": numbersEnd - 1, "1": 1, "0": numbersEnd - 1, "99": numbersEnd - 1, "x": numbersEnd - 1} {
		if latest = text; Binary() != (Range{minimum, want}) {
			t.Errorf("%q: %v", text, Binary())
		}
	}
}
