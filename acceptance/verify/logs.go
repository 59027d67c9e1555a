package verify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cairndb/cairn/acceptance/cluster"
)

// logLinesMax bounds the lines of a report.
const logLinesMax = 300

// dataRace begins what a binary built with -race says of one; as much of it is
// told.
const (
	dataRace    = "WARNING: DATA RACE"
	dataRaceMax = 3000
)

// keyLines are the lines of the logs that stand out, in the order of time.
func keyLines(c *cluster.Cluster) []string {
	var out []string
	for _, n := range c.Nodes {
		last := ""
		for line := range strings.Lines(n.Log()) {
			line = strings.TrimRight(line, "\n")
			at, rest, dated := strings.Cut(strings.TrimPrefix(line, "time="), " ")
			if dated && strings.HasPrefix(line, "time=") {
				last = at
			}
			stands := strings.Contains(line, "level=WARN") || strings.Contains(line, "level=ERROR") ||
				strings.HasPrefix(line, "ready:") || strings.HasPrefix(line, "cairn:") || strings.HasPrefix(line, "panic:") ||
				strings.HasPrefix(line, dataRace)
			if !stands {
				continue
			}
			if !strings.HasPrefix(line, "time=") {
				rest = line
			}
			out = append(out, fmt.Sprintf("%s %s %s", last, n.Name, rest))
		}
	}
	slices.SortStableFunc(out, func(a, b string) int { return strings.Compare(field(a), field(b)) })
	if len(out) > logLinesMax {
		out = append(out[:logLinesMax], fmt.Sprintf("… %d more", len(out)-logLinesMax))
	}
	return out
}

func field(line string) string {
	at, _, _ := strings.Cut(line, " ")
	return at
}
