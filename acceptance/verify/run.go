package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cairndb/cairn/acceptance/cluster"
	"github.com/cairndb/cairn/acceptance/load"
	"github.com/cairndb/cairn/acceptance/nemesis"
	"github.com/cairndb/cairn/internal/testkit/check"
)

// Verdict is how a run ended.
type Verdict string

// Verdicts; see the package comment.
const (
	OK      Verdict = "ok"
	Failed  Verdict = "failed"
	Invalid Verdict = "invalid"
)

// Result is what came of a run.
type Result struct {
	Options   Options
	Began     time.Time
	Took      time.Duration
	Workloads []*WorkloadResult
	Bands     []nemesis.Band
	// Failures are broken promises, Untested what makes the run invalid.
	Failures, Untested []string
	// Unfelt are the nemeses that nobody felt; they are in Untested as well.
	Unfelt []string
	// CalmRate is the operations a second that were acknowledged before any
	// nemesis struck.
	CalmRate float64
	// Live is how long it took until every node served every workload again.
	Live time.Duration
	// Logs are the lines of the nodes' logs that stand out.
	Logs []string
	// Dir holds stores and logs, if the run failed.
	Dir string

	phases []phase
}

// WorkloadResult is what came of a workload.
type WorkloadResult struct {
	Name, Does string
	// Tested says how much was tried and told.
	Tested string
	// Violation is the anomaly with its story; empty for none.
	Anomaly, Violation string
	Untested           string
	// Silence is the longest time for which a node answered none of its clients.
	Silence map[string]time.Duration

	samples []load.Sample
	errors  map[string]int
}

// phase is a part of the run, for pictures.
type phase struct {
	name     string
	from, to time.Duration
}

// Verdict says how the run ended.
func (r *Result) Verdict() Verdict {
	switch {
	case len(r.Failures) > 0:
		return Failed
	case len(r.Untested) > 0:
		return Invalid
	}
	return OK
}

// runner is a run in the making.
type runner struct {
	*Result
	j       *judge
	specs   []load.Spec
	nemeses []nemesis.Nemesis
	cluster *cluster.Cluster
	targets []load.Target
	schema  string
	all     []load.Workload
	pulses  []*load.Pulse
	// troubled says that clocks and disks of the nodes can be set off.
	troubled bool
	// workBegan is when the clients began, since the run did.
	workBegan time.Duration
}

// Run does a run from beginning to end. Whatever happens, nothing is left
// running, and nothing is left hurt. An error is of the options.
func Run(ctx context.Context, o Options) (*Result, error) {
	r := &runner{Result: &Result{Began: time.Now()}}
	var err error
	if r.specs, r.nemeses, err = o.fill(); err != nil {
		return nil, err
	}
	r.Options = o
	r.j = &judge{say: o.Say}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer r.j.cleanup()
		r.run(ctx)
	}()
	<-done
	r.Failures = append(r.Failures, r.j.failures()...)
	if r.cluster != nil && len(r.Failures) > 0 {
		r.Dir = r.cluster.Dir
	}
	r.Took = time.Since(r.Began)
	return r.Result, nil
}

func (r *runner) run(ctx context.Context) {
	r.start(ctx)
	r.create(ctx)
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	r.workBegan = time.Since(r.Began)
	var wg sync.WaitGroup
	for i, w := range r.all {
		wg.Go(func() { w.Run(work, r.targets, r.Options.Clients, r.pulses[i]) })
	}
	defer wg.Wait()
	defer stop()
	// Without this a failure below would leave out what was seen until then.
	defer r.collect()

	until := ctx
	if r.Options.Interrupted {
		ctx = context.WithoutCancel(ctx)
	}
	r.phase("calm", func() {
		r.served(ctx, calmMax)
		pause(until, calmMin-time.Since(r.Began.Add(r.workBegan)))
	})
	r.CalmRate = r.rate(r.workBegan, time.Since(r.Began))
	if !r.j.Failed() {
		r.phase(safetyPhase, func() { r.hurt(until) })
		r.phase("liveness", func() { r.Live = r.served(ctx, r.Options.Liveness) })
	}
	stop()
	wg.Wait()
	r.judge(ctx)
}

