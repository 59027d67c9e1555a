package bind

import (
	"github.com/cairndb/cairn/schema/usertype"
	"github.com/cairndb/cairn/sql/types"
)

// DomainCheck gives its operand the type of a domain, or fails as the domain's constraints demand.
type DomainCheck struct {
	E       Expr
	T       types.T
	NotNull bool
	Checks  []DomainCond
}

// DomainCond is a CHECK of a domain, over DomainValue.
type DomainCond struct {
	Name string
	// Of is the domain that has the constraint: T or one that it is based on.
	Of types.T
	E  Expr
}

// DomainValue is VALUE in a domain's CHECK.
type DomainValue struct{ T types.T }

// Type is the domain.
func (e *DomainCheck) Type() types.T { return e.T }

// Type is what the domain is based on.
func (e *DomainValue) Type() types.T { return e.T }

// toDomain makes a value of a domain's base type one of the domain.
func (b *binder) toDomain(e Expr, to types.T) Expr {
	out := &DomainCheck{E: e, T: to}
	b.domainConds(out, to)
	if !out.NotNull && len(out.Checks) == 0 {
		return &Cast{E: e, To: to, Relabel: true}
	}
	return out
}

// domainConds collects the conditions, those of a domain below first.
func (b *binder) domainConds(out *DomainCheck, t types.T) {
	base := types.T{OID: types.OID(t.User.BaseOID), Mod: t.User.BaseMod, User: t.User.Base}
	if base.IsDomain() {
		b.domainConds(out, base)
	}
	out.NotNull = out.NotNull || t.User.NotNull
	for _, c := range t.User.Checks {
		out.Checks = append(out.Checks, DomainCond{Name: c.Name, Of: t, E: b.domainCond(c.Expr, t)})
	}
}

func (b *binder) domainCond(text string, t types.T) Expr {
	sc := &scope{b: b, clause: "check constraints", noAgg: true, domain: &DomainValue{T: t.Plain()}}
	stored := b.stored
	b.stored = true
	e := b.boolean(b.textExpr(sc, text), "CHECK", -1)
	b.stored = stored
	return e
}

// CheckDomain binds a condition that a domain is to have, and so finds its faults.
func CheckDomain(env Env, u *usertype.Type, expr string) (err error) {
	b := &binder{env: env}
	defer catch(&err)
	b.domainCond(expr, types.OfUser(u))
	return nil
}

// domainDefault is the default of a column of a domain that has none of its own; "" for none.
func domainDefault(t types.T) string {
	for ; t.IsDomain(); t = (types.T{OID: types.OID(t.User.BaseOID), Mod: -1, User: t.User.Base}) {
		if t.User.Default != "" {
			return t.User.Default
		}
	}
	return ""
}
