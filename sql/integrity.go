package sql

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/gc"
	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/txn"
)

// Indexes are compared with their rows all the time, slowly, as replicas are with each other
// (kv/store's check.go): what a bug in a schema change, or in the coding of a type, has done to an index
// no comparison of replicas finds, for they all have it.
//
//	node that leads the table's first range     every cairn.index_check_interval
//	  tables whose last check is too old, oldest first, one at a time
//	  compare (tablekv.Check), as of one moment, resting between pages
//	  record: cairn.integrity, with when the table was last proven good
//
// That each table has one node to look after it needs no claims: if the lease moves in between, the table
// may be checked twice.
//
// What is found is for people: the rows are taken for the truth, but which of the two is wrong nobody can
// say, and REINDEX of a table that somebody wants to look at first would remove what there is to see.
const (
	// indexCheckSetting is how often each table is checked, 0 for never. It is the cluster's alone.
	indexCheckSetting = "cairn.index_check_interval"
	indexCheckDefault = 24 * time.Hour
	indexCheckMin     = time.Second
	// indexCheckLooks times in that interval a node looks which tables are due, and no more often than
	// indexCheckMin nor more seldom than indexCheckLookMax, for the setting may change.
	indexCheckLooks   = 144
	indexCheckLookMax = time.Minute
	// indexCheckNewShare: a table that nobody has checked yet, or not to the end, is due after one such
	// part of the interval, or less.
	indexCheckNewShare = 24
	// checkShareMax is how much of its time, in percent, a check works at most, also while nobody else
	// does: it is in no hurry.
	checkShareMax = 25
	// checkProtectAfter is how long a check goes on before it protects the moment that it reads from the
	// collection of old versions, each time for checkProtectFor.
	checkProtectAfter = 15 * time.Second
	checkProtectFor   = 10 * time.Minute
)

func applyIndexCheckInterval(_ *Session, v string) (string, error) {
	if ms, _ := millis(v); ms != 0 && ms < indexCheckMin.Milliseconds() {
		return "", sqlerr.New(sqlerr.InvalidParameterValue, "%s is at least 1s, or 0 for no checks", indexCheckSetting)
	}
	return v, nil
}

// indexCheckInterval is how often each table is checked; 0: never.
func (s *Server) indexCheckInterval() time.Duration {
	if v, ok := s.settings.view.Load().get(indexCheckSetting); ok {
		if ms, ok := millis(v); ok {
			return time.Duration(ms) * time.Millisecond
		}
	}
	return indexCheckDefault
}

// indexChecks is what this node remembers of them: when it first heard of tables that have no record.
type indexChecks struct{ due map[schema.DescID]time.Time }

// RunIndexChecks compares the indexes of the tables that this node looks after with their rows, until ctx
// ends.
func (s *Server) RunIndexChecks(ctx context.Context) {
	known := indexChecks{due: map[schema.DescID]time.Time{}}
	for {
		every := s.indexCheckInterval()
		look := max(min(every/indexCheckLooks, indexCheckLookMax), indexCheckMin)
		if every == 0 {
			look = indexCheckLookMax
		}
		select {
		case <-time.After(look):
		case <-ctx.Done():
			return
		}
		if every == 0 {
			continue
		}
		if err := s.checkDueIndexes(ctx, &known, every); err != nil && ctx.Err() == nil {
			s.log.Warn("indexes cannot be checked", "err", err)
		}
	}
}

// checkDueIndexes checks the tables whose turn it is.
func (s *Server) checkDueIndexes(ctx context.Context, known *indexChecks, every time.Duration) error {
	due, err := s.dueForCheck(ctx, known, every)
	if err != nil {
		return err
	}
	for _, id := range due {
		if s.indexCheckInterval() == 0 {
			return nil
		}
		if err := s.checkIndexesOf(ctx, id); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			// It has its turn again, after the others.
			known.due[id] = time.Now().Add(every / indexCheckNewShare)
			s.log.Info("the indexes of a table were not checked", "table", id, "err", err)
		}
	}
	return nil
}

// dueForCheck lists the tables with indexes that this node looks after and whose last check is too old,
// the oldest first.
func (s *Server) dueForCheck(ctx context.Context, known *indexChecks, every time.Duration) ([]schema.DescID, error) {
	snap, err := s.cfg.Catalog.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	last, err := s.indexCheckRecords(ctx)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	var out []schema.DescID
	for _, o := range snap.Objects() {
		t, ok := o.(*schema.Table)
		if !ok || !slices.ContainsFunc(t.Indexes, func(ix schema.Index) bool { return ix.IsPublic() }) || !s.looksAfter(t.ID) {
			continue
		}
		rec, found := last[t.ID]
		at, heard := known.due[t.ID]
		switch {
		case heard && now.Before(at):
			continue
		case !found && !heard:
			// Not all tables of a cluster that was new to this at one time.
			known.due[t.ID] = now.Add(time.Duration(rand.Int64N(int64(every)/indexCheckNewShare + 1)))
			continue
		case found && s.now().Sub(time.Unix(0, rec.CheckedNanos)) < indexCheckValid(&rec, every):
			continue
		}
		delete(known.due, t.ID)
		out = append(out, t.ID)
	}
	slices.SortStableFunc(out, func(a, b schema.DescID) int { return cmp.Compare(last[a].CheckedNanos, last[b].CheckedNanos) })
	return out, nil
}

