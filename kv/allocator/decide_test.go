package allocator

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cairndb/cairn/kv/kvapi"
)

// A case is a cluster and a range in words, and the answer:
//
//	nodes   n1 eu/a 10 5 leases, n2 eu/b dead    count of replicas, then marks
//	range   1* 2 3 4L                            voters, * the lease, L learners,
//	                                             I incoming, D demoted;
//	        want5 in:region=eu                   what is asked for its replicas
//
// Nodes that say nothing else are live, and have 10 replicas and 3 leases.
func TestDecide(t *testing.T) {
	for _, c := range []struct {
		name, nodes, rng, want string
	}{
		{"all is well", "n1,n2,n3", "1* 2 3", "none"},
		{"a lone node has nobody to replicate to", "n1", "1*", "blocked: it has 1 of 3 voters: needs a second node"},
		{"a second node gets a replica", "n1,n2", "1*", "add replica +n2: it has 1 of 3 voters"},
		{"a joint configuration is left before anything else", "n1,n2 dead,n3,n4", "1* 2 3D 4I",
			"leave joint: a change of its voters was interrupted"},

		{"a silent node may come back", "n1,n2,n3 silent,n4", "1* 2 3", "none"},
		{"a dead node's replica is replaced", "n1,n2,n3 dead,n4", "1* 2 3",
			"replace replica +n4 -n3: n3 has been silent for too long"},
		{"a node that was never heard of is silent", "n1,n2,n4", "1* 2 3", "none"},
		{"three nodes, one of them dead, need a third", "n1,n2,n3 dead", "1* 2 3",
			"blocked: n3 has been silent for too long: needs a third node"},
		{"what bars the others is said", "n1,n2,n3 dead,n4 full,n5 draining", "1* 2 3",
			"blocked: n3 has been silent for too long: needs a fifth node (n4 has a full disk, n5 is draining)"},
		{"the dead before the leaving", "n1,n2 leaving,n3 dead,n4", "1* 2 3",
			"replace replica +n4 -n3: n3 has been silent for too long"},
		{"too many voters: the dead one goes", "n1,n2,n3 dead,n4", "1* 2 3 4",
			"remove replica -n3: it has 4 voters, 3 are wanted"},
		{"too many voters: the silent one goes", "n1,n2,n3 silent,n4 99", "1* 2 3 4",
			"remove replica -n3: it has 4 voters, 3 are wanted"},
		{"too many voters: not the leaseholder", "n1 50,n2,n3,n4 12", "1* 2 3 4",
			"remove replica -n4: it has 4 voters, 3 are wanted"},
		{"too many voters: the crowding one goes", "n1 eu/a,n2 us/a,n3 us/b 12,n4 ap/a 50", "1* 2 3 4",
			"remove replica -n3: it has 4 voters, 3 are wanted"},

		{"a node that leaves is replaced", "n1,n2,n3 leaving,n4", "1* 2 3",
			"replace replica +n4 -n3: n3 is leaving the cluster"},
		{"the lease goes before its replica", "n1 leaving,n2 7 leases,n3,n4", "1* 2 3",
			"transfer lease n1>n3: n1 is leaving the cluster"},
		{"three nodes, one of them leaving, need a fourth", "n1,n2,n3 leaving", "1* 2 3",
			"blocked: n3 is leaving the cluster: needs a fourth node"},
		{"the only replica is copied first", "n1 leaving,n2 1", "1*", "add replica +n2: it has 1 of 3 voters"},

		{"a learner that is needed is promoted", "n1,n2,n3,n4 2", "1* 2 3L", "add replica +n3: it has 2 of 3 voters"},
		{"a learner that is in the way goes", "n1,n2,n3,n4", "1* 2 3 4L",
			"remove learner -n4: n4 was to get a replica, which nobody needs now"},
		{"a learner on a node that went away goes", "n1,n2,n3,n4 silent", "1* 2 4L",
			"remove learner -n4: n4 was to get a replica, which nobody needs now"},
		{"a learner of an interrupted repair is used", "n1,n2,n3 dead,n4,n5 1", "1* 2 3 4L",
			"replace replica +n4 -n3: n3 has been silent for too long"},

		{"replicas spread over regions first", "n1 eu/a,n2 eu/b,n3 us/a,n4 ap/a 11", "1* 2 3",
			"replace replica +n4 -n2: n2 shares region=eu with another replica"},
		{"then over zones", "n1 eu/a,n2 eu/a,n3 eu/b,n4 eu/c", "1* 2 3",
			"replace replica +n4 -n2: n2 shares zone=a with another replica"},
		{"two regions are used two to one", "n1 eu/a,n2 eu/b,n3 us/a,n4 us/b", "1* 2 3", "none"},
		{"three in one region of two", "n1 eu/a,n2 eu/b 11,n3 eu/c,n4 us/b", "1* 2 3",
			"replace replica +n4 -n2: n2 shares region=eu with another replica"},
		{"nothing moves for beauty while a node is silent", "n1 eu/a,n2 eu/b,n3 us/a silent,n4 ap/a", "1* 2 3", "none"},
		{"repair goes where it spreads best", "n1 eu/a,n2 us/a,n3 ap/a dead,n4 eu/b 1,n5 ap/b 12", "1* 2 3",
			"replace replica +n5 -n3: n3 has been silent for too long"},

		{"a small difference of counts is left", "n1 10,n2 11,n3 12,n4 9", "1* 2 3", "none"},
		{"a large one is not", "n1 100,n2 130,n3 100,n4 70", "1* 2 3",
			"replace replica +n4 -n2: n2 has 130 replicas, n4 has 70, the mean is 100"},
		{"but not from the leaseholder", "n1 130,n2 100,n3 100,n4 70", "1* 2 3", "none"},
		{"nor where it would crowd", "n1 eu/a 100,n2 us/a 130,n3 ap/a 100,n4 eu/b 70", "1* 2 3", "none"},
		{"nor to a full disk", "n1 100,n2 130,n3 100,n4 70 full", "1* 2 3", "none"},

		{"idle leases are evened out", "n1 20 leases,n2 3 leases,n3 7 leases", "1* 2 3",
			"transfer lease n1>n2: n1 has 20 leases, n2 has 3, the mean is 10"},
		{"not for a few", "n1 6 leases,n2 3 leases,n3 3 leases", "1* 2 3", "none"},
		{"busy ones are not moved by number", "n1 20 leases,n2 3 leases,n3 7 leases", "1* 2 3 @100", "none"},
		{"but by load", "n1 3000 qps,n2 100 qps,n3 500 qps", "1* 2 3 @400",
			"transfer lease n1>n2: n1 serves 3000 batches a second, n2 100, this range 400 of them"},
		{"unless that only moves the trouble", "n1 3000 qps,n2 100 qps,n3 100 qps", "1* 2 3 @2900", "none"},
		{"unless the requests come from here", "n1 3000 qps,n2 100 qps,n3 500 qps", "1* 2 3 @400 near1", "none"},

		{"more replicas are wanted", "n1,n2,n3,n4,n5", "1* 2 3 want5", "add replica +n5: it has 3 of 5 voters"},
		{"and cannot be had", "n1,n2,n3,n4", "1* 2 3 4 want5", "blocked: it has 4 of 5 voters: needs a fifth node"},
		{"so many and no more", "n1,n2,n3,n4,n5 12", "1* 2 3 4 5 want3", "remove replica -n5: it has 5 voters, 3 are wanted"},
		{"replicas are wanted elsewhere", "n1 eu/a,n2 us/a,n3 eu/b,n4 eu/c", "1* 2 3 in:region=eu",
			"replace replica +n4 -n2: n2 is not in region=eu"},
		{"the lease goes before the replica", "n1 us/a,n2 eu/b,n3 eu/c,n4 eu/d", "1* 2 3 in:region=eu",
			"transfer lease n1>n2: n1 is not in region=eu"},
		{"when all others are where they are wanted", "n1 us/a,n2 us/b,n3 eu/a,n4 eu/b", "1* 2 3 in:region=eu",
			"replace replica +n4 -n2: n2 is not in region=eu"},
		{"and nobody is there", "n1 eu/a,n2 eu/b,n3 us/a,n4 us/b", "1* 2 3 in:region=eu",
			"blocked: n3 is not in region=eu: needs a third node in region=eu"},
		{"nothing moves there while a node is silent", "n1 eu/a,n2 eu/b silent,n3 us/a,n4 eu/b", "1* 2 3 in:region=eu", "none"},
		{"repair keeps to it", "n1 eu/a,n2 eu/b,n3 eu/c dead,n4 us/a 1,n5 eu/d", "1* 2 3 in:region=eu",
			"replace replica +n5 -n3: n3 has been silent for too long"},
		{"repair elsewhere is no repair", "n1 eu/a,n2 eu/b,n3 eu/c dead,n4 us/a", "1* 2 3 in:region=eu",
			"blocked: n3 has been silent for too long: needs a third node in region=eu"},
		{"the spread keeps to it", "n1 eu/a,n2 eu/b,n3 eu/c,n4 us/a", "1* 2 3 in:region=eu", "none"},
		{"so do counts", "n1 eu/a 100,n2 eu/b 130,n3 eu/c 100,n4 us/a 70", "1* 2 3 in:region=eu", "none"},
		{"two tiers are wanted both", "n1 eu/a,n2 eu/b,n3 eu/a,n4 eu/a", "1* 2 3 in:region=eu,zone=a",
			"replace replica +n4 -n2: n2 is not in region=eu,zone=a"},
		{"too many: the one astray goes", "n1 eu/a,n2 us/b 1,n3 eu/c,n4 eu/d 50", "1* 2 3 4 in:region=eu",
			"remove replica -n2: it has 4 voters, 3 are wanted"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := NewView(3, parseNodes(t, c.nodes))
			r := parseRange(t, c.rng)
			if got := Decide(v, r).describe(); got != c.want {
				t.Errorf("\n got %s\nwant %s", got, c.want)
			}
		})
	}
}

