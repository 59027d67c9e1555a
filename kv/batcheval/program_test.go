package batcheval

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cairndb/cairn/kv/kvapi"
)

// takers take the rows whose value holds the program's text; "?" is none, and a
// value "!" makes a run fail.
type takers struct{}

type taker struct {
	text   string
	sum    int
	failed bool
}

func (takers) Compile(text []byte) (kvapi.Program, error) {
	if string(text) == "?" {
		return nil, errors.New("no such program")
	}
	return &taker{text: string(text)}, nil
}

func (x *taker) Take(_ kvapi.Key, value []byte) bool {
	x.failed = x.failed || string(value) == "!"
	if !strings.Contains(string(value), x.text) {
		return false
	}
	x.sum += len(value)
	return true
}

func (x *taker) Partial() ([]byte, bool) { return fmt.Appendf(nil, "%d", x.sum), !x.failed }

// I11
func TestAProgramTakesRowsOfAScan(t *testing.T) {
	s := oneRange(t)
	s.programs = takers{}
	wide := strings.Repeat("x", programChunk/2)
	for i, v := range []string{"apple", "pear", "pineapple", wide, wide + "apple", wide, "fig"} {
		s.must(at(10, put(string(rune('a'+i)), v, 0)))
	}
	scan := func(program string, edit func(*kvapi.BatchRequest)) string {
		ba := batch(newTxn(1, "a", 20), kvapi.Request{Kind: kvapi.Scan, Key: kvapi.Key("a"), EndKey: kvapi.Key("k"), Program: []byte(program)})
		edit(ba)
		r := s.must(ba).Responses[0]
		out := ""
		for _, row := range r.Rows {
			out += string(row.Key)
		}
		for _, p := range r.Partials {
			out += " " + string(p.Data)
		}
		if r.Resume != nil {
			out += " then " + string(r.Resume.Key)
		}
		return fmt.Sprint(out, " ", r.Keys)
	}
	nothing := func(*kvapi.BatchRequest) {}
	for _, tc := range []struct {
		program, want string
		edit          func(*kvapi.BatchRequest)
	}{
		{"apple", fmt.Sprintf("bdfg %d 3", len("applepineapple"+wide+"apple")), nothing},
		{"?", "abcdefg 0", nothing}, // this node does not know it
		{"apple", "abcdefg 0", func(ba *kvapi.BatchRequest) { ba.Requests[0].Lock = kvapi.LockExclusive }},
		{"apple", "ab then b\x00 0", func(ba *kvapi.BatchRequest) { ba.MaxKeys = 2 }},
		// The bound is of what is answered; rows are read in chunks, and what was not read comes later.
		{"apple", fmt.Sprintf("bd %d then e\x00 3", len("applepineapple"+wide+"apple")), func(ba *kvapi.BatchRequest) { ba.TargetBytes = 10 }},
	} {
		if got := scan(tc.program, tc.edit); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.program, got, tc.want)
		}
	}
	s.must(at(15, put("c", "!", 0)))
	if got := scan("apple", nothing); got != "abcdefg 0" {
		t.Errorf("of a program that failed: %s", got)
	}
	// What was taken was read.
	s.must(batch(newTxn(2, "a", 25), kvapi.Request{Kind: kvapi.Scan, Key: kvapi.Key("a"), EndKey: kvapi.Key("k"), Program: []byte("apple")}))
	if br := s.must(batch(newTxn(3, "a", 22), put("a", "1", 1))); br.Txn.WriteTimestamp.LessEq(ts(25)) {
		t.Errorf("a row that a program took was written below the read, at %s", br.Txn.WriteTimestamp)
	}
}
