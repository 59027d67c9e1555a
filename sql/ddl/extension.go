package ddl

import (
	"context"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/builtins"
	"github.com/cairndb/cairn/sql/sqlerr"
)

// alwaysThere are the extensions that every database has.
var alwaysThere = []string{"plpgsql", "cairn"}

// createExtension notes an extension whose functions are built in. The functions are there without
// it; what is noted is for tools that look whether it is.
func (s *stmt) createExtension(ctx context.Context, n *pg.CreateExtensionStmt) error {
	db, err := s.databaseForExtensions(ctx)
	if err != nil {
		return err
	}
	if slices.Contains(alwaysThere, n.Extname) || slices.ContainsFunc(db.Extensions, func(e schema.Extension) bool { return e.Name == n.Extname }) {
		if n.IfNotExists {
			return s.present(sqlerr.DuplicateObject, "extension \"%s\" already exists, skipping", n.Extname)
		}
		return sqlerr.New(sqlerr.DuplicateObject, "extension \"%s\" already exists", n.Extname)
	}
	if _, ok := builtins.Extensions()[n.Extname]; !ok {
		var names []string
		for name := range builtins.Extensions() {
			names = append(names, "\""+name+"\"")
		}
		slices.Sort(names)
		return sqlerr.New(sqlerr.FeatureNotSupported, "extension \"%s\" is not available", n.Extname).
			WithHint("Cairn has the functions of %s built in, and takes no others.", strings.Join(names, ", "))
	}
	id, err := s.Catalog.NewID(ctx)
	if err != nil {
		return err
	}
	db = db.Clone()
	db.Extensions = append(db.Extensions, schema.Extension{OID: id, Name: n.Extname, Owner: s.User})
	s.r.Put(db)
	return nil
}

// databaseForExtensions is the database's descriptor, which its owner and who may create in it can
// add extensions to.
func (s *stmt) databaseForExtensions(ctx context.Context) (*schema.Database, error) {
	c, err := s.r.Contents(ctx)
	if err != nil {
		return nil, err
	}
	db := c.DatabaseByID(s.Database.ID)
	if db == nil {
		return nil, &schema.StaleError{Name: s.Database.Name}
	}
	if c.Granted(s.User, db, schema.PrivCreate) == 0 {
		return nil, sqlerr.New(sqlerr.InsufficientPrivilege, "permission denied to create extension").
			WithHint("Must have CREATE privilege on current database to create this extension.")
	}
	return db, nil
}

// dropExtensions forgets extensions. Their functions stay.
func (s *stmt) dropExtensions(ctx context.Context, n *pg.DropStmt) error {
	db, err := s.databaseForExtensions(ctx)
	if err != nil {
		return err
	}
	db = db.Clone()
	for _, o := range n.Objects {
		name := o.GetString_().GetSval()
		i := slices.IndexFunc(db.Extensions, func(e schema.Extension) bool { return e.Name == name })
		switch {
		case i >= 0:
			db.Extensions = slices.Delete(db.Extensions, i, i+1)
		case slices.Contains(alwaysThere, name):
			return sqlerr.Unsupported("DROP EXTENSION %s", name)
		case n.MissingOk:
			if err := s.skipped("extension \"%s\" does not exist, skipping", name); err != nil {
				return err
			}
		default:
			return sqlerr.New(sqlerr.UndefinedObject, "extension \"%s\" does not exist", name)
		}
	}
	s.r.Put(db)
	return nil
}
