package allocator

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/cairndb/cairn/kv/kvapi"
)

// Kind is what an Action does.
type Kind uint8

// Kinds of actions.
const (
	// None: all is well.
	None Kind = iota
	// LeaveJoint ends a change of voters that was interrupted.
	LeaveJoint
	// AddReplica makes Add a voter.
	AddReplica
	// ReplaceReplica makes Add a voter and Remove none, in one step.
	ReplaceReplica
	// RemoveReplica takes the voter on Remove away.
	RemoveReplica
	// RemoveLearner takes the learner on Remove away.
	RemoveLearner
	// TransferLease gives the lease From one node To another.
	TransferLease
	// Blocked: something has to be done and cannot be.
	Blocked
)

// String is the kind as cairn.range_log shows it.
func (k Kind) String() string {
	return [...]string{"none", "leave joint", "add replica", "replace replica", "remove replica",
		"remove learner", "transfer lease", "blocked"}[k]
}

// Concern is what an action is for, the most urgent first.
type Concern uint8

// Concerns.
const (
	Repair Concern = iota
	Leaving
	Trim
	Place
	Spread
	Count
	Load
)

// String names the concern.
func (c Concern) String() string {
	return [...]string{"repair", "decommission", "trim", "placement", "spread", "count", "load"}[c]
}

// Action is one step for one range. The nodes that its kind does not name are
// zero.
type Action struct {
	Kind        Kind
	Concern     Concern
	Add, Remove kvapi.NodeID
	From, To    kvapi.NodeID
	// Why says in words what the action is good for, or what blocks it.
	Why string
}

// Range is a range as its leaseholder sees it.
type Range struct {
	Desc        *kvapi.RangeDescriptor
	Leaseholder kvapi.NodeID
	// QPS is the batches a second that it serves.
	QPS float64
	// Near is the node that sends most of them, 0 if none does.
	Near kvapi.NodeID
	// Wants is what is asked for its replicas.
	Wants Placement
}

// Placement is what is asked for the replicas of a range; the zero Placement is
// nothing of its own.
type Placement struct {
	// Voters is how many there should be, 0 for View.Voters.
	Voters int
	// Where are the tiers that a node with a replica must have: region=eu is any
	// node in that region, whatever other tiers it has.
	Where Locality
}

// fits reports whether replicas may be on a node.
func (p Placement) fits(n *Node) bool {
	for _, t := range p.Where {
		if !slices.Contains(n.Locality, t) {
			return false
		}
	}
	return true
}

// voters is how many a range should have.
func (v *View) voters(p Placement) int { return cmp.Or(p.Voters, v.Voters) }

// Decide returns the next action for a range, asked by its leaseholder.
func Decide(v *View, r Range) Action {
	if r.Desc.IsJoint() {
		return Action{Kind: LeaveJoint, Why: "a change of its voters was interrupted"}
	}
	d := decision{v: v, r: r, want: v.voters(r.Wants), leaseholder: v.Node(r.Leaseholder)}
	for _, rep := range r.Desc.Replicas {
		if n := v.Node(rep.NodeID); rep.Type == kvapi.Voter {
			d.voters = append(d.voters, n)
		} else {
			d.learners = append(d.learners, n)
		}
	}
	return d.decide()
}

// decision is Decide's working place.
type decision struct {
	v *View
	r Range
	// want is how many voters the range should have.
	want             int
	leaseholder      *Node
	voters, learners []*Node
}

func (d *decision) decide() Action {
	repair := d.repair()
	switch {
	case len(d.learners) > 0 && repair.Add != d.learners[0].ID:
		return Action{Kind: RemoveLearner, Concern: Trim, Remove: d.learners[0].ID,
			Why: fmt.Sprintf("%s was to get a replica, which nobody needs now", d.learners[0].ID)}
	case repair.Kind != None && repair.Kind != Blocked:
		return repair
	}
	place := d.place()
	for _, step := range []func() Action{d.trim, func() Action { return place }, d.spread, d.count, d.lease} {
		if a := step(); a.Kind != None && a.Kind != Blocked {
			return a
		}
	}
	if repair.Kind == None {
		return place
	}
	return repair
}

