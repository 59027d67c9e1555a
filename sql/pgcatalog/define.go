package pgcatalog

import (
	"context"
	"strings"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/schema/usertype"
	"github.com/cairndb/cairn/sql/builtins"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/tablekv"
	"github.com/cairndb/cairn/sql/types"
)

// quoteIdent quotes a name that is not a plain lower-case word.
func quoteIdent(name string) string {
	plain := name != ""
	for i, r := range name {
		plain = plain && (r == '_' || r >= 'a' && r <= 'z' || i > 0 && (r >= '0' && r <= '9' || r == '$'))
	}
	if plain {
		return name
	}
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

func columnList(t *schema.Table, ids []schema.ColumnID) string {
	var out []string
	for _, id := range ids {
		out = append(out, quoteIdent(t.ColumnByID(id).Name))
	}
	return strings.Join(out, ", ")
}

// columnText is a key column of an index: a name, or an expression.
func columnText(t *schema.Table, id schema.ColumnID) string {
	c := t.ColumnByID(id)
	if c.Virtual {
		return tablekv.ColumnText(c)
	}
	return quoteIdent(c.Name)
}

// predicateText is the condition of a partial index.
func predicateText(t *schema.Table, ix *schema.Index) string {
	text := t.ColumnByID(ix.Where).Default
	if tablekv.IsCall(text) || t.Column(text) != nil {
		return text
	}
	return "(" + text + ")"
}

func predicate(t *schema.Table, ix *schema.Index) string {
	if ix.Where == 0 {
		return ""
	}
	return t.ColumnByID(ix.Where).Default
}

func accessMethod(ix *schema.Index) string {
	if ix.Inverted != "" {
		return "gin"
	}
	return "btree"
}

// indexColumnText is a key column of an index, of an inverted one what its terms are of, with the
// operator class unless that is the type's own.
func indexColumnText(t *schema.Table, ix *schema.Index, id schema.ColumnID) string {
	if ix.Inverted == "" {
		return columnText(t, id)
	}
	text := t.ColumnByID(id).Default
	text = strings.TrimSuffix(text[strings.IndexByte(text, '(')+1:], ")")
	if t.Column(text) == nil && !tablekv.IsCall(text) && !strings.HasPrefix(text, "\"") {
		text = "(" + text + ")"
	}
	if ix.Inverted == "jsonb_path_ops" {
		text += " jsonb_path_ops"
	}
	return text
}

// indexDef is the CREATE INDEX that would make the index.
func indexDef(env *Env, t *schema.Table, ix *schema.Index) string {
	var b strings.Builder
	b.WriteString("CREATE ")
	if ix.Unique {
		b.WriteString("UNIQUE ")
	}
	b.WriteString("INDEX " + quoteIdent(ix.Name) + " ON " + quoteIdent(namespaceOf(env, &t.Header)) + "." + quoteIdent(t.Name) + " USING " + accessMethod(ix) + " (")
	for i, c := range ix.Columns {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(indexColumnText(t, ix, c.ID))
		if c.Desc {
			b.WriteString(" DESC")
		}
	}
	b.WriteString(")")
	if len(ix.Stored) > 0 {
		b.WriteString(" INCLUDE (" + columnList(t, ix.Stored) + ")")
	}
	if ix.Where != 0 {
		b.WriteString(" WHERE " + predicateText(t, ix))
	}
	return b.String()
}

// Names answers what functions and casts ask about names and definitions. It
// implements builtins.Catalog and types.RegResolver.
type Names struct{ Env *Env }

var (
	_ builtins.Catalog  = Names{}
	_ types.RegResolver = Names{}
)

// indexByOID finds an index.
func (n Names) indexByOID(oid types.OID) (*schema.Table, *schema.Index) {
	for _, t := range n.owners(schema.DescID(oid)) {
		for _, ix := range namedIndexes(t) {
			if types.OID(ix.OID) == oid {
				return t, ix
			}
		}
	}
	return nil, nil
}

// ownersKey names the owners of numbers among what is derived from the contents.
type ownersKey struct{ database schema.DescID }

// owners are the tables that an index or a constraint of a number may be of: one at most, or all if that is not
// known of a transaction's own catalog.
func (n Names) owners(oid schema.DescID) []*schema.Table {
	all := n.Env.Contents.Tables(n.Env.Database.ID)
	owners, ok := n.Env.Contents.Derived(ownersKey{n.Env.Database.ID}, func() any {
		m := make(map[schema.DescID]*schema.Table, 2*len(all))
		for _, t := range all {
			for _, ix := range t.AllIndexes() {
				m[ix.OID], m[ix.ConstraintOID] = t, t
			}
			for _, ck := range t.Checks {
				m[ck.OID] = t
			}
			for i := range t.ForeignKeys {
				m[t.ForeignKeys[i].OID] = t
			}
		}
		delete(m, 0)
		return m
	})
	if !ok {
		return all
	}
	if t := owners.(map[schema.DescID]*schema.Table)[oid]; t != nil {
		return []*schema.Table{t}
	}
	return nil
}

// IndexDef implements builtins.Catalog: the definition, or that of a column. pretty leaves out the
// parentheses around a condition.
func (n Names) IndexDef(_ context.Context, index types.OID, column int, pretty bool) (string, bool, error) {
	t, ix := n.indexByOID(index)
	if ix == nil {
		return "", false, nil
	}
	if column == 0 {
		def := indexDef(n.Env, t, ix)
		if text := predicate(t, ix); pretty && text != "" {
			def = strings.TrimSuffix(def, predicateText(t, ix)) + text
		}
		return def, true, nil
	}
	ids := indexColumnIDs(ix)
	if column > len(ids) || column < 0 {
		return "", true, nil
	}
	return strings.TrimSuffix(indexColumnText(t, ix, ids[column-1]), " jsonb_path_ops"), true, nil
}

// ConstraintDef implements builtins.Catalog.
func (n Names) ConstraintDef(_ context.Context, oid types.OID) (string, bool, error) {
	for _, t := range n.owners(schema.DescID(oid)) {
		for _, ix := range t.AllIndexes() {
			if ix.ConstraintOID == 0 || types.OID(ix.ConstraintOID) != oid {
				continue
			}
			def := "UNIQUE ("
			if ix == &t.Primary {
				def = "PRIMARY KEY ("
			}
			def += columnList(t, indexColumnIDs(&schema.Index{Columns: ix.Columns})) + ")"
			if len(ix.Stored) > 0 {
				def += " INCLUDE (" + columnList(t, ix.Stored) + ")"
			}
			return def, true, nil
		}
		for _, ck := range t.Checks {
			if types.OID(ck.OID) == oid {
				def := "CHECK (" + ck.Expr + ")"
				if ck.NotValid {
					def += " NOT VALID"
				}
				return def, true, nil
			}
		}
		for i := range t.ForeignKeys {
			if fk := &t.ForeignKeys[i]; types.OID(fk.OID) == oid {
				return n.foreignKeyDef(t, fk), true, nil
			}
		}
	}
	for _, ut := range n.Env.Contents.Types(n.Env.Database.ID) {
		for _, ck := range ut.Def.Checks {
			if types.OID(ck.OID) == oid {
				return "CHECK (" + ck.Expr + ")", true, nil
			}
		}
	}
	return "", false, nil
}

// ruleNames are the words of referential actions.
var ruleNames = [...]string{"NO ACTION", "RESTRICT", "CASCADE", "SET NULL", "SET DEFAULT"}

func (n Names) foreignKeyDef(t *schema.Table, fk *schema.ForeignKey) string {
	target := n.Env.Contents.Table(fk.Target)
	name, _ := n.RelationName(types.OID(fk.Target))
	def := "FOREIGN KEY (" + columnList(t, fk.Columns) + ") REFERENCES " + name + "(" + columnList(target, fk.TargetColumns) + ")"
	if fk.MatchFull {
		def += " MATCH FULL"
	}
	if fk.OnUpdate != schema.RefNoAction {
		def += " ON UPDATE " + ruleNames[fk.OnUpdate]
	}
	if fk.OnDelete != schema.RefNoAction {
		def += " ON DELETE " + ruleNames[fk.OnDelete]
	}
	if len(fk.SetColumns) > 0 {
		def += " (" + columnList(t, fk.SetColumns) + ")"
	}
	if fk.Deferrable {
		def += " DEFERRABLE"
	}
	if fk.InitiallyDeferred {
		def += " INITIALLY DEFERRED"
	}
	if fk.NotValid {
		def += " NOT VALID"
	}
	return def
}

// ViewDef implements builtins.Catalog.
func (n Names) ViewDef(_ context.Context, view types.OID) (string, bool, error) {
	if v, ok := n.Env.Contents.Object(schema.DescID(view)).(*schema.View); ok {
		return " " + viewText(n.Env, v) + ";", true, nil
	}
	if t := n.Env.Contents.Table(schema.DescID(view)); t != nil && t.Matview != nil {
		return " " + matviewText(n.Env, t) + ";", true, nil
	}
	return "", false, nil
}

// UserName implements builtins.Catalog.
func (n Names) UserName(_ context.Context, role types.OID) (string, bool, error) {
	for _, r := range n.Env.Contents.Roles() {
		if types.OID(r.OID) == role {
			return r.Name, true, nil
		}
	}
	return "", false, nil
}

// relation finds any relation by number: its name and its schema's.
func (n Names) relation(oid types.OID) (sc, name string, ok bool) {
	for _, t := range All() {
		if t.OID == oid {
			return t.Schema, t.Name, true
		}
	}
	if o := n.Env.Contents.Object(schema.DescID(oid)); o != nil {
		if h := o.Head(); h.SchemaID != 0 && isRelation(o) && h.DatabaseID == n.Env.Database.ID {
			return namespaceOf(n.Env, h), h.Name, true
		}
		return "", "", false
	}
	if t, ix := n.indexByOID(oid); ix != nil {
		return namespaceOf(n.Env, &t.Header), ix.Name, true
	}
	return "", "", false
}

// isRelation says whether an object is in pg_class: of types, those of rows are.
func isRelation(o schema.Object) bool {
	if t, ok := o.(*schema.UserType); ok {
		return types.OfUser(&t.Def).IsComposite()
	}
	return o.Kind() != schema.KindFunction
}

// find resolves a name along the search path; pg_catalog comes first, as in
// Postgres unless the path names it.
func (n Names) find(sc, name string) (types.OID, bool) {
	if sc == "" {
		if t := Lookup("pg_catalog", name); t != nil {
			return t.OID, true
		}
		for _, p := range n.Env.SearchPath {
			if oid, ok := n.find(p, name); ok {
				return oid, true
			}
		}
		return 0, false
	}
	if t := Lookup(sc, name); t != nil {
		return t.OID, true
	}
	s := n.Env.Contents.Schema(n.Env.Database.ID, sc)
	if s == nil {
		return 0, false
	}
	o, ix := n.Env.Contents.Relation(s.ID, name)
	switch {
	case o == nil:
		if t := n.Env.Contents.Type(s.ID, name); t != nil && isRelation(t) {
			return types.OID(t.ID), true
		}
		return 0, false
	case ix != nil:
		return types.OID(ix.OID), true
	}
	return types.OID(o.Head().ID), true
}

// RelationVisible implements builtins.Catalog: whether the bare name finds it.
func (n Names) RelationVisible(_ context.Context, rel types.OID) (visible, ok bool, err error) {
	_, name, ok := n.relation(rel)
	if !ok {
		return false, false, nil
	}
	found, has := n.find("", name)
	return has && found == rel, true, nil
}

// RelationSizeBytes implements builtins.Catalog. The size of tables is not
// kept yet: NULL, not a wrong number.
func (n Names) RelationSizeBytes(context.Context, types.OID) (int64, bool, error) {
	return 0, false, nil
}

// SerialSequence implements builtins.Catalog.
func (n Names) SerialSequence(_ context.Context, table types.OID, column string) (string, bool, error) {
	t := n.Env.Contents.Table(schema.DescID(table))
	if t == nil {
		return "", false, nil
	}
	c := t.Column(column)
	if c == nil || c.Hidden {
		return "", false, sqlerr.New(sqlerr.UndefinedColumn, "column \"%s\" of relation \"%s\" does not exist", column, t.Name)
	}
	for _, q := range n.Env.Contents.Sequences(n.Env.Database.ID) {
		if q.OwnerTable == t.ID && q.OwnerColumn == c.ID {
			return quoteIdent(namespaceOf(n.Env, &q.Header)) + "." + quoteIdent(q.Name), true, nil
		}
	}
	return "", false, nil
}

// Comment implements builtins.Catalog.
func (n Names) Comment(_ context.Context, catalog string, object types.OID, column int) (string, bool, error) {
	if o := n.Env.Contents.Object(schema.DescID(object)); o != nil {
		text := o.Head().Comment
		if column != 0 || o.Kind() == schema.KindType && catalog == "pg_class" {
			text = ""
		}
		if t, ok := o.(*schema.Table); ok && column != 0 {
			if c := t.ColumnByID(schema.ColumnID(column)); c != nil {
				text = c.Comment
			}
		}
		if t, ok := o.(*schema.UserType); ok && column > 0 {
			text = t.PartComment(uint32(column))
		}
		if v, ok := o.(*schema.View); ok && column > 0 {
			for _, c := range v.Columns {
				if c.ID == schema.ColumnID(column) {
					text = c.Comment
				}
			}
		}
		return text, text != "", nil
	}
	if _, ix := n.indexByOID(object); ix != nil && column == 0 {
		return ix.Comment, ix.Comment != "", nil
	}
	if column != 0 {
		return "", false, nil
	}
	for _, t := range n.owners(schema.DescID(object)) {
		if text := constraintComment(t, schema.DescID(object)); text != "" {
			return text, true, nil
		}
	}
	for _, r := range n.Env.Contents.Roles() {
		if r.OID == schema.DescID(object) {
			return r.Comment, r.Comment != "", nil
		}
	}
	for _, t := range n.Env.Contents.Types(n.Env.Database.ID) {
		if text := t.PartComment(uint32(object)); text != "" && len(t.Def.Checks) > 0 {
			return text, true, nil
		}
	}
	return "", false, nil
}

func constraintComment(t *schema.Table, oid schema.DescID) string {
	for _, ck := range t.Checks {
		if ck.OID == oid {
			return ck.Comment
		}
	}
	for i := range t.ForeignKeys {
		if t.ForeignKeys[i].OID == oid {
			return t.ForeignKeys[i].Comment
		}
	}
	for _, ix := range t.AllIndexes() {
		if ix.ConstraintOID == oid && oid != 0 {
			return ix.ConstraintComment
		}
	}
	return ""
}

// Describe implements builtins.Catalog.
func (n Names) Describe(_ context.Context, class, object types.OID, column int) (string, bool, error) {
	o := n.Env.Contents.Object(schema.DescID(object))
	switch class {
	case classNamespace:
		name, ok := n.NamespaceName(object)
		return "schema " + name, ok, nil
	case 1247: // pg_type
		if t, ok := n.TypeByOID(object); ok {
			return "type " + n.TypeName(t), true, nil
		}
	case classProc:
		if f, ok := o.(*schema.Function); ok {
			return "function " + n.qualified(f) + "(" + strings.ReplaceAll(n.functionArgs(f, false), ", ", ",") + ")", true, nil
		}
	case classRelation:
		name, ok := n.RelationName(object)
		if !ok {
			return "", false, nil
		}
		what := "table "
		t, isTable := o.(*schema.Table)
		switch {
		case isTable && t.Matview != nil:
			what = "materialized view "
		case isTable && column != 0:
			if c := t.ColumnByID(schema.ColumnID(column)); c != nil {
				what = "column " + c.Name + " of table "
			}
		case o == nil:
			if _, ix := n.indexByOID(object); ix != nil {
				what = "index "
			}
		case o.Kind() == schema.KindView:
			what = "view "
		case o.Kind() == schema.KindSequence:
			what = "sequence "
		}
		return what + name, true, nil
	}
	return "", false, nil
}

func (n Names) qualified(f *schema.Function) string {
	return quoteIdent(namespaceOf(n.Env, &f.Header)) + "." + quoteIdent(f.Name)
}

// RelationByName implements types.RegResolver.
func (n Names) RelationByName(name string) (types.OID, error) {
	parts, err := splitName(name)
	if err != nil {
		return 0, err
	}
	sc := ""
	if len(parts) > 1 {
		sc = parts[len(parts)-2]
	}
	if sc == "pg_temp" && n.Env.Temp != "" {
		sc = n.Env.Temp
	}
	if oid, ok := n.find(sc, parts[len(parts)-1]); ok {
		return oid, nil
	}
	if sc != "" && n.Env.Contents.Schema(n.Env.Database.ID, sc) == nil && fixedNamespaceOf(sc) == 0 {
		return 0, sqlerr.New(sqlerr.InvalidSchemaName, "schema \"%s\" does not exist", sc)
	}
	return 0, sqlerr.New(sqlerr.UndefinedTable, "relation \"%s\" does not exist", strings.Join(parts, "."))
}

func fixedNamespaceOf(name string) int {
	switch name {
	case "pg_catalog", "information_schema", "cairn":
		return fixedNamespace(name)
	}
	return 0
}

// RelationName implements types.RegResolver.
func (n Names) RelationName(oid types.OID) (string, bool) {
	sc, name, ok := n.relation(oid)
	if !ok {
		return "", false
	}
	if found, has := n.find("", name); has && found == oid {
		return quoteIdent(name), true
	}
	return quoteIdent(sc) + "." + quoteIdent(name), true
}

// NamespaceByName implements types.RegResolver.
func (n Names) NamespaceByName(name string) (types.OID, error) {
	parts, err := splitName(name)
	if err != nil {
		return 0, err
	}
	if f := fixedNamespaceOf(parts[0]); f != 0 {
		return types.OID(f), nil
	}
	if s := n.Env.Contents.Schema(n.Env.Database.ID, parts[0]); s != nil {
		return types.OID(s.ID), nil
	}
	return 0, sqlerr.New(sqlerr.InvalidSchemaName, "schema \"%s\" does not exist", parts[0])
}

// NamespaceName implements types.RegResolver.
func (n Names) NamespaceName(oid types.OID) (string, bool) {
	for _, name := range []string{"pg_catalog", "information_schema", "cairn"} {
		if types.OID(fixedNamespace(name)) == oid {
			return name, true
		}
	}
	if s := n.Env.Contents.SchemaByID(schema.DescID(oid)); s != nil {
		return quoteIdent(s.Name), true
	}
	return "", false
}

// TypeByName implements types.RegResolver: a type made by a user, or, with [] behind its name, the
// arrays of it.
func (n Names) TypeByName(name string) (types.T, bool) {
	elem, array := strings.CutSuffix(strings.TrimSpace(name), "[]")
	parts, err := splitName(elem)
	if err != nil || len(parts) > 2 {
		return types.T{}, false
	}
	path := n.Env.SearchPath
	if len(parts) == 2 {
		path = parts[:1]
	}
	for _, p := range path {
		sc := n.Env.Contents.Schema(n.Env.Database.ID, p)
		if sc == nil {
			continue
		}
		var u *usertype.Type
		if ut := n.Env.Contents.Type(sc.ID, parts[len(parts)-1]); ut != nil {
			u = &ut.Def
		} else if o, ix := n.Env.Contents.Relation(sc.ID, parts[len(parts)-1]); o != nil && ix == nil {
			u = n.Env.Contents.RowType(o)
		}
		if u == nil {
			continue
		}
		t := types.OfUser(u)
		if array {
			return t.Array()
		}
		return t, true
	}
	return types.T{}, false
}

// TypeByOID implements types.RegResolver.
func (n Names) TypeByOID(oid types.OID) (types.T, bool) {
	var u *usertype.Type
	if ut := n.Env.Contents.TypeByOID(uint32(oid)); ut != nil {
		u = &ut.Def
	} else if u = n.Env.Contents.RowTypeByOID(uint32(oid)); u == nil {
		return types.T{}, false
	}
	t := types.OfUser(u)
	if t.OID != oid {
		return t.Array()
	}
	return t, true
}

// TypeName implements types.RegResolver.
func (n Names) TypeName(t types.T) string {
	name := quoteIdent(t.User.Name)
	if found, ok := n.TypeByName(name); !ok || found.User.OID != t.User.OID {
		name = quoteIdent(t.User.Schema) + "." + name
	}
	if t.IsArray() && !t.IsDomain() {
		name += "[]"
	}
	return name
}

// Expr implements builtins.Catalog: a stored expression of a table as it has to be written under the
// session's search path. Of types only that of a literal that is a default is found.
func (n Names) Expr(_ context.Context, text string, table types.OID) string {
	t := n.Env.Contents.Table(schema.DescID(table))
	if t == nil {
		return text
	}
	for i := range t.Columns {
		typ := typeOf(&t.Columns[i]).Base()
		if typ.User == nil {
			continue
		}
		for _, name := range []string{typ.String(), quoteIdent(typ.User.Schema) + "." + typ.String()} {
			if literal, ok := strings.CutSuffix(text, "::"+name); ok && !strings.HasSuffix(literal, ".") {
				return literal + "::" + n.TypeName(typ)
			}
		}
	}
	return text
}

// splitName cuts a qualified name at its dots; quoted parts are taken as they
// are, others in lower case.
func splitName(s string) ([]string, error) {
	var parts []string
	for rest := strings.TrimSpace(s); ; {
		var part string
		if strings.HasPrefix(rest, `"`) {
			end := closingQuote(rest)
			if end < 0 {
				return nil, sqlerr.New(sqlerr.InvalidName, "invalid name syntax")
			}
			part, rest = strings.ReplaceAll(rest[1:end], `""`, `"`), rest[end+1:]
		} else if i := strings.IndexByte(rest, '.'); i >= 0 {
			part, rest = strings.ToLower(rest[:i]), rest[i:]
		} else {
			part, rest = strings.ToLower(rest), ""
		}
		if part == "" {
			return nil, sqlerr.New(sqlerr.InvalidName, "invalid name syntax")
		}
		parts = append(parts, part)
		if rest == "" {
			return parts, nil
		}
		if rest[0] != '.' {
			return nil, sqlerr.New(sqlerr.InvalidName, "invalid name syntax")
		}
		rest = rest[1:]
	}
}

func closingQuote(s string) int {
	for i := 1; i < len(s); i++ {
		if s[i] != '"' {
			continue
		}
		if i+1 < len(s) && s[i+1] == '"' {
			i++
			continue
		}
		return i
	}
	return -1
}
