package pgcatalog

import (
	"context"
	"strconv"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/parser"
	"github.com/cairndb/cairn/sql/types"
)

// yes is the word of information_schema's yes_or_no.
func yes(b bool) string {
	if b {
		return "YES"
	}
	return "NO"
}

func infoCatalogName(_ context.Context, env *Env, w *writer) error {
	w.add(cells{"catalog_name": env.Database.Name})
	return nil
}

func infoSchemata(_ context.Context, env *Env, w *writer) error {
	for _, name := range []string{"pg_catalog", "information_schema", "cairn"} {
		w.add(cells{"catalog_name": env.Database.Name, "schema_name": name, "schema_owner": schema.RootUser})
	}
	for _, s := range env.Contents.Schemas(env.Database.ID) {
		w.add(cells{"catalog_name": env.Database.Name, "schema_name": s.Name, "schema_owner": s.Owner})
	}
	return nil
}

func infoTables(_ context.Context, env *Env, w *writer) error {
	put := func(sc, name, kind string, insertable bool) {
		w.add(cells{"table_catalog": env.Database.Name, "table_schema": sc, "table_name": name, "table_type": kind,
			"is_insertable_into": yes(insertable), "is_typed": "NO"})
	}
	for _, t := range w.t.in.all {
		kind := "BASE TABLE"
		if t.View {
			kind = "VIEW"
		}
		put(t.Schema, t.Name, kind, false)
	}
	for _, t := range env.Contents.Tables(env.Database.ID) {
		if t.Matview != nil {
			continue
		}
		kind := "BASE TABLE"
		if sc := env.Contents.SchemaByID(t.SchemaID); sc != nil && sc.TempOf != "" {
			kind = "LOCAL TEMPORARY"
		}
		put(namespaceOf(env, &t.Header), t.Name, kind, true)
	}
	for _, v := range env.Contents.Views(env.Database.ID) {
		put(namespaceOf(env, &v.Header), v.Name, "VIEW", false)
	}
	return nil
}

func infoViews(_ context.Context, env *Env, w *writer) error {
	for _, v := range env.Contents.Views(env.Database.ID) {
		w.add(cells{"table_catalog": env.Database.Name, "table_schema": namespaceOf(env, &v.Header), "table_name": v.Name,
			"view_definition": " " + viewText(env, v) + ";", "check_option": checkOptionWord(v.CheckOption),
			"is_updatable": yes(updatable(v)), "is_insertable_into": yes(updatable(v)),
			"is_trigger_updatable": "NO", "is_trigger_deletable": "NO", "is_trigger_insertable_into": "NO"})
	}
	return nil
}

// checkOptionWord is what information_schema calls a view's CHECK OPTION.
func checkOptionWord(o schema.CheckOption) string {
	return map[schema.CheckOption]string{schema.NoCheckOption: "NONE", schema.LocalCheckOption: "LOCAL", schema.CascadedCheckOption: "CASCADED"}[o]
}

// updatable says whether a view can be written through, as far as its own query says.
func updatable(v *schema.View) bool {
	stmts, err := parser.Parse(v.Query)
	return err == nil && bind.NotUpdatable(stmts[0].Tree.GetSelectStmt()) == ""
}

func infoColumns(_ context.Context, env *Env, w *writer) error {
	for _, t := range w.t.in.all {
		for i, c := range t.Columns {
			w.add(infoColumn(env, t.Schema, t.Name, i+1, c.Name, c.Type))
		}
	}
	for _, t := range env.Contents.Tables(env.Database.ID) {
		if t.Matview != nil {
			continue
		}
		for _, c := range t.VisibleColumns() {
			row := infoColumn(env, namespaceOf(env, &t.Header), t.Name, int(c.ID), c.Name, typeOf(&c))
			if c.Generated {
				row["is_generated"], row["generation_expression"] = "ALWAYS", c.Default
			} else {
				row["column_default"] = orNull(c.Default)
			}
			row["is_nullable"], row["is_updatable"] = yes(!c.NotNull), "YES"
			infoIdentity(env, &c, row)
			w.add(row)
		}
	}
	for _, v := range env.Contents.Views(env.Database.ID) {
		for i := range v.Columns {
			c := &v.Columns[i]
			w.add(infoColumn(env, namespaceOf(env, &v.Header), v.Name, i+1, c.Name, typeOf(c)))
		}
	}
	return nil
}

