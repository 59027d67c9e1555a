package pgcatalog

import (
	"cmp"
	"context"
	"hash/fnv"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/builtins"
	"github.com/cairndb/cairn/sql/types"
)

func fillDatabase(_ context.Context, env *Env, w *writer) error {
	for _, d := range env.Contents.Databases() {
		w.add(cells{"oid": d.ID, "datname": d.Name, "datdba": ownerOID(env, d.Owner), "datacl": aclOf(d), "encoding": 6, "datlocprovider": "c",
			"datallowconn": true, "datconnlimit": -1, "dattablespace": oidTablespace, "datcollate": "C.UTF-8", "datctype": "C.UTF-8"})
	}
	return nil
}

func fillTablespace(_ context.Context, _ *Env, w *writer) error {
	w.add(cells{"oid": oidTablespace, "spcname": "pg_default", "spcowner": 10})
	w.add(cells{"oid": 1664, "spcname": "pg_global", "spcowner": 10})
	return nil
}

func fillAm(_ context.Context, _ *Env, w *writer) error {
	w.add(cells{"oid": oidHeap, "amname": "heap", "amtype": "t"})
	w.add(cells{"oid": oidBtree, "amname": "btree", "amtype": "i"})
	w.add(cells{"oid": oidGin, "amname": "gin", "amtype": "i"})
	return nil
}

func fillCollation(_ context.Context, _ *Env, w *writer) error {
	w.add(cells{"oid": oidCollation, "collname": "default", "collnamespace": oidPgCatalog, "collowner": 10, "collprovider": "d",
		"collisdeterministic": true, "collencoding": -1})
	for oid, name := range map[int]string{950: "C", 951: "POSIX"} {
		w.add(cells{"oid": oid, "collname": name, "collnamespace": oidPgCatalog, "collowner": 10, "collprovider": "c",
			"collisdeterministic": true, "collencoding": -1, "collcollate": name, "collctype": name})
	}
	return nil
}

// opclasses are Postgres's default btree operator classes of our types.
var opclasses = []struct {
	oid  int64
	name string
	typ  types.OID
}{
	{10003, "bool_ops", types.OIDBool}, {10004, "bpchar_ops", types.OIDBPChar}, {10006, "bytea_ops", types.OIDBytea},
	{10007, "char_ops", types.OIDChar}, {3122, "date_ops", types.OIDDate}, {10012, "float4_ops", types.OIDFloat4},
	{3123, "float8_ops", types.OIDFloat8}, {1979, "int2_ops", types.OIDInt2}, {1978, "int4_ops", types.OIDInt4},
	{3124, "int8_ops", types.OIDInt8}, {10022, "interval_ops", types.OIDInterval}, {10028, "name_ops", types.OIDName},
	{3125, "numeric_ops", types.OIDNumeric}, {1981, "oid_ops", types.OIDOid}, {3126, "text_ops", types.OIDText},
	{10038, "time_ops", types.OIDTime}, {3127, "timestamptz_ops", types.OIDTimestampTZ},
	{3128, "timestamp_ops", types.OIDTimestamp}, {10065, "uuid_ops", types.OIDUUID}, {10088, "jsonb_ops", types.OIDJSONB},
	{10015, "inet_ops", types.OIDInet}, {10024, "macaddr_ops", types.OIDMacaddr}, {10026, "macaddr8_ops", types.OIDMacaddr8},
	{10041, "timetz_ops", types.OIDTimeTZ}, {10002, "bit_ops", types.OIDBit}, {10043, "varbit_ops", types.OIDVarbit},
	{10000, "array_ops", types.OIDAnyArray}, {10076, "range_ops", types.OIDAnyRange},
}

func opclassOf(t types.T) int64 {
	want := t.OID
	switch {
	case t.OID == types.OIDVarchar:
		want = types.OIDText
	case t.OID == types.OIDCidr:
		want = types.OIDInet
	case t.IsArray():
		want = types.OIDAnyArray
	case t.IsRange():
		want = types.OIDAnyRange
	}
	for _, o := range opclasses {
		if o.typ == want {
			return o.oid
		}
	}
	return 0
}

func fillOpclass(_ context.Context, _ *Env, w *writer) error {
	for _, o := range opclasses {
		w.add(cells{"oid": o.oid, "opcmethod": oidBtree, "opcname": o.name, "opcnamespace": oidPgCatalog, "opcowner": 10,
			"opcintype": o.typ, "opcdefault": true})
	}
	return nil
}

