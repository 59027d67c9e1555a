package ddl

import (
	"context"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/sqlerr"
)

func (s *stmt) createDatabase(ctx context.Context, n *pg.CreatedbStmt) error {
	if s.Explicit {
		return sqlerr.New(sqlerr.ActiveSQLTransaction, "CREATE DATABASE cannot run inside a transaction block")
	}
	c, err := s.r.Contents(ctx)
	if err != nil {
		return err
	}
	if me := c.Role(s.User); me == nil || !me.Superuser && !me.CreateDB {
		return sqlerr.New(sqlerr.InsufficientPrivilege, "permission denied to create database")
	}
	if c.Database(n.Dbname) != nil {
		return sqlerr.New(sqlerr.DuplicateDatabase, "database \"%s\" already exists", n.Dbname)
	}
	owner := s.User
	asks := &schema.Database{}
	for _, o := range n.Options {
		d := o.GetDefElem()
		if known, err := setDatabaseOption(asks, d); err != nil {
			return err
		} else if known {
			continue
		}
		switch d.Defname {
		case "owner":
			owner = defString(d)
		case "encoding":
			if e := strings.ToUpper(defString(d)); e != "UTF8" && e != "UTF-8" && e != "UNICODE" && e != "" {
				return sqlerr.Unsupported("encoding %s", defString(d))
			}
		}
	}
	id, err := s.Catalog.NewID(ctx)
	if err != nil {
		return err
	}
	pub, err := s.Catalog.NewID(ctx)
	if err != nil {
		return err
	}
	db := &schema.Database{Header: schema.Header{ID: id, Name: s.cutName(n.Dbname), Owner: owner},
		Replicas: asks.Replicas, Locality: asks.Locality}
	s.r.Put(db)
	s.r.Bind(0, db.Name, id, 0)
	s.r.Put(&schema.Schema{Header: schema.Header{ID: pub, Name: schema.PublicSchema, DatabaseID: id, Owner: owner}})
	s.r.Bind(id, schema.PublicSchema, pub, 0)
	return nil
}

// alterDatabase runs ALTER DATABASE … WITH, of the options that setDatabaseOption knows. When it returns,
// the tables that they concern have ranges of their own; the replicas move by themselves.
func (s *stmt) alterDatabase(ctx context.Context, n *pg.AlterDatabaseStmt) error {
	c, err := s.r.Contents(ctx)
	if err != nil {
		return err
	}
	db := c.Database(n.Dbname)
	if db == nil {
		return sqlerr.New(sqlerr.InvalidCatalogName, "database \"%s\" does not exist", n.Dbname)
	}
	if err := s.mustOwn(ctx, db.ID); err != nil {
		return err
	}
	db = db.Clone()
	for _, o := range n.Options {
		d := o.GetDefElem()
		if known, err := setDatabaseOption(db, d); err != nil {
			return err
		} else if !known {
			return sqlerr.Unsupported("option \"%s\" of ALTER DATABASE", d.Defname).
				WithHint("replicas and locality can be set.")
		}
	}
	s.r.Put(db)
	return nil
}

func (s *stmt) dropDatabase(ctx context.Context, n *pg.DropdbStmt) error {
	if s.Explicit {
		return sqlerr.New(sqlerr.ActiveSQLTransaction, "DROP DATABASE cannot run inside a transaction block")
	}
	c, err := s.r.Contents(ctx)
	if err != nil {
		return err
	}
	db := c.Database(n.Dbname)
	switch {
	case db == nil && n.MissingOk:
		return s.skipped("database \"%s\" does not exist, skipping", n.Dbname)
	case db == nil:
		return sqlerr.New(sqlerr.InvalidCatalogName, "database \"%s\" does not exist", n.Dbname)
	case db.ID == s.Database.ID:
		return sqlerr.New(sqlerr.ObjectInUse, "cannot drop the currently open database")
	}
	if err := s.mustOwn(ctx, db.ID); err != nil {
		return err
	}
	var ids []schema.DescID
	for _, o := range c.Objects() {
		if o.Head().DatabaseID == db.ID && o.Kind() != schema.KindSchema {
			ids = append(ids, o.Head().ID)
		}
	}
	if err := s.r.Hold(ctx, "DROP DATABASE", ids...); err != nil {
		return err
	}
	for _, id := range ids {
		o, err := s.copyOf(ctx, id)
		if err != nil {
			return err
		}
		s.remove(o)
	}
	for _, sc := range c.Schemas(db.ID) {
		s.r.Unbind(db.ID, sc.Name)
		s.r.Remove(sc.ID)
	}
	s.r.Unbind(0, db.Name)
	s.r.Remove(db.ID)
	s.forgetDatabase(c, db.ID)
	s.requireEmpty(func(h *schema.Header) bool { return h.DatabaseID == db.ID }, "database", db.Name)
	return nil
}

