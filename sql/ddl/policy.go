package ddl

import (
	"context"
	"fmt"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/sqlerr"
)

// policyCommands are the words of CREATE POLICY … FOR.
var policyCommands = map[string]schema.PolicyCommand{"all": schema.PolicyAll, "select": schema.PolicySelect,
	"insert": schema.PolicyInsert, "update": schema.PolicyUpdate, "delete": schema.PolicyDelete}

func (s *stmt) createPolicy(ctx context.Context, n *pg.CreatePolicyStmt) error {
	t, err := s.findTable(ctx, n.Table)
	if err != nil {
		return err
	}
	cmd := policyCommands[n.CmdName]
	switch {
	case n.WithCheck != nil && (cmd == schema.PolicySelect || cmd == schema.PolicyDelete):
		return sqlerr.New(sqlerr.SyntaxError, "WITH CHECK cannot be applied to SELECT or DELETE")
	case n.Qual != nil && cmd == schema.PolicyInsert:
		return sqlerr.New(sqlerr.SyntaxError, "only WITH CHECK expression allowed for INSERT")
	}
	if t, err = s.holdTable(ctx, "CREATE POLICY", t.ID); err != nil {
		return err
	}
	p := schema.Policy{Name: s.cutName(n.PolicyName), Command: cmd, Restrictive: !n.Permissive, SearchPath: slices.Clone(s.SearchPath)}
	if policyNamed(t, p.Name) >= 0 {
		return sqlerr.New(sqlerr.DuplicateObject, "policy \"%s\" for table \"%s\" already exists", p.Name, t.Name)
	}
	if p.Roles, err = s.policyRoles(ctx, n.Roles); err != nil {
		return err
	}
	if err := s.policyExprs(t, &p, n.Qual, n.WithCheck); err != nil {
		return err
	}
	if p.OID, err = s.Catalog.NewID(ctx); err != nil {
		return err
	}
	t.Policies = append(t.Policies, p)
	s.r.Put(t)
	return nil
}

// policyNamed is where a table's policy stands, -1 for nowhere.
func policyNamed(t *schema.Table, name string) int {
	return slices.IndexFunc(t.Policies, func(p schema.Policy) bool { return p.Name == name })
}

// policyRoles are those of TO; PUBLIC ("") stands for all.
func (s *stmt) policyRoles(ctx context.Context, list []*pg.Node) ([]string, error) {
	roles, err := s.grantees(ctx, list)
	if err != nil {
		return nil, err
	}
	if slices.Contains(roles, "") && len(roles) > 1 {
		s.warn(sqlerr.New(sqlerr.SuccessfulCompletion, "ignoring specified roles other than PUBLIC").
			WithHint("All roles are members of the PUBLIC role."))
		roles = []string{""}
	}
	return roles, nil
}

// policyExprs checks a policy's expressions and keeps them as text; nil leaves what there is.
func (s *stmt) policyExprs(t *schema.Table, p *schema.Policy, using, check *pg.Node) error {
	for _, x := range []struct {
		n    *pg.Node
		text *string
	}{{using, &p.Using}, {check, &p.Check}} {
		if x.n == nil {
			continue
		}
		e, err := bind.BindPolicy(s.Bind, x.n, s.query, t)
		if err != nil {
			return err
		}
		if *x.text, err = exprText(x.n); err != nil {
			return err
		}
		if inParentheses(x.n) {
			*x.text = "(" + *x.text + ")"
		}
		for _, id := range columnsOf(t, e) {
			if !slices.Contains(p.Columns, id) {
				p.Columns = append(p.Columns, id)
			}
		}
	}
	return nil
}

// inParentheses says whether Postgres shows an expression in parentheses: one with an operator.
func inParentheses(n *pg.Node) bool {
	return n.GetAExpr() != nil || n.GetBoolExpr() != nil || n.GetNullTest() != nil || n.GetBooleanTest() != nil || n.GetSubLink() != nil
}

func (s *stmt) alterPolicy(ctx context.Context, n *pg.AlterPolicyStmt) error {
	t, p, err := s.holdPolicy(ctx, n.Table, n.PolicyName, "ALTER POLICY")
	if err != nil {
		return err
	}
	switch {
	case n.WithCheck != nil && (p.Command == schema.PolicySelect || p.Command == schema.PolicyDelete):
		return sqlerr.New(sqlerr.SyntaxError, "only USING expression allowed for SELECT, DELETE")
	case n.Qual != nil && p.Command == schema.PolicyInsert:
		return sqlerr.New(sqlerr.SyntaxError, "only WITH CHECK expression allowed for INSERT")
	}
	if len(n.Roles) > 0 {
		if p.Roles, err = s.policyRoles(ctx, n.Roles); err != nil {
			return err
		}
	}
	if n.Qual != nil || n.WithCheck != nil {
		p.SearchPath = slices.Clone(s.SearchPath)
	}
	if err := s.policyExprs(t, p, n.Qual, n.WithCheck); err != nil {
		return err
	}
	s.r.Put(t)
	return nil
}