func fillType(_ context.Context, env *Env, w *writer) error {
	for _, t := range types.All() {
		kind := "b"
		if t.Category() == types.CategoryPseudo || t.OID == types.OIDUnknown {
			kind = "p"
		}
		if t.IsRange() {
			kind = "r"
		}
		c := cells{"oid": t.OID, "typname": t.TypeName(), "typnamespace": oidPgCatalog, "typowner": 10, "typlen": t.Len(),
			"typbyval": t.ByVal(), "typtype": kind, "typcategory": string(rune(t.Category())), "typispreferred": t.Preferred(),
			"typisdefined": true, "typdelim": ",", "typalign": align(t), "typstorage": storage(t), "typtypmod": -1,
			"typcollation": collation(t)}
		ioOf(t).fill(c)
		if elem, ok := t.Elem(); ok {
			c["typelem"] = elem.OID
		}
		if arr, ok := t.Array(); ok {
			if _, known := types.Of(arr.OID); known {
				c["typarray"] = arr.OID
			}
		}
		w.add(c)
	}
	for _, ut := range env.Contents.Types(env.Database.ID) {
		addUserType(env, &ut.Header, types.OfUser(&ut.Def), w)
	}
	for _, t := range env.Contents.Tables(env.Database.ID) {
		addUserType(env, &t.Header, types.OfUser(env.Contents.RowType(t)), w)
	}
	for _, v := range env.Contents.Views(env.Database.ID) {
		addUserType(env, &v.Header, types.OfUser(env.Contents.RowType(v)), w)
	}
	return nil
}

func fillRange(_ context.Context, _ *Env, w *writer) error {
	for _, t := range types.All() {
		if sub, ok := t.Subtype(); ok {
			w.add(cells{"rngtypid": t.OID, "rngsubtype": sub.OID, "rngsubopc": opclassOf(sub)})
		}
	}
	return nil
}

// addUserType adds a user's type, or the row type of a table, and that of arrays of it.
func addUserType(env *Env, h *schema.Header, t types.T, w *writer) {
	base := func(t types.T) cells {
		c := cells{"oid": t.OID, "typname": t.TypeName(), "typnamespace": h.SchemaID, "typowner": ownerOID(env, h.Owner),
			"typlen": t.Len(), "typbyval": t.ByVal(), "typtype": "b", "typcategory": string(rune(t.Category())), "typisdefined": true,
			"typdelim": ",", "typalign": align(t), "typstorage": storage(t), "typtypmod": -1, "typcollation": collation(t.Plain())}
		ioOf(t).fill(c)
		if ut, ok := env.Contents.Object(h.ID).(*schema.UserType); ok {
			c["typacl"] = aclOf(ut)
		}
		return c
	}
	c := base(t)
	switch {
	case t.IsEnum():
		c["typtype"], c["typcollation"] = "e", 0
	case t.IsComposite(): // its number in pg_class is the same
		c["typtype"], c["typrelid"], c["typcollation"], c["typalign"] = "c", t.OID, 0, "d"
	case t.IsDomain():
		c["typtype"], c["typbasetype"], c["typtypmod"] = "d", int64(t.User.BaseOID), t.User.BaseMod
		c["typnotnull"], c["typdefault"] = t.User.NotNull, orNull(t.User.Default)
	}
	arr, ok := t.Array()
	if ok {
		c["typarray"] = arr.OID
	}
	w.add(c)
	if ok {
		c := base(arr)
		c["typelem"], c["typcollation"] = t.OID, 0
		w.add(c)
	}
}

func fillEnum(_ context.Context, env *Env, w *writer) error {
	for _, ut := range env.Contents.Types(env.Database.ID) {
		for i, l := range ut.Def.Labels {
			w.add(cells{"oid": int64(l.OID), "enumtypid": ut.ID, "enumsortorder": i + 1, "enumlabel": l.Name})
		}
	}
	return nil
}

// madeOID numbers functions and operators, whose Postgres numbers nobody
// keeps: by a hash of their signature, so that it is the same on every node.
func madeOID(o *builtins.Overload) int64 {
	h := fnv.New32a()
	h.Write([]byte(o.Name))
	for _, a := range o.Args {
		h.Write([]byte{0})
		h.Write([]byte(a.String()))
	}
	return int64(h.Sum32()%1_000_000_000) + 1_000_000_000
}

