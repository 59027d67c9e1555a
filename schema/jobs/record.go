package jobs

import (
	"context"
	"encoding/binary"
	"fmt"
	"strconv"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/txn"
)

// ID numbers a job. It is drawn from the generator of descriptors' ids.
type ID uint32

// String prints the number.
func (id ID) String() string { return strconv.FormatUint(uint64(id), 10) }

// Kind says what a job does.
type Kind uint8

// Kinds, all of package sql/ddl: to build an index, to prove a constraint, to give
// the rows the values of a new column, and to write the rows anew.
const (
	KindIndex Kind = iota + 1
	KindConstraint
	KindColumn
	KindRewrite
)

// String prints the name that cairn.jobs shows.
func (k Kind) String() string {
	switch k {
	case KindIndex:
		return "CREATE INDEX"
	case KindConstraint:
		return "VALIDATE CONSTRAINT"
	case KindColumn:
		return "ADD COLUMN"
	case KindRewrite:
		return "REWRITE TABLE"
	}
	return "unknown"
}

// State is how far a job is.
type State uint8

// States; see the picture in doc.go.
const (
	Pending State = iota + 1
	Running
	Paused
	Reverting
	Succeeded
	Failed
	Canceled
)

// String prints the word that cairn.jobs shows.
func (s State) String() string {
	names := [...]string{Pending: "pending", Running: "running", Paused: "paused", Reverting: "reverting",
		Succeeded: "succeeded", Failed: "failed", Canceled: "canceled"}
	if int(s) < len(names) && s != 0 {
		return names[s]
	}
	return "unknown"
}

// Ended reports whether the job is over.
func (s State) Ended() bool { return s >= Succeeded }

// Request is what somebody asked of a job.
type Request uint8

// Requests.
const (
	NoRequest Request = iota
	RequestPause
	RequestCancel
)

// Record is a job. Phase, Done, Cursor and what follows belong to the job's kind.
type Record struct {
	ID          ID            `wire:"1"`
	Kind        Kind          `wire:"2"`
	Description string        `wire:"3"`
	User        string        `wire:"4"`
	Database    schema.DescID `wire:"5"`
	Table       schema.DescID `wire:"6"`
	// Object is what the job is about: an index's oid.
	Object schema.DescID `wire:"7"`
	// Constraint is what the index becomes the constraint of when it is public, 0 for none.
	Constraint schema.DescID `wire:"18"`
	// Column is the one that is filled, or that is to be NOT NULL, if the
	// constraint stands for that.
	Column schema.ColumnID `wire:"19"`
	// Keep says that the constraint stays, NOT VALID, if it cannot be proven.
	Keep    bool    `wire:"26"`
	State   State   `wire:"8"`
	Request Request `wire:"9"`
	// Error is why the job is reverting or has failed.
	Error Problem `wire:"10"`
	// The times are nanoseconds since 1970, 0 for not yet.
	CreatedNanos  int64 `wire:"11"`
	StartedNanos  int64 `wire:"12"`
	ModifiedNanos int64 `wire:"13"`
	FinishedNanos int64 `wire:"14"`
	Claim         Claim `wire:"15"`
	// Coordinator is the node that works on the job, or did last.
	Coordinator kvapi.NodeID `wire:"16"`
	// Resumed counts the claims after the first.
	Resumed int64 `wire:"17"`

	Phase uint8 `wire:"20"`
	// Done of about Total rows have been looked at; Total 0 is unknown.
	Done  int64 `wire:"21"`
	Total int64 `wire:"22"`
	// Cursor is where to go on, in the primary index of the number CursorOf.
	Cursor   kvapi.Key      `wire:"23"`
	CursorOf schema.IndexID `wire:"24"`
	// ReadFrom is the earliest time to read the rows at.
	ReadFrom hlc.Timestamp `wire:"25"`
}

// Claim is the right to work on a job.
type Claim struct {
	Node    kvapi.NodeID  `wire:"1"`
	Token   Token         `wire:"2"`
	Expires hlc.Timestamp `wire:"3"`
}

