package verify

import (
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/cairndb/cairn/acceptance/load"
	"github.com/cairndb/cairn/acceptance/nemesis"
)

//go:embed report.html
var reportHTML string

// WriteReport writes the run as one page without scripts, which any browser
// shows without a network.
func (r *Result) WriteReport(w io.Writer) error {
	t, err := template.New("report").Parse(reportHTML)
	if err != nil {
		return err
	}
	p := newPicture(r)
	return t.Execute(w, struct {
		*Result
		Title, Command        string
		Tiles                 []tile
		Gaps                  []gap
		Rate, Latency, Served template.HTML
	}{r, r.Options.title(), r.Command(), r.tiles(), r.gaps(), p.rate(), p.latency(), p.served()})
}

// tile is a number at the head of the page.
type tile struct{ Number, Of, Class string }

func (r *Result) tiles() []tile {
	done, refused := 0, 0
	for _, w := range r.Workloads {
		for _, s := range w.samples {
			if s.Error == "" {
				done++
			} else {
				refused++
			}
		}
	}
	unfelt := 0
	silence := time.Duration(0)
	for _, b := range r.Bands {
		if !b.Felt {
			unfelt++
		}
	}
	for _, g := range r.gaps() {
		silence = max(silence, g.To-g.From)
	}
	wounds := "wounds, all of them felt"
	class := ""
	switch {
	case len(r.Bands) == 0:
		wounds = "wounds: nothing was done to it"
	case unfelt > 0:
		wounds, class = fmt.Sprintf("wounds, %d not felt", unfelt), "warn"
	}
	holds, all := 0, len(r.Workloads)
	for _, w := range r.Workloads {
		if w.Violation == "" && w.Untested == "" {
			holds++
		}
	}
	judged := tile{fmt.Sprintf("%d of %d", holds, all), "workloads hold", "good"}
	if holds < all {
		judged.Class = "bad"
	}
	return []tile{
		judged,
		{grouped(done), "operations acknowledged", ""},
		{grouped(refused), "refused, or of unknown fate", ""},
		{fmt.Sprint(len(r.Bands)), wounds, class},
		{r.seconds(silence), "longest time no node served a workload", ""},
		{r.seconds(r.Live), "until every node served all again", ""},
	}
}

func (r *Result) seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

// grouped writes 12345 as 12 345.
func grouped(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "\u202f" + s[i:]
	}
	return s
}

// gap is a time in which no node acknowledged anything of a workload.
type gap struct {
	Workload string
	From, To time.Duration
	// During are the nemeses that were at work.
	During string
}

// For is how long it was.
func (g gap) For() time.Duration { return g.To - g.From }

// gapMin is the shortest that is told of.
const gapMin = time.Second

