package pgcatalog

import (
	"context"
	"strings"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/builtins"
	"github.com/cairndb/cairn/sql/tablekv"
	"github.com/cairndb/cairn/sql/types"
)

func typeOf(c *schema.Column) types.T { return tablekv.TypeOf(c.Type) }

// ownerOID is the number of a role by name; the superuser's if it is gone.
func ownerOID(env *Env, name string) schema.DescID {
	if r := env.Contents.Role(name); r != nil {
		return r.OID
	}
	return 10
}

// namespaceOf is a schema's name.
func namespaceOf(env *Env, h *schema.Header) string {
	if s := env.Contents.SchemaByID(h.SchemaID); s != nil {
		return s.Name
	}
	return ""
}

// namedIndexes are the indexes that users see: not a hidden primary key.
func namedIndexes(t *schema.Table) []*schema.Index {
	var out []*schema.Index
	for _, ix := range t.AllIndexes() {
		if ix.Name != "" {
			out = append(out, ix)
		}
	}
	return out
}

func fixedNamespace(name string) int {
	switch name {
	case "pg_catalog":
		return oidPgCatalog
	case "information_schema":
		return oidInformation
	}
	return oidCairn
}

func fillNamespace(_ context.Context, env *Env, w *writer) error {
	for _, name := range []string{"pg_catalog", "information_schema", "cairn"} {
		w.add(cells{"oid": fixedNamespace(name), "nspname": name, "nspowner": 10})
	}
	for _, s := range env.Contents.Schemas(env.Database.ID) {
		w.add(cells{"oid": s.ID, "nspname": s.Name, "nspowner": ownerOID(env, s.Owner), "nspacl": aclOf(s)})
	}
	return nil
}

func fillClass(_ context.Context, env *Env, w *writer) error {
	for _, t := range w.t.in.all {
		kind := "r"
		if t.View {
			kind = "v"
		}
		w.add(cells{"oid": t.OID, "relname": t.Name, "relnamespace": fixedNamespace(t.Schema), "relowner": 10,
			"relkind": kind, "relpersistence": "p", "relnatts": len(t.Columns), "relispopulated": true, "relreplident": "n"})
	}
	for _, t := range env.Contents.Tables(env.Database.ID) {
		kind := "r"
		if t.Matview != nil {
			kind = "m"
		}
		c := relation(env, &t.Header, kind, len(t.VisibleColumns()))
		if t.Matview != nil {
			c["relispopulated"] = t.Matview.Populated
		}
		c["relam"], c["relreplident"], c["relacl"], c["reltype"] = oidHeap, "d", aclOf(t), t.ID
		c["reltuples"], c["relchecks"] = -1, len(t.Checks)
		c["relhasindex"] = len(namedIndexes(t)) > 0
		// The triggers by which Postgres keeps foreign keys; psql asks for keys only where there are some.
		c["relhastriggers"] = len(t.ForeignKeys)+len(t.ReferencedBy) > 0
		c["relrowsecurity"], c["relforcerowsecurity"] = t.RowSecurity, t.ForceRowSecurity
		c["reloptions"] = when(len(t.Options) > 0, t.Options)
		w.add(c)
		for _, ix := range namedIndexes(t) {
			c := relation(env, &t.Header, "i", len(ix.Columns)+len(ix.Stored))
			c["oid"], c["relfilenode"], c["relname"], c["relam"] = ix.OID, int64(ix.ID), ix.Name, oidBtree
			if ix.Inverted != "" {
				c["relam"] = oidGin
			}
			w.add(c)
		}
	}
	for _, v := range env.Contents.Views(env.Database.ID) {
		c := relation(env, &v.Header, "v", len(v.Columns))
		c["relfilenode"], c["relhasrules"], c["relacl"], c["reltype"] = 0, true, aclOf(v), v.ID
		if v.CheckOption != schema.NoCheckOption {
			c["reloptions"] = []string{"check_option=" + strings.ToLower(checkOptionWord(v.CheckOption))}
		}
		w.add(c)
	}
	for _, ut := range env.Contents.Types(env.Database.ID) {
		if types.OfUser(&ut.Def).IsComposite() {
			c := relation(env, &ut.Header, "c", len(ut.Def.Fields))
			c["relfilenode"], c["reltype"] = 0, ut.ID
			w.add(c)
		}
	}
	for _, q := range env.Contents.Sequences(env.Database.ID) {
		c := relation(env, &q.Header, "S", 3)
		c["relacl"] = aclOf(q)
		w.add(c)
	}
	return nil
}

