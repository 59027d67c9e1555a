package txn

import (
	"math/rand/v2"

	"github.com/cairndb/cairn/kv/kvapi"
)

// A transaction that has lost lossesMax times asks, with each request, for a turn
// on what it reads (kv/concurrency's turns), and goes on to until it commits. Who
// begins another transaction for the same purpose hands the standing on.

// Standing says how often in a row what somebody is doing has lost to others. The
// zero value is for what has not.
type Standing struct {
	losses int
	turn   kvapi.TurnID
}

// lose counts a loss.
func (t *Txn) lose() {
	s := &t.standing
	if s.losses++; s.losses < lossesMax || t.opts.ReadOnly || t.fixed() {
		return
	}
	for s.turn == 0 {
		s.turn = kvapi.TurnID(rand.Uint64())
	}
}

// Lost is the standing of whoever will begin anew what this transaction, which
// has failed with a retryable error, could not do.
func (t *Txn) Lost() Standing {
	t.lose()
	return t.standing
}

// StandIn has the transaction, which has done nothing yet, take the place of one
// whose standing was s.
func (t *Txn) StandIn(s Standing) { t.standing = s }

// holds reports whether the transaction may hold locks.
func (k *tracker) holds() bool { return len(k.locks.spans) > 0 }
