package raftgroup

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/cairndb/cairn/kv/kvapi"
)

// Scripts in testdata show what a group asks for, and when. Lines that begin
// with "> " are commands, what follows up to a blank line is their output:
//
//	> group N voters A B ...    make replica N, its log empty after 10/5
//	> campaign N | tick N K | propose N TEXT | learner N ID
//	> ready N                   take one Ready: what goes out, what to write
//	> durable N                 the oldest unfinished append is durable
//	> applied N                 the oldest unfinished apply is done
//	> deliver                   carry all messages between the groups
//	> status N
//
// go test -update writes the output anew.
var update = flag.Bool("update", false, "write the scripts' output anew")

// memLog is the dumbest LogReader.
type memLog struct {
	first TruncatedAt
	ents  []Entry
}

// TruncatedAt is the entry before the first.
type TruncatedAt struct {
	index kvapi.LogIndex
	term  kvapi.Term
}

func (l *memLog) FirstIndex() kvapi.LogIndex { return l.first.index + 1 }
func (l *memLog) LastIndex() kvapi.LogIndex  { return l.first.index + kvapi.LogIndex(len(l.ents)) }
func (l *memLog) Term(i kvapi.LogIndex) (kvapi.Term, error) {
	if i == l.first.index {
		return l.first.term, nil
	}
	if i < l.first.index {
		return 0, ErrCompacted
	}
	if i > l.LastIndex() {
		return 0, ErrUnavailable
	}
	return l.ents[i-l.FirstIndex()].Term, nil
}
func (l *memLog) Entries(lo, hi kvapi.LogIndex, _ uint64) ([]Entry, error) {
	if lo < l.FirstIndex() {
		return nil, ErrCompacted
	}
	if hi > l.LastIndex()+1 {
		return nil, ErrUnavailable
	}
	return append([]Entry(nil), l.ents[lo-l.FirstIndex():hi-l.FirstIndex()]...), nil
}

func (l *memLog) append(a *StorageAppend) {
	if s := a.Snapshot; s != nil {
		l.first, l.ents = TruncatedAt{s.Index, s.Term}, nil
	}
	if len(a.Entries) > 0 {
		l.ents = append(l.ents[:a.Entries[0].Index-l.FirstIndex()], a.Entries...)
	}
}

type scripted struct {
	group   *Group
	log     *memLog
	appends []*StorageAppend
	applies []*StorageApply
}