// Limits of a run's parts.
const (
	startMax  = time.Minute
	calmMin   = 2 * time.Second
	calmMax   = 30 * time.Second
	createMax = time.Minute
	finalMax  = time.Minute
	// servedMin is how many operations each node must do for each workload to
	// count as serving it.
	servedMin = 3
	// conflictsMin are answers of a node that is not served only because others
	// are.
	conflictsMin = 6
)

// safetyPhase is when nemeses strike.
const safetyPhase = "safety"

func (r *runner) phase(name string, f func()) {
	p := phase{name: name, from: time.Since(r.Began)}
	f()
	p.to = time.Since(r.Began)
	r.phases = append(r.phases, p)
}

// tally adds up what came of all operations that ended in some time of the run; its
// silence is the longest of a workload.
func (r *runner) tally(from, to time.Duration) (sum load.Tally) {
	for _, p := range r.pulses {
		shift := p.Start().Sub(r.Began)
		t := p.Between(from-shift, to-shift)
		sum.Done, sum.Errors, sum.Silence = sum.Done+t.Done, sum.Errors+t.Errors, max(sum.Silence, t.Silence)
	}
	return sum
}

// rate is the operations a second that were acknowledged in some time of the run.
func (r *runner) rate(from, to time.Duration) float64 {
	return float64(r.tally(from, to).Done) / max((to-from).Seconds(), 0.001)
}