func relation(env *Env, h *schema.Header, kind string, columns int) cells {
	persistence := "p"
	if sc := env.Contents.SchemaByID(h.SchemaID); sc != nil && sc.TempOf != "" {
		persistence = "t"
	}
	return cells{"oid": h.ID, "relname": h.Name, "relnamespace": h.SchemaID, "relowner": ownerOID(env, h.Owner),
		"relfilenode": h.ID, "relkind": kind, "relpersistence": persistence, "relnatts": columns,
		"relispopulated": true, "relreplident": "n"}
}

func fillAttribute(_ context.Context, env *Env, w *writer) error {
	for _, t := range w.t.in.all {
		for i, c := range t.Columns {
			cl := attribute(t.OID, i+1, c.Name, c.Type)
			cl["attnotnull"] = t.notNull[i]
			w.add(cl)
		}
	}
	for _, t := range env.Contents.Tables(env.Database.ID) {
		tableAttributes(w, t)
	}
	for _, v := range env.Contents.Views(env.Database.ID) {
		for i := range v.Columns {
			c := &v.Columns[i]
			w.add(attribute(v.ID, i+1, c.Name, typeOf(c)))
		}
	}
	for _, ut := range env.Contents.Types(env.Database.ID) {
		if t := types.OfUser(&ut.Def); t.IsComposite() {
			names, ts := t.Fields()
			for i := range names {
				w.add(attribute(ut.ID, i+1, names[i], ts[i]))
			}
		}
	}
	for _, q := range env.Contents.Sequences(env.Database.ID) {
		for i, c := range sequenceColumns() {
			w.add(attribute(q.ID, i+1, c.Name, c.Type))
		}
	}
	return nil
}

func sequenceColumns() []builtins.Column {
	return []builtins.Column{{Name: "last_value", Type: types.Int8}, {Name: "log_cnt", Type: types.Int8},
		{Name: "is_called", Type: types.Bool}}
}

func tableAttributes(w *writer, t *schema.Table) {
	for _, c := range t.VisibleColumns() {
		cl := attribute(t.ID, int(c.ID), c.Name, typeOf(&c))
		cl["attacl"] = aclItems(c.ACL)
		cl["attnotnull"], cl["atthasdef"] = c.NotNull, c.Default != ""
		switch c.Identity {
		case schema.IdentityAlways:
			cl["attidentity"] = "a"
		case schema.IdentityByDefault:
			cl["attidentity"] = "d"
		}
		if c.Generated {
			cl["attgenerated"] = "s"
		}
		w.add(cl)
	}
	for _, ix := range namedIndexes(t) {
		for i, id := range indexColumnIDs(ix) {
			c := t.ColumnByID(id)
			name, typ := indexColumnName(c), typeOf(c)
			if ix.Inverted != "" { // its terms, which are texts and numbers to Postgres
				name, typ = strings.Trim(indexColumnText(t, ix, id), `"`), types.Text
				if t.Column(name) == nil {
					name = "expr"
				}
			}
			w.add(attribute(ix.OID, i+1, name, typ))
		}
	}
}

// indexColumnName is what pg_attribute calls a column of an index.
func indexColumnName(c *schema.Column) string {
	switch {
	case !c.Virtual:
		return c.Name
	case tablekv.IsCall(c.Default):
		return c.Default[:strings.IndexByte(c.Default, '(')]
	}
	return "expr"
}

func indexColumnIDs(ix *schema.Index) []schema.ColumnID {
	var out []schema.ColumnID
	for _, c := range ix.Columns {
		out = append(out, c.ID)
	}
	return append(out, ix.Stored...)
}

func attribute(rel any, num int, name string, t types.T) cells {
	ndims := 0
	if t.IsArray() {
		ndims = 1
	}
	return cells{"attrelid": rel, "attname": name, "atttypid": t.OID, "attstattarget": -1, "attlen": t.Len(), "attnum": num,
		"attndims": ndims, "attcacheoff": -1, "atttypmod": t.Mod, "attbyval": t.ByVal(), "attalign": align(t),
		"attstorage": storage(t), "attislocal": true, "attcollation": collation(t)}
}

func align(t types.T) string {
	if elem, ok := t.Elem(); ok && align(elem) == "d" {
		return "d"
	}
	if sub, ok := t.Subtype(); ok {
		return align(sub)
	}
	if t.OID == types.OIDAnyRange {
		return "d"
	}
	switch t.Len() {
	case 1:
		return "c"
	case 2:
		return "s"
	case 8, 12, 16:
		switch t.OID {
		case types.OIDUUID:
			return "c"
		case types.OIDMacaddr8:
			return "i"
		}
		return "d"
	}
	return "i"
}

