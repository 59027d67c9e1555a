package sql

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/sql/exec"
	"github.com/cairndb/cairn/sql/plan"
	"github.com/cairndb/cairn/sql/sqlerr"
)

// explainOpts are the options of EXPLAIN. Those about what Cairn has no numbers of (BUFFERS, WAL,
// SETTINGS) are taken and show nothing. Of costs there is only the total, so the first number that
// Postgres has is always zero; widths are not guessed.
type explainOpts struct {
	analyze, timing, summary, costs bool
	format                          string
	given                           map[string]bool
}

func explainOptions(n *pg.ExplainStmt) (explainOpts, error) {
	o := explainOpts{timing: true, costs: true, format: "text", given: map[string]bool{}}
	for _, x := range n.Options {
		d := x.GetDefElem()
		v := ""
		if d.Arg != nil {
			v = strings.ToLower(constText(d.Arg))
		}
		if d.Defname == "format" {
			switch v {
			case "text", "json", "xml", "yaml":
				o.format = v
			default:
				return o, sqlerr.New(sqlerr.InvalidParameterValue, "unrecognized value for EXPLAIN option \"%s\": \"%s\"", d.Defname, v)
			}
			continue
		}
		on := false
		switch v {
		case "", "on", "true", "1":
			on = true
		case "off", "false", "0":
		default:
			return o, sqlerr.New(sqlerr.SyntaxError, "%s requires a Boolean value", d.Defname)
		}
		o.given[d.Defname] = on
		switch d.Defname {
		case "analyze":
			o.analyze = on
		case "timing":
			o.timing = on
		case "costs":
			o.costs = on
		case "verbose", "buffers", "summary", "settings", "wal":
		default:
			return o, sqlerr.New(sqlerr.SyntaxError, "unrecognized EXPLAIN option \"%s\"", d.Defname)
		}
	}
	for _, needs := range []string{"wal", "timing"} {
		if o.given[needs] && !o.analyze {
			return o, sqlerr.New(sqlerr.InvalidParameterValue, "EXPLAIN option %s requires ANALYZE", strings.ToUpper(needs))
		}
	}
	o.summary = o.analyze
	if on, ok := o.given["summary"]; ok {
		o.summary = on
	}
	return o, nil
}

// run is what EXPLAIN ANALYZE measured of the whole statement.
type explainRun struct {
	planning, execution         time.Duration
	kvCalls, kvRows, roundTrips int64
	spilledFiles, spilledBytes  int64
	// beside are rows that were dropped or aggregated beside the data; followerReads are answers of replicas
	// without the lease.
	beside, followerReads int64
}

// property is a key and a value of a plan in a format for programs: text, number, list or nested.
type property struct {
	key string
	val any // string, int64, float64, []string, []properties, properties
}

type properties []property

// structured turns a plan into what the formats for programs print, with Postgres's keys where
// Postgres has the same thing.
func structured(o explainOpts, pl *plan.Plan, run explainRun) properties {
	root := planNode(o, pl, pl.Root, "")
	for i, sub := range pl.Subplans {
		n := planNode(o, pl, sub, "SubPlan")
		n = append(n, property{"Subplan Name", fmt.Sprintf("SubPlan %d", i+1)})
		root = addPlan(root, n)
	}
	out := properties{{"Plan", root}}
	if o.summary {
		out = append(out, property{"Planning Time", millisOf(run.planning)})
	}
	if o.analyze {
		out = append(out, property{"KV Calls", run.kvCalls}, property{"KV Rows", run.kvRows}, property{"KV Round Trips", run.roundTrips},
			property{"Spilled Files", run.spilledFiles}, property{"Spilled Bytes", run.spilledBytes})
		if run.beside > 0 {
			out = append(out, property{"Rows Done Beside Data", run.beside})
		}
		if run.followerReads > 0 {
			out = append(out, property{"Follower Reads", run.followerReads})
		}
		if o.summary {
			out = append(out, property{"Execution Time", millisOf(run.execution)})
		}
	}
	return out
}

func roundTo(x float64, digits int) float64 {
	f := math.Pow10(digits)
	return math.Round(x*f) / f
}

// shownNode skips what EXPLAIN does not show.
func shownNode(n exec.Node) exec.Node {
	for {
		p, ok := n.(*exec.Project)
		if !ok {
			return n
		}
		n = p.In
	}
}

