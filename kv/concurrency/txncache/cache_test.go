package txncache

import (
	"testing"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
)

func record(n byte, status kvapi.TxnStatus, wall int64) *kvapi.Transaction {
	t := &kvapi.Transaction{Status: status}
	t.ID = kvapi.TxnID{n}
	t.WriteTimestamp = hlc.Timestamp{WallTime: wall}
	return t
}

func TestSupersedes(t *testing.T) {
	c := New()
	for _, step := range []struct {
		add        *kvapi.Transaction
		wantStatus kvapi.TxnStatus
		wantWall   int64
	}{
		{record(1, kvapi.Pending, 5), kvapi.Pending, 5},
		{record(1, kvapi.Pending, 3), kvapi.Pending, 5},
		{record(1, kvapi.Pending, 7), kvapi.Pending, 7},
		{record(1, kvapi.Committed, 7), kvapi.Committed, 7},
		{record(1, kvapi.Pending, 9), kvapi.Committed, 7},
		{record(1, kvapi.Aborted, 9), kvapi.Committed, 7},
	} {
		c.Add(step.add)
		got := c.Get(kvapi.TxnID{1})
		if got.Status != step.wantStatus || got.WriteTimestamp.WallTime != step.wantWall {
			t.Errorf("after %s: %s", step.add, got)
		}
	}
}

func TestImplicitCommit(t *testing.T) {
	c := New()
	id := kvapi.TxnID{1}
	c.Add(record(1, kvapi.Pending, 5))
	c.AddImplicit(record(1, kvapi.Staging, 6))
	c.Add(record(1, kvapi.Pending, 9))
	c.Add(record(1, kvapi.Aborted, 9))
	if got := c.GetCommitted(id); got == nil || got.WriteTimestamp.WallTime != 6 {
		t.Errorf("an implicit commit was replaced by %v", got)
	}
	if got := c.GetFinal(id); got != nil {
		t.Errorf("an implicit commit is final: %s", got)
	}
	c.Add(record(1, kvapi.Committed, 6))
	c.AddImplicit(record(1, kvapi.Staging, 6))
	if got := c.GetFinal(id); got == nil || got.Status != kvapi.Committed {
		t.Errorf("the record's commit is known as %v", got)
	}
}

func TestWatch(t *testing.T) {
	c := New()
	ch := make(chan struct{}, 1)
	c.Watch(kvapi.TxnID{1}, ch)
	c.Add(record(2, kvapi.Aborted, 1))
	if len(ch) != 0 {
		t.Error("signalled by another transaction")
	}
	c.Add(record(1, kvapi.Pending, 1))
	c.Add(record(1, kvapi.Aborted, 1))
	if len(ch) != 1 {
		t.Error("not signalled")
	}
	c.Unwatch(kvapi.TxnID{1}, ch)
	if len(c.mu.watchers) != 0 {
		t.Error("watcher left")
	}
}

func TestBounded(t *testing.T) {
	c := New()
	for i := range 5 * entriesMax {
		r := record(0, kvapi.Aborted, 1)
		r.ID = kvapi.TxnID{1, byte(i), byte(i >> 8), byte(i >> 16)}
		c.Add(r)
	}
	if n := len(c.mu.young) + len(c.mu.old); n > 2*entriesMax {
		t.Errorf("%d entries", n)
	}
}
