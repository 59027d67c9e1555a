package sql

import (
	"context"
	"encoding/binary"
	"net"
	"strconv"
	"time"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// sessionInfo is what functions may ask of a session.
type sessionInfo struct{ s *Session }

func (i sessionInfo) User() string        { return i.s.user() }
func (i sessionInfo) SessionUser() string { return i.s.args.User }
func (i sessionInfo) Database() string    { return i.s.db.Name }
func (i sessionInfo) BackendPID() int32   { return i.s.args.BackendPID }

// SearchPath is without the temporary schema, which nothing is created in by default.
func (i sessionInfo) SearchPath() []string {
	if p := i.s.pg.SearchPath; len(p) == 0 || p[0] != i.s.temp.Name {
		return p
	}
	return i.s.pg.SearchPath[1:]
}

func (i sessionInfo) Setting(name string) (string, bool) { return i.s.vars.lookup(name) }

func (i sessionInfo) SetSetting(name, value string, local bool) error {
	return i.s.setVar(name, value, local, nil)
}

// Info answers the rarely asked.
func (i sessionInfo) Info(name string) (string, bool) {
	host := func(a net.Addr, port bool) (string, bool) {
		t, ok := a.(*net.TCPAddr)
		if !ok {
			return "", false
		}
		h, p, err := net.SplitHostPort(t.String())
		if port {
			h = p
		}
		return h, err == nil
	}
	switch name {
	case "server_addr":
		return host(i.s.args.Local, false)
	case "server_port":
		return host(i.s.args.Local, true)
	case "client_addr":
		return host(i.s.args.Remote, false)
	case "client_port":
		return host(i.s.args.Remote, true)
	case "transaction_block":
		return "", i.s.tx != nil && i.s.tx.explicit
	case "txid": // a number that no other transaction is likely to have
		if i.s.tx == nil || i.s.tx.t == nil {
			return "", false
		}
		id := i.s.tx.t.ID()
		return strconv.FormatUint(binary.BigEndian.Uint64(id[:8])>>1, 10), true
	case "start_time":
		return i.s.started.UTC().Format(time.RFC3339Nano), true
	}
	return "", false
}

// sequences are the operations behind nextval. They run outside the transaction: numbers are not
// given back.
type sequences struct{ s *Session }

func (q sequences) find(ctx context.Context, oid types.OID) (*schema.Sequence, error) {
	c := q.s.pg.Contents
	if seq := c.Sequence(schema.DescID(oid)); seq != nil {
		return seq, nil
	}
	return nil, sqlerr.New(sqlerr.UndefinedTable, "could not open relation with OID %d", oid)
}

// findFor is find for a role that must have one of the privileges.
func (q sequences) findFor(ctx context.Context, oid types.OID, any schema.Privileges) (*schema.Sequence, error) {
	seq, err := q.find(ctx, oid)
	if err == nil && q.s.pg.Contents.Granted(q.s.user(), seq, any) == 0 {
		err = bind.Denied(seq)
	}
	return seq, err
}

func (q sequences) Nextval(ctx context.Context, oid types.OID) (int64, error) {
	seq, err := q.findFor(ctx, oid, schema.PrivUsage|schema.PrivUpdate)
	if err != nil {
		return 0, err
	}
	v, err := q.s.srv.cfg.Catalog.Nextval(ctx, seq)
	if err == nil {
		q.s.currval[seq.ID] = v
		q.s.lastSeq = seq.ID
	}
	return v, err
}

func (q sequences) Currval(ctx context.Context, oid types.OID) (int64, error) {
	seq, err := q.findFor(ctx, oid, schema.PrivUsage|schema.PrivSelect)
	if err != nil {
		return 0, err
	}
	v, ok := q.s.currval[seq.ID]
	if !ok {
		return 0, sqlerr.New(sqlerr.ObjectNotInPrerequisiteState,
			"currval of sequence \"%s\" is not yet defined in this session", seq.Name)
	}
	return v, nil
}

func (q sequences) Setval(ctx context.Context, oid types.OID, v int64, called bool) error {
	seq, err := q.findFor(ctx, oid, schema.PrivUpdate)
	if err != nil {
		return err
	}
	if v < seq.Min || v > seq.Max {
		return sqlerr.New(sqlerr.NumericValueOutOfRange, "setval: value %d is out of bounds for sequence \"%s\" (%d..%d)",
			v, seq.Name, seq.Min, seq.Max)
	}
	if err := q.s.srv.cfg.Catalog.Setval(ctx, seq, v, called); err != nil {
		return err
	}
	if called {
		q.s.currval[seq.ID] = v
	}
	return nil
}

func (q sequences) Lastval(context.Context) (int64, error) {
	v, ok := q.s.currval[q.s.lastSeq]
	if !ok {
		return 0, sqlerr.New(sqlerr.ObjectNotInPrerequisiteState, "lastval is not yet defined in this session")
	}
	return v, nil
}
