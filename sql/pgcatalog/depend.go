package pgcatalog

import (
	"context"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/builtins"
)

// Catalogs that pg_depend's rows point into.
const (
	classAttrdef    = 2604
	classProc       = 1255
	classRewrite    = 2618
	classRelation   = 1259
	classNamespace  = 2615
	classConstraint = 2606
	classExtension  = 3079
)

// extensionCairn holds schema cairn. A number below 16384 is one of initdb's:
// pg_dump takes the extension, and with it all of the schema, to be there.
const extensionCairn = 13200

func fillExtension(_ context.Context, env *Env, w *writer) error {
	db := env.Contents.DatabaseByID(env.Database.ID)
	for i := 0; db != nil && i < len(db.Extensions); i++ {
		e := db.Extensions[i]
		public := env.Contents.Schema(env.Database.ID, schema.PublicSchema)
		c := cells{"oid": e.OID, "extname": e.Name, "extowner": ownerOID(env, e.Owner), "extrelocatable": true, "extversion": builtins.Extensions()[e.Name]}
		if public != nil {
			c["extnamespace"] = public.ID
		}
		w.add(c)
	}
	w.add(cells{"oid": extensionCairn, "extname": "cairn", "extowner": 10, "extnamespace": oidCairn, "extversion": "1.0"})
	return nil
}

// fillDepend says what pg_dump orders objects by: which column owns a sequence,
// which default calls one, what a view reads, and what comes with Cairn.
func fillDepend(_ context.Context, env *Env, w *writer) error {
	put := func(class int, obj any, sub int, refClass int, ref any, refSub int, kind string) {
		w.add(cells{"classid": class, "objid": obj, "objsubid": sub, "refclassid": refClass, "refobjid": ref,
			"refobjsubid": refSub, "deptype": kind})
	}
	put(classNamespace, oidCairn, 0, classExtension, extensionCairn, 0, "e")
	for _, t := range w.t.in.all {
		if t.Schema == "cairn" {
			put(classRelation, t.OID, 0, classExtension, extensionCairn, 0, "e")
		}
	}
	for _, q := range env.Contents.Sequences(env.Database.ID) {
		t := env.Contents.Table(q.OwnerTable)
		if t == nil || t.ColumnByID(q.OwnerColumn) == nil {
			continue
		}
		kind := "a"
		if t.ColumnByID(q.OwnerColumn).Identity != schema.IdentityNone {
			kind = "i"
		}
		put(classRelation, q.ID, 0, classRelation, t.ID, int(q.OwnerColumn), kind)
	}
	for _, t := range env.Contents.Tables(env.Database.ID) {
		for _, c := range t.VisibleColumns() {
			if c.Default == "" || c.DefaultOID == 0 {
				continue
			}
			put(classAttrdef, c.DefaultOID, 0, classRelation, t.ID, int(c.ID), "a")
			if c.Sequence != 0 {
				put(classAttrdef, c.DefaultOID, 0, classRelation, c.Sequence, 0, "n")
			}
		}
	}
	for _, t := range env.Contents.Tables(env.Database.ID) {
		if t.Matview == nil {
			continue
		}
		put(classRewrite, t.ID, 0, classRelation, t.ID, 0, "i")
		for _, id := range t.Matview.DependsOn {
			put(classRewrite, t.ID, 0, classOf(env, id), id, 0, "n")
		}
	}
	for _, v := range env.Contents.Views(env.Database.ID) {
		put(classRewrite, v.ID, 0, classRelation, v.ID, 0, "i")
		for _, id := range v.DependsOn {
			put(classRewrite, v.ID, 0, classOf(env, id), id, 0, "n")
		}
	}
	for _, f := range env.Contents.Functions(env.Database.ID) {
		if f.RowsOf != 0 {
			put(classProc, f.ID, 0, classRelation, f.RowsOf, 0, "n")
		}
	}
	return nil
}

// classOf is the catalog that holds an object.
func classOf(env *Env, id schema.DescID) int {
	if o := env.Contents.Object(id); o != nil && o.Kind() == schema.KindFunction {
		return classProc
	}
	return classRelation
}

// fillRewrite has each view's rule; the views' numbers serve for them.
func fillRewrite(_ context.Context, env *Env, w *writer) error {
	for _, t := range env.Contents.Tables(env.Database.ID) {
		if t.Matview != nil {
			w.add(cells{"oid": t.ID, "rulename": "_RETURN", "ev_class": t.ID, "ev_type": "1", "ev_enabled": "O", "is_instead": true})
		}
	}
	for _, v := range env.Contents.Views(env.Database.ID) {
		w.add(cells{"oid": v.ID, "rulename": "_RETURN", "ev_class": v.ID, "ev_type": "1", "ev_enabled": "O", "is_instead": true})
	}
	return nil
}

// fillLanguage has the languages that every Postgres has; functions of users
// are not there.
func fillLanguage(_ context.Context, _ *Env, w *writer) error {
	for oid, name := range map[int64]string{12: "internal", 13: "c", languageOIDs[schema.SQL]: "sql", languageOIDs[schema.PLpgSQL]: "plpgsql"} {
		procedural := name == "plpgsql"
		w.add(cells{"oid": oid, "lanname": name, "lanowner": 10, "lanispl": procedural, "lanpltrusted": name == "sql" || procedural})
	}
	return nil
}