func (a Action) describe() string {
	s := a.Kind.String()
	if a.Add != 0 {
		s += fmt.Sprintf(" +%s", a.Add)
	}
	if a.Remove != 0 {
		s += fmt.Sprintf(" -%s", a.Remove)
	}
	if a.To != 0 {
		s += fmt.Sprintf(" %s>%s", a.From, a.To)
	}
	if a.Why != "" {
		s += ": " + a.Why
	}
	return s
}

func parseNodes(t *testing.T, text string) (out []Node) {
	t.Helper()
	for _, part := range strings.Split(text, ",") {
		n := Node{Replicas: 10, Leases: 3}
		words := strings.Fields(part)
		if _, err := fmt.Sscanf(words[0], "n%d", &n.ID); err != nil {
			t.Fatal(part, err)
		}
		for i, w := range words[1:] {
			var x float64
			region, zone, isPlace := strings.Cut(w, "/")
			_, notNumber := fmt.Sscanf(w, "%g", &x)
			next := ""
			if i+2 < len(words) {
				next = words[i+2]
			}
			switch {
			case isPlace:
				n.Locality = Locality{{"region", region}, {"zone", zone}}
			case notNumber == nil && next == "leases":
				n.Leases = x
			case notNumber == nil && next == "qps":
				n.QPS = x
			case notNumber == nil:
				n.Replicas = x
			case w == "dead":
				n.Liveness = Dead
			case w == "silent":
				n.Liveness = Silent
			case w == "leaving":
				n.Membership = Decommissioning
			case w == "full":
				n.DiskFull = true
			case w == "draining":
				n.Draining = true
			}
		}
		out = append(out, n)
	}
	return out
}

