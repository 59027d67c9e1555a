package check

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cairndb/cairn/internal/testkit/history"
)

// Each file of testdata is a history; its first line says what a checker must
// find in it.
func each(t *testing.T, dir string, judge func(text string) (*Violation, error)) {
	files, err := filepath.Glob(filepath.Join("testdata", dir, "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no histories in %s: %v", dir, err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			first, _, _ := strings.Cut(string(text), "\n")
			want := strings.TrimPrefix(first, "# want: ")
			v, err := judge(string(text))
			if err != nil {
				t.Fatal(err)
			}
			got := "nothing"
			if v != nil {
				got = string(v.Anomaly)
			}
			if got != want {
				t.Fatalf("found %s, want %s\n%v", got, want, v)
			}
			if v != nil {
				t.Logf("%v", v)
			}
		})
	}
}

func TestListAppend(t *testing.T) {
	each(t, "listappend", func(text string) (*Violation, error) {
		txns, err := history.ParseTxns(text)
		return ListAppendAt(levelOf(text), txns), err
	})
}

// levelOf reads "# level: …" of a history.
func levelOf(text string) Level {
	for name, l := range map[string]Level{"read committed": ReadCommitted, "snapshot": Snapshot, "strict": Strict} {
		if strings.Contains(text, "# level: "+name+"\n") {
			return l
		}
	}
	return Serializable
}

func TestMutex(t *testing.T) {
	each(t, "mutex", func(text string) (*Violation, error) {
		holds, err := history.ParseHolds(text)
		return Mutex(holds), err
	})
}

func TestSets(t *testing.T) {
	each(t, "sets", func(text string) (*Violation, error) {
		ops, err := history.ParseSets(text)
		rules := SetRules{Sessions: strings.Contains(text, "# sessions"), RealTime: strings.Contains(text, "# real time")}
		return Sets(rules, ops), err
	})
}

func TestSnapshots(t *testing.T) {
	each(t, "snapshots", func(text string) (*Violation, error) {
		ops, err := history.ParseSets(text)
		return Snapshots(ops), err
	})
}

func TestMonotonic(t *testing.T) {
	each(t, "monotonic", func(text string) (*Violation, error) {
		ops, err := history.ParseSets(text)
		return Monotonic(ops), err
	})
}

func TestQueue(t *testing.T) {
	each(t, "queue", func(text string) (*Violation, error) {
		ops, err := history.ParseQueue(text)
		return Queue(ops), err
	})
}

func TestPairs(t *testing.T) {
	each(t, "pairs", func(text string) (*Violation, error) {
		ops, err := history.ParsePairs(text)
		return Pairs(ops), err
	})
}

func TestModel(t *testing.T) {
	each(t, "model", func(text string) (*Violation, error) {
		txns, err := history.ParseModel(text)
		return Model(txns), err
	})
}

func TestIndex(t *testing.T) {
	good := history.IndexRead{Index: "i", Rows: 3}
	bad := history.IndexRead{Index: "i", Rows: 3, OnlyTable: []string{"(1,2)"}}
	unread := bad
	unread.Outcome = history.Fail
	if v := Index([]history.IndexRead{good, unread}); v != nil {
		t.Error(v)
	}
	if v := Index([]history.IndexRead{good, bad}); v == nil || v.Anomaly != IndexMismatch {
		t.Error(v)
	}
}

func TestReversedCountsReads(t *testing.T) {
	ops, err := history.ParseSets("1 1 2 ok: add x 1\n2 3 4 ok: add x 2\n3 0 5 ok: read x [2]\n4 0 6 ok: read x [2]\n5 7 8 ok: read x [1 2]")
	if err != nil {
		t.Fatal(err)
	}
	if n := Reversed(ops); n != 2 {
		t.Error(n)
	}
}

func TestRegisters(t *testing.T) {
	each(t, "register", func(text string) (*Violation, error) {
		ops, err := history.ParseRegisters(text)
		return Registers(ops), err
	})
}

