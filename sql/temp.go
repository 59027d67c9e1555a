package sql

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/ddl"
	"github.com/cairndb/cairn/sql/parser"
	"github.com/cairndb/cairn/sql/sqlerr"
)

// Temporary tables are tables in a schema of the session's own (ddl.Temp). What is done for them here:
// ON COMMIT, in the transaction itself, before its commit; dropping the schema when the session ends;
// and dropping the schemas that this node left behind when it last ended without warning. A node that
// never comes back leaves its schemas there, until a superuser drops them.

// tempDropTimeout bounds how long the end of a session waits for its temporary tables to go. What is
// left is dropped when the node starts again.
const tempDropTimeout = 10 * time.Second

// node is what the TempOf of this node's sessions begins with, run that of this process.
func (s *Server) tempNode() string { return fmt.Sprintf("%d/", s.cfg.NodeID) }

func (s *Server) tempSession(n uint64) string {
	return fmt.Sprintf("%s%s/%d", s.tempNode(), s.incarnation, n)
}

// tempTables are the session's temporary tables in a catalog.
func (s *Session) tempTables(c *schema.Contents) []*schema.Table {
	if s.temp.Name == "" {
		return nil
	}
	sc := c.Schema(s.db.ID, s.temp.Name)
	if sc == nil {
		return nil
	}
	var out []*schema.Table
	for _, t := range c.Tables(s.db.ID) {
		if t.SchemaID == sc.ID {
			out = append(out, t)
		}
	}
	return out
}

// onCommit does what temporary tables asked for at the end of the transaction, in it.
func (s *Session) onCommit(ctx context.Context) error {
	if s.temp.Name == "" {
		return nil
	}
	c, err := s.tx.r.Contents(ctx)
	if err != nil {
		return err
	}
	for _, t := range s.tempTables(c) {
		name := quoteIdent(s.temp.Name) + "." + quoteIdent(t.Name)
		switch {
		case t.OnCommit == schema.OnCommitDelete && s.tx.tables[t.ID] != nil:
			if _, err := (engine{s}).Exec(ctx, "DELETE FROM "+name); err != nil {
				return err
			}
		case t.OnCommit == schema.OnCommitDrop:
			if err := s.quietDDL(ctx, "DROP TABLE "+name+" CASCADE"); err != nil {
				return err
			}
		}
	}
	return nil
}

// quietDDL changes the schema in the session's transaction on the session's own account.
func (s *Session) quietDDL(ctx context.Context, text string) error {
	stmts, err := parser.Parse(text)
	if err != nil {
		return err
	}
	if err := s.makeSerializable(ctx); err != nil {
		return err
	}
	snap, err := s.tx.r.Snapshot(ctx)
	if err != nil {
		return err
	}
	env := s.ddlEnv(snap)
	env.Resolver, env.Txn, env.Explicit = s.tx.r, s.tx.t, true
	env.User = schema.RootUser
	_, err = ddl.Exec(ctx, env, stmts[0])
	return err
}

// dropTemp drops the session's temporary schema in its present transaction.
func (s *Session) dropTemp(ctx context.Context) error {
	c, err := s.tx.r.Contents(ctx)
	if err != nil || s.temp.Name == "" || c.Schema(s.db.ID, s.temp.Name) == nil {
		return err
	}
	return s.quietDDL(ctx, "DROP SCHEMA "+quoteIdent(s.temp.Name)+" CASCADE")
}

// endTemp drops the session's temporary schema for good: the session has ended.
func (s *Session) endTemp() {
	if s.temp.Name == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), tempDropTimeout)
	defer cancel()
	if err := s.srv.dropTempSchema(ctx, s.db, s.temp.Name); err != nil {
		s.srv.log.Warn("dropping temporary tables", "schema", s.temp.Name, "err", err)
	}
}

// dropTempSchema drops a temporary schema in a session of its own.
func (s *Server) dropTempSchema(ctx context.Context, db *schema.Database, name string) error {
	for attempt := 0; ; attempt++ {
		snap, err := s.cfg.Catalog.Refresh(ctx)
		if err != nil {
			return err
		}
		if snap.Schema(db.ID, name) == nil {
			return nil
		}
		sess, err := s.makeSession(snap, db, SessionArgs{User: schema.RootUser, Database: db.Name})
		if err != nil {
			return err
		}
		sess.ec.Ctx = ctx
		sess.ensureTxn()
		err = sess.quietDDL(ctx, "DROP SCHEMA "+quoteIdent(name)+" CASCADE")
		if err == nil {
			err = sess.commit(ctx)
		}
		sess.close()
		if err == nil || attempt >= tempDropAttempts || ctx.Err() != nil || !isRetryable(err) && sqlerr.From(err).Code != sqlerr.SerializationFailure {
			return err
		}
		pause(ctx, attempt+1)
	}
}

// tempDropAttempts is how often dropping a temporary schema is tried again after a conflict.
const tempDropAttempts = 20

// sweepTemp drops what sessions of earlier runs of this node left.
func (s *Server) sweepTemp(snap *schema.Snapshot) {
	if found := s.leftTemp(snap); len(found) > 0 {
		go s.dropLeft(found)
	}
}

// left is a temporary schema that nobody uses any more.
type left struct {
	db   *schema.Database
	name string
}

func (s *Server) leftTemp(snap *schema.Snapshot) (found []left) {
	for _, db := range snap.Databases() {
		for _, sc := range snap.Schemas(db.ID) {
			if strings.HasPrefix(sc.TempOf, s.tempNode()) && !strings.HasPrefix(sc.TempOf, s.tempNode()+s.incarnation) {
				found = append(found, left{db, sc.Name})
			}
		}
	}
	return found
}

func (s *Server) dropLeft(found []left) {
	for _, l := range found {
		ctx, cancel := context.WithTimeout(context.Background(), tempDropTimeout)
		if err := s.dropTempSchema(ctx, l.db, l.name); err != nil {
			s.log.Warn("dropping temporary tables of an earlier run", "schema", l.name, "err", err)
		}
		cancel()
	}
}