// gaps are those of all workloads, the longest first.
func (r *Result) gaps() []gap {
	var out []gap
	for _, w := range r.Workloads {
		var ends []time.Duration
		for _, s := range w.samples {
			if s.Error == "" {
				ends = append(ends, s.At+s.Took)
			}
		}
		slices.Sort(ends)
		for i := 1; i < len(ends); i++ {
			if ends[i]-ends[i-1] >= gapMin {
				out = append(out, gap{w.Name, ends[i-1], ends[i], r.during(ends[i-1], ends[i])})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b gap) int { return cmp.Compare(b.To-b.From, a.To-a.From) })
	const gapsMax = 25
	return out[:min(len(out), gapsMax)]
}

// during names the nemeses of some time.
func (r *Result) during(from, to time.Duration) string {
	var names []string
	for _, b := range r.Bands {
		if b.From < to && from < b.To && !slices.Contains(names, b.Nemesis) {
			names = append(names, b.Nemesis)
		}
	}
	return strings.Join(names, ", ")
}

// Command is the command line that does the run again.
func (r *Result) Command() string {
	s := "cairn verify"
	if len(r.Options.URLs) > 0 {
		return fmt.Sprintf("%s --url '%s' --workload %s --for %v --seed %d", s, strings.Join(r.Options.URLs, ","),
			strings.Join(r.Options.Workloads, ","), r.Options.Safety, r.Options.Seed)
	}
	if len(r.Options.Workloads) > 0 {
		s += " --workload " + strings.Join(r.Options.Workloads, ",")
	}
	if r.Options.Nemeses != "" {
		s += " --nemesis " + r.Options.Nemeses
	}
	if r.Options.Links != LinksAuto {
		s += " --links " + string(r.Options.Links)
	}
	if r.Options.Clients != 1 {
		s += fmt.Sprintf(" --clients %d", r.Options.Clients)
	}
	if len(r.Options.NodeArgs) > 0 {
		s += " --node-args=" + strings.Join(r.Options.NodeArgs, ",")
	}
	return fmt.Sprintf("%s --nodes %d --for %v --seed %d", s, r.Options.Nodes, r.Options.Safety, r.Options.Seed)
}

// Pictures are drawn in these units; the page scales them.
const (
	pictureWidth  = 1000
	plotHeight    = 150
	laneHeight    = 16
	marginLeft    = 130
	marginRight   = 14
	marginBottom  = 18
	bucket        = 250 * time.Millisecond
	secondsLabels = 12
)

// palette has colours that can be told apart on white.
var palette = []string{"#4269d0", "#ff725c", "#6cc5b0", "#efb118", "#a463f2", "#9c6b4e", "#ff8ab7", "#3ca951", "#97bbf5", "#9498a0"}

type picture struct {
	r       *Result
	end     time.Duration
	buckets int
}

func newPicture(r *Result) *picture {
	p := &picture{r: r}
	for _, ph := range r.phases {
		p.end = max(p.end, ph.to)
	}
	if p.end == 0 {
		p.end = time.Second
	}
	p.buckets = int(p.end/bucket) + 1
	return p
}

func (p *picture) x(at time.Duration) float64 {
	return marginLeft + float64(at)/float64(p.end)*(pictureWidth-marginLeft)
}

// svg frames a picture: phases and nemeses behind, seconds below.
func (p *picture) svg(height int, draw func(*strings.Builder)) template.HTML {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %d %d" role="img">`, pictureWidth+marginRight, height+marginBottom)
	for _, band := range p.r.Bands {
		fmt.Fprintf(&b, `<rect x="%.1f" y="14" width="%.1f" height="%d" fill="%s" class="band"><title>%s</title></rect>`, p.x(band.From),
			p.x(band.To)-p.x(band.From), height-14, p.colour(band.Nemesis), template.HTMLEscapeString(band.Nemesis+": "+band.What))
	}
	for _, ph := range p.r.phases {
		fmt.Fprintf(&b, `<line x1="%.1f" x2="%[1]f" y1="0" y2="%d" class="phase"/><text x="%.1f" y="9" class="phase">%s</text>`,
			p.x(ph.from), height, p.x(ph.from)+3, ph.name)
	}
	draw(&b)
	step := max(time.Second, (p.end / secondsLabels).Truncate(time.Second))
	for at := time.Duration(0); at < p.end; at += step {
		fmt.Fprintf(&b, `<text x="%.1f" y="%d" class="axis" text-anchor="middle">%.0f s</text>`, p.x(at), height+marginBottom-4, at.Seconds())
	}
	b.WriteString("</svg>")
	return template.HTML(b.String())
}

func (p *picture) colour(nemesis string) string {
	var known []string
	for _, b := range p.r.Bands {
		if !slices.Contains(known, b.Nemesis) {
			known = append(known, b.Nemesis)
		}
	}
	return palette[max(0, slices.Index(known, nemesis))%len(palette)]
}

// rate is acknowledged operations and errors a second, and the nemeses as lanes.
func (p *picture) rate() template.HTML {
	ok, bad := make([]float64, p.buckets), make([]float64, p.buckets)
	for _, w := range p.r.Workloads {
		for _, s := range w.samples {
			into := ok
			if s.Error != "" {
				into = bad
			}
			if i := int((s.At + s.Took) / bucket); i < p.buckets {
				into[i] += float64(time.Second / bucket)
			}
		}
	}
	most := max(1, slices.Max(ok), slices.Max(bad))
	var kinds []string
	for _, b := range p.r.Bands {
		if !slices.Contains(kinds, b.Nemesis) {
			kinds = append(kinds, b.Nemesis)
		}
	}
	height := plotHeight + laneHeight*len(kinds)
	return p.svg(height, func(b *strings.Builder) {
		for part := 1; part <= 4; part++ {
			v := most * float64(part) / 4
			y := plotHeight - v/most*(plotHeight-24)
			fmt.Fprintf(b, `<line x1="%d" x2="%d" y1="%.1f" y2="%[3]f" class="grid"/><text x="%d" y="%.1f" class="axis" text-anchor="end">%.0f/s</text>`,
				marginLeft, pictureWidth, y, marginLeft-6, y+3, v)
		}
		fmt.Fprint(b, `<text x="0" y="40" class="ok">acknowledged</text><text x="0" y="56" class="bad">errors</text>`)
		p.line(b, ok, most, "ok")
		p.line(b, bad, most, "bad")
		for i, k := range kinds {
			y := plotHeight + i*laneHeight
			fmt.Fprintf(b, `<text x="0" y="%d" class="lane">%s</text>`, y+laneHeight-3, template.HTMLEscapeString(k))
			for _, band := range p.r.Bands {
				if band.Nemesis == k {
					p.lane(b, band, y)
				}
			}
		}
	})
}

// lane draws a wound in its nemesis' lane, with as much of what it was as fits.
func (p *picture) lane(b *strings.Builder, band nemesis.Band, y int) {
	const letterWidth = 4.6
	x, width := p.x(band.From), max(2, p.x(band.To)-p.x(band.From))
	fmt.Fprintf(b, `<rect x="%.1f" y="%d" width="%.1f" height="%d" rx="2" fill="%s"><title>%s (%s)</title></rect>`, x, y+2, width, laneHeight-4,
		p.colour(band.Nemesis), template.HTMLEscapeString(band.What), template.HTMLEscapeString(band.Evidence))
	what := []rune(band.What)
	if fits := int(width/letterWidth) - 1; fits >= 2 {
		fmt.Fprintf(b, `<text x="%.1f" y="%d" class="what">%s</text>`, x+3, y+laneHeight-5, template.HTMLEscapeString(string(what[:min(fits, len(what))])))
	}
}

// line is a curve with what is below it.
func (p *picture) line(b *strings.Builder, values []float64, most float64, class string) {
	var points strings.Builder
	for i, v := range values {
		fmt.Fprintf(&points, "%.1f,%.1f ", p.x(min(time.Duration(i)*bucket, p.end)), plotHeight-v/most*(plotHeight-24))
	}
	fmt.Fprintf(b, `<polygon class="area-%s" points="%d,%d %s%d,%d"/><polyline class="line-%[1]s" points="%[4]s"/>`, class, marginLeft, plotHeight,
		points.String(), pictureWidth, plotHeight)
}

// latencyFloor is the bottom of the logarithmic scale, in milliseconds.
const latencyFloor = 0.5

// latency is every operation as a dot, by its end and duration.
func (p *picture) latency() template.HTML {
	var all []load.Sample
	for _, w := range p.r.Workloads {
		all = append(all, w.samples...)
	}
	most := 10.0
	for _, s := range all {
		most = max(most, s.Took.Seconds()*1000)
	}
	y := func(ms float64) float64 {
		return plotHeight - math.Log(max(ms, latencyFloor)/latencyFloor)/math.Log(most/latencyFloor)*(plotHeight-24)
	}
	// More dots than this are a grey cloud: of the fast ones, some are left out.
	const dotsMax = 6000
	every := len(all)/dotsMax + 1
	slices.SortFunc(all, func(a, b load.Sample) int { return int(a.Took - b.Took) })
	return p.svg(plotHeight, func(b *strings.Builder) {
		for ms := 1.0; ms <= most; ms *= 10 {
			fmt.Fprintf(b, `<line x1="%d" x2="%d" y1="%.1f" y2="%[3]f" class="grid"/><text x="%d" y="%.1f" class="axis" text-anchor="end">%v</text>`,
				marginLeft, pictureWidth, y(ms), marginLeft-6, y(ms)+3, time.Duration(ms*float64(time.Millisecond)))
		}
		for i, s := range all {
			if i%every != 0 && s.Took < time.Second {
				continue
			}
			class := "ok"
			if s.Error != "" {
				class = "bad"
			}
			fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="1.2" class="dot-%s"/>`, p.x(min(s.At+s.Took, p.end)), y(s.Took.Seconds()*1000), class)
		}
		fmt.Fprint(b, `<text x="0" y="40" class="median">median</text><text x="0" y="56" class="tail">99 of 100</text>`)
		p.quantile(b, all, 0.5, "median", y)
		p.quantile(b, all, 0.99, "tail", y)
	})
}

// quantileBucket is the time over which latencies are summed up.
const quantileBucket = time.Second

// quantile draws the latency that a share of the operations of each second stays
// below, where there are any. The samples are in the order of their latency.
func (p *picture) quantile(b *strings.Builder, all []load.Sample, share float64, class string, y func(ms float64) float64) {
	seconds := make([][]time.Duration, int(p.end/quantileBucket)+1)
	for _, s := range all {
		if i := int((s.At + s.Took) / quantileBucket); i < len(seconds) {
			seconds[i] = append(seconds[i], s.Took)
		}
	}
	open := false
	for i, took := range seconds {
		if len(took) == 0 {
			if open {
				fmt.Fprint(b, `"/>`)
			}
			open = false
			continue
		}
		if !open {
			fmt.Fprintf(b, `<polyline class="line-%s" points="`, class)
			open = true
		}
		at := min(time.Duration(i)*quantileBucket+quantileBucket/2, p.end)
		fmt.Fprintf(b, "%.1f,%.1f ", p.x(at), y(took[int(share*float64(len(took)-1))].Seconds()*1000))
	}
	if open {
		fmt.Fprint(b, `"/>`)
	}
}

// served is a strip for each workload and node: green where it answered, red
// where it only refused, white where it was silent.
func (p *picture) served() template.HTML {
	type strip struct{ ok, bad []int }
	strips := map[string]*strip{}
	var names []string
	for _, w := range p.r.Workloads {
		for _, s := range w.samples {
			name := s.Target + " " + w.Name
			x := strips[name]
			if x == nil {
				x = &strip{make([]int, p.buckets), make([]int, p.buckets)}
				strips[name], names = x, append(names, name)
			}
			if i := int((s.At + s.Took) / bucket); i < p.buckets {
				if s.Error == "" {
					x.ok[i]++
				} else {
					x.bad[i]++
				}
			}
		}
	}
	slices.Sort(names)
	const h = 9
	return p.svg(h*len(names)+14, func(b *strings.Builder) {
		for row, name := range names {
			y := 14 + row*h
			fmt.Fprintf(b, `<text x="0" y="%d" class="strip">%s</text>`, y+h-2, template.HTMLEscapeString(name))
			x := strips[name]
			for i := 0; i < p.buckets; {
				colour := cell(x.ok[i], x.bad[i])
				j := i + 1
				for j < p.buckets && cell(x.ok[j], x.bad[j]) == colour {
					j++
				}
				if colour != "" {
					from, to := p.x(time.Duration(i)*bucket), p.x(min(time.Duration(j)*bucket, p.end))
					fmt.Fprintf(b, `<rect x="%.1f" y="%d" width="%.1f" height="%d" class="%s"/>`, from, y+1, to-from, h-2, colour)
				}
				i = j
			}
		}
	})
}

func cell(ok, bad int) string {
	switch {
	case ok > 0:
		return "served"
	case bad > 0:
		return "refused"
	}
	return ""
}