// requireEmpty makes the commit fail if something was created in what goes.
func (s *stmt) requireEmpty(in func(*schema.Header) bool, kind, name string) {
	s.r.Require(func(c *schema.Contents) error {
		if slices.ContainsFunc(c.Objects(), func(o schema.Object) bool { return in(o.Head()) }) {
			return &schema.StaleError{Name: kind + " " + name}
		}
		return nil
	})
}

func (s *stmt) createSchema(ctx context.Context, n *pg.CreateSchemaStmt) error {
	if len(n.SchemaElts) > 0 {
		return sqlerr.Unsupported("CREATE SCHEMA with elements").WithHint("Create the elements with statements of their own.")
	}
	owner := s.User
	if n.Authrole != nil {
		var err error
		if owner, err = s.roleName(ctx, n.Authrole); err != nil {
			return err
		}
	}
	name := s.cutName(n.Schemaname)
	if name == "" {
		name = owner
	}
	c, err := s.r.Contents(ctx)
	if err != nil {
		return err
	}
	switch {
	case strings.HasPrefix(name, "pg_"):
		return sqlerr.New(sqlerr.ReservedName, "unacceptable schema name \"%s\"", name).
			WithDetail("The prefix \"pg_\" is reserved for system schemas.")
	case c.Schema(s.Database.ID, name) != nil || slices.Contains(reservedSchemas, name):
		if n.IfNotExists {
			return s.present(sqlerr.DuplicateSchema, "schema \"%s\" already exists, skipping", name)
		}
		return sqlerr.New(sqlerr.DuplicateSchema, "schema \"%s\" already exists", name)
	}
	if db := c.DatabaseByID(s.Database.ID); db != nil {
		if err := s.may(ctx, db, schema.PrivCreate); err != nil {
			return err
		}
	}
	id, err := s.Catalog.NewID(ctx)
	if err != nil {
		return err
	}
	s.r.RequireSame(s.Database.ID)
	sc := &schema.Schema{Header: schema.Header{ID: id, Name: name, DatabaseID: s.Database.ID, Owner: owner}}
	if err := s.giveDefaults(ctx, sc); err != nil {
		return err
	}
	s.r.Put(sc)
	s.r.Bind(s.Database.ID, name, id, 0)
	return nil
}

func (s *stmt) dropSchemas(ctx context.Context, n *pg.DropStmt) error {
	for _, o := range n.Objects {
		if err := s.dropSchema(ctx, o.GetString_().GetSval(), n); err != nil {
			return err
		}
	}
	return nil
}

func (s *stmt) dropSchema(ctx context.Context, name string, n *pg.DropStmt) error {
	c, err := s.r.Contents(ctx)
	if err != nil {
		return err
	}
	sc := c.Schema(s.Database.ID, name)
	switch {
	case slices.Contains(reservedSchemas, name):
		return sqlerr.New(sqlerr.DependentObjectsStillExist, "cannot drop schema %s because it is required by the database system", name)
	case sc == nil && n.MissingOk:
		return s.skipped("schema \"%s\" does not exist, skipping", name)
	case sc == nil:
		return sqlerr.New(sqlerr.InvalidSchemaName, "schema \"%s\" does not exist", name)
	}
	if err := s.mustOwn(ctx, sc.ID); err != nil {
		return err
	}
	rm := &removal{stmt: s, cascade: n.Behavior == pg.DropBehavior_DROP_CASCADE}
	for _, o := range c.Objects() {
		if h := o.Head(); h.SchemaID == sc.ID {
			rm.ids = append(rm.ids, h.ID)
			if q, ok := o.(*schema.Sequence); !ok || q.OwnerTable == 0 { // else it goes with its column
				rm.extra = append(rm.extra, kindOf(o)+" "+name+"."+shownName(o))
			}
		}
	}
	for _, id := range rm.ids {
		t, ok := c.Object(id).(*schema.UserType)
		if !ok {
			continue
		}
		users, err := s.usersOf(ctx, uint32(id))
		if err != nil {
			return err
		}
		if i := slices.IndexFunc(users, func(u schema.DescID) bool { return !slices.Contains(rm.ids, u) }); i >= 0 {
			return sqlerr.Unsupported("DROP SCHEMA of a type that %s uses outside of it", usesInWords(c.Object(users[i]), uint32(id))[0]).
				WithHint("Drop the columns of type %s first.", t.Name)
		}
	}
	if len(rm.ids) > 0 && !rm.cascade {
		return sqlerr.New(sqlerr.DependentObjectsStillExist, "cannot drop schema %s because other objects depend on it", name).
			WithDetail("%s depends on schema %s", rm.extra[0], name).
			WithHint("Use DROP ... CASCADE to drop the dependent objects too.")
	}
	if err := rm.run(ctx); err != nil {
		return err
	}
	s.r.Unbind(s.Database.ID, name)
	s.r.Remove(sc.ID)
	s.requireEmpty(func(h *schema.Header) bool { return h.SchemaID == sc.ID }, "schema", name)
	return nil
}

