package pgwire

import (
	"io"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/cairndb/cairn/sql/sqlerr"
)

// copyReader implements sql.CopyReader over a connection.
type copyReader struct {
	be *pgproto3.Backend
	// end is set once the client has ended the copy, or left.
	end error
}

// Next implements sql.CopyReader.
func (r *copyReader) Next() ([]byte, error) {
	for r.end == nil {
		msg, err := r.be.Receive()
		if err != nil {
			r.end = sqlerr.New(sqlerr.ConnectionFailure, "unexpected EOF on client connection with an open transaction")
			break
		}
		switch m := msg.(type) {
		case *pgproto3.CopyData:
			return m.Data, nil
		case *pgproto3.CopyDone:
			r.end = io.EOF
		case *pgproto3.CopyFail:
			r.end = sqlerr.New(sqlerr.QueryCanceled, "COPY from stdin failed: %s", m.Message)
		case *pgproto3.Flush, *pgproto3.Sync:
			// The protocol says to ignore them during a copy.
		default:
			r.end = sqlerr.New(sqlerr.ProtocolViolation, "unexpected message %T during COPY from stdin", msg)
		}
	}
	return nil, r.end
}

// discard reads on to the end of a copy whose statement has failed.
func (r *copyReader) discard() error {
	for {
		if _, err := r.Next(); err != nil {
			if sqlerr.HasCode(err, sqlerr.ConnectionFailure) {
				return err
			}
			return nil
		}
	}
}
