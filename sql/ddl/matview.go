package ddl

import (
	"context"
	"fmt"
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/sqlerr"
)

// kindOf is the word for what an object is.
func kindOf(o schema.Object) string {
	if t, ok := o.(*schema.Table); ok && t.Matview != nil {
		return "materialized view"
	}
	if f, ok := o.(*schema.Function); ok && f.Procedure {
		return "procedure"
	}
	return o.Kind().String()
}

// createMatview makes a table of a query's rows, and keeps the query.
func (s *stmt) createMatview(ctx context.Context, n *pg.CreateTableAsStmt) (string, error) {
	const tag = "CREATE MATERIALIZED VIEW"
	rv := n.Into.Rel
	sc, err := s.target(ctx, rv)
	if err != nil {
		return "", err
	}
	name := s.cutName(rv.Relname)
	if used, err := s.taken(ctx, sc, name); err != nil {
		return "", err
	} else if used && n.IfNotExists {
		return tag, s.present(sqlerr.DuplicateTable, "relation \"%s\" already exists, skipping", name)
	} else if used {
		return "", alreadyExists(name)
	}
	m, err := s.newTable(ctx, sc, name)
	if err != nil {
		return "", err
	}
	mv := &schema.Matview{SearchPath: slices.Clone(s.SearchPath), Populated: !n.Into.SkipData}
	if mv.DependsOn, err = s.dependencies(ctx, n.Query); err != nil {
		return "", err
	}
	if err := s.noTemporary(ctx, mv.DependsOn); err != nil {
		return "", err
	}
	if mv.Query, err = m.columnsOfQuery(ctx, n); err != nil {
		return "", err
	}
	m.t.Matview = mv
	if err := m.finish(ctx); err != nil || n.Into.SkipData {
		return tag, err
	}
	rows, err := s.fill(ctx, m.t, sc)
	return fmt.Sprintf("SELECT %d", rows), err
}

func (s *stmt) noTemporary(ctx context.Context, reads []schema.DescID) error {
	c, err := s.r.Contents(ctx)
	if err != nil {
		return err
	}
	for _, id := range reads {
		if sc := c.SchemaByID(c.Object(id).Head().SchemaID); sc != nil && sc.TempOf != "" {
			return sqlerr.New(sqlerr.FeatureNotSupported, "materialized views must not use temporary tables or views")
		}
	}
	return nil
}

// fill puts the query's rows into a materialized view, which is empty.
func (s *stmt) fill(ctx context.Context, t *schema.Table, sc *schema.Schema) (int64, error) {
	return s.Engine.Fill(ctx, t, fmt.Sprintf("INSERT INTO %s.%s %s", quoteIdent(sc.Name), quoteIdent(t.Name), t.Matview.Query))
}

// findMatview finds a materialized view.
func (s *stmt) findMatview(ctx context.Context, rv *pg.RangeVar) (found, *schema.Table, error) {
	f, err := s.find(ctx, rv)
	if err != nil {
		return f, nil, err
	}
	t, ok := f.object.(*schema.Table)
	if !ok || f.index != nil || t.Matview == nil {
		return f, nil, sqlerr.New(sqlerr.FeatureNotSupported, "\"%s\" is not a materialized view", rv.Relname)
	}
	return f, t, s.mustOwn(ctx, t.ID)
}

// refresh fills a materialized view anew. It gets new, empty keys, so that whoever comes meanwhile
// waits, or with CONCURRENTLY other rows, so that he sees the old ones.
func (s *stmt) refresh(ctx context.Context, n *pg.RefreshMatViewStmt) error {
	if n.Concurrent && n.SkipData {
		return sqlerr.New(sqlerr.SyntaxError, "CONCURRENTLY and WITH NO DATA options cannot be used together")
	}
	f, t, err := s.findMatview(ctx, n.Relation)
	if err != nil {
		return err
	}
	if n.Concurrent {
		return s.refreshRows(ctx, f, t)
	}
	if t, err = s.holdTable(ctx, "REFRESH MATERIALIZED VIEW", t.ID); err != nil {
		return err
	}
	if err := s.renumberAll(ctx, t); err != nil {
		return err
	}
	t.Matview.Populated = !n.SkipData
	s.r.Put(t)
	if n.SkipData {
		return nil
	}
	_, err = s.fill(ctx, t, f.schema)
	return err
}

func (s *stmt) refreshRows(ctx context.Context, f found, t *schema.Table) error {
	if !t.Matview.Populated {
		return sqlerr.New(sqlerr.FeatureNotSupported, "CONCURRENTLY cannot be used when the materialized view is not populated")
	}
	if !slices.ContainsFunc(t.Indexes, func(ix schema.Index) bool { return ix.Unique && t.IsPlain(&ix) }) {
		return sqlerr.New(sqlerr.ObjectNotInPrerequisiteState, "cannot refresh materialized view \"%s.%s\" concurrently", f.schema.Name, t.Name).
			WithHint("Create a unique index with no WHERE clause on one or more columns of the materialized view.")
	}
	s.r.RequireSame(t.ID)
	if _, err := s.Engine.Fill(ctx, t, fmt.Sprintf("DELETE FROM %s.%s", quoteIdent(f.schema.Name), quoteIdent(t.Name))); err != nil {
		return err
	}
	_, err := s.fill(ctx, t, f.schema)
	return err
}

// notMatview refuses what can only be done to tables.
func notMatview(t *schema.Table, action string) error {
	if t.Matview == nil {
		return nil
	}
	return sqlerr.New(sqlerr.WrongObjectType, "ALTER action %s cannot be performed on relation \"%s\"", action, t.Name).
		WithDetail("This operation is not supported for materialized views.")
}

// objectWords are the words for a type of object in statements.
func objectWords(t pg.ObjectType) string {
	if t == pg.ObjectType_OBJECT_MATVIEW {
		return "MATERIALIZED VIEW"
	}
	return t.String()[len("OBJECT_"):]
}

// alterWords name the first part of an ALTER TABLE.
func alterWords(cmds []*pg.Node) string {
	switch cmds[0].GetAlterTableCmd().GetSubtype() {
	case pg.AlterTableType_AT_AddColumn:
		return "ADD COLUMN"
	case pg.AlterTableType_AT_DropColumn:
		return "DROP COLUMN"
	case pg.AlterTableType_AT_AddConstraint:
		return "ADD CONSTRAINT"
	case pg.AlterTableType_AT_AlterColumnType:
		return "ALTER COLUMN ... SET DATA TYPE"
	case pg.AlterTableType_AT_ColumnDefault:
		return "ALTER COLUMN ... SET DEFAULT"
	case pg.AlterTableType_AT_SetNotNull:
		return "ALTER COLUMN ... SET NOT NULL"
	}
	return "of this kind"
}