func (s *stmt) renameSchema(ctx context.Context, n *pg.RenameStmt) error {
	c, err := s.r.Contents(ctx)
	if err != nil {
		return err
	}
	sc := c.Schema(s.Database.ID, n.Subname)
	if sc == nil {
		return sqlerr.New(sqlerr.InvalidSchemaName, "schema \"%s\" does not exist", n.Subname)
	}
	if err := s.mustOwn(ctx, sc.ID); err != nil {
		return err
	}
	if c.Schema(s.Database.ID, n.Newname) != nil {
		return sqlerr.New(sqlerr.DuplicateSchema, "schema \"%s\" already exists", n.Newname)
	}
	if len(c.Views(s.Database.ID)) > 0 {
		return sqlerr.Unsupported("ALTER SCHEMA RENAME in a database with views").WithHint("Drop the views first.")
	}
	for _, t := range c.Types(s.Database.ID) {
		if t.SchemaID != sc.ID {
			continue
		}
		if t, err = s.holdType(ctx, "ALTER SCHEMA", t); err != nil {
			return err
		}
		t.Def.Schema = n.Newname
		if err := s.putType(ctx, t); err != nil {
			return err
		}
	}
	sc = sc.Clone()
	s.r.Unbind(s.Database.ID, sc.Name)
	sc.Name = n.Newname
	s.r.Bind(s.Database.ID, sc.Name, sc.ID, 0)
	s.r.Put(sc)
	return nil
}

func (s *stmt) renameDatabase(ctx context.Context, n *pg.RenameStmt) error {
	c, err := s.r.Contents(ctx)
	if err != nil {
		return err
	}
	db := c.Database(n.Subname)
	switch {
	case db == nil:
		return sqlerr.New(sqlerr.InvalidCatalogName, "database \"%s\" does not exist", n.Subname)
	case db.ID == s.Database.ID:
		return sqlerr.New(sqlerr.FeatureNotSupported, "current database cannot be renamed")
	case c.Database(n.Newname) != nil:
		return sqlerr.New(sqlerr.DuplicateDatabase, "database \"%s\" already exists", n.Newname)
	}
	if err := s.mustOwn(ctx, db.ID); err != nil {
		return err
	}
	db = db.Clone()
	s.r.Unbind(0, db.Name)
	db.Name = n.Newname
	s.r.Bind(0, db.Name, db.ID, 0)
	s.r.Put(db)
	return nil
}

func (s *stmt) ownDatabase(ctx context.Context, name string, owner *pg.RoleSpec) error {
	c, err := s.r.Contents(ctx)
	if err != nil {
		return err
	}
	if db := c.Database(name); db != nil {
		return s.changeOwner(ctx, db, owner)
	}
	return sqlerr.New(sqlerr.InvalidCatalogName, "database \"%s\" does not exist", name)
}

func (s *stmt) ownSchema(ctx context.Context, name string, owner *pg.RoleSpec) error {
	c, err := s.r.Contents(ctx)
	if err != nil {
		return err
	}
	if sc := c.Schema(s.Database.ID, name); sc != nil {
		return s.changeOwner(ctx, sc, owner)
	}
	return sqlerr.New(sqlerr.InvalidSchemaName, "schema \"%s\" does not exist", name)
}

// defString is an option's value as text.
func defString(d *pg.DefElem) string {
	switch a := d.Arg.GetNode().(type) {
	case *pg.Node_String_:
		return a.String_.Sval
	case *pg.Node_Integer:
		return itoa(int(a.Integer.Ival))
	case *pg.Node_Float:
		return a.Float.Fval
	case *pg.Node_Boolean:
		if a.Boolean.Boolval {
			return "true"
		}
		return "false"
	case *pg.Node_TypeName:
		names := stringList(a.TypeName.Names)
		return names[len(names)-1]
	}
	return ""
}
