package exec

import (
	"context"
	"testing"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/txn"
)

// brokenKV panics when it is scanned, as code of this package would.
type brokenKV struct{ KV }

func (brokenKV) Scan(context.Context, kvapi.Span, txn.ScanOptions) ([]kvapi.KeyValue, *kvapi.Span, error) {
	panic("broken")
}

// A panic of the goroutine that reads ahead is the error of the page, and the next page can be read.
func TestAPanicOfReadAheadIsAnError(t *testing.T) {
	r := &Run{Ctx: t.Context(), KV: brokenKV{}}
	c := &scanCursor{r: r, spans: []kvapi.Span{{Key: kvapi.Key("a"), EndKey: kvapi.Key("b")}}}
	for range 2 {
		c.readAhead(txn.ScanOptions{})
		if p := c.page(txn.ScanOptions{}); !sqlerr.HasCode(p.err, sqlerr.InternalError) {
			t.Fatal(p.err)
		}
	}
	r.Quiesce()
}
