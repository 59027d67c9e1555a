package allocator

import (
	"bytes"
	"fmt"
	"time"
)

// plot draws the course of a simulation: replicas a node above, moves and ranges
// that are not whole below.
func (w *world) plot() []byte {
	const width, height, left, gap = 960, 220, 70, 60
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n",
		left+width+20, 3*(height+gap)+40)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="white"/><text x="%d" y="20" font-size="15">Allocation: %d ranges, three replicas each, every node decides by late gossip</text>`+"\n",
		left, len(w.ranges))
	x := func(tick int) float64 { return left + width*float64(tick)/float64(max(len(w.course)-1, 1)) }
	type line struct {
		colour string
		at     func(i int) float64
	}
	panel := func(row int, title string, series ...line) {
		top := float64(50 + row*(height+gap))
		high := 1.0
		for _, l := range series {
			for i := range w.course {
				high = max(high, l.at(i))
			}
		}
		fmt.Fprintf(&b, `<text x="%d" y="%.0f">%s</text><rect x="%d" y="%.0f" width="%d" height="%d" fill="none" stroke="#999"/>`+"\n",
			left, top-6, title, left, top, width, height)
		for k := range 5 {
			y := top + height*float64(4-k)/4
			fmt.Fprintf(&b, `<text x="%d" y="%.0f" text-anchor="end">%.0f</text><line x1="%d" x2="%d" y1="%.0f" y2="%.0f" stroke="#eee"/>`+"\n",
				left-6, y+4, high*float64(k)/4, left, left+width, y, y)
		}
		for _, l := range series {
			fmt.Fprintf(&b, `<polyline fill="none" stroke="%s" points="`, l.colour)
			for i := range w.course {
				fmt.Fprintf(&b, "%.1f,%.1f ", x(i), top+height-height*l.at(i)/high)
			}
			fmt.Fprintln(&b, `"/>`)
		}
		for _, e := range w.events {
			fmt.Fprintf(&b, `<line x1="%.1f" x2="%.1f" y1="%.0f" y2="%.0f" stroke="#c33" stroke-dasharray="3 3"/>`+"\n", x(e.at), x(e.at), top, top+height)
			if row == 0 {
				fmt.Fprintf(&b, `<text transform="translate(%.1f %.0f) rotate(90)" fill="#c33">%s</text>`+"\n", x(e.at)+4, top+height-110, e.name)
			}
		}
	}
	panel(0, "replicas a node: most, mean, least",
		line{"#d62728", func(i int) float64 { return w.course[i].maxReplicas }},
		line{"#333", func(i int) float64 { return w.course[i].meanReplicas }},
		line{"#1f77b4", func(i int) float64 { return w.course[i].minReplicas }})
	panel(1, "moves since the event", line{"#2ca02c", func(i int) float64 { return float64(w.course[i].moves) }})
	panel(2, "ranges with fewer than three replicas on live nodes",
		line{"#9467bd", func(i int) float64 { return float64(w.course[i].lacking) }})
	fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">%s</text></svg>`+"\n", left+width, 3*(height+gap)+30,
		(time.Duration(len(w.course)) * tick).String())
	return b.Bytes()
}
