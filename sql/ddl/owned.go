package ddl

import (
	"context"
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/sqlerr"
)

// ownedBy resolves the roles of REASSIGN and DROP OWNED, whose rights the session must have.
func (s *stmt) ownedBy(ctx context.Context, list []*pg.Node, what string) ([]string, *schema.Contents, error) {
	roles, err := s.grantees(ctx, list)
	if err != nil {
		return nil, nil, err
	}
	c, err := s.r.Contents(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, r := range roles {
		if !c.IsSuperuser(s.User) && !slices.Contains(c.RolesOf(s.User), r) {
			return nil, nil, sqlerr.New(sqlerr.InsufficientPrivilege, "permission denied to %s objects", what)
		}
		if r == schema.RootUser {
			return nil, nil, sqlerr.New(sqlerr.DependentObjectsStillExist,
				"cannot %s objects owned by role %s because they are required by the database system", map[bool]string{true: "drop", false: "reassign ownership of"}[what == "drop"], r)
		}
	}
	return roles, c, nil
}

// reassignOwned is REASSIGN OWNED: all that some roles own in this database, and the databases
// themselves, gets another owner.
func (s *stmt) reassignOwned(ctx context.Context, n *pg.ReassignOwnedStmt) error {
	roles, c, err := s.ownedBy(ctx, n.Roles, "reassign")
	if err != nil {
		return err
	}
	to, err := s.roleName(ctx, n.Newrole)
	if err != nil {
		return err
	}
	if !c.IsSuperuser(s.User) && !slices.Contains(c.RolesOf(s.User), to) {
		return sqlerr.New(sqlerr.InsufficientPrivilege, "permission denied to reassign objects")
	}
	ids := s.inDatabase(c, func(o schema.Object) bool { return slices.Contains(roles, o.Head().Owner) })
	if err := s.holdObjects(ctx, c, "REASSIGN OWNED", ids); err != nil {
		return err
	}
	for _, id := range ids {
		o, err := s.copyOf(ctx, id)
		if err != nil {
			return err
		}
		giveTo(o, to)
		s.r.Put(o)
	}
	db, err := s.ownDatabaseCopy(ctx)
	if err != nil {
		return err
	}
	changed := false
	for i := range db.Extensions {
		if e := &db.Extensions[i]; slices.Contains(roles, e.Owner) {
			e.Owner, changed = to, true
		}
	}
	if changed {
		s.r.Put(db)
	}
	return nil
}

func (s *stmt) ownDatabaseCopy(ctx context.Context) (*schema.Database, error) {
	c, err := s.r.Contents(ctx)
	if err != nil {
		return nil, err
	}
	return c.DatabaseByID(s.Database.ID).Clone(), nil
}

// inDatabase lists the objects of this database, and the databases, that a condition holds for.
func (s *stmt) inDatabase(c *schema.Contents, in func(schema.Object) bool) (ids []schema.DescID) {
	for _, o := range c.Objects() {
		if (o.Head().DatabaseID == s.Database.ID || o.Kind() == schema.KindDatabase) && in(o) {
			ids = append(ids, o.Head().ID)
		}
	}
	return ids
}

// holdObjects takes those out of use that statements use.
func (s *stmt) holdObjects(ctx context.Context, c *schema.Contents, what string, ids []schema.DescID) error {
	var hold []schema.DescID
	for _, id := range ids {
		if k := c.Object(id).Kind(); k != schema.KindDatabase && k != schema.KindSchema {
			hold = append(hold, id)
		}
	}
	if len(hold) == 0 {
		return nil
	}
	return s.r.Hold(ctx, what, hold...)
}

// dropOwned is DROP OWNED: what some roles own in this database goes, and what was granted to them.
func (s *stmt) dropOwned(ctx context.Context, n *pg.DropOwnedStmt) error {
	roles, c, err := s.ownedBy(ctx, n.Roles, "drop")
	if err != nil {
		return err
	}
	owned := func(o schema.Object) bool {
		return slices.Contains(roles, o.Head().Owner) && o.Kind() != schema.KindDatabase
	}
	cascade := n.Behavior == pg.DropBehavior_DROP_CASCADE
	rm := &removal{stmt: s, cascade: cascade}
	var schemas []*pg.Node
	var types []*schema.UserType
	for _, id := range s.inDatabase(c, owned) {
		switch o := c.Object(id).(type) {
		case *schema.Schema:
			schemas = append(schemas, pg.MakeStrNode(o.Name))
		case *schema.UserType:
			types = append(types, o)
		default:
			rm.ids = append(rm.ids, id)
		}
	}
	if err := rm.run(ctx); err != nil {
		return notDesired(err)
	}
	for _, t := range types {
		if err := s.dropType(ctx, t, cascade); err != nil {
			return err
		}
	}
	if err := s.dropSchemas(ctx, &pg.DropStmt{Objects: schemas, Behavior: n.Behavior}); err != nil {
		return err
	}
	return s.forgetRoles(ctx, roles)
}

// notDesired gives an error about what depends on an object the words of DROP OWNED, which names none.
func notDesired(err error) error {
	if sqlerr.HasCode(err, sqlerr.DependentObjectsStillExist) {
		e := *sqlerr.From(err)
		e.Message = "cannot drop desired object(s) because other objects depend on them"
		return &e
	}
	return err
}

// forgetRoles takes away what was granted to roles, and the roles from policies and default
// privileges. A policy that was for them alone goes.
func (s *stmt) forgetRoles(ctx context.Context, roles []string) error {
	c, err := s.r.Contents(ctx)
	if err != nil {
		return err
	}
	named := func(o schema.Object) bool {
		return slices.ContainsFunc(roles, func(r string) bool { return granted(o, r) || len(targetOfPolicies(o, r)) > 0 })
	}
	ids := s.inDatabase(c, named)
	if err := s.holdObjects(ctx, c, "DROP OWNED", ids); err != nil {
		return err
	}
	for _, id := range ids {
		o, err := s.copyOf(ctx, id)
		if err != nil {
			return err
		}
		if err := revokeAll(o, roles); err != nil {
			return err
		}
		s.r.Put(o)
	}
	db, err := s.ownDatabaseCopy(ctx)
	if err != nil {
		return err
	}
	before := len(db.Defaults)
	db.Defaults = slices.DeleteFunc(db.Defaults, func(d schema.DefaultACL) bool { return slices.Contains(roles, d.Role) })
	changed := len(db.Defaults) != before
	for i := range db.Defaults {
		d := &db.Defaults[i]
		n := len(d.ACL)
		d.ACL = slices.DeleteFunc(d.ACL, func(g schema.Grant) bool { return slices.Contains(roles, g.Role) })
		changed = changed || len(d.ACL) != n
	}
	if changed {
		s.r.Put(db)
	}
	return nil
}

func revokeAll(o schema.Object, roles []string) (err error) {
	h := o.Head()
	revoke := &pg.GrantStmt{Behavior: pg.DropBehavior_DROP_CASCADE}
	if h.ACLSet {
		if h.ACL, err = changeACL(h.ACL, revoke, h.Owner, roles, schema.AllPrivileges(o.Kind())); err != nil {
			return err
		}
	}
	t, ok := o.(*schema.Table)
	if !ok {
		return nil
	}
	for i := range t.Columns {
		if t.Columns[i].ACL, err = changeACL(t.Columns[i].ACL, revoke, h.Owner, roles, schema.ColumnPrivileges); err != nil {
			return err
		}
	}
	for i := range t.Policies {
		p := &t.Policies[i]
		p.Roles = slices.DeleteFunc(p.Roles, func(r string) bool { return slices.Contains(roles, r) })
	}
	t.Policies = slices.DeleteFunc(t.Policies, func(p schema.Policy) bool { return len(p.Roles) == 0 })
	return nil
}
