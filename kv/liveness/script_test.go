package liveness

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
)

// Scripts in testdata show the protocol. Lines that begin with "> " are
// commands, what follows up to a blank line is their output:
//
//	> node N               a node without a past; support is for 3 s
//	> peers N A B ...      of whom N asks support
//	> time N SECONDS       N's clock shows SECONDS from now on
//	> tick N               N looks at its clock; what it then wants is done
//	> deliver              all messages arrive, and are answered
//	> drop                 all messages are lost
//	> crash N              N is gone before its next write
//	> restart N            N begins anew with what it wrote
//	> status N
//
// go test -update writes the output anew.
var update = flag.Bool("update", false, "write the scripts' output anew")

type scripted struct {
	core *Core
	rec  Record
	now  hlc.Timestamp
	// given and got are what is known outside.
	given map[kvapi.NodeID]Given
	got   map[kvapi.NodeID]Got
}

type sent struct {
	from kvapi.NodeID
	Addressed
}

type script struct {
	nodes map[kvapi.NodeID]*scripted
	net   []sent
	out   strings.Builder
}

func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, f := range files {
		t.Run(filepath.Base(f), func(t *testing.T) {
			want, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			got := runScript(t, string(want))
			if *update {
				if err := os.WriteFile(f, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got != string(want) {
				t.Errorf("got:\n%s", got)
			}
		})
	}
}

func runScript(t *testing.T, text string) string {
	s := &script{nodes: map[kvapi.NodeID]*scripted{}}
	inOutput := false
	for _, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		switch {
		case strings.HasPrefix(line, "> "):
			s.out.WriteString(line + "\n")
			s.run(t, strings.Fields(line[2:]))
			inOutput = true
		case line == "":
			s.out.WriteString("\n")
			inOutput = false
		case !inOutput:
			s.out.WriteString(line + "\n")
		}
	}
	return s.out.String()
}

func (s *script) printf(f string, a ...any) { fmt.Fprintf(&s.out, f+"\n", a...) }

func (s *script) run(t *testing.T, args []string) {
	t.Helper()
	switch args[0] {
	case "deliver":
		s.deliver()
		return
	case "drop":
		for _, m := range s.net {
			s.printf("lost  %s -> %s: %s", m.from, m.To, &m.Message)
		}
		s.net = nil
		return
	}
	id := nodeID(t, args[1])
	n := s.nodes[id]
	switch args[0] {
	case "node":
		s.nodes[id] = &scripted{core: NewCore(id, DefaultSupport, Record{}, Knobs{}), given: map[kvapi.NodeID]Given{}, got: map[kvapi.NodeID]Got{}}
	case "peers":
		var peers []kvapi.NodeID
		for _, a := range args[2:] {
			peers = append(peers, nodeID(t, a))
		}
		n.core.SetPeers(peers)
	case "time":
		f, err := strconv.ParseFloat(args[2], 64)
		if err != nil {
			t.Fatal(err)
		}
		n.now = hlc.Timestamp{WallTime: int64(f * float64(time.Second))}
	case "tick":
		n.core.Tick(hlc.ClockTimestamp(n.now))
		s.ready(id)
	case "crash":
		n.core = nil
	case "restart":
		n.core = NewCore(id, DefaultSupport, n.rec, Knobs{})
		clear(n.given)
		clear(n.got)
		s.ready(id)
	case "status":
		for o := kvapi.NodeID(1); o < 10; o++ {
			if g, ok := n.given[o]; ok && g.Epoch != 0 {
				s.printf("gives %s epoch %d until %s", o, g.Epoch, seconds(g.Until))
			}
			if g, ok := n.got[o]; ok && g.Epoch != 0 {
				s.printf("has of %s epoch %d until %s", o, g.Epoch, seconds(g.Until))
			}
		}
	default:
		t.Fatalf("unknown command %q", args)
	}
}

func nodeID(t *testing.T, s string) kvapi.NodeID {
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return kvapi.NodeID(n)
}

func (s *script) ready(id kvapi.NodeID) {
	n := s.nodes[id]
	rd := n.core.Ready()
	if rd.Record != nil {
		n.rec = *rd.Record
		text := fmt.Sprintf("%s writes last epoch %d", id, n.rec.Last)
		for _, g := range n.rec.Grants {
			text += fmt.Sprintf(", %s epoch %d until %s", g.Node, g.Epoch, seconds(g.Until))
			if g.Withdrawn {
				text += " withdrawn"
			}
		}
		s.printf("%s", text)
	}
	for _, g := range rd.Given {
		if g.Epoch == 0 {
			s.printf("%s no longer supports %s", id, g.Node)
		}
		n.given[g.Node] = g
	}
	for _, g := range rd.Got {
		if g.Changed {
			s.printf("%s hears of %s: epoch %d until %s", id, g.Node, g.Epoch, seconds(g.Until))
		}
		n.got[g.Node] = g
	}
	for _, m := range rd.Messages {
		s.net = append(s.net, sent{id, m})
	}
}

func (s *script) deliver() {
	for len(s.net) > 0 {
		m := s.net[0]
		s.net = s.net[1:]
		s.printf("%s -> %s: %s", m.from, m.To, &m.Message)
		to := s.nodes[m.To]
		if to == nil || to.core == nil {
			continue
		}
		// Every message carries its sender's clock.
		to.now.Forward(s.nodes[m.from].now)
		to.core.Receive(m.from, m.Message, hlc.ClockTimestamp(to.now))
		s.ready(m.To)
	}
}
