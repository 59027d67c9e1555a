package verify

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/cairndb/cairn/acceptance/load"
	"github.com/cairndb/cairn/acceptance/nemesis"
)

//go:embed summary.html
var summaryHTML string

// Record is a run in the list of runs that a folder of reports keeps.
type Record struct {
	Began   time.Time
	Seconds float64
	Nemeses string
	Nodes   int
	Seed    uint64
	Verdict Verdict
	Page    string
	Judged  map[string]string // workload to "holds" or its anomaly
	// Acknowledged counts operations, Wounds what was done to the cluster, and
	// LiveSeconds is how long it took until every node served again.
	Acknowledged, Wounds int
	LiveSeconds          float64
	Failures             []string `json:",omitempty"`
}

const recordsFile = "runs.json"

// wholeRun is the row of what is no workload's: that every node serves again, and
// no process ends by itself.
const wholeRun = "(liveness)"

// violations counts the workloads with an anomaly.
func (r *Result) violations() int {
	n := 0
	for _, w := range r.Workloads {
		if w.Violation != "" {
			n++
		}
	}
	return n
}

// Keep writes the run's page into the folder, adds the run to the folder's list,
// and draws the matrix of workloads and nemeses anew. It returns the page's path.
func (r *Result) Keep(dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	page := fmt.Sprintf("%s-%d.html", r.Began.UTC().Format("20060102T150405"), r.Options.Seed)
	f, err := os.Create(filepath.Join(dir, page))
	if err != nil {
		return "", err
	}
	err = errors.Join(r.WriteReport(f), f.Close())
	if err != nil {
		return "", err
	}
	records, err := readRecords(dir)
	if err != nil {
		return "", err
	}
	n := r.Options.Nemeses
	if n == "" {
		n = "none"
	}
	rec := Record{Began: r.Began, Seconds: r.safetySeconds(), Nemeses: n, Nodes: r.Options.Nodes, Seed: r.Options.Seed,
		Verdict: r.Verdict(), Page: page, Judged: map[string]string{}, Wounds: len(r.Bands), LiveSeconds: r.Live.Seconds()}
	// Under a nemesis that nobody felt nothing was tried.
	well := "holds"
	if len(r.Unfelt) > 0 {
		well = "untested"
	}
	for _, w := range r.Workloads {
		rec.Judged[w.Name] = well
		if w.Violation != "" {
			rec.Judged[w.Name] = cmp.Or(w.Anomaly, "failed")
		} else if w.Untested != "" {
			rec.Judged[w.Name] = "untested"
		}
		for _, s := range w.samples {
			if s.Error == "" {
				rec.Acknowledged++
			}
		}
	}
	rec.Judged[wholeRun] = well
	if len(r.Failures) > r.violations() {
		rec.Judged[wholeRun] = "failed"
	}
	for _, f := range r.Failures {
		rec.Failures = append(rec.Failures, firstLine(f))
	}
	records = append(records, rec)
	b, err := json.MarshalIndent(records, "", " ")
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(dir, recordsFile), b, 0o644); err != nil {
		return "", err
	}
	return filepath.Join(dir, page), writeSummary(dir, records)
}

// safetySeconds is how long the safety phase was.
func (r *Result) safetySeconds() float64 {
	for _, p := range r.phases {
		if p.name == safetyPhase {
			return (p.to - p.from).Seconds()
		}
	}
	return 0
}

func readRecords(dir string) ([]Record, error) {
	b, err := os.ReadFile(filepath.Join(dir, recordsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []Record
	return out, json.Unmarshal(b, &out)
}

// Cell is what runs of a workload under a nemesis found.
type Cell struct {
	Runs      int
	Seconds   float64
	Anomalies []string
	Untested  int
	Page      string
}

// Class is the cell's colour.
func (c Cell) Class() string {
	switch {
	case c.Runs == 0:
		return "none"
	case len(c.Anomalies) > 0:
		return "failed"
	case c.Untested == c.Runs:
		return "invalid"
	}
	return "ok"
}

// Matrix is workloads × nemeses over all runs of a folder.
type Matrix struct {
	Workloads, Nemeses []string
	Cells              map[string]map[string]Cell
	Runs               []Record
	Seconds            float64
	// Whole is the row of what is no workload's.
	Whole string
}

// NewMatrix adds up runs.
func NewMatrix(records []Record) Matrix {
	m := Matrix{Cells: map[string]map[string]Cell{}, Runs: records}
	for _, r := range records {
		m.Seconds += r.Seconds
		if !slices.Contains(m.Nemeses, r.Nemeses) {
			m.Nemeses = append(m.Nemeses, r.Nemeses)
		}
		for w, judged := range r.Judged {
			if !slices.Contains(m.Workloads, w) {
				m.Workloads = append(m.Workloads, w)
				m.Cells[w] = map[string]Cell{}
			}
			c := m.Cells[w][r.Nemeses]
			c.Runs++
			c.Seconds += r.Seconds
			if c.Page == "" || judged != "holds" {
				c.Page = r.Page
			}
			switch judged {
			case "holds":
			case "untested":
				c.Untested++
			default:
				c.Anomalies = append(c.Anomalies, judged)
			}
			m.Cells[w][r.Nemeses] = c
		}
	}
	rank := func(names []string) func(a, b string) int {
		place := func(s string) int {
			if i := slices.Index(names, s); i >= 0 {
				return i
			}
			return len(names)
		}
		return func(a, b string) int { return cmp.Or(cmp.Compare(place(a), place(b)), cmp.Compare(a, b)) }
	}
	var workloads []string
	for _, s := range load.Specs() {
		workloads = append(workloads, s.Name)
	}
	slices.SortFunc(m.Workloads, rank(append(workloads, wholeRun)))
	slices.SortFunc(m.Nemeses, rank(append([]string{"none"}, nemesis.Names()...)))
	m.Whole = wholeRun
	return m
}

// LabelEm is how high the nemeses' names are, written upwards, in em.
func (m Matrix) LabelEm() int {
	const perEm = 1.6 // letters
	longest := 0
	for _, n := range m.Nemeses {
		longest = max(longest, len(n))
	}
	return 1 + int(float64(longest)/perEm)
}

// Tiles are the numbers at the head of the page.
func (m Matrix) Tiles() []tile {
	verdicts, acknowledged, wounds, live := map[Verdict]int{}, 0, 0, 0.0
	for _, r := range m.Runs {
		verdicts[r.Verdict]++
		acknowledged, wounds = acknowledged+r.Acknowledged, wounds+r.Wounds
		live = max(live, r.LiveSeconds)
	}
	out := []tile{{fmt.Sprint(verdicts[OK]), "runs ok", "good"}}
	if n := verdicts[Failed]; n > 0 {
		out = append(out, tile{fmt.Sprint(n), "runs failed", "bad"})
	}
	if n := verdicts[Invalid]; n > 0 {
		out = append(out, tile{fmt.Sprint(n), "runs tested too little", "warn"})
	}
	return append(out,
		tile{fmt.Sprint(time.Duration(m.Seconds * float64(time.Second)).Round(time.Second)), "under nemeses", ""},
		tile{grouped(wounds), "wounds", ""},
		tile{fmt.Sprintf("%.1f s", live), "at most until every node served all again", ""},
		tile{grouped(acknowledged), "operations acknowledged", ""})
}

func writeSummary(dir string, records []Record) error {
	t, err := template.New("summary").Parse(summaryHTML)
	if err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(dir, "index.html"))
	if err != nil {
		return err
	}
	return errors.Join(t.Execute(f, NewMatrix(records)), f.Close())
}