func fillProc(_ context.Context, env *Env, w *writer) error {
	fillUserProc(env, w)
	for _, o := range builtins.All() {
		if o.Op {
			continue
		}
		kind := "f"
		if o.Class == builtins.Aggregate {
			kind = "a"
		}
		w.add(cells{"oid": madeOID(o), "proname": o.Name, "pronamespace": oidPgCatalog, "proowner": 10, "prolang": 12, "prokind": kind,
			"proisstrict": o.Strict, "proretset": o.Class == builtins.SetReturning, "provolatile": string(rune(o.Vol)),
			"proparallel": "u", "pronargs": len(o.Args), "pronargdefaults": o.Defaults, "prorettype": o.Ret.OID,
			"proargtypes": argTypes(o), "prosrc": o.Name})
	}
	for _, f := range allIO() {
		w.add(cells{"oid": f.oid, "proname": f.name, "pronamespace": oidPgCatalog, "proowner": 10, "prolang": 12, "prokind": "f",
			"proisstrict": true, "provolatile": "s", "proparallel": "s", "pronargs": 1, "prorettype": types.OIDAny,
			"proargtypes": []int64{int64(types.OIDAny)}, "prosrc": f.name})
	}
	return nil
}

func argTypes(o *builtins.Overload) []int64 {
	var out []int64
	for _, a := range o.Args {
		out = append(out, int64(a.OID))
	}
	return out
}

func fillOperator(_ context.Context, _ *Env, w *writer) error {
	for _, o := range builtins.All() {
		if !o.Op {
			continue
		}
		c := cells{"oid": madeOID(o), "oprname": o.Name, "oprnamespace": oidPgCatalog, "oprowner": 10, "oprkind": "b",
			"oprresult": o.Ret.OID}
		if len(o.Args) == 1 {
			c["oprkind"], c["oprright"] = "l", o.Args[0].OID
		} else {
			c["oprleft"], c["oprright"] = o.Args[0].OID, o.Args[1].OID
		}
		w.add(c)
	}
	return nil
}

func roleCells(r *schema.Role) cells {
	return cells{"oid": r.OID, "rolname": r.Name, "rolsuper": r.Superuser, "rolinherit": !r.NoInherit,
		"rolcreaterole": r.CreateRole, "rolcreatedb": r.CreateDB, "rolcanlogin": r.Login, "rolconnlimit": r.ConnLimit,
		"rolreplication": false, "rolbypassrls": r.BypassRLS}
}

func fillRoles(_ context.Context, env *Env, w *writer) error {
	for _, r := range env.Contents.Roles() {
		c := roleCells(r)
		c["rolpassword"], c["rolconfig"] = "********", settingsOf(r)
		w.add(c)
	}
	return nil
}

// settingTexts are settings as Postgres keeps them, NULL for none.
func settingTexts(list []schema.Setting) any {
	if len(list) == 0 {
		return nil
	}
	out := make([]string, len(list))
	for i, x := range list {
		out[i] = x.Name + "=" + x.Value
	}
	return out
}

// settingsOf are those of a role in all databases.
func settingsOf(r *schema.Role) any {
	for _, x := range r.Settings {
		if x.Database == 0 {
			return settingTexts(x.Settings)
		}
	}
	return nil
}

func fillRoleSettings(_ context.Context, env *Env, w *writer) error {
	for _, db := range env.Contents.Databases() {
		if len(db.Settings) > 0 {
			w.add(cells{"setdatabase": db.ID, "setconfig": settingTexts(db.Settings)})
		}
	}
	for _, r := range env.Contents.Roles() {
		for _, x := range r.Settings {
			w.add(cells{"setdatabase": x.Database, "setrole": r.OID, "setconfig": settingTexts(x.Settings)})
		}
	}
	return nil
}

// isSuper tells whether the session may see passwords.
func isSuper(env *Env) bool {
	r := env.Contents.Role(env.User)
	return r != nil && r.Superuser
}

func fillAuthid(_ context.Context, env *Env, w *writer) error {
	for _, r := range env.Contents.Roles() {
		c := roleCells(r)
		if isSuper(env) {
			c["rolpassword"] = orNull(r.Verifier)
		}
		w.add(c)
	}
	return nil
}

func fillUser(_ context.Context, env *Env, w *writer) error {
	return users(env, w, func(*schema.Role) any { return "********" })
}

func fillShadow(_ context.Context, env *Env, w *writer) error {
	return users(env, w, func(r *schema.Role) any { return when(isSuper(env) && r.Verifier != "", r.Verifier) })
}

func users(env *Env, w *writer, password func(*schema.Role) any) error {
	for _, r := range env.Contents.Roles() {
		if r.Login {
			w.add(cells{"usename": r.Name, "usesysid": r.OID, "usecreatedb": r.CreateDB, "usesuper": r.Superuser,
				"userepl": false, "usebypassrls": r.BypassRLS, "passwd": password(r), "useconfig": settingsOf(r)})
		}
	}
	return nil
}