// effect is what clients had of a wound, beside what they have in calm.
func (r *runner) effect(from, to time.Duration) nemesis.Effect {
	t := r.tally(from, to)
	return nemesis.Effect{Rate: r.rate(from, to), Calm: r.CalmRate, Errors: t.Errors, Silence: t.Silence}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// start brings up a cluster whose links can be shaped.
func (r *runner) start(ctx context.Context) {
	if len(r.Options.URLs) > 0 {
		for i, url := range r.Options.URLs {
			r.targets = append(r.targets, load.Target{Name: fmt.Sprintf("n%d", i+1), URL: url})
		}
		return
	}
	r.troubled = nemesis.CanTrouble(ctx, cmp.Or(r.Options.OldBinary, r.Options.Binary))
	c := cluster.New(r.j, r.Options.Binary, r.Options.Nodes)
	r.cluster = c
	r.connect()
	for _, n := range c.Nodes {
		n.Args = append(n.Args, r.Options.NodeArgs...)
		n.Env = append(n.Env, r.Options.NodeEnv...)
		n.Binary = r.Options.OldBinary
		if r.troubled {
			nemesis.Troubled(n)
		}
		n.Launch()
	}
	c.Init()
	for _, n := range c.Nodes {
		n.WaitReady()
		r.targets = append(r.targets, load.Target{Name: n.Name, URL: n.URL()})
	}
	if r.Options.Ready != nil {
		r.Options.Ready(c)
	}
	r.Options.Say("%d nodes are ready after %v", len(c.Nodes), time.Since(r.Began).Round(time.Millisecond))
}

// connect puts links between the nodes: packets where a nemesis wants them, and has
// what it wants if it can do without.
func (r *runner) connect() {
	wanted := r.Options.Links == LinksPackets
	for _, n := range r.nemeses {
		wanted = wanted || r.Options.Links == LinksAuto && (n.Packets || n.Name == "mix")
	}
	if wanted {
		err := r.cluster.ConnectPackets()
		if err == nil {
			r.Options.Say("each node has a network namespace")
			return
		}
		if r.Options.Links == LinksPackets {
			r.j.Fatalf("namespaces for the nodes: %v", err)
		}
		r.Options.Say("proxies stand between the nodes: %v", err)
	}
	if err := r.cluster.Connect(); err != nil {
		r.j.Fatalf("proxies before the nodes: %v", err)
	}
}

// create makes a schema for this run, the workloads' tables, and waits until
// they have all their replicas.
func (r *runner) create(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, createMax)
	defer cancel()
	r.schema = fmt.Sprintf("verify_%x", r.Options.Seed&0xffffff)
	conn, err := pgx.Connect(ctx, r.targets[0].URL)
	if err != nil {
		r.j.Fatalf("connect: %v", err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(ctx, "CREATE SCHEMA "+r.schema); err != nil {
		r.j.Fatalf("CREATE SCHEMA: %v", err)
	}
	if r.cluster == nil {
		r.j.Cleanup(r.drop)
	}
	for i := range r.targets {
		r.targets[i].URL = withParameter(r.targets[i].URL, "search_path", r.schema)
	}
	in, err := pgx.Connect(ctx, r.targets[0].URL)
	if err != nil {
		r.j.Fatalf("connect: %v", err)
	}
	defer in.Close(context.Background())
	for i, s := range r.specs {
		w := s.New()
		if err := w.Create(ctx, in); err != nil {
			r.j.Fatalf("%s: %v", s.Name, err)
		}
		p := load.NewPulse(r.targets)
		p.Seed, p.Pace = r.Options.Seed+uint64(i)<<32, r.Options.Pace
		r.all, r.pulses = append(r.all, w), append(r.pulses, p)
		r.Workloads = append(r.Workloads, &WorkloadResult{Name: s.Name, Does: s.Does, Silence: map[string]time.Duration{}})
	}
	if r.cluster != nil {
		r.replicated(ctx)
	}
}

// drop leaves a cluster that is not ours as it was.
func (r *runner) drop() {
	ctx, cancel := context.WithTimeout(context.Background(), createMax)
	defer cancel()
	conn, err := pgx.Connect(ctx, r.targets[0].URL)
	if err == nil {
		defer conn.Close(context.Background())
		_, err = conn.Exec(ctx, "DROP SCHEMA "+r.schema+" CASCADE")
	}
	if err != nil {
		r.j.Errorf("drop the schema %s: %v", r.schema, err)
	}
}

// withParameter adds a parameter to a connection URL.
func withParameter(url, name, value string) string {
	if strings.Contains(url, "?") {
		return url + "&" + name + "=" + value
	}
	return url + "?" + name + "=" + value
}

// replicated waits until no range lacks a replica: before that, one fault may be
// one too many.
func (r *runner) replicated(ctx context.Context) {
	want := min(3, len(r.cluster.Nodes))
	var err error
	for ctx.Err() == nil {
		var ranges []cluster.Range
		ranges, err = r.cluster.Ranges(r.cluster.Nodes[0])
		if err == nil && !slices.ContainsFunc(ranges, func(x cluster.Range) bool { return len(x.Replicas) < want }) {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	r.j.Fatalf("not every range has %d replicas: %v", want, err)
}

// hurt lets the nemeses strike.
func (r *runner) hurt(ctx context.Context) {
	if len(r.nemeses) == 0 {
		pause(ctx, r.Options.Safety)
		return
	}
	env := nemesis.NewEnv(r.cluster)
	env.Schema, env.Trouble, env.OldBinary = r.schema, r.troubled, r.Options.OldBinary
	s := &nemesis.Schedule{Env: env, Start: r.Began, Seed: r.Options.Seed, Say: r.Options.Say, Effect: r.effect}
	err := s.Run(ctx, r.nemeses, r.Options.Safety)
	r.cluster.Links.Heal()
	if err != nil {
		r.j.Errorf("the nemesis could not do or undo its work: %v", err)
	}
	r.Bands = s.Bands()
	r.Unfelt = s.Unfelt(r.nemeses)
	for _, name := range r.Unfelt {
		r.Untested = append(r.Untested, fmt.Sprintf("nemesis %s was never felt", name))
	}
}

// served waits until every node does every workload, and returns how long that
// took.
func (r *runner) served(ctx context.Context, limit time.Duration) time.Duration {
	start := time.Now()
	before := r.answers()
	last := ""
	for {
		missing := r.unserved(before)
		if len(missing) == 0 {
			d := time.Since(start)
			r.Options.Say("every node served every workload after %v; %s was the last", d.Round(time.Millisecond), last)
			return d
		}
		last = missing[0]
		if ctx.Err() != nil {
			r.j.Errorf("ended before its time: %v", context.Cause(ctx))
			return 0
		}
		if time.Since(start) > limit {
			r.j.Errorf("after %v, with nothing wrong any more, not served: %s", limit, strings.Join(missing, ", "))
			return limit
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// answered is how many operations a node has acknowledged, and refused for a
// conflict.
type answered struct{ done, conflicts int }

// answers are those so far, by workload and node.
func (r *runner) answers() []map[string]answered {
	out := make([]map[string]answered, len(r.pulses))
	for i, p := range r.pulses {
		out[i] = map[string]answered{}
		for _, t := range r.targets {
			out[i][t.Name] = answered{p.Count(t.Name), p.Conflicts(t.Name)}
		}
	}
	return out
}

// unserved lists which workload on which node has not gone on. A node that lost
// many conflicts serves, if another one won them: who is far from data that all
// want may have to wait for long, in calm as well.
func (r *runner) unserved(before []map[string]answered) (missing []string) {
	for i, now := range r.answers() {
		all := 0
		for _, t := range r.targets {
			done := now[t.Name].done - before[i][t.Name].done
			all += done
			if done < servedMin && now[t.Name].conflicts-before[i][t.Name].conflicts < conflictsMin {
				missing = append(missing, r.specs[i].Name+" on "+t.Name)
			}
		}
		if all < servedMin {
			missing = append(missing, r.specs[i].Name)
		}
	}
	return missing
}

// collect keeps what the pictures need.
func (r *runner) collect() {
	for i, w := range r.Workloads {
		p := r.pulses[i]
		p.End()
		w.samples, w.errors = p.Samples(), p.Errors()
		shift := p.Start().Sub(r.Began)
		for k := range w.samples {
			w.samples[k].At += shift
		}
		for _, t := range r.targets {
			w.Silence[t.Name] = p.Longest(t.Name)
		}
	}
	if r.cluster != nil {
		r.Logs = keyLines(r.cluster)
		for _, n := range r.cluster.Nodes {
			if _, race, found := strings.Cut(n.Log(), dataRace); found {
				r.j.Errorf("%s: %s%s", n.Name, dataRace, race[:min(len(race), dataRaceMax)])
			}
		}
	}
}

// judge reads what is left and asks the checkers.
func (r *runner) judge(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finalMax)
	defer cancel()
	var wg sync.WaitGroup
	for i, w := range r.all {
		wg.Go(func() { r.judgeOne(ctx, w, r.Workloads[i], r.targets[i%len(r.targets)]) })
	}
	wg.Wait()
	for _, w := range r.Workloads {
		switch {
		case w.Violation != "":
			r.Failures = append(r.Failures, fmt.Sprintf("%s: %s", w.Name, w.Violation))
		case w.Untested != "":
			r.Untested = append(r.Untested, fmt.Sprintf("%s: %s", w.Name, w.Untested))
		}
	}
}

func (r *runner) judgeOne(ctx context.Context, w load.Workload, out *WorkloadResult, at load.Target) {
	conn, err := pgx.Connect(ctx, at.URL)
	if err == nil {
		defer conn.Close(context.Background())
		err = w.Final(ctx, conn)
	}
	if err != nil {
		r.j.Errorf("%s: read at the end through %s: %v", out.Name, at.Name, err)
	}
	if out.Tested, err = w.Tested(); err != nil {
		out.Untested = err.Error()
	}
	if err := w.Check(); err != nil {
		out.Violation = err.Error()
		var v *check.Violation
		if errors.As(err, &v) {
			out.Anomaly = string(v.Anomaly)
		}
	}
}