func storage(t types.T) string {
	switch {
	case t.Len() >= 0:
		return "p"
	case t.OID == types.OIDNumeric, t.OID == types.OIDInet, t.OID == types.OIDCidr:
		return "m"
	}
	return "x"
}

// collation is the type's default: only texts have one.
func collation(t types.T) int {
	if elem, ok := t.Elem(); ok {
		t = elem
	}
	switch t.OID {
	case types.OIDText, types.OIDVarchar, types.OIDBPChar:
		return oidCollation
	case types.OIDName:
		return 950
	}
	return 0
}

func fillAttrdef(_ context.Context, env *Env, w *writer) error {
	for _, t := range env.Contents.Tables(env.Database.ID) {
		for _, c := range t.VisibleColumns() {
			if c.Default != "" {
				w.add(cells{"oid": c.DefaultOID, "adrelid": t.ID, "adnum": int(c.ID), "adbin": defaultText(env, &c)})
			}
		}
	}
	return nil
}

// defaultText is a default as SQL that means the same under the session's
// search path.
func defaultText(env *Env, c *schema.Column) string {
	if c.Sequence != 0 {
		if name, ok := (Names{env}).RelationName(types.OID(c.Sequence)); ok {
			return "nextval('" + strings.ReplaceAll(name, "'", "''") + "'::regclass)"
		}
	}
	return c.Default
}

func fillIndex(_ context.Context, env *Env, w *writer) error {
	for _, t := range env.Contents.Tables(env.Database.ID) {
		for _, ix := range namedIndexes(t) {
			var cols, colls, classes, opts []int64
			for _, c := range ix.Columns {
				typ := typeOf(t.ColumnByID(c.ID))
				colls = append(colls, int64(collation(typ)))
				classes = append(classes, opclassOf(typ))
				opts = append(opts, indexOption(c))
			}
			var exprs []string
			for _, id := range indexColumnIDs(ix) {
				if c := t.ColumnByID(id); c.Virtual {
					exprs = append(exprs, c.Default)
					id = 0
				}
				cols = append(cols, int64(id))
			}
			w.add(cells{"indexrelid": ix.OID, "indrelid": t.ID, "indnatts": len(cols), "indnkeyatts": len(ix.Columns),
				"indisunique": ix.Unique, "indisprimary": ix == &t.Primary, "indimmediate": true,
				"indisvalid": ix.IsPublic(), "indisready": ix.State != schema.IndexDeleteOnly, "indislive": true,
				"indexprs": when(len(exprs) > 0, strings.Join(exprs, ", ")), "indpred": when(ix.Where != 0, wherePredicate(t, ix)),
				"indkey": cols, "indcollation": colls, "indclass": classes, "indoption": opts})
		}
	}
	return nil
}

func wherePredicate(t *schema.Table, ix *schema.Index) string {
	if ix.Where == 0 {
		return ""
	}
	return t.ColumnByID(ix.Where).Default
}

// indexOption is indoption's bits: 1 descending, 2 NULLs first.
func indexOption(c schema.IndexColumn) int64 {
	if c.Desc {
		return 3
	}
	return 0
}

