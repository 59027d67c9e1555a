package txncache

import (
	"sync"

	"github.com/cairndb/cairn/kv/kvapi"
)

// entriesMax bounds each generation. An entry is some 400 bytes; transactions
// that matter here were met by somebody within the last seconds.
const entriesMax = 4096

// Cache remembers finished and pushed transactions. All methods are safe for
// concurrent use.
type Cache struct {
	mu struct {
		sync.Mutex
		// young takes new entries; when it is full it becomes old, and what
		// was old is forgotten.
		young, old map[kvapi.TxnID]entry
		watchers   map[kvapi.TxnID][]chan<- struct{}
	}
}

// entry is what is known of one transaction.
type entry struct {
	txn *kvapi.Transaction
	// implicit says that txn, which is staging, is committed by its writes.
	implicit bool
}

// New returns an empty cache.
func New() *Cache {
	c := &Cache{}
	c.mu.young = make(map[kvapi.TxnID]entry)
	c.mu.watchers = make(map[kvapi.TxnID][]chan<- struct{})
	return c
}

// Add records the state of a transaction: finished, or pushed to a higher
// write timestamp, and signals those who watch it. txn must not change later.
func (c *Cache) Add(txn *kvapi.Transaction) { c.add(entry{txn: slim(txn)}) }

// AddImplicit records that a staging transaction is committed, since all its
// writes are in place, though its record does not say so yet (I4).
func (c *Cache) AddImplicit(staging *kvapi.Transaction) {
	c.add(entry{txn: slim(staging), implicit: true})
}

func (c *Cache) add(e entry) {
	txn := e.txn
	c.mu.Lock()
	defer c.mu.Unlock()
	if prev := c.getLocked(txn.ID); prev.txn != nil && !e.supersedes(prev) {
		return
	}
	if len(c.mu.young) >= entriesMax {
		c.mu.old, c.mu.young = c.mu.young, make(map[kvapi.TxnID]entry)
	}
	c.mu.young[txn.ID] = e
	for _, ch := range c.mu.watchers[txn.ID] {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}

// slim takes away what may be large and what nobody asks of a record here.
func slim(txn *kvapi.Transaction) *kvapi.Transaction {
	if len(txn.LockSpans)+len(txn.InFlightWrites)+len(txn.ObservedTimestamps) == 0 {
		return txn
	}
	s := *txn
	s.LockSpans, s.InFlightWrites, s.ObservedTimestamps = nil, nil, nil
	return &s
}

// supersedes reports whether e says more than prev (I1, I2, I4).
func (e entry) supersedes(prev entry) bool {
	switch next := e.txn; {
	case prev.txn.Status.IsFinal():
		return prev.txn.Status == kvapi.Aborted && (next.Status == kvapi.Committed || e.implicit)
	case prev.implicit:
		return next.Status == kvapi.Committed
	default:
		return e.implicit || next.Status.IsFinal() || prev.txn.WriteTimestamp.Less(next.WriteTimestamp)
	}
}

// Get returns what is known of a transaction, or nil. It is read-only.
func (c *Cache) Get(id kvapi.TxnID) *kvapi.Transaction {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.getLocked(id).txn
}

// GetFinal returns the transaction if its record is known to say that it is
// finished, else nil.
func (c *Cache) GetFinal(id kvapi.TxnID) *kvapi.Transaction {
	if t := c.Get(id); t != nil && t.Status.IsFinal() {
		return t
	}
	return nil
}

// GetCommitted returns the transaction if it is known to be committed: by its
// record, or, still staging, by its writes (I4). Else nil.
func (c *Cache) GetCommitted(id kvapi.TxnID) *kvapi.Transaction {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.getLocked(id); e.implicit || e.txn != nil && e.txn.Status == kvapi.Committed {
		return e.txn
	}
	return nil
}

// HasEnded reports whether the transaction is known to be finished, or to be
// committed by its writes.
func (c *Cache) HasEnded(id kvapi.TxnID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.getLocked(id)
	return e.implicit || e.txn != nil && e.txn.Status.IsFinal()
}

func (c *Cache) getLocked(id kvapi.TxnID) entry {
	if e := c.mu.young[id]; e.txn != nil {
		return e
	}
	return c.mu.old[id]
}

// Watch has ch signalled (without blocking: give it room for one) whenever
// something new is learnt of the transaction, until Unwatch.
func (c *Cache) Watch(id kvapi.TxnID, ch chan<- struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.watchers[id] = append(c.mu.watchers[id], ch)
}

// Unwatch ends one Watch with the same arguments.
func (c *Cache) Unwatch(id kvapi.TxnID, ch chan<- struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := c.mu.watchers[id]
	for i := range list {
		if list[i] == ch {
			list[i] = list[len(list)-1]
			list = list[:len(list)-1]
			break
		}
	}
	if len(list) == 0 {
		delete(c.mu.watchers, id)
	} else {
		c.mu.watchers[id] = list
	}
}
