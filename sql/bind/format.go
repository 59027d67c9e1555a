package bind

import (
	"fmt"
	"strings"

	"github.com/cairndb/cairn/sql/types"
)

// Format prints an expression for people.
func Format(e Expr) string { return (&formatter{}).text(e) }

// Key prints an expression so that equal texts mean equal expressions.
func Key(e Expr) string { return key(e) }

func key(e Expr) string { return (&formatter{ids: true}).text(e) }

type formatter struct{ ids bool }

func (f *formatter) text(e Expr) string {
	switch e := e.(type) {
	case nil:
		return ""
	case *Const:
		return f.constant(e)
	case *Param:
		return fmt.Sprintf("$%d", e.Idx+1)
	case *Col:
		if f.ids || e.Name == "" {
			return fmt.Sprintf("@%d", e.ID)
		}
		return e.Name
	case *Call:
		return f.call(e)
	case *Cast:
		if e.Relabel && !f.ids {
			return f.text(e.E)
		}
		return "(" + f.text(e.E) + ")::" + e.To.String()
	case *DomainCheck:
		return "(" + f.text(e.E) + ")::" + e.T.String()
	case *DomainValue:
		return "VALUE"
	case *And:
		return "(" + f.list(e.Args, " AND ") + ")"
	case *Or:
		return "(" + f.list(e.Args, " OR ") + ")"
	case *Not:
		return "(NOT " + f.text(e.E) + ")"
	case *IsNull:
		return "(" + f.text(e.E) + not(e.Negate, " IS NOT NULL", " IS NULL") + ")"
	case *BoolTest:
		return "(" + f.text(e.E) + not(e.Negate, " IS NOT ", " IS ") + boolWord(e.Want) + ")"
	case *Case:
		return f.caseText(e)
	case *Coalesce:
		return "COALESCE(" + f.list(e.Args, ", ") + ")"
	case *Attempt:
		return "TRY(" + f.list(append([]Expr{e.E}, e.Also...), ", ") + ")"
	case *Settled:
		return f.text(e.E)
	case *MinMax:
		return not(e.Least, "LEAST(", "GREATEST(") + f.list(e.Args, ", ") + ")"
	case *NullIf:
		return "NULLIF(" + f.text(e.A) + ", " + f.text(e.Eq) + ")"
	case *Distinct:
		return "(" + f.text(e.L) + not(e.Negate, " IS NOT DISTINCT FROM ", " IS DISTINCT FROM ") + f.text(e.R) + ")"
	case *In:
		return "(" + f.text(e.E) + not(e.Negate, " NOT IN (", " IN (") + f.list(e.List, ", ") + "))"
	case *Quant:
		return "(" + f.text(e.E) + " " + e.Op.Name + not(e.All, " ALL (", " ANY (") + f.text(e.Array) + "))"
	case *Array:
		return "ARRAY[" + f.list(e.Elems, ", ") + "]"
	case *Row:
		return "ROW(" + f.list(e.Elems, ", ") + ")"
	case *RowCompare:
		return "(ROW(" + f.list(e.L, ", ") + ") " + e.Op + " ROW(" + f.list(e.R, ", ") + "))"
	case *Subscript:
		s := f.text(e.E)
		for _, x := range e.Subs {
			s += "["
			if x.Slice {
				s += f.opt(x.Lo) + ":"
			}
			s += f.opt(x.Hi) + "]"
		}
		return s
	case *SetPart:
		return f.text(e.Value)
	case *Field:
		return fmt.Sprintf("(%s).f%d", f.text(e.E), e.Idx+1)
	case *Subquery:
		return f.subquery(e)
	case *Grouping:
		return "GROUPING(" + f.list(e.Args, ", ") + ")"
	}
	return "?"
}

func (f *formatter) opt(e Expr) string {
	if e == nil {
		return ""
	}
	return f.text(e)
}

func (f *formatter) list(es []Expr, sep string) string {
	parts := make([]string, len(es))
	for i, e := range es {
		parts[i] = f.text(e)
	}
	return strings.Join(parts, sep)
}

func not(b bool, yes, no string) string {
	if b {
		return yes
	}
	return no
}

func boolWord(d types.Datum) string {
	if d.IsNull() {
		return "UNKNOWN"
	}
	return not(d.Bool(), "TRUE", "FALSE")
}

func (f *formatter) constant(c *Const) string {
	if c.D.IsNull() {
		return "NULL::" + c.T.String()
	}
	s := string(types.AppendText(nil, c.T, c.D, nil))
	if !f.ids && (c.T.IsNumeric() || c.T == types.Bool) && !strings.HasPrefix(s, "-") {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", "''") + "'::" + c.T.String()
}

func (f *formatter) call(c *Call) string {
	switch {
	case c.M.Op && len(c.Args) == 2:
		return "(" + f.text(c.Args[0]) + " " + c.M.Name + " " + f.text(c.Args[1]) + ")"
	case c.M.Op:
		return "(" + c.M.Name + f.text(c.Args[0]) + ")"
	case f.ids && c.M.Vol == 'v':
		return fmt.Sprintf("%s<%p>", c.M.Name, c) // every call is another value
	}
	return c.M.Name + "(" + f.list(c.Args, ", ") + ")"
}

func (f *formatter) caseText(e *Case) string {
	var sb strings.Builder
	sb.WriteString("CASE")
	for _, w := range e.Whens {
		sb.WriteString(" WHEN " + f.text(w.Cond) + " THEN " + f.text(w.Result))
	}
	if e.Else != nil {
		sb.WriteString(" ELSE " + f.text(e.Else))
	}
	return sb.String() + " END"
}

func (f *formatter) subquery(e *Subquery) string {
	if f.ids {
		return fmt.Sprintf("(subquery %p)", e.Rel)
	}
	switch e.Kind {
	case SubExists:
		return "EXISTS(SubPlan)"
	case SubAny, SubAll:
		return "(" + f.list(e.Test, ", ") + not(e.Kind == SubAny, " ANY (SubPlan))", " ALL (SubPlan))")
	}
	return "(SubPlan)"
}