func fillConstraint(_ context.Context, env *Env, w *writer) error {
	for _, t := range env.Contents.Tables(env.Database.ID) {
		base := func(oid schema.DescID, name, kind string, cols []int64) cells {
			return cells{"oid": oid, "conname": name, "connamespace": t.SchemaID, "contype": kind, "convalidated": true,
				"conrelid": t.ID, "conislocal": true, "conkey": cols, "connoinherit": kind != "c",
				"confupdtype": " ", "confdeltype": " ", "confmatchtype": " "}
		}
		for _, ix := range t.AllIndexes() {
			if ix.ConstraintOID == 0 {
				continue
			}
			kind := "u"
			if ix == &t.Primary {
				kind = "p"
			}
			c := base(ix.ConstraintOID, ix.Name, kind, keyIDs(ix))
			c["conindid"] = ix.OID
			w.add(c)
		}
		for i := range t.Checks {
			ck := &t.Checks[i]
			c := base(ck.OID, ck.Name, "c", columnNumbers(ck.Columns))
			c["conbin"], c["convalidated"] = ck.Expr, !ck.NotValid
			w.add(c)
		}
		for i := range t.ForeignKeys {
			fk := &t.ForeignKeys[i]
			c := base(fk.OID, fk.Name, "f", columnNumbers(fk.Columns))
			c["confrelid"], c["conindid"], c["confkey"] = fk.Target, fk.TargetIndex, columnNumbers(fk.TargetColumns)
			c["confupdtype"], c["confdeltype"] = string(actionCodes[fk.OnUpdate]), string(actionCodes[fk.OnDelete])
			c["confmatchtype"] = map[bool]string{true: "f", false: "s"}[fk.MatchFull]
			c["condeferrable"], c["condeferred"], c["convalidated"] = fk.Deferrable, fk.InitiallyDeferred, !fk.NotValid
			c["confdelsetcols"] = when(len(fk.SetColumns) > 0, columnNumbers(fk.SetColumns))
			w.add(c)
		}
	}
	for _, ut := range env.Contents.Types(env.Database.ID) {
		for _, ck := range ut.Def.Checks {
			w.add(cells{"oid": int64(ck.OID), "conname": ck.Name, "connamespace": ut.SchemaID, "contype": "c", "convalidated": true,
				"contypid": ut.ID, "conislocal": true, "conbin": ck.Expr,
				"confupdtype": " ", "confdeltype": " ", "confmatchtype": " "})
		}
	}
	return nil
}

// actionCodes are pg_constraint's letters for referential actions.
const actionCodes = "arcnd"

func keyIDs(ix *schema.Index) []int64 {
	var out []int64
	for _, c := range ix.Columns {
		out = append(out, int64(c.ID))
	}
	return out
}

func columnNumbers(ids []schema.ColumnID) []int64 {
	var out []int64
	for _, id := range ids {
		out = append(out, int64(id))
	}
	return out
}

func fillSequence(_ context.Context, env *Env, w *writer) error {
	for _, q := range env.Contents.Sequences(env.Database.ID) {
		w.add(cells{"seqrelid": q.ID, "seqtypid": int64(q.Type.OID), "seqstart": q.Start, "seqincrement": q.Increment,
			"seqmax": q.Max, "seqmin": q.Min, "seqcache": q.Cache, "seqcycle": q.Cycle})
	}
	return nil
}

func fillDescription(_ context.Context, env *Env, w *writer) error {
	put := func(id schema.DescID, class, sub int, text string) {
		if text != "" {
			w.add(cells{"objoid": id, "classoid": class, "objsubid": sub, "description": text})
		}
	}
	for _, o := range env.Contents.Objects() {
		h := o.Head()
		if h.DatabaseID != env.Database.ID {
			continue
		}
		if o.Kind() == schema.KindSchema {
			put(h.ID, 2615, 0, h.Comment)
			continue
		}
		if o.Kind() == schema.KindType {
			put(h.ID, 1247, 0, h.Comment)
			t := o.(*schema.UserType)
			for i := range t.Def.Fields {
				put(h.ID, 1259, i+1, t.PartComment(uint32(i+1)))
			}
			for _, ck := range t.Def.Checks {
				put(schema.DescID(ck.OID), classConstraint, 0, t.PartComment(ck.OID))
			}
			continue
		}
		if o.Kind() == schema.KindFunction {
			put(h.ID, classProc, 0, h.Comment)
			continue
		}
		put(h.ID, 1259, 0, h.Comment)
		if v, ok := o.(*schema.View); ok {
			for _, c := range v.Columns {
				put(v.ID, 1259, int(c.ID), c.Comment)
			}
		}
		t, ok := o.(*schema.Table)
		if !ok {
			continue
		}
		for _, c := range t.Columns {
			put(t.ID, 1259, int(c.ID), c.Comment)
		}
		for _, ix := range t.AllIndexes() {
			put(ix.OID, 1259, 0, ix.Comment)
			put(ix.ConstraintOID, classConstraint, 0, ix.ConstraintComment)
		}
		for _, ck := range t.Checks {
			put(ck.OID, classConstraint, 0, ck.Comment)
		}
		for _, fk := range t.ForeignKeys {
			put(fk.OID, classConstraint, 0, fk.Comment)
		}
	}
	return nil
}

func fillShDescription(_ context.Context, env *Env, w *writer) error {
	for _, d := range env.Contents.Databases() {
		if d.Comment != "" {
			w.add(cells{"objoid": d.ID, "classoid": 1262, "description": d.Comment})
		}
	}
	for _, r := range env.Contents.Roles() {
		if r.Comment != "" {
			w.add(cells{"objoid": r.OID, "classoid": 1260, "description": r.Comment})
		}
	}
	return nil
}