// repair restores the number of voters on nodes that stay.
func (d *decision) repair() Action {
	if len(d.voters) < d.want {
		to := d.receiver(d.voters)
		why := fmt.Sprintf("it has %d of %d voters", len(d.voters), d.want)
		if to != nil {
			return Action{Kind: AddReplica, Concern: Repair, Add: to.ID, Why: why}
		}
		if lost := d.lost(); lost == nil {
			return Action{Kind: Blocked, Concern: Repair, Why: why + ": " + d.v.missing(d.voters, d.r.Wants.Where)}
		}
	}
	lost := d.lost()
	if lost == nil || len(d.voters) > d.want {
		return Action{} // what is too much is trimmed, the lost first
	}
	return d.replaceLost(lost)
}

// lost is the voter to replace: on a node that is gone, or that is leaving.
func (d *decision) lost() (leaving *Node) {
	for _, n := range d.voters {
		switch {
		case n.Liveness == Dead || n.Membership == Decommissioned:
			return n
		case n.Membership == Decommissioning:
			leaving = n
		}
	}
	return leaving
}

func (d *decision) replaceLost(lost *Node) Action {
	concern, why := Repair, fmt.Sprintf("%s has been silent for too long", lost.ID)
	if lost.Membership != Member {
		concern, why = Leaving, fmt.Sprintf("%s is leaving the cluster", lost.ID)
	}
	stay := slices.DeleteFunc(slices.Clone(d.voters), func(n *Node) bool { return n == lost })
	to := d.receiver(stay)
	if lost == d.leaseholder {
		if heir := d.heir(func(n *Node) bool { return n != lost }); heir != nil {
			return Action{Kind: TransferLease, Concern: concern, From: lost.ID, To: heir.ID, Why: why}
		}
		if to != nil {
			return Action{Kind: AddReplica, Concern: concern, Add: to.ID, Why: why + ", and nobody else can hold the lease"}
		}
	}
	if to == nil {
		return Action{Kind: Blocked, Concern: concern, Why: why + ": " + d.v.missing(d.voters, d.r.Wants.Where)}
	}
	return Action{Kind: ReplaceReplica, Concern: concern, Add: to.ID, Remove: lost.ID, Why: why}
}

// candidates are the nodes that may get a replica of the range.
func (d *decision) candidates() []*Node {
	return slices.DeleteFunc(d.v.candidates(d.voters), func(n *Node) bool { return !d.r.Wants.fits(n) })
}

// receiver picks a node for a replica beside those that stay. A learner that is
// on its way there is not sent for nothing.
func (d *decision) receiver(stay []*Node) *Node {
	all := d.candidates()
	best := d.v.pick(d.r.Desc.RangeID, all, stay)
	for _, l := range d.learners {
		if slices.Contains(all, l) && !crowdingOf(stay, nil, best).less(crowdingOf(stay, nil, l)) {
			return l
		}
	}
	return best
}

// heir is the voter that should take the lease: of those that may, the one with
// the fewest.
func (d *decision) heir(ok func(*Node) bool) (best *Node) {
	for _, n := range d.voters {
		if n.mayLead() && ok(n) && (best == nil || n.Leases < best.Leases) {
			best = n
		}
	}
	return best
}

// removable are the voters that a change may take away (I2).
func (d *decision) removable() []*Node {
	return slices.DeleteFunc(slices.Clone(d.voters), func(n *Node) bool { return n == d.leaseholder })
}

