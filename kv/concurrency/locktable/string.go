package locktable

import (
	"fmt"
	"strings"

	"github.com/cairndb/cairn/kv/kvapi"
)

// String prints a key a line, for people: holders, then the queue in order
// (* granted), then readers. The callers name requests and transactions.
func (t *Table) String(name func(*Request) string, txn func(kvapi.TxnID) string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var b strings.Builder
	t.mu.keys.Ascend(func(ks *keyState) bool {
		fmt.Fprintf(&b, "%s:", string(ks.key))
		for i := range ks.holders {
			fmt.Fprintf(&b, " held by %s %s", txn(ks.holders[i].txn.ID), ks.holders[i].describe())
		}
		for i, r := range ks.queue {
			fmt.Fprintf(&b, "%s %s", [...]string{" queue", ","}[min(i, 1)], name(r))
			if r.granted {
				b.WriteString("*")
			}
		}
		for i, r := range ks.readers {
			fmt.Fprintf(&b, "%s %s", [...]string{" readers", ","}[min(i, 1)], name(r))
		}
		b.WriteString("\n")
		return true
	})
	return b.String()
}

func (h *holder) describe() string {
	names := [...]string{"", "key share", "shared", "no key update", "exclusive", "intent"}
	var parts []string
	if h.memory != kvapi.LockNone {
		parts = append(parts, names[h.memory])
	}
	if h.disk != kvapi.LockNone {
		parts = append(parts, fmt.Sprintf("%s@%d on disk", names[h.disk], h.intentTS.WallTime))
	}
	return strings.Join(parts, " and ")
}
