package verify

import (
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
)

//go:embed summary.html
var summaryHTML string

// Record is a run in the list of runs that a folder of reports keeps.
type Record struct {
	Began    time.Time
	Seconds  float64
	Nemeses  string
	Nodes    int
	Seed     uint64
	Verdict  Verdict
	Page     string
	Judged   map[string]string // workload to "holds" or its anomaly
	Failures []string          `json:",omitempty"`
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
	rec := Record{Began: r.Began, Seconds: r.Options.Safety.Seconds(), Nemeses: n, Nodes: r.Options.Nodes, Seed: r.Options.Seed,
		Verdict: r.Verdict(), Page: page, Judged: map[string]string{}}
	for _, w := range r.Workloads {
		rec.Judged[w.Name] = "holds"
		if w.Violation != "" {
			rec.Judged[w.Name] = w.Anomaly
		} else if w.Untested != "" {
			rec.Judged[w.Name] = "untested"
		}
	}
	rec.Judged[wholeRun] = "holds"
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
	slices.Sort(m.Workloads)
	slices.Sort(m.Nemeses)
	return m
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