func parseRange(t *testing.T, text string) Range {
	t.Helper()
	r := Range{Desc: &kvapi.RangeDescriptor{RangeID: 7}}
	for i, w := range strings.Fields(text) {
		var id uint32
		var mark string
		if n, _ := fmt.Sscanf(w, "@%g", &r.QPS); n == 1 {
			continue
		}
		if n, _ := fmt.Sscanf(w, "want%d", &r.Wants.Voters); n == 1 {
			continue
		}
		if where, ok := strings.CutPrefix(w, "in:"); ok {
			var err error
			if r.Wants.Where, err = ParseLocality(where); err != nil {
				t.Fatal(w, err)
			}
			continue
		}
		if n, _ := fmt.Sscanf(w, "near%d", &id); n == 1 {
			r.Near = kvapi.NodeID(id)
			continue
		}
		if n, err := fmt.Sscanf(w, "%d%s", &id, &mark); n == 0 {
			t.Fatal(w, err)
		}
		rep := kvapi.ReplicaDescriptor{NodeID: kvapi.NodeID(id), ReplicaID: kvapi.ReplicaID(i + 1)}
		switch mark {
		case "*":
			r.Leaseholder = rep.NodeID
		case "L":
			rep.Type = kvapi.Learner
		case "I":
			rep.Type = kvapi.VoterIncoming
		case "D":
			rep.Type = kvapi.VoterDemotingLearner
		}
		r.Desc.Replicas = append(r.Desc.Replicas, rep)
	}
	return r
}

func TestLocality(t *testing.T) {
	for _, good := range []string{"", "region=eu", "region=eu,zone=b", "dc=1,rack=2,host=x"} {
		l, err := ParseLocality(good)
		if err != nil || l.String() != good {
			t.Errorf("%q: %q, %v", good, l, err)
		}
	}
	for bad, want := range map[string]string{
		"eu": `"eu" is no locality tier`, "region=": "is no locality tier", "a=1,a=2": `"a" is given twice`,
		"a=1,b=2,c=3,d=4,e=5,f=6,g=7": "more than 6 tiers", "a=1,": `"" is no locality tier`,
	} {
		if _, err := ParseLocality(bad); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
