package verify

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/cairndb/cairn/acceptance/load"
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
		Rate, Latency, Served template.HTML
	}{r, r.Options.title(), r.Command(), p.rate(), p.latency(), p.served()})
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
	plotHeight    = 140
	laneHeight    = 14
	marginLeft    = 150
	marginBottom  = 18
	bucket        = 250 * time.Millisecond
	secondsLabels = 12
)

// palette has colours that can be told apart on white.
var palette = []string{"#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#8c564b", "#e377c2", "#17becf", "#bcbd22", "#7f7f7f"}

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
	fmt.Fprintf(&b, `<svg viewBox="0 0 %d %d" role="img">`, pictureWidth, height+marginBottom)
	for _, band := range p.r.Bands {
		fmt.Fprintf(&b, `<rect x="%.1f" y="0" width="%.1f" height="%d" fill="%s" opacity="0.13"><title>%s</title></rect>`, p.x(band.From),
			p.x(band.To)-p.x(band.From), height, p.colour(band.Nemesis), template.HTMLEscapeString(band.Nemesis+": "+band.What))
	}
	for _, ph := range p.r.phases {
		fmt.Fprintf(&b, `<line x1="%.1f" x2="%[1]f" y1="0" y2="%d" stroke="#999" stroke-dasharray="3 3"/><text x="%.1f" y="10" class="phase">%s</text>`,
			p.x(ph.from), height, p.x(ph.from)+3, ph.name)
	}
	draw(&b)
	step := max(time.Second, (p.end / secondsLabels).Truncate(time.Second))
	for at := time.Duration(0); at < p.end; at += step {
		fmt.Fprintf(&b, `<text x="%.1f" y="%d" class="axis">%.0f s</text>`, p.x(at), height+marginBottom-4, at.Seconds())
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
		fmt.Fprintf(b, `<text x="0" y="12" class="axis">%.0f/s</text><text x="0" y="28" class="ok">acknowledged</text><text x="0" y="44" class="bad">errors</text>`, most)
		p.line(b, ok, most, "#2a7a2a")
		p.line(b, bad, most, "#c62828")
		for i, k := range kinds {
			y := plotHeight + i*laneHeight
			fmt.Fprintf(b, `<text x="0" y="%d" class="lane">%s</text>`, y+laneHeight-3, template.HTMLEscapeString(k))
			for _, band := range p.r.Bands {
				if band.Nemesis == k {
					fmt.Fprintf(b, `<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s"><title>%s (%s)</title></rect>`, p.x(band.From), y+2,
						max(2, p.x(band.To)-p.x(band.From)), laneHeight-4, p.colour(k), template.HTMLEscapeString(band.What), template.HTMLEscapeString(band.Evidence))
				}
			}
		}
	})
}

func (p *picture) line(b *strings.Builder, values []float64, most float64, colour string) {
	fmt.Fprintf(b, `<polyline fill="none" stroke="%s" stroke-width="1.4" points="`, colour)
	for i, v := range values {
		fmt.Fprintf(b, "%.1f,%.1f ", p.x(time.Duration(i)*bucket), plotHeight-v/most*(plotHeight-14))
	}
	b.WriteString(`"/>`)
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
		return plotHeight - math.Log(max(ms, latencyFloor)/latencyFloor)/math.Log(most/latencyFloor)*(plotHeight-14)
	}
	// More dots than this are a grey cloud: of the fast ones, some are left out.
	const dotsMax = 6000
	every := len(all)/dotsMax + 1
	slices.SortFunc(all, func(a, b load.Sample) int { return int(a.Took - b.Took) })
	return p.svg(plotHeight, func(b *strings.Builder) {
		for ms := 1.0; ms <= most; ms *= 10 {
			fmt.Fprintf(b, `<line x1="%d" x2="%d" y1="%.1f" y2="%[3]f" stroke="#ddd"/><text x="0" y="%.1f" class="axis">%v</text>`,
				marginLeft, pictureWidth, y(ms), y(ms)+4, time.Duration(ms*float64(time.Millisecond)))
		}
		for i, s := range all {
			if i%every != 0 && s.Took < time.Second {
				continue
			}
			colour := "#2a7a2a"
			if s.Error != "" {
				colour = "#c62828"
			}
			fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="1.3" fill="%s" opacity="0.5"/>`, p.x(s.At+s.Took), y(s.Took.Seconds()*1000), colour)
		}
	})
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
					fmt.Fprintf(b, `<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s"/>`, from, y+1, to-from, h-2, colour)
				}
				i = j
			}
		}
	})
}

func cell(ok, bad int) string {
	switch {
	case ok > 0:
		return "#8fc98f"
	case bad > 0:
		return "#e58a8a"
	}
	return ""
}