// Token tells one claim from another.
type Token [16]byte

// Problem is an error in the parts that a client is told.
type Problem struct {
	Code       string `wire:"1"`
	Message    string `wire:"2"`
	Detail     string `wire:"3"`
	Hint       string `wire:"4"`
	Table      string `wire:"5"`
	Constraint string `wire:"6"`
}

// Fraction is the part of the work that is done, from 0 to 1.
func (r *Record) Fraction() float64 {
	switch {
	case r.State == Succeeded:
		return 1
	case r.Total <= 0:
		return 0
	}
	return min(float64(r.Done)/float64(r.Total), 0.99) // the last step is none of rows
}

var (
	// activePrefix + id are the jobs that have not ended, donePrefix + id the others.
	activePrefix = systemKey("jobs/active/")
	donePrefix   = systemKey("jobs/done/")
)

func systemKey(s string) kvapi.Key { return append(keys.SystemPrefix.Clone(), s...) }

func jobKey(prefix kvapi.Key, id ID) kvapi.Key {
	return binary.BigEndian.AppendUint32(prefix.Clone(), uint32(id))
}

// formatVersion starts every record; fields are only ever added.
const formatVersion = 1

func encode(r *Record) []byte { return r.AppendWire([]byte{formatVersion}) }

func decode(b []byte) (*Record, error) {
	if len(b) < 1 || b[0] != formatVersion {
		return nil, fmt.Errorf("jobs: record of an unknown format: %.16q", b)
	}
	r := new(Record)
	if err := r.UnmarshalWire(append([]byte(nil), b[1:]...)); err != nil {
		return nil, fmt.Errorf("jobs: record: %w", err)
	}
	return r, nil
}

// Create writes the record of a new job, in a transaction of the caller's.
func Create(ctx context.Context, t schema.Txn, clock *hlc.Clock, r Record) error {
	r.State, r.CreatedNanos = Pending, clock.PhysicalNow()
	r.ModifiedNanos = r.CreatedNanos
	return put(ctx, t, &r)
}

// put writes a record to where its state says (I3).
func put(ctx context.Context, t schema.Txn, r *Record) error {
	if !r.State.Ended() {
		return t.Put(ctx, jobKey(activePrefix, r.ID), encode(r))
	}
	if err := t.Delete(ctx, jobKey(activePrefix, r.ID)); err != nil {
		return err
	}
	return t.Put(ctx, jobKey(donePrefix, r.ID), encode(r))
}

// get reads a job that has not ended; nil is none.
func get(ctx context.Context, t schema.Txn, id ID) (*Record, error) {
	b, ok, err := t.Get(ctx, jobKey(activePrefix, id), txn.GetOptions{Lock: kvapi.LockExclusive})
	if err != nil || !ok {
		return nil, err
	}
	return decode(b)
}

// find reads a job, ended or not; nil is none.
func find(ctx context.Context, t schema.Txn, id ID) (*Record, error) {
	vals, err := t.GetMany(ctx, []kvapi.Key{jobKey(activePrefix, id), jobKey(donePrefix, id)}, txn.GetOptions{})
	if err != nil {
		return nil, err
	}
	for _, v := range vals {
		if v.Exists {
			return decode(v.Data)
		}
	}
	return nil, nil
}

func list(ctx context.Context, t schema.Txn, prefix kvapi.Key) ([]*Record, error) {
	var out []*Record
	span := kvapi.Span{Key: prefix, EndKey: prefix.PrefixEnd()}
	for {
		rows, resume, err := t.Scan(ctx, span, txn.ScanOptions{TargetBytes: scanBytes})
		if err != nil {
			return nil, err
		}
		for _, kv := range rows {
			r, err := decode(kv.Value)
			if err != nil {
				continue // of a newer version
			}
			out = append(out, r)
		}
		if resume == nil {
			return out, nil
		}
		span = *resume
	}
}
