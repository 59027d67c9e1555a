package check

import (
	"fmt"
	"slices"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/internal/testkit/history"
)

// KV compares transactions with all versions that the database holds in the
// end, and those that it has collected:
//
//   - what a committed transaction wrote last to each key is there, at its
//     commit timestamp; what it overwrote or rolled back is nowhere;
//   - what a failed transaction wrote is nowhere; of one with unknown outcome
//     all is there, at one timestamp, or nothing;
//   - every read of a committed transaction, and every bound and remainder of a
//     scan, is what the versions at or below its commit timestamp and its own
//     writes give;
//   - a read misses no write that was acknowledged before the reader began.
//
// This needs no search: timestamps are the order.
func KV(txns []history.KVTxn, versions []history.Version) *Violation {
	c := &kvCheck{byKey: map[history.Key][]history.Version{}, writer: map[history.Value]*history.KVTxn{}}
	for _, v := range versions {
		c.byKey[v.Key] = append(c.byKey[v.Key], v)
	}
	for _, vs := range c.byKey {
		slices.SortFunc(vs, func(a, b history.Version) int { return a.At.Compare(b.At) })
	}
	for i := range txns {
		if v := c.writes(&txns[i]); v != nil {
			return v
		}
	}
	if v := c.unexplained(txns, versions); v != nil {
		return v
	}
	for i := range txns {
		if t := &txns[i]; t.Outcome == history.OK {
			if v := c.reads(t); v != nil {
				return v
			}
		}
	}
	return c.stale(txns)
}

type kvCheck struct {
	// byKey are the versions of each key, oldest first.
	byKey map[history.Key][]history.Version
	// writer is who may have committed a value.
	writer map[history.Value]*history.KVTxn
}

// at returns the value of a key at a timestamp.
func (c *kvCheck) at(k history.Key, ts hlc.Timestamp) (value history.Value) {
	for _, v := range c.byKey[k] {
		if ts.Less(v.At) {
			break
		}
		value = v.Value
	}
	return value
}

// find returns where the value of a put is.
func (c *kvCheck) find(k history.Key, value history.Value) (hlc.Timestamp, bool) {
	for _, v := range c.byKey[k] {
		if v.Value == value {
			return v.At, true
		}
	}
	return hlc.Timestamp{}, false
}

// overlay is what a transaction has written.
type overlay map[history.Key]history.Value

// apply changes the overlay by step i; a rollback does it all again.
func (o overlay) apply(steps []history.KVStep, i int) {
	switch s := &steps[i]; s.Kind {
	case history.KVPut:
		o[s.Key] = s.Value
	case history.KVDelete:
		o[s.Key] = history.Absent
	case history.KVRollback:
		clear(o)
		for j := range s.Savepoint {
			o.apply(steps, j)
		}
	}
}

func lastWrites(t *history.KVTxn) overlay {
	o := overlay{}
	for i := range t.Steps {
		o.apply(t.Steps, i)
	}
	return o
}

// writes checks that what a transaction wrote is there, or is not.
func (c *kvCheck) writes(t *history.KVTxn) *Violation {
	if t.Outcome == history.Fail {
		return nil // unexplained finds what it left
	}
	last := lastWrites(t)
	at, known := t.At, t.Outcome == history.OK
	if !known {
		for k, value := range last {
			if ts, ok := c.find(k, value); ok && value != history.Absent {
				at, known = ts, true
			}
		}
	}
	for k, value := range last {
		if value != history.Absent {
			c.writer[value] = t
		}
		if !known {
			continue
		}
		if got := c.at(k, at); got != value {
			return violation(LostWrite, fmt.Sprintf("at %s %s is %s, not %s as was written by", at, k, got, value), t.String())
		}
		if value != history.Absent {
			if ts, _ := c.find(k, value); ts != at {
				return violation(LostWrite, fmt.Sprintf("%s of %s is at %s, not at %s", value, k, ts, at), t.String())
			}
		}
	}
	return nil
}

// unexplained finds versions that nobody wrote who may have committed.
func (c *kvCheck) unexplained(txns []history.KVTxn, versions []history.Version) *Violation {
	type tombstone struct {
		k  history.Key
		at hlc.Timestamp
	}
	deleted := map[tombstone]bool{}
	maybe := map[history.Key]bool{}
	for i := range txns {
		for k, value := range lastWrites(&txns[i]) {
			switch {
			case value != history.Absent || txns[i].Outcome == history.Fail:
			case txns[i].Outcome == history.OK:
				deleted[tombstone{k, txns[i].At}] = true
			default:
				maybe[k] = true
			}
		}
	}
	for _, v := range versions {
		if v.Value == history.Absent && (deleted[tombstone{v.Key, v.At}] || maybe[v.Key]) {
			continue
		}
		if v.Value != history.Absent && c.writer[v.Value] != nil {
			continue
		}
		story := []string{fmt.Sprintf("%s of %s at %s", v.Value, v.Key, v.At)}
		for i := range txns {
			for _, s := range txns[i].Steps {
				if s.Kind == history.KVPut && s.Value == v.Value && v.Value != history.Absent {
					story = append(story, txns[i].String())
				}
			}
		}
		return violation(GhostWrite, story...)
	}
	return nil
}

