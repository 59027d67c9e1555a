package load

import (
	"errors"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/cairndb/cairn/internal/testkit/history"
)

// SQLSTATEs that a client of a distributed database must tell apart.
const (
	statementUnknown     = "40003" // statement_completion_unknown
	adminShutdown        = "57P01"
	crashShutdown        = "57P02"
	connectionExceptions = "08"
	serializationFailure = "40001"
	deadlock             = "40P01"
)

// isConflict reports whether an error says: again, later.
func isConflict(err error) bool {
	var pe *pgconn.PgError
	return errors.As(err, &pe) && (pe.Code == serializationFailure || pe.Code == deadlock)
}

// commitOutcome says what an error of a COMMIT, or of a statement that is its
// own transaction, tells about its effects (I1). An error with a SQLSTATE is
// the server's word that nothing happened, unless the code says otherwise.
func commitOutcome(err error) history.Outcome {
	if err == nil {
		return history.OK
	}
	var pe *pgconn.PgError
	if !errors.As(err, &pe) {
		// Not even pgconn.SafeToRetry helps: it answers true for "conn closed",
		// which a statement also gets that was sent before the connection broke.
		return history.Info
	}
	switch {
	case pe.Code == statementUnknown, pe.Code == adminShutdown, pe.Code == crashShutdown,
		strings.HasPrefix(pe.Code, connectionExceptions):
		return history.Info
	}
	return history.Fail
}

// errorKind is a short name for counting errors.
func errorKind(err error) string {
	var pe *pgconn.PgError
	if errors.As(err, &pe) {
		return pe.Code + " " + pe.Message
	}
	if pgconn.Timeout(err) {
		return "client's time limit"
	}
	return "connection lost"
}

// text is the error for a history; empty for none.
func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