// indexCheckValid is how long a result stands.
func indexCheckValid(rec *kvapi.IntegrityRecord, every time.Duration) time.Duration {
	if rec.Outcome == kvapi.CheckIncomplete {
		return every / indexCheckNewShare
	}
	return every
}

// looksAfter reports whether this node does what one node is to do for a table.
func (s *Server) looksAfter(id schema.DescID) bool {
	return s.cfg.LooksAfter == nil || s.cfg.LooksAfter(id)
}

// indexCheckRecords are the results of the last checks of tables.
func (s *Server) indexCheckRecords(ctx context.Context) (map[schema.DescID]kvapi.IntegrityRecord, error) {
	out := map[schema.DescID]kvapi.IntegrityRecord{}
	first := keys.TableIntegrity(0)
	whole := kvapi.Span{Key: first, EndKey: keys.IntegrityPrefix.PrefixEnd()}
	err := s.cfg.DB.Run(ctx, txn.Options{Name: "integrity", ReadOnly: true}, func(ctx context.Context, x *txn.Txn) error {
		clear(out)
		for span := &whole; span != nil; {
			rows, rest, err := x.Scan(ctx, *span, txn.ScanOptions{TargetBytes: checkPageBytes})
			if err != nil {
				return err
			}
			for _, row := range rows {
				var rec kvapi.IntegrityRecord
				if err := rec.UnmarshalWire(row.Value); err != nil {
					return fmt.Errorf("result of a check %s: %w", row.Key, err)
				}
				if rec.Kind == kvapi.CheckIndexes {
					out[schema.DescID(rec.TableID)] = rec
				}
			}
			span = rest
		}
		return nil
	})
	return out, err
}

// checkIndexesOf checks one table, in a session of its own of which nobody knows.
func (s *Server) checkIndexesOf(ctx context.Context, id schema.DescID) error {
	snap, err := s.cfg.Catalog.Snapshot(ctx)
	if err != nil {
		return err
	}
	t := snap.Table(id)
	if t == nil {
		return nil
	}
	db := snap.DatabaseByID(t.DatabaseID)
	if db == nil {
		return nil
	}
	sess, err := s.makeSession(snap, db, SessionArgs{User: schema.RootUser, Database: db.Name})
	if err != nil {
		return err
	}
	defer sess.close()
	sess.ec.Ctx = ctx
	p := &checkPace{s: s, began: time.Now(), table: t}
	defer p.done(ctx)
	rec, err := sess.checkTable(ctx, t, p)
	if err != nil {
		return err
	}
	if rec.Outcome == kvapi.CheckDiverged {
		s.log.Error("the indexes of a table are not what its rows demand", "table", t.Name, "found", rec.Detail)
	}
	return nil
}

// checkPace has a check rest between pages, and keeps what it reads from being collected. Nil does
// neither.
type checkPace struct {
	s     *Server
	table *schema.Table
	// at is when the check reads.
	at    hlc.Timestamp
	began time.Time
	// rested is when it last began to work.
	rested time.Time
	// protection holds until until.
	protection *gc.ProtectionID
	until      time.Time
}

func (p *checkPace) reads(at hlc.Timestamp) {
	if p != nil {
		p.at, p.rested = at, time.Now()
	}
}

// afterPage rests for as long as the work since the last rest demands.
func (p *checkPace) afterPage(ctx context.Context) error {
	if p == nil {
		return nil
	}
	if now := time.Now(); now.Sub(p.began) > checkProtectAfter && p.until.Sub(now) < checkProtectFor/2 {
		if err := p.protect(ctx); err != nil {
			return err
		}
	}
	share := min(p.s.backfillShare(ctx), checkShareMax)
	rest := time.Since(p.rested) * time.Duration(100-share) / time.Duration(share)
	select {
	case <-time.After(rest):
	case <-ctx.Done():
		return ctx.Err()
	}
	p.rested = time.Now()
	return nil
}

func (p *checkPace) protector() gc.Protector {
	return gc.Protector{Sender: p.s.cfg.DB.Sender(), Clock: p.s.cfg.DB.Clock()}
}

// protect has what the check reads stay for some more time.
func (p *checkPace) protect(ctx context.Context) error {
	start := keys.Table(uint32(p.table.ID))
	until := time.Now().Add(checkProtectFor)
	id, err := p.protector().Protect(ctx, gc.Protection{Span: kvapi.Span{Key: start, EndKey: start.PrefixEnd()}, Timestamp: p.at,
		For:     "the check of the indexes of table " + p.table.Name,
		Expires: p.s.cfg.DB.Clock().Now().Timestamp().AddNanos(int64(checkProtectFor + p.s.cfg.DB.Clock().MaxOffset()))})
	if err != nil {
		return err
	}
	p.release(ctx)
	p.protection, p.until = &id, until
	return nil
}

// release ends what an earlier protect began; what stays expires.
func (p *checkPace) release(ctx context.Context) {
	if p.protection == nil {
		return
	}
	if err := p.protector().Release(ctx, *p.protection); err != nil && !errors.Is(err, context.Canceled) {
		p.s.log.Debug("a protection of old versions stays until it expires", "for", p.table.Name, "err", err)
	}
	p.protection = nil
}

func (p *checkPace) done(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	p.release(ctx)
}