func infoIdentity(env *Env, c *schema.Column, row cells) {
	if c.Identity == schema.IdentityNone {
		return
	}
	row["is_identity"], row["identity_generation"] = "YES", "BY DEFAULT"
	if c.Identity == schema.IdentityAlways {
		row["identity_generation"] = "ALWAYS"
	}
	if q := env.Contents.Sequence(c.Sequence); q != nil {
		row["identity_start"], row["identity_increment"] = strconv.FormatInt(q.Start, 10), strconv.FormatInt(q.Increment, 10)
		row["identity_minimum"], row["identity_maximum"] = strconv.FormatInt(q.Min, 10), strconv.FormatInt(q.Max, 10)
		row["identity_cycle"] = yes(q.Cycle)
	}
}

func infoColumn(env *Env, sc, table string, num int, name string, t types.T) cells {
	c := cells{"table_catalog": env.Database.Name, "table_schema": sc, "table_name": table, "column_name": name,
		"ordinal_position": num, "is_nullable": "YES", "data_type": t.Base().String(), "udt_catalog": env.Database.Name,
		"udt_schema": "pg_catalog", "udt_name": t.TypeName(), "dtd_identifier": strconv.Itoa(num), "is_self_referencing": "NO",
		"is_identity": "NO", "identity_cycle": "NO", "is_generated": "NEVER", "is_updatable": "NO"}
	if t.User != nil {
		c["udt_schema"], c["data_type"] = t.User.Schema, "USER-DEFINED"
	}
	if t.IsDomain() { // shown by what it is based on
		c["domain_catalog"], c["domain_schema"], c["domain_name"] = env.Database.Name, t.User.Schema, t.User.Name
		u := t.User
		if t = (types.T{OID: types.OID(u.BaseOID), Mod: u.BaseMod, User: u.Base}); t.User != nil {
			c["udt_schema"], c["udt_name"] = t.User.Schema, t.User.Name
		} else {
			c["udt_schema"], c["udt_name"], c["data_type"] = "pg_catalog", t.TypeName(), t.Base().String()
		}
		t = t.Plain()
	}
	if t.IsArray() {
		c["data_type"] = "ARRAY"
		return c
	}
	infoNumbers(c, t)
	return c
}

// infoNumbers fills the columns that describe a type's size.
func infoNumbers(c cells, t types.T) {
	bits := map[types.OID]int{types.OIDInt2: 16, types.OIDInt4: 32, types.OIDInt8: 64, types.OIDFloat4: 24, types.OIDFloat8: 53}
	switch t.OID {
	case types.OIDInt2, types.OIDInt4, types.OIDInt8:
		c["numeric_precision"], c["numeric_precision_radix"], c["numeric_scale"] = bits[t.OID], 2, 0
	case types.OIDFloat4, types.OIDFloat8:
		c["numeric_precision"], c["numeric_precision_radix"] = bits[t.OID], 2
	case types.OIDNumeric:
		c["numeric_precision_radix"] = 10
		if p, s := t.PrecisionScale(); p > 0 {
			c["numeric_precision"], c["numeric_scale"] = p, s
		}
	case types.OIDVarchar, types.OIDBPChar:
		if n := t.Length(); n >= 0 {
			c["character_maximum_length"], c["character_octet_length"] = n, 4*n
		} else {
			c["character_octet_length"] = 1 << 30
		}
	case types.OIDText:
		c["character_octet_length"] = 1 << 30
	case types.OIDDate:
		c["datetime_precision"] = 0
	case types.OIDBit, types.OIDVarbit:
		if t.Mod >= 0 {
			c["character_maximum_length"] = t.Mod
		}
	case types.OIDTime, types.OIDTimeTZ, types.OIDTimestamp, types.OIDTimestampTZ, types.OIDInterval:
		c["datetime_precision"] = 6
		if t.Mod >= 0 && t.OID != types.OIDInterval {
			c["datetime_precision"] = t.Mod
		}
	}
}

func infoSequences(_ context.Context, env *Env, w *writer) error {
	for _, q := range env.Contents.Sequences(env.Database.ID) {
		if t := env.Contents.Table(q.OwnerTable); t != nil {
			if c := t.ColumnByID(q.OwnerColumn); c != nil && c.Identity != schema.IdentityNone {
				continue // a part of its column
			}
		}
		t := types.T{OID: types.OID(q.Type.OID), Mod: -1}
		c := cells{"sequence_catalog": env.Database.Name, "sequence_schema": namespaceOf(env, &q.Header), "sequence_name": q.Name,
			"data_type": t.String(), "start_value": q.Start, "minimum_value": q.Min, "maximum_value": q.Max,
			"increment": q.Increment, "cycle_option": yes(q.Cycle)}
		infoNumbers(c, t)
		w.add(c)
	}
	return nil
}

