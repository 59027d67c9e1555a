package ddl

import (
	"context"
	"fmt"
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/sqlerr"
)

// Temp is a session's schema of temporary relations: an ordinary schema that is found first, made when
// it is first needed and dropped with the session. Its tables are tables like all others.
type Temp struct {
	// Name is the schema's name, "" before there is one. A transaction that made it may have been
	// rolled back.
	Name string
	// Session says whose it is (schema.Schema.TempOf).
	Session string
}

// Path puts the schema before a search path, if it exists.
func (t *Temp) Path(c *schema.Contents, db schema.DescID, path []string) []string {
	if t == nil || t.Name == "" || c.Schema(db, t.Name) == nil || slices.Contains(path, t.Name) {
		return path
	}
	return append([]string{t.Name}, path...)
}

// tempAlias is how every session calls its own temporary schema.
const tempAlias = "pg_temp"

// schemaName resolves pg_temp.
func (s *stmt) schemaName(name string) string {
	if name == tempAlias && s.Temp != nil && s.Temp.Name != "" {
		return s.Temp.Name
	}
	return name
}

// isTemp says whether a name is that of a temporary relation to be made.
func (s *stmt) isTemp(rv *pg.RangeVar) (bool, error) {
	named := rv.Schemaname == tempAlias || s.Temp != nil && s.Temp.Name != "" && rv.Schemaname == s.Temp.Name
	if rv.Relpersistence != "t" {
		return named, nil
	}
	if rv.Schemaname != "" && !named {
		return false, sqlerr.New(sqlerr.InvalidTableDefinition, "cannot create temporary relation in non-temporary schema").
			WithPos(s.pos(rv.Location))
	}
	return true, nil
}

// tempSchema is the session's temporary schema, made if there is none.
func (s *stmt) tempSchema(ctx context.Context) (*schema.Schema, error) {
	if s.Temp == nil {
		return nil, sqlerr.Unsupported("a temporary relation here")
	}
	c, err := s.r.Contents(ctx)
	if err != nil {
		return nil, err
	}
	if s.Temp.Name != "" {
		if sc := c.Schema(s.Database.ID, s.Temp.Name); sc != nil {
			return sc, nil
		}
	}
	if db := c.DatabaseByID(s.Database.ID); db != nil && c.Granted(s.User, db, schema.PrivTemporary) == 0 {
		return nil, sqlerr.New(sqlerr.InsufficientPrivilege, "permission denied to create temporary tables in database \"%s\"", db.Name)
	}
	id, err := s.Catalog.NewID(ctx)
	if err != nil {
		return nil, err
	}
	s.r.RequireSame(s.Database.ID)
	sc := &schema.Schema{Header: schema.Header{ID: id, Name: fmt.Sprintf("pg_temp_%d", id), DatabaseID: s.Database.ID, Owner: s.User},
		TempOf: s.Temp.Session}
	s.r.Put(sc)
	s.r.Bind(s.Database.ID, sc.Name, id, 0)
	s.Temp.Name = sc.Name
	return sc, nil
}

// onCommit sets what a temporary table does at the end of a transaction.
func onCommit(sc *schema.Schema, t *schema.Table, action pg.OnCommitAction) error {
	switch action {
	case pg.OnCommitAction_ONCOMMIT_DELETE_ROWS:
		t.OnCommit = schema.OnCommitDelete
	case pg.OnCommitAction_ONCOMMIT_DROP:
		t.OnCommit = schema.OnCommitDrop
	case pg.OnCommitAction_ONCOMMIT_PRESERVE_ROWS:
	default:
		return nil
	}
	if sc.TempOf == "" {
		return sqlerr.New(sqlerr.InvalidTableDefinition, "ON COMMIT can only be used on temporary tables")
	}
	return nil
}

// samePersistence refuses foreign keys between temporary and other tables.
func (m *tableMaker) samePersistence(ctx context.Context, target *schema.Table) error {
	c, err := m.r.Contents(ctx)
	if err != nil {
		return err
	}
	other := target == m.t && m.sc.TempOf != ""
	if sc := c.SchemaByID(target.SchemaID); sc != nil {
		other = sc.TempOf != ""
	}
	switch temp := m.sc.TempOf != ""; {
	case temp && !other:
		return sqlerr.New(sqlerr.InvalidTableDefinition, "constraints on temporary tables may reference only temporary tables")
	case !temp && other:
		return sqlerr.New(sqlerr.InvalidTableDefinition, "constraints on permanent tables may reference only permanent tables")
	}
	return nil
}

// viewTarget is target for a view, which is temporary if something it reads is.
func (s *stmt) viewTarget(ctx context.Context, n *pg.ViewStmt, reads []schema.DescID) (*schema.Schema, error) {
	c, err := s.r.Contents(ctx)
	if err != nil {
		return nil, err
	}
	for _, id := range reads {
		sc := c.SchemaByID(c.Object(id).Head().SchemaID)
		if sc == nil || sc.TempOf == "" || n.View.Relpersistence == "t" {
			continue
		}
		s.notice(sqlerr.New(sqlerr.SuccessfulCompletion, "view \"%s\" will be a temporary view", n.View.Relname))
		if n.View.Schemaname != "" && s.schemaName(n.View.Schemaname) != s.Temp.Name {
			return nil, sqlerr.New(sqlerr.InvalidTableDefinition, "cannot create temporary relation in non-temporary schema")
		}
		n.View.Relpersistence = "t"
	}
	return s.target(ctx, n.View)
}
