package ddl

import (
	"context"
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/sqlerr"
)

// alterRoleSet runs ALTER ROLE … [IN DATABASE …] SET and RESET.
func (s *stmt) alterRoleSet(ctx context.Context, n *pg.AlterRoleSetStmt) error {
	if n.Role == nil {
		return s.alterAllSet(ctx, n)
	}
	name, err := s.roleName(ctx, n.Role)
	if err != nil {
		return err
	}
	old, err := s.role(ctx, name)
	if err != nil {
		return err
	}
	me, err := s.role(ctx, s.User)
	switch {
	case err != nil:
		return err
	case old.Superuser && !me.Superuser:
		return sqlerr.New(sqlerr.InsufficientPrivilege, "must be superuser to alter superusers")
	case !me.Superuser && !me.CreateRole && name != s.User:
		return sqlerr.New(sqlerr.InsufficientPrivilege, "permission denied")
	}
	in := schema.DescID(0)
	if n.Database != "" {
		db, err := s.database(ctx, n.Database)
		if err != nil {
			return err
		}
		in = db.ID
		s.r.RequireSame(in)
	}
	role := *old
	role.Settings = slices.Clone(role.Settings)
	i := slices.IndexFunc(role.Settings, func(x schema.RoleSettings) bool { return x.Database == in })
	if i < 0 {
		i = len(role.Settings)
		role.Settings = append(role.Settings, schema.RoleSettings{Database: in})
	}
	if role.Settings[i].Settings, err = s.changeSettings(role.Settings[i].Settings, n.Setstmt); err != nil {
		return err
	}
	if len(role.Settings[i].Settings) == 0 {
		role.Settings = slices.Delete(role.Settings, i, i+1)
	}
	s.r.PutRole(&role)
	return nil
}

// alterAllSet runs ALTER ROLE ALL: in a database, whose setting it is.
func (s *stmt) alterAllSet(ctx context.Context, n *pg.AlterRoleSetStmt) error {
	if n.Database == "" {
		return sqlerr.Unsupported("ALTER ROLE ALL SET").WithHint("ALTER SYSTEM SET gives a parameter another default in all databases.")
	}
	return s.setInDatabase(ctx, n.Database, n.Setstmt)
}

// setInDatabase runs ALTER DATABASE … SET and RESET.
func (s *stmt) setInDatabase(ctx context.Context, name string, n *pg.VariableSetStmt) error {
	db, err := s.database(ctx, name)
	if err != nil {
		return err
	}
	if err := s.mustOwn(ctx, db.ID); err != nil {
		return err
	}
	db = db.Clone()
	if db.Settings, err = s.changeSettings(db.Settings, n); err != nil {
		return err
	}
	s.r.Put(db)
	return nil
}

func (s *stmt) database(ctx context.Context, name string) (*schema.Database, error) {
	c, err := s.r.Contents(ctx)
	if err != nil {
		return nil, err
	}
	if db := c.Database(name); db != nil {
		return db, nil
	}
	return nil, sqlerr.New(sqlerr.InvalidCatalogName, "database \"%s\" does not exist", name)
}

// changeSettings returns settings as SET or RESET leaves them.
func (s *stmt) changeSettings(old []schema.Setting, n *pg.VariableSetStmt) ([]schema.Setting, error) {
	if n.Kind == pg.VariableSetKind_VAR_RESET_ALL {
		return nil, nil
	}
	to, set, err := s.Setting(n)
	if err != nil {
		return nil, err
	}
	out := slices.Clone(old)
	i := slices.IndexFunc(out, func(x schema.Setting) bool { return x.Name == to.Name })
	switch {
	case set && i < 0:
		out = append(out, to)
	case set:
		out[i] = to
	case i >= 0:
		out = slices.Delete(out, i, i+1)
	}
	return out, nil
}

// forgetDatabase takes away what roles have set in a database that goes.
func (s *stmt) forgetDatabase(c *schema.Contents, id schema.DescID) {
	for _, r := range c.Roles() {
		if slices.ContainsFunc(r.Settings, func(x schema.RoleSettings) bool { return x.Database == id }) {
			role := *r
			role.Settings = slices.DeleteFunc(slices.Clone(r.Settings), func(x schema.RoleSettings) bool { return x.Database == id })
			s.r.PutRole(&role)
		}
	}
}