func fillAuthMembers(_ context.Context, env *Env, w *writer) error {
	for _, r := range env.Contents.Roles() {
		for _, g := range r.MemberOf {
			if gr := env.Contents.Role(g); gr != nil {
				w.add(cells{"roleid": gr.OID, "member": r.OID, "grantor": 10})
			}
		}
	}
	return nil
}

func fillGroup(_ context.Context, env *Env, w *writer) error {
	for _, g := range env.Contents.Roles() {
		if g.Login {
			continue
		}
		members := []int64{}
		for _, r := range env.Contents.Roles() {
			for _, name := range r.MemberOf {
				if name == g.Name {
					members = append(members, int64(r.OID))
				}
			}
		}
		w.add(cells{"groname": g.Name, "grosysid": g.OID, "grolist": members})
	}
	return nil
}

func fillCursors(_ context.Context, env *Env, w *writer) error {
	if env.Cursors == nil {
		return nil
	}
	for _, c := range env.Cursors() {
		w.add(cells{"name": c.Name, "statement": c.Statement, "is_holdable": c.Holdable, "is_binary": c.Binary,
			"is_scrollable": c.Scrollable, "creation_time": types.NewTimestampTZ(types.StampOfTime(c.Created))})
	}
	return nil
}

func fillPrepared(_ context.Context, env *Env, w *writer) error {
	if env.Prepared == nil {
		return nil
	}
	for _, p := range env.Prepared() {
		args := make([]types.Datum, len(p.Params))
		for i, t := range p.Params {
			args[i] = types.NewOID(t)
		}
		w.add(cells{"name": p.Name, "statement": p.Statement, "prepare_time": types.NewTimestampTZ(types.StampOfTime(p.Made)),
			"parameter_types": types.NewArray(types.T{OID: types.OIDRegType, Mod: -1}, args), "from_sql": p.FromSQL, "generic_plans": int64(0), "custom_plans": int64(0)})
	}
	return nil
}

func fillSettings(_ context.Context, env *Env, w *writer) error {
	if env.Settings == nil {
		return nil
	}
	for _, s := range env.Settings() {
		typ := s.VarType
		if typ == "" {
			typ = "string"
		}
		w.add(cells{"name": s.Name, "setting": s.Value, "unit": orNull(s.Unit), "category": "Cairn", "short_desc": s.Description,
			"context": cmp.Or(s.Context, "user"), "vartype": typ, "source": s.Source, "boot_val": s.Default, "reset_val": s.Reset,
			"pending_restart": false})
	}
	return nil
}

func fillTables(_ context.Context, env *Env, w *writer) error {
	for _, t := range w.t.in.all {
		if !t.View {
			w.add(cells{"schemaname": t.Schema, "tablename": t.Name, "tableowner": schema.RootUser, "hasindexes": false,
				"hasrules": false, "hastriggers": false, "rowsecurity": false})
		}
	}
	for _, t := range env.Contents.Tables(env.Database.ID) {
		if t.Matview != nil {
			continue
		}
		w.add(cells{"schemaname": namespaceOf(env, &t.Header), "tablename": t.Name, "tableowner": t.Owner,
			"hasindexes": len(namedIndexes(t)) > 0, "hasrules": false, "hastriggers": false, "rowsecurity": t.RowSecurity})
	}
	return nil
}

func fillViews(_ context.Context, env *Env, w *writer) error {
	for _, v := range env.Contents.Views(env.Database.ID) {
		w.add(cells{"schemaname": namespaceOf(env, &v.Header), "viewname": v.Name, "viewowner": v.Owner,
			"definition": " " + viewText(env, v) + ";"})
	}
	return nil
}

func fillIndexes(_ context.Context, env *Env, w *writer) error {
	for _, t := range env.Contents.Tables(env.Database.ID) {
		for _, ix := range namedIndexes(t) {
			w.add(cells{"schemaname": namespaceOf(env, &t.Header), "tablename": t.Name, "indexname": ix.Name,
				"indexdef": indexDef(env, t, ix)})
		}
	}
	return nil
}

func fillSequences(ctx context.Context, env *Env, w *writer) error {
	for _, q := range env.Contents.Sequences(env.Database.ID) {
		c := cells{"schemaname": namespaceOf(env, &q.Header), "sequencename": q.Name, "sequenceowner": q.Owner,
			"data_type": int64(q.Type.OID), "start_value": q.Start, "min_value": q.Min, "max_value": q.Max,
			"increment_by": q.Increment, "cycle": q.Cycle, "cache_size": q.Cache}
		if env.Sequences != nil {
			last, called, err := env.Sequences(ctx, q)
			if err != nil {
				return err
			}
			c["last_value"] = when(called, last)
		}
		w.add(c)
	}
	return nil
}
