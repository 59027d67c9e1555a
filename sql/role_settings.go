package sql

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/sqlerr"
)

// Settings of databases and roles are what a session begins with, and what RESET goes
// back to. The later counts, and what the connection asks for before all:
//
//	ALTER DATABASE d SET   ALTER ROLE r SET   ALTER ROLE r IN DATABASE d SET

// settingToKeep implements ddl.Env.Setting: the value is kept as it was given, and valid now.
func (s *Session) settingToKeep(n *pg.VariableSetStmt) (to schema.Setting, set bool, err error) {
	name := strings.ToLower(n.Name)
	to.Name = name
	if d := varDefs[name]; strings.EqualFold(d.report, name) {
		to.Name = d.report
	}
	switch n.Kind {
	case pg.VariableSetKind_VAR_SET_VALUE:
		to.Value, set = setValue(name, n.Args), true
	case pg.VariableSetKind_VAR_SET_CURRENT:
		to.Value, set = s.vars.get(name), true
	case pg.VariableSetKind_VAR_SET_DEFAULT, pg.VariableSetKind_VAR_RESET:
	default:
		return to, false, sqlerr.Unsupported("this setting of a role or database")
	}
	if d, ok := varDefs[name]; !ok && strings.Contains(name, ".") || name == "role" {
		return to, set, nil // what the session finds then, as in Postgres
	} else if d.system {
		return to, set, sqlerr.New(sqlerr.CantChangeRuntimeParam, "parameter \"%s\" cannot be changed now", name).
			WithHint("ALTER SYSTEM SET changes it for the whole cluster.")
	} else if d.super && !s.isSuperuser() {
		return to, set, sqlerr.New(sqlerr.InsufficientPrivilege, "permission denied to set parameter \"%s\"", name)
	}
	if !set {
		return to, set, s.vars.settable(name)
	}
	_, err = s.vars.checkForCluster(name, to.Value)
	return to, set, err
}

// beginWith applies what the database and the role say. What is not valid any more is
// passed over: it must not keep anyone from connecting to set it right.
func (s *Session) beginWith(r *schema.Role) {
	s.vars.begin(s.db.Settings)
	for _, in := range []schema.DescID{0, s.db.ID} {
		for _, x := range r.Settings {
			if x.Database == in {
				s.vars.begin(x.Settings)
			}
		}
	}
}

func (v *vars) begin(settings []schema.Setting) {
	for _, x := range settings {
		name, value := strings.ToLower(x.Name), x.Value
		if d, ok := varDefs[name]; ok {
			var err error
			if value, err = v.checkValue(name, value, &d); err != nil {
				v.s.srv.log.Warn("a setting of a role or database is passed over", "user", v.s.args.User, "setting", name, "err", err)
				continue
			}
		}
		v.start[name] = value
	}
}
