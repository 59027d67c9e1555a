package pgcatalog

import (
	"context"
	"net"

	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/statements"
	"github.com/cairndb/cairn/sql/types"
)

// fillStatements shows what was counted. What Cairn has nothing of (blocks, WAL, JIT) is 0.
func fillStatements(ctx context.Context, env *Env, w *writer) error {
	if env.Statements == nil {
		return nil
	}
	rows, _ := env.Statements(ctx)
	for i := range rows {
		s := &rows[i]
		c := cells{}
		for _, col := range w.t.Columns {
			switch col.Type.OID {
			case types.OIDInt8, types.OIDFloat8:
				c[col.Name] = 0
			case types.OIDNumeric:
				zero, err := types.ParseText(types.Numeric, "0", nil)
				if err != nil {
					return err
				}
				c[col.Name] = zero
			}
		}
		c["userid"], c["dbid"], c["toplevel"] = s.Role, s.Database, true
		c["queryid"], c["query"] = s.Number, s.Text
		if s.Hidden {
			c["queryid"], c["query"] = nil, "<insufficient privilege>"
		}
		c["plans"], c["calls"], c["rows"] = s.Plans.Count, s.Execs.Count, s.Rows
		for kind, t := range map[string]statements.Times{"plan": s.Plans, "exec": s.Execs} {
			c["total_"+kind+"_time"], c["min_"+kind+"_time"], c["max_"+kind+"_time"] = t.Total, t.Min, t.Max
			c["mean_"+kind+"_time"], c["stddev_"+kind+"_time"] = t.Mean, t.Stddev()
		}
		w.add(c)
	}
	return nil
}

func fillStatementsInfo(ctx context.Context, env *Env, w *writer) error {
	if env.Statements == nil {
		return nil
	}
	_, info := env.Statements(ctx)
	w.add(cells{"dealloc": info.Dealloc, "stats_reset": types.NewTimestampTZ(types.StampOfTime(info.Since))})
	return nil
}

// fillConnectionRules shows the cluster's rules, to superusers as in Postgres.
func fillConnectionRules(_ context.Context, env *Env, w *writer) error {
	if env.ConnectionRules == nil {
		return nil
	}
	if !isSuper(env) {
		return sqlerr.New(sqlerr.InsufficientPrivilege, "permission denied for view pg_hba_file_rules")
	}
	for _, r := range env.ConnectionRules() {
		c := cells{"line_number": r.Line, "type": r.Type, "database": r.Databases, "user_name": r.Users, "address": orNull(r.Address),
			"auth_method": r.Method, "options": when(r.Options != nil, r.Options)}
		if r.AddressBits > 0 {
			mask := net.IP(net.CIDRMask(r.Bits, r.AddressBits))
			c["netmask"] = mask.String()
		}
		w.add(c)
	}
	return nil
}