// reads replays a committed transaction at its timestamp.
func (c *kvCheck) reads(t *history.KVTxn) *Violation {
	own := overlay{}
	before := t.At
	look := func(k history.Key) history.Value {
		if v, ok := own[k]; ok {
			return v
		}
		return c.below(k, before, t)
	}
	for i := range t.Steps {
		switch s := &t.Steps[i]; s.Kind {
		case history.KVGet:
			if want := look(s.Key); s.Value != want {
				return violation(WrongRead, fmt.Sprintf("step %d should have read %s", i, c.describe(want)), t.String())
			}
		case history.KVScan:
			if why := c.scan(s, look); why != "" {
				return violation(WrongRead, fmt.Sprintf("step %d: %s", i, why), t.String())
			}
		default:
			own.apply(t.Steps, i)
		}
	}
	return nil
}

// below is what a transaction that committed at ts reads of others.
func (c *kvCheck) below(k history.Key, ts hlc.Timestamp, t *history.KVTxn) (value history.Value) {
	for _, v := range c.byKey[k] {
		if ts.Less(v.At) {
			break
		}
		// Its own version is not what it read before it wrote; with a tombstone
		// nobody else's can be at the same timestamp.
		own := v.At == ts && (c.writer[v.Value] == t || v.Value == history.Absent && c.deletes(t, k))
		if !own {
			value = v.Value
		}
	}
	return value
}

func (c *kvCheck) deletes(t *history.KVTxn, k history.Key) bool {
	v, ok := lastWrites(t)[k]
	return ok && v == history.Absent
}

func (c *kvCheck) describe(v history.Value) string {
	if t := c.writer[v]; t != nil {
		return fmt.Sprintf("%s, written by\n    %s\n  and not what was read by", v, t)
	}
	return v.String()
}

// scan says what is wrong with the rows of a scan.
func (c *kvCheck) scan(s *history.KVStep, look func(history.Key) history.Value) string {
	var all []history.KVRow
	for k := range c.byKey {
		if v := look(k); s.Span.Start <= k && k < s.Span.End && v != history.Absent {
			all = append(all, history.KVRow{Key: k, Value: v})
		}
	}
	slices.SortFunc(all, func(a, b history.KVRow) int {
		if (a.Key < b.Key) != s.Reverse {
			return -1
		}
		return 1
	})
	if len(s.Rows) > len(all) || !slices.Equal(s.Rows, all[:len(s.Rows)]) {
		return fmt.Sprintf("should have read, in this order, of %v", all)
	}
	for _, row := range s.Rows {
		if s.Left(row.Key) {
			return fmt.Sprintf("%s was returned and is left", row.Key)
		}
	}
	for _, row := range all[len(s.Rows):] {
		if !s.Left(row.Key) {
			return fmt.Sprintf("%s is neither returned nor left", row.Key)
		}
	}
	switch {
	case s.Limit > 0 && len(s.Rows) > s.Limit:
		return "more rows than its limit"
	case s.Limit == 0 && s.Resume != nil:
		return "it left something without a limit"
	case len(s.Rows) == 0 && len(all) > 0:
		return fmt.Sprintf("no row of %v", all)
	}
	return ""
}

// stale finds a read that misses a write acknowledged before the reader began.
func (c *kvCheck) stale(txns []history.KVTxn) *Violation {
	for k, vs := range c.byKey {
		for i := range vs {
			w := c.writer[vs[i].Value]
			if vs[i].Value == history.Absent || w == nil || w.Outcome != history.OK {
				continue
			}
			for j := range txns {
				r := &txns[j]
				if r.Outcome != history.OK || r.Past || !w.Before(&r.Op) || !r.At.Less(vs[i].At) {
					continue
				}
				for n := range r.Steps {
					if r.Steps[n].Reads(k) {
						return violation(StaleRead, fmt.Sprintf("step %d of the second is of before the first, which had ended", n), w.String(), r.String())
					}
				}
			}
		}
	}
	return nil
}
