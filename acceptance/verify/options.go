package verify

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cairndb/cairn/acceptance/cluster"
	"github.com/cairndb/cairn/acceptance/load"
	"github.com/cairndb/cairn/acceptance/nemesis"
)

// Options are what to run.
type Options struct {
	// Binary is what the nodes run; Nodes how many. With URLs a cluster that
	// runs already is verified instead, and not hurt.
	Binary string
	Nodes  int
	URLs   []string
	// NodeArgs and NodeEnv are added to each node's command line and environment.
	NodeArgs, NodeEnv []string
	// OldBinary is what the nodes run at first, for the nemesis upgrade.
	OldBinary string
	// Links between the nodes; none is LinksAuto.
	Links Links
	// Workloads by name; none is all. Nemeses as nemesis.Named reads them.
	Workloads []string
	Nemeses   string
	// Safety is how long nemeses strike; Liveness how soon all must be well
	// again.
	Safety, Liveness time.Duration
	// Clients for each workload and node.
	Clients int
	Seed    uint64
	// Pace is how long a client rests after each operation.
	Pace time.Duration
	// Interrupted says what an end of the context means once clients are at work:
	// if set, that the nemeses are to stop and the run is to be judged.
	Interrupted bool
	// Ready, if set, is called when the nodes of our own cluster serve.
	Ready func(*cluster.Cluster)
	// Say is told what happens.
	Say func(format string, args ...any)
}

// Links are what stands between the nodes.
type Links string

// Links: proxies in every connection, packets between network namespaces, or what
// the nemeses need and this process may make.
const (
	LinksAuto    Links = "auto"
	LinksProxy   Links = "proxy"
	LinksPackets Links = "packets"
)

// Defaults of Options.
const (
	SafetyDefault   = 20 * time.Second
	LivenessDefault = 45 * time.Second
	nodesDefault    = 3
)

// fill puts in the defaults, and resolves the names.
func (o *Options) fill() (specs []load.Spec, nemeses []nemesis.Nemesis, err error) {
	if o.Safety == 0 {
		o.Safety = SafetyDefault
	}
	if o.Liveness == 0 {
		o.Liveness = LivenessDefault
	}
	if o.Nodes == 0 {
		o.Nodes = nodesDefault
	}
	if o.Clients == 0 {
		o.Clients = 1
	}
	if o.Seed == 0 {
		o.Seed = uint64(time.Now().UnixNano())
	}
	switch o.Links {
	case "":
		o.Links = LinksAuto
	case LinksAuto, LinksProxy, LinksPackets:
	default:
		return nil, nil, fmt.Errorf("links are %s, %s or %s, not %q", LinksAuto, LinksProxy, LinksPackets, o.Links)
	}
	if o.Say == nil {
		o.Say = func(string, ...any) {}
	}
	if len(o.Workloads) == 0 {
		specs = load.Specs()
	}
	for _, name := range o.Workloads {
		s, err := load.SpecNamed(name)
		if err != nil {
			return nil, nil, err
		}
		specs = append(specs, s)
	}
	if nemeses, err = nemesis.Named(o.Nemeses); err != nil {
		return nil, nil, err
	}
	if !slices.ContainsFunc(nemeses, func(n nemesis.Nemesis) bool { return n.Name == "upgrade" }) {
		o.OldBinary = "" // nobody leaves it
	}
	if len(o.URLs) > 0 && len(nemeses) > 0 {
		return nil, nil, fmt.Errorf("nemesis %s: a cluster that is not ours is not hurt", o.Nemeses)
	}
	return specs, nemeses, nil
}

// title names the run.
func (o *Options) title() string {
	w := "all workloads"
	if len(o.Workloads) > 0 {
		w = strings.Join(o.Workloads, ", ")
	}
	n := o.Nemeses
	if n == "" {
		n = "none"
	}
	return fmt.Sprintf("%s × %s", w, n)
}