func millisOf(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func addPlan(p properties, n properties) properties {
	for i := range p {
		if p[i].key == "Plans" {
			p[i].val = append(p[i].val.([]properties), n)
			return p
		}
	}
	return append(p, property{"Plans", []properties{n}})
}

func planNode(o explainOpts, pl *plan.Plan, n exec.Node, relationship string) properties {
	n = shownNode(n)
	x := n.Explain()
	p := nodeTitle(x.Title)
	if relationship != "" {
		p = append(p, property{"Parent Relationship", relationship})
	}
	if e, ok := pl.Estimates[n]; ok && o.costs {
		p = append(p, property{"Startup Cost", 0.0}, property{"Total Cost", roundTo(e.Cost, 2)},
			property{"Plan Rows", int64(math.Round(e.Rows))}, property{"Plan Width", int64(0)})
	}
	if t, ok := n.(*exec.Timed); ok && o.analyze {
		rows, loops, spent := t.Counts()
		if o.timing {
			p = append(p, property{"Actual Total Time", millisOf(spent)})
		}
		p = append(p, property{"Actual Rows", rows}, property{"Actual Loops", loops})
	}
	for _, d := range x.Details {
		key, val, ok := strings.Cut(d, ": ")
		if !ok || strings.ContainsAny(key, "('\"") {
			key, val = "Filter", d
		}
		var v any = val
		if key == "Sort Key" || key == "Group Key" {
			v = strings.Split(val, ", ")
		}
		p = append(p, property{key, v})
	}
	for i, k := range x.Kids {
		side := "Outer"
		if i > 0 {
			side = "Inner"
		}
		p = addPlan(p, planNode(o, pl, k, side))
	}
	return p
}

// nodeTitle takes an operator's line apart: Index Scan Backward using i on t a.
func nodeTitle(title string) properties {
	rest, on, _ := strings.Cut(title, " on ")
	kind, index, _ := strings.Cut(rest, " using ")
	join := ""
	for _, j := range []string{"Left", "Right", "Full", "Semi", "Anti"} {
		if before, ok := strings.CutSuffix(kind, " "+j+" Join"); ok {
			kind, join = before+" Join", j
		}
	}
	if before, ok := strings.CutSuffix(kind, " Backward"); ok {
		kind = before
	}
	p := properties{{"Node Type", kind}}
	switch kind {
	case "Insert", "Update", "Delete":
		p = properties{{"Node Type", "ModifyTable"}, {"Operation", kind}}
	case "Hash Join", "Nested Loop", "Nested Loop Join", "Lookup Join":
		if join == "" {
			join = "Inner"
		}
		p[0].val = strings.TrimSuffix(strings.Replace(kind, "Nested Loop Join", "Nested Loop", 1), "")
		p = append(p, property{"Join Type", join})
	}
	if strings.Contains(rest, " Backward") {
		p = append(p, property{"Scan Direction", "Backward"})
	}
	if index != "" {
		p = append(p, property{"Index Name", index})
	}
	if on != "" {
		name, alias, ok := strings.Cut(on, " ")
		if !ok {
			alias = name
		}
		key := "Relation Name"
		if kind == "Function Scan" {
			key = "Function Name"
		}
		p = append(p, property{key, name}, property{"Alias", alias})
	}
	return p
}

// format prints the structured plan.
func (p properties) format(f string) string {
	switch f {
	case "json":
		return "[\n  " + p.json("  ") + "\n]"
	case "yaml":
		return "- " + strings.TrimPrefix(p.yaml("  "), "  ")
	}
	return "<explain xmlns=\"http://www.postgresql.org/2009/explain\">\n  <Query>\n" + p.xml("    ") + "  </Query>\n</explain>"
}

func number(v any) string {
	switch v := v.(type) {
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'f', 3, 64)
	}
	return ""
}

func quoteJSON(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return `""`
	}
	return strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(string(b))
}

func (p properties) json(in string) string {
	var b strings.Builder
	b.WriteString("{")
	for i, x := range p {
		if i > 0 {
			b.WriteString(",")
		}
		b.WriteString("\n" + in + "  " + quoteJSON(x.key) + ": ")
		switch v := x.val.(type) {
		case string:
			b.WriteString(quoteJSON(v))
		case []string:
			quoted := make([]string, len(v))
			for i, s := range v {
				quoted[i] = quoteJSON(s)
			}
			b.WriteString("[" + strings.Join(quoted, ", ") + "]")
		case properties:
			b.WriteString(v.json(in + "  "))
		case []properties:
			b.WriteString("[")
			for i, n := range v {
				if i > 0 {
					b.WriteString(",")
				}
				b.WriteString("\n" + in + "    " + n.json(in+"    "))
			}
			b.WriteString("\n" + in + "  ]")
		default:
			b.WriteString(number(v))
		}
	}
	return b.String() + "\n" + in + "}"
}

func (p properties) yaml(in string) string {
	var lines []string
	for _, x := range p {
		switch v := x.val.(type) {
		case string:
			lines = append(lines, in+x.key+": "+quoteJSON(v))
		case []string:
			lines = append(lines, in+x.key+": ")
			for _, s := range v {
				lines = append(lines, in+"  - "+quoteJSON(s))
			}
		case properties:
			lines = append(lines, in+x.key+": ", v.yaml(in+"  "))
		case []properties:
			lines = append(lines, in+x.key+": ")
			for _, n := range v {
				lines = append(lines, in+"  - "+strings.TrimPrefix(n.yaml(in+"    "), in+"    "))
			}
		default:
			lines = append(lines, in+x.key+": "+number(v))
		}
	}
	return strings.Join(lines, "\n")
}

func (p properties) xml(in string) string {
	var b strings.Builder
	escape := func(s string) string {
		var e strings.Builder
		_ = xml.EscapeText(&e, []byte(s))
		return strings.NewReplacer("&#34;", "&quot;", "&#39;", "'").Replace(e.String())
	}
	for _, x := range p {
		tag := strings.ReplaceAll(x.key, " ", "-")
		open, end := in+"<"+tag+">", "</"+tag+">\n"
		switch v := x.val.(type) {
		case string:
			b.WriteString(open + escape(v) + end)
		case []string:
			b.WriteString(open + "\n")
			for _, s := range v {
				b.WriteString(in + "  <Item>" + escape(s) + "</Item>\n")
			}
			b.WriteString(in + end)
		case properties:
			b.WriteString(open + "\n" + v.xml(in+"  ") + in + end)
		case []properties:
			b.WriteString(open + "\n")
			for _, n := range v {
				b.WriteString(in + "  <Plan>\n" + n.xml(in+"    ") + in + "  </Plan>\n")
			}
			b.WriteString(in + end)
		default:
			b.WriteString(open + number(v) + end)
		}
	}
	return b.String()
}