// holdPolicy takes the table of a policy out of use; both may be changed.
func (s *stmt) holdPolicy(ctx context.Context, rv *pg.RangeVar, name, what string) (*schema.Table, *schema.Policy, error) {
	t, err := s.findTable(ctx, rv)
	if err == nil {
		t, err = s.holdTable(ctx, what, t.ID)
	}
	if err != nil {
		return nil, nil, err
	}
	i := policyNamed(t, name)
	if i < 0 {
		return nil, nil, sqlerr.New(sqlerr.UndefinedObject, "policy \"%s\" for table \"%s\" does not exist", name, t.Name)
	}
	return t, &t.Policies[i], nil
}

func (s *stmt) renamePolicy(ctx context.Context, n *pg.RenameStmt) error {
	t, p, err := s.holdPolicy(ctx, n.Relation, n.Subname, "ALTER POLICY")
	if err != nil {
		return err
	}
	name := s.cutName(n.Newname)
	if policyNamed(t, name) >= 0 {
		return sqlerr.New(sqlerr.DuplicateObject, "policy \"%s\" for table \"%s\" already exists", name, t.Name)
	}
	p.Name = name
	s.r.Put(t)
	return nil
}

// ofTable splits the name of what belongs to a table: [schema.]table.name.
func (s *stmt) ofTable(o *pg.Node) (*pg.RangeVar, string, error) {
	items := o.GetList().GetItems()
	last := len(items) - 1
	rv, err := s.rangeVar(&pg.Node{Node: &pg.Node_List{List: &pg.List{Items: items[:last]}}})
	return rv, items[last].GetString_().GetSval(), err
}

func (s *stmt) dropPolicies(ctx context.Context, n *pg.DropStmt) error {
	for _, o := range n.Objects {
		rv, name, err := s.ofTable(o)
		if err != nil {
			return err
		}
		f, err := s.lookup(ctx, rv)
		if err != nil {
			return err
		}
		if n.MissingOk {
			t, _ := f.object.(*schema.Table)
			switch {
			case !f.ok():
				err = s.skipped("relation \"%s\" does not exist, skipping", rv.Relname)
			case t != nil && policyNamed(t, name) < 0:
				err = s.skipped("policy \"%s\" for relation \"%s\" does not exist, skipping", name, rv.Relname)
			default:
				err = s.dropPolicy(ctx, rv, name)
			}
		} else {
			err = s.dropPolicy(ctx, rv, name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *stmt) dropPolicy(ctx context.Context, rv *pg.RangeVar, name string) error {
	t, _, err := s.holdPolicy(ctx, rv, name, "DROP POLICY")
	if err != nil {
		return err
	}
	i := policyNamed(t, name)
	t.Policies = slices.Delete(t.Policies, i, i+1)
	s.r.Put(t)
	return nil
}

func (s *stmt) commentOnPolicy(ctx context.Context, n *pg.CommentStmt) error {
	rv, name, err := s.ofTable(n.Object)
	if err != nil {
		return err
	}
	t, p, err := s.holdPolicy(ctx, rv, name, "COMMENT")
	if err != nil {
		return err
	}
	p.Comment = n.Comment
	s.r.Put(t)
	return nil
}

// rowSecurity is ALTER TABLE … ROW LEVEL SECURITY.
func (a *alterer) rowSecurity(c *pg.AlterTableCmd) bool {
	switch c.Subtype {
	case pg.AlterTableType_AT_EnableRowSecurity:
		a.t.RowSecurity = true
	case pg.AlterTableType_AT_DisableRowSecurity:
		a.t.RowSecurity = false
	case pg.AlterTableType_AT_ForceRowSecurity:
		a.t.ForceRowSecurity = true
	case pg.AlterTableType_AT_NoForceRowSecurity:
		a.t.ForceRowSecurity = false
	default:
		return false
	}
	return true
}

// dropUsingPolicies refuses to drop a column that policies use or, with CASCADE, drops them too.
func (a *alterer) dropUsingPolicies(c *pg.AlterTableCmd, col *schema.Column) error {
	id, name := col.ID, col.Name
	uses := func(p schema.Policy) bool { return slices.Contains(p.Columns, id) }
	var lines, also []string
	for _, p := range a.t.Policies {
		if uses(p) {
			also = append(also, fmt.Sprintf("policy %s on table %s", p.Name, a.t.Name))
			lines = append(lines, fmt.Sprintf("%s depends on column %s of table %s", also[len(also)-1], name, a.t.Name))
		}
	}
	if len(lines) > 0 && c.Behavior != pg.DropBehavior_DROP_CASCADE {
		return sqlerr.New(sqlerr.DependentObjectsStillExist, "cannot drop column %s of table %s because other objects depend on it", name, a.t.Name).
			WithDetail("%s", strings.Join(lines, "\n")).WithHint("Use DROP ... CASCADE to drop the dependent objects too.")
	}
	a.t.Policies = slices.DeleteFunc(a.t.Policies, uses)
	return a.cascades(also)
}
