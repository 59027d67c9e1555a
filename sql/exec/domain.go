package exec

import (
	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// domainCheck passes a value on if a domain's constraints let it. VALUE in them is Run.domain, which
// is kept while a condition is computed: its functions may meet other domains.
func (c *Compiler) domainCheck(e *bind.DomainCheck) (Eval, error) {
	in, err := c.Compile(e.E)
	if err != nil {
		return nil, err
	}
	conds := make([]Eval, len(e.Checks))
	for i := range e.Checks {
		if conds[i], err = c.Compile(e.Checks[i].E); err != nil {
			return nil, err
		}
	}
	return func(r *Run) (types.Datum, error) {
		d, err := in(r)
		if err != nil {
			return types.Null, err
		}
		if d.IsNull() && e.NotNull {
			return types.Null, sqlerr.New(sqlerr.NotNullViolation, "domain %s does not allow null values", e.T).
				WithTable(e.T.User.Schema, "").WithDataType(e.T.User.Name)
		}
		kept := r.domain
		r.domain = d
		defer func() { r.domain = kept }()
		for i, cond := range conds {
			ok, err := cond(r)
			if err != nil {
				return types.Null, err
			}
			if !ok.IsNull() && !ok.Bool() {
				return types.Null, sqlerr.New(sqlerr.CheckViolation, "value for domain %s violates check constraint \"%s\"", e.T, e.Checks[i].Name).
					WithTable(e.T.User.Schema, "").WithDataType(e.T.User.Name).WithConstraint(e.Checks[i].Name)
			}
		}
		return d, nil
	}, nil
}