// place moves a replica from where it should not be.
func (d *decision) place() Action {
	if len(d.r.Wants.Where) == 0 || !d.isCalm() {
		return Action{}
	}
	astray := slices.DeleteFunc(slices.Clone(d.voters), d.r.Wants.fits)
	if len(astray) == 0 {
		return Action{}
	}
	// The leaseholder's is the last, when another can take its lease.
	from := astray[0]
	for _, n := range astray {
		if n != d.leaseholder {
			from = n
		}
	}
	why := fmt.Sprintf("%s is not in %s", from.ID, d.r.Wants.Where)
	if from == d.leaseholder {
		heir := d.heir(d.r.Wants.fits)
		if heir == nil {
			return Action{} // those that could are draining, or full
		}
		return Action{Kind: TransferLease, Concern: Place, From: from.ID, To: heir.ID, Why: why}
	}
	stay := slices.DeleteFunc(slices.Clone(d.voters), func(n *Node) bool { return n == from })
	to := d.receiver(stay)
	if to == nil {
		return Action{Kind: Blocked, Concern: Place, Why: why + ": " + d.v.missing(d.voters, d.r.Wants.Where)}
	}
	return Action{Kind: ReplaceReplica, Concern: Place, Add: to.ID, Remove: from.ID, Why: why}
}

// trim removes a voter beyond the goal: what is lost first, then what is silent,
// then what crowds the others most, then what has most.
func (d *decision) trim() Action {
	if len(d.voters) <= d.want {
		return Action{}
	}
	rank := func(n *Node) int {
		switch {
		case !n.stays() || !d.r.Wants.fits(n):
			return 0
		case n.Liveness == Silent:
			return 1
		}
		return 2
	}
	var worst *Node
	var left crowding
	for _, n := range d.removable() {
		c := crowdingOf(d.voters, n, nil)
		switch {
		case worst == nil || rank(n) < rank(worst):
		case rank(n) > rank(worst) || left.less(c):
			continue
		case !c.less(left) && n.Replicas <= worst.Replicas:
			continue
		}
		worst, left = n, c
	}
	if worst == nil {
		return Action{}
	}
	return Action{Kind: RemoveReplica, Concern: Trim, Remove: worst.ID,
		Why: fmt.Sprintf("it has %d voters, %d are wanted", len(d.voters), d.want)}
}

// isCalm reports whether all voters are where they can be counted on. Nothing
// is moved for beauty while one is silent.
func (d *decision) isCalm() bool {
	for _, n := range d.voters {
		if n.Liveness != Live || n.Membership != Member {
			return false
		}
	}
	return true
}

// spread moves a replica away from another that it would fail with.
func (d *decision) spread() Action {
	now := crowdingOf(d.voters, nil, nil)
	if !d.v.bestCrowding(len(d.voters)).less(now) || !d.isCalm() {
		return Action{}
	}
	candidates := d.candidates()
	var from *Node
	least := now
	for _, x := range d.removable() {
		for _, y := range candidates {
			c := crowdingOf(d.voters, x, y)
			if c.less(least) || c == least && from != nil && x.Replicas > from.Replicas {
				from, least = x, c
			}
		}
	}
	if from == nil {
		return Action{}
	}
	stay := slices.DeleteFunc(slices.Clone(d.voters), func(n *Node) bool { return n == from })
	to := d.v.pick(d.r.Desc.RangeID, candidates, stay)
	return Action{Kind: ReplaceReplica, Concern: Spread, Add: to.ID, Remove: from.ID,
		Why: fmt.Sprintf("%s shares %s with another replica", from.ID, crowdedTier(from, now, least))}
}

// bestCrowding is the least that k voters on the takers can have, found by
// taking the least crowded node k times.
func (v *View) bestCrowding(k int) crowding {
	if c, ok := v.best[k]; ok {
		return c
	}
	var chosen []*Node
	for len(chosen) < k && len(chosen) < len(v.takers) {
		var next *Node
		var least crowding
		for _, n := range v.takers {
			if slices.Contains(chosen, n) {
				continue
			}
			if c := crowdingOf(chosen, nil, n); next == nil || c.less(least) {
				next, least = n, c
			}
		}
		chosen = append(chosen, next)
	}
	c := crowdingOf(chosen, nil, nil)
	v.best[k] = c
	return c
}