// serialTxns runs random transactions one after another on lists in memory,
// with some outcomes hidden: no checker may object.
func serialTxns(rng *rand.Rand, n int) []history.Txn {
	lists := map[history.Key][]history.Value{}
	var out []history.Txn
	next := history.Value(0)
	for i := range n {
		t := history.Txn{Op: history.Op{Client: history.Client(i % 5), Call: history.Moment(2 * i), Return: history.Moment(2*i + 1)}}
		happened := true
		switch rng.IntN(10) {
		case 0:
			t.Outcome, happened = history.Fail, false
		case 1:
			t.Outcome, t.Return, happened = history.Info, history.Never, rng.IntN(2) == 0
		}
		mine := map[history.Key][]history.Value{}
		for range 1 + rng.IntN(4) {
			k := history.Key(fmt.Sprint("k", rng.IntN(4)))
			now := append(append([]history.Value(nil), lists[k]...), mine[k]...)
			if rng.IntN(2) == 0 {
				t.Steps = append(t.Steps, history.Micro{Key: k, List: now})
				continue
			}
			next++
			t.Steps = append(t.Steps, history.Micro{Append: true, Key: k, Value: next})
			mine[k] = append(mine[k], next)
		}
		if happened {
			for k, vs := range mine {
				lists[k] = append(lists[k], vs...)
			}
		}
		out = append(out, t)
	}
	return out
}

func TestListAppendAcceptsSerialHistories(t *testing.T) {
	for seed := range uint64(50) {
		txns := serialTxns(rand.New(rand.NewPCG(seed, 1)), 300)
		for _, l := range []Level{ReadCommitted, Snapshot, Strict} {
			if v := ListAppendAt(l, txns); v != nil {
				t.Fatalf("seed %d, level %d: %v", seed, l, v)
			}
		}
	}
}

// A serial history with one committed read set back by one element is refused.
func TestListAppendRefusesOneOldRead(t *testing.T) {
	caught := 0
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 2))
		txns := serialTxns(rng, 200)
		acknowledged := map[history.Value]bool{}
		for _, x := range txns {
			for _, m := range x.Steps {
				acknowledged[m.Value] = m.Append && x.Outcome == history.OK
			}
		}
		for _, i := range rng.Perm(len(txns)) {
			m := &txns[i].Steps[len(txns[i].Steps)-1]
			if txns[i].Outcome == history.OK && !m.Append && len(m.List) > 1 && acknowledged[m.List[len(m.List)-1]] {
				m.List = m.List[:len(m.List)-1]
				if ListAppend(txns) == nil {
					t.Errorf("seed %d: not found in %s", seed, txns[i])
				}
				caught++
				break
			}
		}
	}
	if caught < 40 {
		t.Errorf("only %d histories had a read to spoil", caught)
	}
}

func TestBank(t *testing.T) {
	open := Opening{Accounts: 2, Balance: 10}
	op := func(call, ret history.Moment, o history.Outcome) history.Op {
		return history.Op{Call: call, Return: ret, Outcome: o}
	}
	moved := history.Transfer{Op: op(1, 2, history.OK), ID: 1, From: 0, To: 1, Amount: 3}
	unknown := history.Transfer{Op: op(1, history.Never, history.Info), ID: 1, From: 0, To: 1, Amount: 3}
	failed := history.Transfer{Op: op(1, 2, history.Fail), ID: 1, From: 0, To: 1, Amount: 3}
	read := func(a, b int64, ledger ...history.Transfer) history.BankRead {
		return history.BankRead{Op: op(5, 6, history.OK), Balances: map[history.Account]int64{0: a, 1: b},
			Ledger: append([]history.Transfer{}, ledger...)}
	}
	for name, c := range map[string]struct {
		transfer history.Transfer
		read     history.BankRead
		want     Anomaly
	}{
		"good":                {moved, read(7, 13, moved), ""},
		"unknown, happened":   {unknown, read(7, 13, moved), ""},
		"unknown, did not":    {unknown, read(10, 10), ""},
		"failed":              {failed, read(10, 10), ""},
		"half a transfer":     {moved, read(7, 10, moved), TotalChanged},
		"below zero":          {moved, read(-1, 21, moved), NegativeAmount},
		"no account":          {moved, history.BankRead{Op: op(5, 6, history.OK), Balances: map[history.Account]int64{0: 20}}, MissingAccount},
		"lost":                {moved, read(10, 10), LostTransfer},
		"failed but happened": {failed, read(7, 13, moved), GhostTransfer},
		"twice":               {moved, read(4, 16, moved), LedgerMismatch},
	} {
		v := Bank(open, []history.Transfer{c.transfer}, []history.BankRead{c.read})
		switch {
		case v == nil && c.want != "":
			t.Errorf("%s: nothing found", name)
		case v != nil && v.Anomaly != c.want:
			t.Errorf("%s: %v", name, v)
		}
	}
}
