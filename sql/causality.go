package sql

import (
	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/sql/sqlerr"
)

// A causality token is a timestamp at or below which lies all that a session has read or written. A
// client that moves to another gateway, or tells another client of what it saw, hands it on:
//
//	gateway 1   COMMIT ──▶ ParameterStatus cairn.causality_token = 'T'
//	                                                              │ the client, or its friend
//	gateway 2   SET cairn.causality_token = 'T'; transactions not below T from here on
//
// So the second transaction follows the first in the order of all, also where they share no key and
// the second gateway's clock is behind, and nobody waits: it is what strict consistency gives, to
// those who talk to each other.
//
// The token is shown by SHOW, and reported after every transaction once the session has set it, be it
// to the empty token, at best in the options of the connection. It only rises. One that lies above
// this node's clock by more than clocks may differ is not of this cluster, and is refused: taken, it
// would move the timestamps of everybody who reads what the session writes.
type causality struct {
	at hlc.Timestamp
	// told is what the client knows, if report is set.
	told   hlc.Timestamp
	report bool
}

const causalityToken = "cairn.causality_token"

func (c *causality) String() string {
	if c.at.IsEmpty() {
		return ""
	}
	return c.at.String()
}

// noteCausality takes in what the transaction that ends has shown to the client.
func (s *Session) noteCausality(tx *txnState) {
	if !tx.past {
		s.causality.at.Forward(tx.t.ReadTimestamp())
		s.causality.at.Forward(tx.t.CommitTimestamp())
	}
}

// applyToken checks a token and takes it.
func applyToken(s *Session, v string) (string, error) {
	s.causality.report = true
	if v == "" {
		return v, nil
	}
	bad := func() *sqlerr.Error {
		return sqlerr.New(sqlerr.InvalidParameterValue, "invalid value for parameter \"%s\": \"%s\"", causalityToken, v)
	}
	at, err := hlc.ParseTimestamp(v)
	if err != nil || at.WallTime < 0 || at.Logical < 0 {
		return "", bad().WithHint("Give what the parameter was on another connection.")
	}
	clock := s.srv.cfg.DB.Clock()
	if at.WallTime > clock.PhysicalNow()+int64(clock.MaxOffset()) {
		return "", bad().WithDetail("It lies in the future.")
	}
	s.causality.at.Forward(at)
	return v, nil
}

// setCausality is SET. It holds for the present transaction, if that has done nothing yet.
func (s *Session) setCausality(v string) error {
	if tx := s.tx; tx != nil && (tx.done > 0 || len(tx.savepoints) > 0) {
		return sqlerr.New(sqlerr.ActiveSQLTransaction, "%s must be set before any query", causalityToken)
	}
	if _, err := applyToken(s, v); err != nil {
		return err
	}
	if s.tx != nil && s.tx.t.ReadTimestamp().Less(s.causality.at) {
		s.tx.r.Release()
		s.newAttempt()
	}
	return nil
}

// reportCausality tells the client of the token, if it wants to know.
func (s *Session) reportCausality(w ResultWriter) error {
	c := &s.causality
	if !c.report || c.told == c.at {
		return nil
	}
	c.told = c.at
	return w.ParameterStatus(causalityToken, c.String())
}