// count moves a replica from a node with many to one with few.
func (d *decision) count() Action {
	if !d.isCalm() {
		return Action{}
	}
	var from *Node
	for _, n := range d.removable() {
		if n.Replicas > d.v.meanReplicas && (from == nil || n.Replicas > from.Replicas) {
			from = n
		}
	}
	if from == nil {
		return Action{}
	}
	to := d.countMove(from)
	if to == nil || !d.isShare(from, to) {
		return Action{}
	}
	return Action{Kind: ReplaceReplica, Concern: Count, Add: to.ID, Remove: from.ID,
		Why: fmt.Sprintf("%s has %.0f replicas, %s has %.0f, the mean is %.0f", from.ID, from.Replicas, to.ID, to.Replicas, d.v.meanReplicas)}
}

// isShare reports whether a move between two nodes by count is for this leaseholder to
// make. All others see the same gaps, and not yet what the rest do about them; so
// each closes its part of a gap, and where that is less than one replica, it is drawn
// by lot whose turn it is. If each closed all of a gap, five nodes would send a new one
// five times what it lacks, and then as much back.
func (d *decision) isShare(from, to *Node) bool {
	v := d.v
	lot := float64(mix(mix(uint64(d.r.Leaseholder))^v.Turn)>>11) / (1 << 53) // in [0, 1)
	excess := from.Replicas + from.removed - v.meanReplicas
	lack := v.meanReplicas - (to.Replicas - to.added)
	k := float64(len(v.takers))
	return from.removed+lot < excess/k && to.added+lot < lack/k
}

// countMove picks where a replica goes, by count, without worsening the spread.
func (d *decision) countMove(from *Node) *Node {
	full := d.v.overfull(from)
	now := crowdingOf(d.voters, nil, nil)
	var able []*Node
	for _, n := range d.v.takers {
		if d.r.Wants.fits(n) && (d.v.underfull(n) || full && n.Replicas < d.v.meanReplicas-1) && !slices.Contains(d.voters, n) &&
			!now.less(crowdingOf(d.voters, from, n)) {
			able = append(able, n)
		}
	}
	return drawEmptier(d.r.Desc.RangeID, able)
}

// lease moves the lease of an idle range by number, that of a busy one by load.
// A busy range whose requests come from where it is led stays.
func (d *decision) lease() Action {
	l := d.leaseholder
	if !l.mayLead() {
		return Action{}
	}
	if d.r.QPS >= busyQPS {
		return d.busyLease()
	}
	s := slack(d.v.meanLeases, leaseSlackShare, leaseSlackMin)
	to := d.heir(func(n *Node) bool {
		return n != l && n.Leases+1 < l.Leases &&
			(l.Leases > d.v.meanLeases+s && n.Leases < d.v.meanLeases || l.Leases > d.v.meanLeases && n.Leases < d.v.meanLeases-s)
	})
	if to == nil {
		return Action{}
	}
	return Action{Kind: TransferLease, Concern: Load, From: l.ID, To: to.ID,
		Why: fmt.Sprintf("%s has %.0f leases, %s has %.0f, the mean is %.0f", l.ID, l.Leases, to.ID, to.Leases, d.v.meanLeases)}
}

func (d *decision) busyLease() Action {
	l, high := d.leaseholder, d.v.meanQPS+slack(d.v.meanQPS, loadSlackShare, loadSlackMin)
	if d.r.Near == l.ID || l.QPS <= high {
		return Action{}
	}
	var to *Node
	for _, n := range d.voters {
		if n != l && n.mayLead() && n.QPS+d.r.QPS <= high && n.QPS+d.r.QPS < l.QPS && (to == nil || n.QPS < to.QPS) {
			to = n
		}
	}
	if to == nil {
		return Action{}
	}
	return Action{Kind: TransferLease, Concern: Load, From: l.ID, To: to.ID,
		Why: fmt.Sprintf("%s serves %.0f batches a second, %s %.0f, this range %.0f of them", l.ID, l.QPS, to.ID, to.QPS, d.r.QPS)}
}
