package check

import (
	"fmt"

	"github.com/cairndb/cairn/internal/testkit/history"
)

// Opening is how every account begins.
type Opening struct {
	Accounts int
	Balance  int64
}

// Bank reports whether the money stayed together: in every read the balances
// add up to what was there at first, and the ledger of the last read, which
// must have begun after everything else had ended, explains every balance and
// holds every transfer that was acknowledged and none that failed.
func Bank(open Opening, transfers []history.Transfer, reads []history.BankRead) *Violation {
	var last *history.BankRead
	for i := range reads {
		r := &reads[i]
		if r.Outcome != history.OK {
			continue
		}
		if v := bankRead(open, r); v != nil {
			return v
		}
		if r.Ledger != nil {
			if v := bankLedger(open, r); v != nil {
				return v
			}
			if v := bankTransfers(transfers, r); v != nil {
				return v
			}
			last = r
		}
	}
	if last == nil {
		return violation(LedgerMismatch, "the ledger was never read")
	}
	return nil
}

func bankRead(open Opening, r *history.BankRead) *Violation {
	total := int64(0)
	for a := range open.Accounts {
		b, ok := r.Balances[history.Account(a)]
		if !ok {
			return violation(MissingAccount, fmt.Sprintf("account %d", a), r.String())
		}
		if b < 0 {
			return violation(NegativeAmount, fmt.Sprintf("account %d has %d", a, b), r.String())
		}
		total += b
	}
	if want := int64(open.Accounts) * open.Balance; total != want {
		return violation(TotalChanged, fmt.Sprintf("total %d, not %d", total, want), r.String())
	}
	return nil
}

// bankLedger recomputes the balances from the entries read in one transaction
// with them.
func bankLedger(open Opening, r *history.BankRead) *Violation {
	balance := make([]int64, open.Accounts)
	for i := range balance {
		balance[i] = open.Balance
	}
	for _, t := range r.Ledger {
		balance[t.From] -= t.Amount
		balance[t.To] += t.Amount
	}
	for a, want := range balance {
		if got := r.Balances[history.Account(a)]; got != want {
			return violation(LedgerMismatch, fmt.Sprintf("account %d has %d; the ledger's %d entries give %d", a, got, len(r.Ledger), want), r.String())
		}
	}
	return nil
}

// bankTransfers looks for transfers that ended before the ledger was read.
func bankTransfers(transfers []history.Transfer, r *history.BankRead) *Violation {
	there := map[history.Value]bool{}
	for _, t := range r.Ledger {
		there[t.ID] = true
	}
	for i := range transfers {
		t := &transfers[i]
		switch {
		case t.Outcome == history.OK && !t.Refused && t.Before(&r.Op) && !there[t.ID]:
			return violation(LostTransfer, t.String(), r.String())
		case (t.Outcome == history.Fail || t.Refused) && there[t.ID]:
			return violation(GhostTransfer, t.String(), r.String())
		}
	}
	return nil
}
