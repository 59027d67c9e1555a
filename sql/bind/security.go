package bind

import (
	"cmp"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// Row-level security, as in Postgres (rowsecurity.c): a table's policies become conditions of the
// statement, by what it does and whose rights it has.
//
//	          what is read                           what is written
//	SELECT    USING of SELECT                        -
//	  FOR …   and USING of UPDATE                    -
//	UPDATE    USING of UPDATE, and of SELECT *       WITH CHECK of UPDATE, and USING of SELECT *
//	DELETE    USING of DELETE, and of SELECT *       -
//	INSERT    -                                      WITH CHECK of INSERT, and USING of SELECT *
//	  ON CONFLICT DO UPDATE: of the row that is there, USING of UPDATE and of SELECT must hold (or it
//	  is an error); of the one that it becomes, WITH CHECK of UPDATE and USING of SELECT
//
// * if the statement needs SELECT on the table, because it looks at its columns.
//
// Of the policies for a command and a role, one permissive one must hold, and all restrictive ones;
// without a permissive one nothing is allowed. WITH CHECK defaults to USING.
//
// Invariants:
//
//	R1  a condition of a policy is evaluated before any of the statement's own that could tell
//	    something about a row, by its error or otherwise: the Filter is Secure (package plan keeps it)
//	R2  plans are kept by role and row_security, so that no role runs another's
//	R3  what cannot be bound, such as a policy over a table that is gone, fails the statement

// policed says whether a table's policies hold for the role whose rights count.
func (b *binder) policed(t *schema.Table) bool {
	if !t.RowSecurity || b.env.NoPolicies || !PoliciesHold(b.env.Snap.Contents, t, b.rightsOf()) {
		return false
	}
	if b.env.RowSecurityOff {
		e := sqlerr.New(sqlerr.InsufficientPrivilege, "query would be affected by row-level security policy for table \"%s\"", t.Name)
		if t.ForceRowSecurity && b.env.Snap.Owns(b.rightsOf(), t) {
			e = e.WithHint("To disable the policy for the table's owner, use ALTER TABLE NO FORCE ROW LEVEL SECURITY.")
		}
		fail(e)
	}
	return true
}

// PoliciesHold says whether a table's policies hold for a role: superusers and roles with BYPASSRLS
// pass, and the owner unless it is forced.
func PoliciesHold(c *schema.Contents, t *schema.Table, role string) bool {
	if !t.RowSecurity {
		return false
	}
	if r := c.Role(role); r != nil && (r.Superuser || r.BypassRLS) {
		return false
	}
	return t.ForceRowSecurity || !c.Owns(role, t)
}

// rightsOf is the role whose rights count here.
func (b *binder) rightsOf() string {
	if b.asOwner != "" {
		return b.asOwner
	}
	return b.env.User
}

// PolicyCheck is a condition that a row must fulfil to be written. Name is a restrictive policy's,
// Using says that the row is one that is there.
type PolicyCheck struct {
	Name  string
	E     Expr
	Using bool
}

// policies are those of a table for a command and the role, the restrictive ones by name.
func (b *binder) policies(t *schema.Table, cmd schema.PolicyCommand) (permissive, restrictive []*schema.Policy) {
	roles := b.env.Snap.RolesOf(b.rightsOf())
	for i := range t.Policies {
		p := &t.Policies[i]
		mine := slices.ContainsFunc(p.Roles, func(r string) bool { return r == "" || slices.Contains(roles, r) })
		if !mine || p.Command != cmd && p.Command != schema.PolicyAll {
			continue
		}
		if p.Restrictive {
			restrictive = append(restrictive, p)
		} else {
			permissive = append(permissive, p)
		}
	}
	slices.SortFunc(restrictive, func(x, y *schema.Policy) int { return strings.Compare(x.Name, y.Name) })
	return permissive, restrictive
}

// visible is the condition under which a command sees the row at base.
func (b *binder) visible(t *schema.Table, base ColID, cmd schema.PolicyCommand) Expr {
	permissive, restrictive := b.policies(t, cmd)
	var all, one []Expr
	for _, p := range restrictive {
		if p.Using != "" {
			all = append(all, b.policyExpr(t, base, p, p.Using))
		}
	}
	for _, p := range permissive {
		if p.Using != "" {
			one = append(one, b.policyExpr(t, base, p, p.Using))
		}
	}
	return conjunction(append(all, disjunction(one)))
}

// written are the conditions for a row to be written: of WITH CHECK or, with using, of USING.
func (b *binder) written(t *schema.Table, base ColID, cmd schema.PolicyCommand, using bool) []PolicyCheck {
	text := func(p *schema.Policy) string {
		if using || p.Check == "" {
			return p.Using
		}
		return p.Check
	}
	permissive, restrictive := b.policies(t, cmd)
	var one []Expr
	for _, p := range permissive {
		if s := text(p); s != "" {
			one = append(one, b.policyExpr(t, base, p, s))
		}
	}
	out := []PolicyCheck{{E: disjunction(one)}}
	if len(one) == 0 {
		return out
	}
	for _, p := range restrictive {
		if s := text(p); s != "" {
			out = append(out, PolicyCheck{Name: p.Name, E: b.policyExpr(t, base, p, s)})
		}
	}
	return out
}

func conjunction(es []Expr) Expr {
	if len(es) == 1 {
		return es[0]
	}
	return &And{Args: es}
}

// disjunction of nothing is false.
func disjunction(es []Expr) Expr {
	switch len(es) {
	case 0:
		return &Const{D: types.NewBool(false), T: types.Bool, Pos: -1}
	case 1:
		return es[0]
	}
	return &Or{Args: es}
}

// policyExpr binds the text of a policy over the row at base. Its names mean what they meant when it
// was made; its subqueries have the rights, and are under the policies, of who runs the statement.
func (b *binder) policyExpr(t *schema.Table, base ColID, p *schema.Policy, text string) Expr {
	if b.policing[t.ID] {
		b.failf(-1, sqlerr.InvalidObjectDefinition, "infinite recursion detected in policy for relation \"%s\"", t.Name)
	}
	if b.policing == nil {
		b.policing = map[schema.DescID]bool{}
	}
	b.policing[t.ID] = true
	path := b.env.SearchPath
	b.env.SearchPath = p.SearchPath
	defer func() {
		b.env.SearchPath = path
		delete(b.policing, t.ID)
	}()
	return b.boolean(b.textExpr(b.policyScope(t, base), text), "POLICY", -1)
}

func (b *binder) policyScope(t *schema.Table, base ColID) *scope {
	sc := &scope{b: b, clause: "policy expressions", noAgg: true}
	sc.addTable(b.tableRef(t, t.Name, "", base))
	return sc
}

// BindPolicy checks an expression that is to be a policy's; column ordinal i is register i.
func BindPolicy(env Env, n *pg.Node, query string, t *schema.Table) (e Expr, err error) {
	env.NoPolicies, env.NoParams = true, true
	b := &binder{env: env, query: query, tables: map[schema.DescID]*schema.Table{}}
	b.inView++ // errors have no position, as in Postgres
	defer catch(&err)
	sc := b.policyScope(t, b.newCols(len(t.Columns)))
	return b.boolean(b.expr(sc, n), "POLICY", b.pos(n)), nil
}

// secureScan puts the conditions of a read around a scan.
func (b *binder) secureScan(t *tableRef, s *Scan) Rel {
	if !b.policed(s.Table) {
		return s
	}
	t.secure = &Filter{In: s, Pred: b.visible(s.Table, s.Base, schema.PolicySelect), Secure: true}
	return t.secure
}

// secureLock adds those of locking rows for oneself.
func (b *binder) secureLock(t *tableRef) {
	if t.secure != nil {
		t.secure.Pred = conjunction([]Expr{b.visible(t.desc, t.scan.Base, schema.PolicyUpdate), t.secure.Pred})
	}
}

// securedTarget is the table that a statement changes, under policies; nil where none hold.
type securedTarget struct {
	b *binder
	t *schema.Table
	// owner is whose rights count, "" for the user's.
	owner string
	scan  *Filter
	// reads are the needs that tell whether the statement looks at the table.
	reads []*Need
	// must: it does, in any case.
	must bool
}

// secureTarget begins to put policies on a statement's target; in is where its rows are read, nil for
// an INSERT. What is read is known when all of the statement is bound: see reading.
func (b *binder) secureTarget(t *schema.Table, owner string, in Rel) (*securedTarget, Rel) {
	x := &securedTarget{b: b, t: t, owner: owner}
	defer x.asOwner()()
	if !b.policed(t) {
		return nil, in
	}
	if in != nil {
		x.scan = &Filter{In: in, Secure: true}
		in = x.scan
	}
	return x, in
}

// asOwner has the owner's rights count until what it returns is called.
func (x *securedTarget) asOwner() func() {
	kept := x.b.asOwner
	x.b.asOwner = cmp.Or(x.owner, kept)
	return func() { x.b.asOwner = kept }
}

func (x *securedTarget) readBy(refs ...*tableRef) {
	if x == nil {
		return
	}
	for _, r := range refs {
		x.reads = append(x.reads, r.need)
	}
}

// reading says that the statement looks at the table, and so needs SELECT.
func (x *securedTarget) reading() bool {
	return x.must || slices.ContainsFunc(x.reads, func(n *Need) bool { return n != nil && len(n.Columns) > 0 })
}

// rows sets the condition for the rows that a command finds.
func (x *securedTarget) rows(base ColID, cmd schema.PolicyCommand) {
	defer x.asOwner()()
	pred := []Expr{x.b.visible(x.t, base, cmd)}
	if x.reading() {
		pred = append(pred, x.b.visible(x.t, base, schema.PolicySelect))
	}
	x.scan.Pred = conjunction(pred)
}

// checks are the conditions for the row that a command writes.
func (x *securedTarget) checks(base ColID, cmd schema.PolicyCommand) []PolicyCheck {
	defer x.asOwner()()
	out := x.b.written(x.t, base, cmd, false)
	if x.reading() {
		out = append(out, x.b.written(x.t, base, schema.PolicySelect, true)...)
	}
	return out
}

// there are the checks of the row that is in the way of an INSERT.
func (x *securedTarget) there(base ColID) []PolicyCheck {
	defer x.asOwner()()
	out := x.b.written(x.t, base, schema.PolicyUpdate, true)
	out = append(out, x.b.written(x.t, base, schema.PolicySelect, true)...)
	for i := range out {
		out[i].Using = true
	}
	return out
}
