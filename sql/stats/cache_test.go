package stats

import (
	"context"
	"errors"
	"testing"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/txn"
)

// fakeStore has one value for all keys, or an error.
type fakeStore struct {
	table *Table
	err   error
	reads int
}

// GetMany implements Reader.
func (f *fakeStore) GetMany(_ context.Context, keys []kvapi.Key, _ txn.GetOptions) ([]txn.Value, error) {
	f.reads++
	out := make([]txn.Value, len(keys))
	for i := range out {
		if f.table != nil {
			out[i] = txn.Value{Exists: true, Data: f.table.AppendWire(nil)}
		}
	}
	return out, f.err
}

func TestCacheReadsOnceUntilItExpires(t *testing.T) {
	store := &fakeStore{}
	c := &Cache{Run: func(ctx context.Context, fn func(context.Context, Reader) error) error { return fn(ctx, store) }}
	ids := []schema.DescID{7}
	load := func(reads int) *Table {
		t.Helper()
		err := c.Load(t.Context(), ids)
		if store.err != nil && !errors.Is(err, store.err) || store.err == nil && err != nil || store.reads != reads {
			t.Fatalf("%d reads, want %d; %v", store.reads, reads, err)
		}
		known, _ := c.Known(7)
		return known
	}
	if load(1) != nil || load(1) != nil {
		t.Error("it knows what nobody wrote")
	}
	store.table = &Table{Rows: 5, AtNanos: 1}
	c.Expire()
	first := load(2)
	if first == nil || first.Rows != 5 {
		t.Fatal(first)
	}
	c.Expire()
	if load(3) != first {
		t.Error("the same statistics are another table: plans would be made anew")
	}
	store.table = &Table{Rows: 6, AtNanos: 2}
	c.Expire()
	second := load(4)
	if second == first || second.Rows != 6 {
		t.Error("news are not noticed")
	}
	store.err = errors.New("no leaseholder")
	c.Expire()
	if load(5) != second || load(6) != second {
		t.Error("what was known is lost with the store")
	}
	c.Keep(ids)
	store.err = nil
	if load(6) != second {
		t.Error("Keep does not keep")
	}
}
