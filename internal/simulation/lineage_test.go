package simulation

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cairndb/cairn/internal/rpc"
	"github.com/cairndb/cairn/internal/rpc/memnet"
)

// msg is a message of a test, times in milliseconds.
func msg(from, to rpc.NodeID, sent, arrives int) memnet.Delivery {
	return memnet.Delivery{From: from, To: to, Class: rpc.Raft, Sent: at(sent), Arrives: at(arrives)}
}

func at(ms int) time.Time { return time.UnixMilli(int64(ms)) }

// The picture of lineage: gateway 1, leader 2, followers 3 and 4.
func picture() []memnet.Delivery {
	return []memnet.Delivery{
		msg(4, 2, 0, 1), // before the call
		msg(1, 2, 10, 11),
		msg(2, 3, 12, 13), msg(2, 4, 12, 19),
		msg(3, 2, 14, 15),
		msg(2, 1, 16, 17), // the answer
		msg(5, 3, 15, 16), // nobody's
		msg(4, 2, 20, 21), // too late
	}
}

func TestLineageIsWhatLedToTheOutcome(t *testing.T) {
	var got []string
	for _, d := range trace(picture(), 1, at(9), at(18)) {
		got = append(got, fmt.Sprintf("%d>%d", d.From, d.To))
	}
	if want := []string{"2>1", "3>2", "2>3", "1>2"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestFaultsGoForWhatAllOutcomesNeeded: of two followers each supports half of the
// outcomes, the leader all; the gateway and a node that is never in it are not hit.
func TestFaultsGoForWhatAllOutcomesNeeded(t *testing.T) {
	l := newLineage(rand.New(rand.NewPCG(1, 1)))
	for _, d := range picture() {
		l.delivered(d)
	}
	l.acknowledged(1, at(9), at(18))
	for _, d := range []memnet.Delivery{msg(1, 2, 30, 31), msg(2, 4, 32, 33), msg(4, 2, 34, 35), msg(2, 1, 36, 37)} {
		l.delivered(d)
	}
	l.acknowledged(1, at(29), at(38))
	hit := map[int]int{}
	for range 1000 {
		hit[l.aim(Fault{Kind: Crash, A: 4}).A]++
	}
	if hit[0] > 0 || hit[4] > 0 || hit[1] < 700 || hit[2] == 0 || hit[3] == 0 {
		t.Errorf("nodes hit, from 0: %v", hit)
	}
	if f := l.aim(Fault{Kind: CrashAll, A: 4}); f.A != 4 {
		t.Errorf("a fault of all was aimed at %d", f.A)
	}
	if f := newLineage(l.rng).aim(Fault{Kind: Crash, A: 4}); f.A != 4 {
		t.Errorf("aimed at %d before anything happened", f.A)
	}
}

var (
	plotFlag      = flag.String("plot", "", "write a plot that compares aims to this file, an hour's work (make lineage)")
	plotSkipFlag  = flag.String("plot-skip", "", "with -plot: mistakes to leave out, comma-separated")
	plotSeedsFlag = flag.Int("plot-seeds", 20, "with -plot: seeds for each bug and aim")
)

// faultless are mistakes that show without any fault: no aim matters.
var faultless = []string{"timestamp-cache-off", "readers-ignored", "threshold-forgotten"}

// aimed are the faults that have a target.
var aimed = []FaultKind{OneWay, Ring, Isolate, Crash, Pause, Stall, Transfer}

// TestAims compares how many seeds it takes to find mistakes that are put back in,
// with faults that go for the lineage of outcomes and with random ones.
func TestAims(t *testing.T) {
	if *plotFlag == "" {
		t.Skip("make lineage does it")
	}
	kinds := make([]string, len(aimed))
	for i, k := range aimed {
		kinds[i] = string(k)
	}
	var rows []aimRow
	for _, b := range brokenBuilds() {
		if slices.Contains(faultless, b.name) || slices.Contains(strings.Split(*plotSkipFlag, ","), b.name) {
			continue
		}
		row := aimRow{name: b.name}
		for i, aim := range []Aim{AimRandom, AimLineage} {
			for n := range *plotSeedsFlag {
				_, caught := runBroken(t, b, Seed(n+1), "-aim", string(aim), "-faults", strings.Join(kinds, ","), "-safety", safetyFlag.String())
				row.seeds[i]++
				if caught {
					row.caught[i]++
				}
			}
		}
		t.Logf("%-22s random %2d of %d seeds, lineage %2d of %d", row.name, row.caught[0], row.seeds[0], row.caught[1], row.seeds[1])
		rows = append(rows, row)
	}
	if err := os.WriteFile(*plotFlag, []byte(plotAims(rows)), 0o644); err != nil {
		t.Fatal(err)
	}
}

// aimRow is what came of a mistake: random first, lineage second.
type aimRow struct {
	name          string
	seeds, caught [2]int
}

// perBug is how many seeds it takes on average until the mistake is found; at least
// as many as were tried if it was not.
func (r aimRow) perBug(i int) float64 { return float64(r.seeds[i]) / float64(max(r.caught[i], 1)) }

// plotAims draws two bars for each mistake.
func plotAims(rows []aimRow) string {
	const (
		left, width = 190, 560
		rowHeight   = 46
		top         = 70
	)
	most := 1.0
	for _, r := range rows {
		most = max(most, r.perBug(0), r.perBug(1))
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n",
		left+width+170, top+rowHeight*len(rows)+30)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="white"/><text x="20" y="24" font-size="15">Seeds until a mistake that was put back in is found (fewer is better)</text>`+"\n")
	colours, names := [2]string{"#9498a0", "#4269d0"}, [2]string{"faults at random", "faults that go for the lineage of outcomes"}
	for i := range names {
		fmt.Fprintf(&b, `<rect x="%d" y="38" width="12" height="12" fill="%s"/><text x="%d" y="48">%s</text>`, 20+i*150, colours[i], 37+i*150, names[i])
	}
	for i, r := range rows {
		y := top + i*rowHeight
		fmt.Fprintf(&b, "\n"+`<text x="%d" y="%d" text-anchor="end">%s</text>`, left-10, y+20, r.name)
		for k := range names {
			w := r.perBug(k) / most * width
			said := fmt.Sprintf("%.1f (%d of %d seeds)", r.perBug(k), r.caught[k], r.seeds[k])
			if r.caught[k] == 0 {
				said = fmt.Sprintf("not in %d seeds", r.seeds[k])
			}
			fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%.1f" height="15" rx="2" fill="%s"/><text x="%.1f" y="%d">%s</text>`,
				left, y+2+k*17, w, colours[k], left+w+6, y+14+k*17, said)
		}
	}
	fmt.Fprintf(&b, "\n</svg>\n")
	return b.String()
}
