package simulation

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cairndb/cairn/internal/workload"
	"github.com/cairndb/cairn/kv/store"
)

var (
	breakFlag   = flag.String("break", "", "break every node on purpose: timestamp-cache-off, readers-ignored, reads-dropped, lease-unchecked, ack-before-sync, threshold-forgotten, locks-in-memory, promises-ignored or withdrawn-early")
	brokenSeeds = flag.Int("broken-seeds", 40, "within how many seeds a broken build must be caught")
)

// brokenBuild is a fault put into the product, to see that it is found.
type brokenBuild struct {
	name     string
	knobs    store.TestingKnobs
	workload workload.Name
	faults   []FaultKind
	// seed is tried first: it is known to catch the fault. Others follow, for a
	// change elsewhere may move the moment that a seed hits.
	seed Seed
	// leases are those of the stores.
	leases store.LeaseMode
}

func brokenBuilds() []brokenBuild {
	return []brokenBuild{
		{"timestamp-cache-off", store.TestingKnobs{DisableTimestampCache: true}, workload.ListAppend, nil, 1, store.ExpirationLeases},
		{"readers-ignored", store.TestingKnobs{IgnoreReaders: true}, workload.KV, nil, 1, store.ExpirationLeases},
		{"reads-dropped", store.TestingKnobs{DropReads: true}, workload.KV, []FaultKind{LeaseStorm, Clock}, 4, store.LeaderLeases},
		{"lease-unchecked", store.TestingKnobs{DisableLeaseCheck: true}, workload.Register, nil, 7, store.ExpirationLeases},
		{"ack-before-sync", store.TestingKnobs{AckBeforeSync: true}, "", []FaultKind{Crash, CrashAll}, 5, store.ExpirationLeases},
		{"threshold-forgotten", store.TestingKnobs{ForgetThreshold: true}, workload.KV, nil, 1, store.ExpirationLeases},
		{"unclosed-read", store.TestingKnobs{ReadUnclosed: true}, workload.KV, nil, 4, store.ExpirationLeases},
		{"locks-in-memory", store.TestingKnobs{LocksInMemory: true}, workload.Mutex, nil, 6, store.ExpirationLeases},
		{"promises-ignored", store.TestingKnobs{IgnorePromises: true}, workload.Register, nil, 1, store.LeaderLeases},
		{"withdrawn-early", store.TestingKnobs{WithdrawEarly: 2 * time.Second}, workload.Register, nil, 1, store.LeaderLeases},
	}
}

// brokenSettle: replicas that lost what they had promised never agree, and
// their leader tells them so as fast as the network goes. Minutes of virtual
// time of that are minutes of CPU.
const brokenSettle = 20 * time.Second

// broken applies -break to a run.
func broken(o Options) (Options, error) {
	for _, b := range brokenBuilds() {
		if b.name == *breakFlag {
			o.Knobs, o.Settle, o.Leases = b.knobs, brokenSettle, b.leases
			if len(b.faults) > 0 {
				o.Faults = b.faults
			}
			if b.workload != "" && len(o.Workloads) == 0 {
				o.Workloads = []workload.Name{b.workload}
			}
			return o, nil
		}
	}
	if *breakFlag != "" {
		return o, fmt.Errorf("no broken build is called %q", *breakFlag)
	}
	return o, nil
}

// TestBrokenBuildsAreCaught: each fault fails some seed. A harness that never
// fails proves nothing. Every seed is a process of its own, for Raft's own
// assertions end the process.
func TestBrokenBuildsAreCaught(t *testing.T) {
	if *breakFlag != "" {
		t.Skip("this is one of the processes that the test starts")
	}
	for _, b := range brokenBuilds() {
		t.Run(b.name, func(t *testing.T) {
			for i := range *brokenSeeds {
				seed := b.seed + Seed(i)
				if out, caught := runBroken(t, b, seed); caught {
					t.Logf("caught by seed %d: %s", seed, out)
					return
				}
			}
			t.Errorf("not caught by %d seeds from %d", *brokenSeeds, b.seed)
		})
	}
}

// proof finds what a failed run says.
var proof = regexp.MustCompile(`(?m)^panic: .*|(?s)seed \d+: .*?\n\s*\n`)

func runBroken(t *testing.T, b brokenBuild, seed Seed, args ...string) (string, bool) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, append([]string{"-test.run=^TestSimulation$", "-break", b.name, "-seed", fmt.Sprint(uint64(seed))}, args...)...)
	out, err := cmd.CombinedOutput()
	if err == nil {
		return "", false
	}
	text := string(out)
	if !strings.HasPrefix(text, "panic: ") {
		text = text[strings.Index(text, "\n")+1:]
	}
	found := proof.FindString(text)
	if found == "" {
		t.Fatalf("seed %d failed without saying why: %v\n%s", seed, err, out)
	}
	const linesMax = 12
	lines := strings.Split(strings.TrimSpace(found), "\n")
	return strings.Join(lines[:min(len(lines), linesMax)], "\n"), true
}