type script struct {
	groups map[ReplicaID]*scripted
	net    []Message
	out    strings.Builder
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

// runScript runs the commands of a script and returns it with its output.
func runScript(t *testing.T, text string) string {
	s := &script{groups: map[ReplicaID]*scripted{}}
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
	if args[0] == "deliver" {
		s.deliver(t)
		return
	}
	id := number(t, args[1])
	if args[0] == "group" {
		s.make(t, id, args[3:])
		return
	}
	g := s.groups[id]
	var err error
	switch args[0] {
	case "campaign":
		err = g.group.Campaign()
	case "tick":
		for range number(t, args[2]) {
			g.group.Tick()
		}
	case "propose":
		err = g.group.Propose([][]byte{[]byte(args[2])})
	case "learner":
		err = g.group.ProposeConfChange(ConfChange{Changes: []ReplicaChange{{Op: AddLearner, ReplicaID: number(t, args[2])}}}, []byte("descriptor"))
	case "ready":
		s.ready(g)
	case "durable":
		if len(g.appends) == 0 {
			s.printf("nothing")
			return
		}
		a := g.appends[0]
		g.appends = g.appends[1:]
		g.log.append(a)
		s.respond(t, g, id, a.Responses)
	case "applied":
		if len(g.applies) == 0 {
			s.printf("nothing")
			return
		}
		a := g.applies[0]
		g.applies = g.applies[1:]
		s.respond(t, g, id, a.Responses)
	case "status":
		st := g.group.Status()
		s.printf("%s of term %d, leader %d, vote %d, commit %d, applied %d", st.Role, st.Term, st.Leader, st.Vote, st.Commit, st.Applied)
	default:
		t.Fatalf("unknown command %q", args)
	}
	if err != nil {
		s.printf("error: %v", err)
	}
}

func number(t *testing.T, s string) ReplicaID {
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return ReplicaID(n)
}

func (s *script) make(t *testing.T, id ReplicaID, voters []string) {
	var cs ConfState
	for _, v := range voters {
		cs.Voters = append(cs.Voters, number(t, v))
	}
	g := &scripted{log: &memLog{first: TruncatedAt{10, 5}}}
	var err error
	g.group, err = New(Config{ID: id, Log: g.log, ConfState: cs, HardState: HardState{Term: 5, Commit: 10}, Applied: 10})
	if err != nil {
		t.Fatal(err)
	}
	s.groups[id] = g
}

func (s *script) ready(g *scripted) {
	if !g.group.HasReady() {
		s.printf("nothing")
		return
	}
	rd := g.group.Ready()
	for _, m := range rd.Messages {
		s.printf("send   %s", m)
	}
	s.net = append(s.net, rd.Messages...)
	if a := rd.Append; a != nil {
		s.printf("append %s, hard state: %s, sync: %v", entriesText(a.Entries), a.HardState, a.MustSync())
		for _, m := range a.Responses {
			s.printf("       then %s", m)
		}
		g.appends = append(g.appends, a)
	}
	if a := rd.Apply; a != nil {
		s.printf("apply  %s", entriesText(a.Entries))
		g.applies = append(g.applies, a)
	}
}

func entriesText(ents []Entry) string {
	var out []string
	for _, e := range ents {
		out = append(out, fmt.Sprintf("%d/%d %s %q", e.Term, e.Index,
			[...]string{"empty", "command", "conf change"}[e.Kind], dataText(e)))
	}
	return "[" + strings.Join(out, ", ") + "]"
}

func dataText(e Entry) []byte {
	if e.Kind != EntryConfChange {
		return e.Data
	}
	_, payload, err := DecodeConfChange(e)
	if err != nil {
		panic(err)
	}
	return payload
}

func (s *script) respond(t *testing.T, g *scripted, id ReplicaID, msgs []Message) {
	for _, m := range msgs {
		if m.To() != id {
			s.printf("send   %s", m)
			s.net = append(s.net, m)
		} else if err := g.group.Step(m); err != nil {
			t.Fatal(err)
		}
	}
}

func (s *script) deliver(t *testing.T) {
	msgs := s.net
	s.net = nil
	for _, m := range msgs {
		if g := s.groups[m.To()]; g == nil {
			s.printf("lost   %s", m)
		} else if err := g.group.Step(m); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSnapshotAndEntriesInOneTurn: both arrive before the follower's next
// Ready; the entries must reach the log, after the snapshot.
func TestSnapshotAndEntriesInOneTurn(t *testing.T) {
	log := &memLog{first: TruncatedAt{10, 5}}
	cs := ConfState{Voters: []ReplicaID{1, 2}}
	g, err := New(Config{ID: 2, Log: log, ConfState: cs, HardState: HardState{Term: 5, Commit: 10}, Applied: 10})
	if err != nil {
		t.Fatal(err)
	}
	step := func(m Message) {
		t.Helper()
		if err := g.Step(m); err != nil {
			t.Fatal(err)
		}
	}
	step(snapMessage(6, Snapshot{Index: 20, Term: 6, ConfState: cs}))
	step(appMessage(6, 20, 6, []Entry{{Index: 21, Term: 6, Kind: EntryCommand, Data: []byte("x")}}, 21))
	first := g.Ready().Append
	if first.Snapshot == nil || len(first.Entries) != 0 || len(first.Responses) != 0 || first.HardState.Commit != 20 {
		t.Fatalf("first append %+v", first)
	}
	log.append(first)
	if !g.HasReady() {
		t.Fatal("the entries are lost")
	}
	second := g.Ready().Append
	if second.Snapshot != nil || len(second.Entries) != 1 || len(second.Responses) == 0 || second.HardState.Commit != 21 {
		t.Fatalf("second append %+v", second)
	}
}
