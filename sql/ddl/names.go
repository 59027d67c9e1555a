package ddl

import (
	"context"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/sqlerr"
)

// reservedSchemas exist in every database and hold computed tables only.
var reservedSchemas = []string{"pg_catalog", "information_schema", "cairn"}

// found is a relation by name: its index is set if the name is an index's.
type found struct {
	object schema.Object
	index  *schema.Index
	schema *schema.Schema
}

func (f found) ok() bool { return f.object != nil }

// rangeVar makes a name of the parts of a qualified one.
func (s *stmt) rangeVar(n *pg.Node) (*pg.RangeVar, error) {
	parts := stringList(n.GetList().GetItems())
	rv := &pg.RangeVar{Location: -1}
	switch len(parts) {
	case 1:
		rv.Relname = parts[0]
	case 2:
		rv.Schemaname, rv.Relname = parts[0], parts[1]
	case 3:
		rv.Catalogname, rv.Schemaname, rv.Relname = parts[0], parts[1], parts[2]
	default:
		return nil, sqlerr.New(sqlerr.SyntaxError, "improper qualified name (too many dotted names): %s", strings.Join(parts, "."))
	}
	return rv, nil
}

func stringList(ns []*pg.Node) []string {
	var out []string
	for _, n := range ns {
		if v := n.GetString_(); v != nil {
			out = append(out, v.Sval)
		}
	}
	return out
}

func (s *stmt) checkCatalog(rv *pg.RangeVar) error {
	if rv.Catalogname != "" && rv.Catalogname != s.Database.Name {
		return sqlerr.New(sqlerr.FeatureNotSupported, "cross-database references are not implemented: \"%s.%s.%s\"",
			rv.Catalogname, rv.Schemaname, rv.Relname).WithPos(s.pos(rv.Location))
	}
	return nil
}

// lookup finds a relation of the present catalog; found.ok says whether.
func (s *stmt) lookup(ctx context.Context, rv *pg.RangeVar) (found, error) {
	if err := s.checkCatalog(rv); err != nil {
		return found{}, err
	}
	c, err := s.r.Contents(ctx)
	if err != nil {
		return found{}, err
	}
	path := s.Temp.Path(c, s.Database.ID, s.SearchPath)
	if rv.Schemaname != "" {
		path = []string{s.schemaName(rv.Schemaname)}
	}
	for _, p := range path {
		if sc := c.Schema(s.Database.ID, p); sc != nil {
			if o, ix := c.Relation(sc.ID, rv.Relname); o != nil {
				return found{o, ix, sc}, nil
			}
		}
	}
	return found{}, nil
}

// find is lookup where the relation must exist.
func (s *stmt) find(ctx context.Context, rv *pg.RangeVar) (found, error) {
	f, err := s.lookup(ctx, rv)
	if err == nil && !f.ok() {
		err = sqlerr.New(sqlerr.UndefinedTable, "relation \"%s\" does not exist", nameOf(rv))
	}
	return f, err
}

// findTable is find where the relation must be a table.
func (s *stmt) findTable(ctx context.Context, rv *pg.RangeVar) (*schema.Table, error) {
	f, err := s.find(ctx, rv)
	if err != nil {
		return nil, err
	}
	t, ok := f.object.(*schema.Table)
	if !ok || f.index != nil {
		return nil, sqlerr.New(sqlerr.WrongObjectType, "\"%s\" is not a table", rv.Relname).WithPos(s.pos(rv.Location))
	}
	return t, nil
}

// nameOf prints a name as it was written.
func nameOf(rv *pg.RangeVar) string {
	if rv.Schemaname != "" {
		return rv.Schemaname + "." + rv.Relname
	}
	return rv.Relname
}

// target finds the schema in which something new is to be created.
func (s *stmt) target(ctx context.Context, rv *pg.RangeVar) (*schema.Schema, error) {
	if err := s.checkCatalog(rv); err != nil {
		return nil, err
	}
	if temp, err := s.isTemp(rv); err != nil {
		return nil, err
	} else if temp {
		return s.tempSchema(ctx)
	}
	c, err := s.r.Contents(ctx)
	if err != nil {
		return nil, err
	}
	name := rv.Schemaname
	if name == "" {
		if len(s.SearchPath) == 0 {
			return nil, sqlerr.New(sqlerr.InvalidSchemaName, "no schema has been selected to create in").
				WithPos(s.pos(rv.Location))
		}
		name = s.SearchPath[0]
	}
	if slices.Contains(reservedSchemas, name) {
		return nil, sqlerr.New(sqlerr.InsufficientPrivilege, "permission denied to create \"%s.%s\"", name, rv.Relname).
			WithDetail("System catalog modifications are currently disallowed.")
	}
	sc := c.Schema(s.Database.ID, name)
	if sc == nil {
		return nil, sqlerr.New(sqlerr.InvalidSchemaName, "schema \"%s\" does not exist", name).WithPos(s.pos(rv.Location))
	}
	s.r.RequireSame(sc.ID)
	if err := s.may(ctx, sc, schema.PrivCreate); err != nil {
		return nil, sqlerr.From(err).WithPos(s.pos(rv.Location))
	}
	return sc, nil
}

// taken reports whether a relation of that name is in the schema.
func (s *stmt) taken(ctx context.Context, sc *schema.Schema, name string) (bool, error) {
	c, err := s.r.Contents(ctx)
	if err != nil {
		return false, err
	}
	o, _ := c.Relation(sc.ID, name)
	return o != nil, nil
}

func alreadyExists(name string) *sqlerr.Error {
	return sqlerr.New(sqlerr.DuplicateTable, "relation \"%s\" already exists", name)
}

// nameBytesMax is NAMEDATALEN - 1.
const nameBytesMax = 63

// autoName makes the name of an index, constraint or sequence as Postgres
// does: table_column_key, shortened to fit, numbered until it is free.
func (s *stmt) autoName(ctx context.Context, sc *schema.Schema, table, columns, label string, also func(string) bool) (string, error) {
	for n := 0; ; n++ {
		l := label
		if n > 0 {
			l += itoa(n)
		}
		name := fitName(table, columns, l)
		used, err := s.taken(ctx, sc, name)
		if err != nil {
			return "", err
		}
		if !used && (also == nil || !also(name)) {
			return name, nil
		}
	}
}

// fitName joins the parts; the longer of the first two is cut until all fit.
func fitName(table, columns, label string) string {
	over := len(label) + 1 - nameBytesMax
	if columns != "" {
		over++
	}
	for len(table)+len(columns)+over > 0 {
		if len(table) > len(columns) {
			table = table[:len(table)-1]
		} else {
			columns = columns[:len(columns)-1]
		}
	}
	if columns == "" {
		return table + "_" + label
	}
	return table + "_" + columns + "_" + label
}

// checkName applies the limit on identifiers; Postgres cuts, with a notice.
func (s *stmt) cutName(name string) string {
	if len(name) <= nameBytesMax {
		return name
	}
	cut := strings.ToValidUTF8(name[:nameBytesMax], "")
	s.notice(sqlerr.New(sqlerr.NameTooLong, "identifier \"%s\" will be truncated to \"%s\"", name, cut))
	return cut
}

// header starts the descriptor of something new.
func (s *stmt) header(ctx context.Context, sc *schema.Schema, name string) (schema.Header, error) {
	id, err := s.Catalog.NewID(ctx)
	return schema.Header{ID: id, Name: name, DatabaseID: s.Database.ID, SchemaID: sc.ID, Owner: s.User}, err
}