// eachConstraint visits the constraints that have a name: keys and checks.
func eachConstraint(env *Env, fn func(t *schema.Table, sc, name, kind string, cols []schema.ColumnID)) {
	for _, t := range env.Contents.Tables(env.Database.ID) {
		sc := namespaceOf(env, &t.Header)
		for _, ix := range t.AllIndexes() {
			if ix.ConstraintOID == 0 {
				continue
			}
			kind := "UNIQUE"
			if ix == &t.Primary {
				kind = "PRIMARY KEY"
			}
			fn(t, sc, ix.Name, kind, indexColumnIDs(&schema.Index{Columns: ix.Columns}))
		}
		for _, ck := range t.Checks {
			fn(t, sc, ck.Name, "CHECK", ck.Columns)
		}
		for _, fk := range t.ForeignKeys {
			fn(t, sc, fk.Name, "FOREIGN KEY", fk.Columns)
		}
	}
}

func infoConstraints(_ context.Context, env *Env, w *writer) error {
	eachConstraint(env, func(t *schema.Table, sc, name, kind string, _ []schema.ColumnID) {
		c := cells{"constraint_catalog": env.Database.Name, "constraint_schema": sc, "constraint_name": name,
			"table_catalog": env.Database.Name, "table_schema": sc, "table_name": t.Name, "constraint_type": kind,
			"is_deferrable": "NO", "initially_deferred": "NO", "enforced": "YES",
			"nulls_distinct": when(kind == "UNIQUE", "YES")}
		if fk := t.ForeignKey(name); fk != nil {
			c["is_deferrable"], c["initially_deferred"] = yes(fk.Deferrable), yes(fk.InitiallyDeferred)
		}
		w.add(c)
	})
	return nil
}

func infoKeyUsage(_ context.Context, env *Env, w *writer) error {
	eachConstraint(env, func(t *schema.Table, sc, name, kind string, cols []schema.ColumnID) {
		if kind == "CHECK" {
			return
		}
		for i, id := range cols {
			c := cells{"constraint_catalog": env.Database.Name, "constraint_schema": sc, "constraint_name": name,
				"table_catalog": env.Database.Name, "table_schema": sc, "table_name": t.Name,
				"column_name": t.ColumnByID(id).Name, "ordinal_position": i + 1}
			if kind == "FOREIGN KEY" {
				c["position_in_unique_constraint"] = placeInKey(env, t.ForeignKey(name), i)
			}
			w.add(c)
		}
	})
	return nil
}

func infoColumnUsage(_ context.Context, env *Env, w *writer) error {
	eachConstraint(env, func(t *schema.Table, sc, name, kind string, cols []schema.ColumnID) {
		if kind == "FOREIGN KEY" { // the columns it refers to
			fk := t.ForeignKey(name)
			t, cols = env.Contents.Table(fk.Target), fk.TargetColumns
		}
		for _, id := range cols {
			w.add(cells{"constraint_catalog": env.Database.Name, "constraint_schema": sc, "constraint_name": name,
				"table_catalog": env.Database.Name, "table_schema": namespaceOf(env, &t.Header), "table_name": t.Name,
				"column_name": t.ColumnByID(id).Name})
		}
	})
	return nil
}

// placeInKey is where in the unique key stands what the i-th column refers to.
func placeInKey(env *Env, fk *schema.ForeignKey, i int) any {
	if ix := env.Contents.Table(fk.Target).IndexByOID(fk.TargetIndex); ix != nil {
		for at, c := range ix.Columns {
			if c.ID == fk.TargetColumns[i] {
				return at + 1
			}
		}
	}
	return nil
}

func infoReferences(_ context.Context, env *Env, w *writer) error {
	for _, t := range env.Contents.Tables(env.Database.ID) {
		for _, fk := range t.ForeignKeys {
			target := env.Contents.Table(fk.Target)
			c := cells{"constraint_catalog": env.Database.Name, "constraint_schema": namespaceOf(env, &t.Header),
				"constraint_name": fk.Name, "match_option": map[bool]string{true: "FULL", false: "NONE"}[fk.MatchFull],
				"update_rule": ruleNames[fk.OnUpdate], "delete_rule": ruleNames[fk.OnDelete]}
			if ix := target.IndexByOID(fk.TargetIndex); ix != nil && ix.ConstraintOID != 0 {
				c["unique_constraint_catalog"], c["unique_constraint_schema"] = env.Database.Name, namespaceOf(env, &target.Header)
				c["unique_constraint_name"] = ix.Name
			}
			w.add(c)
		}
	}
	return nil
}

func infoChecks(_ context.Context, env *Env, w *writer) error {
	for _, t := range env.Contents.Tables(env.Database.ID) {
		for _, ck := range t.Checks {
			w.add(cells{"constraint_catalog": env.Database.Name, "constraint_schema": namespaceOf(env, &t.Header),
				"constraint_name": ck.Name, "check_clause": "(" + ck.Expr + ")"})
		}
	}
	return nil
}
