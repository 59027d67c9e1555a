package workload

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/internal/testkit/history"
	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/txn"
)

// Gateway is the node a client is connected to.
type Gateway interface {
	DB() *txn.DB
	// Where is node and time, for people.
	Where() string
	// Crashed reports whether the node has died since the client got it: no
	// answer it gives now was heard.
	Crashed() bool
}

// Client does one operation after another. It is used by one goroutine.
type Client interface {
	// Do runs one operation and records it. The error is for statistics; the
	// verdict is the checker's.
	Do(ctx context.Context, g Gateway) error
}

// Workload makes clients, and judges what they recorded.
type Workload interface {
	Name() Name
	// Setup writes what clients expect to find.
	Setup(ctx context.Context, g Gateway) error
	Client(id history.Client, rng *rand.Rand) Client
	// Finish reads everything, when all other operations have ended.
	Finish(ctx context.Context, g Gateway) error
	// Check returns a *check.Violation, or nil.
	Check() error
	// SplitKeys are where cutting ranges apart hurts most.
	SplitKeys() []kvapi.Key
	// Operations counts what was recorded.
	Operations() int
}

// VersionChecker is a Workload that is judged by the versions that the cluster
// keeps of its keys.
type VersionChecker interface {
	VersionedSpan() kvapi.Span
	// CheckVersions returns a *check.Violation, or nil.
	CheckVersions([]Version) error
}

// Version is a version of a key.
type Version struct {
	Key       kvapi.Key
	At        hlc.Timestamp
	Value     []byte
	Tombstone bool
}

// Name is a workload's name.
type Name string

// Workloads.
const (
	Register   Name = "register"
	Bank       Name = "bank"
	ListAppend Name = "list-append"
	Mutex      Name = "mutex"
	// KV is not among Names: it runs by itself, for its verdict needs the
	// versions that the cluster keeps.
	KV Name = "kv"
	// The other levels of ListAppend; see Levels.
	ListAppendCommitted Name = "list-append-committed"
	ListAppendSnapshot  Name = "list-append-snapshot"
	ListAppendStrict    Name = "list-append-strict"
)

// Names lists the workloads.
func Names() []Name { return []Name{Register, Bank, ListAppend, Mutex} }

// Levels lists ListAppend at each other level, held to what that promises: read
// committed, snapshot isolation, strict serializability.
func Levels() []Name { return []Name{ListAppendCommitted, ListAppendSnapshot, ListAppendStrict} }

// New returns a workload that takes its moments from m.
func New(n Name, m *history.Counter) (Workload, error) {
	switch n {
	case Register:
		return newRegister(m), nil
	case Bank:
		return newBank(m), nil
	case Mutex:
		return newMutex(m), nil
	case KV:
		return newKV(m), nil
	}
	for _, v := range variants {
		if v.name == n {
			return newListAppend(m, v), nil
		}
	}
	return nil, fmt.Errorf("no workload is called %q; there are %v, %v and %s", n, Names(), Levels(), KV)
}

// operationTimeout is when a client gives up.
const operationTimeout = 8 * time.Second

// Tables of the workloads: far from those of the catalog.
const (
	registerTable = 1000
	accountTable  = 1001
	ledgerTable   = 1002
	listTable     = 1003
	mutexTable    = 1005
	kvTable       = 1004

	listCommittedTable = 1006
	listSnapshotTable  = 1007
	listStrictTable    = 1008
)

// key is a workload's key in its table.
func key(table uint32, name string) kvapi.Key { return append(keys.Table(table), name...) }

// tableSpan is all of a table.
func tableSpan(table uint32) kvapi.Span {
	return kvapi.Span{Key: keys.Table(table), EndKey: keys.Table(table).PrefixEnd()}
}

// scanAll reads a span to its end.
func scanAll(ctx context.Context, t *txn.Txn, sp kvapi.Span, o txn.ScanOptions) ([]kvapi.KeyValue, error) {
	var all []kvapi.KeyValue
	for rest := &sp; rest != nil; {
		rows, resume, err := t.Scan(ctx, *rest, o)
		if err != nil {
			return nil, err
		}
		all, rest = append(all, rows...), resume
	}
	return all, nil
}
