package ddl

import (
	"strings"
	"unicode"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/sql/sqlerr"
)

// refusals are the statements that are not there, by their first words, with what to do instead.
var refusals = []struct{ words, hint string }{
	{"CREATE TRIGGER", noTriggers},
	{"CREATE EVENT TRIGGER", noTriggers},
	{"CREATE RULE", "A simple view can be written through without a rule."},
	{"CREATE PUBLICATION", noLogical},
	{"CREATE SUBSCRIPTION", noLogical},
	{"CREATE SERVER", noForeign},
	{"CREATE FOREIGN", noForeign},
	{"CREATE USER MAPPING", noForeign},
	{"IMPORT FOREIGN", noForeign},
	{"CREATE STATISTICS", "ANALYZE keeps statistics of each column."},
	{"CREATE AGGREGATE", "Write a function of an array, and give it array_agg(…)."},
	{"CREATE OPERATOR", "Write a function."},
	{"CREATE CAST", "Write a function that converts."},
	{"CREATE CONVERSION", "All text is UTF8."},
	{"CREATE TRANSFORM", "Functions are written in SQL and PL/pgSQL, which need none."},
	{"CREATE LANGUAGE", "Functions are written in SQL and PL/pgSQL."},
	{"CREATE COLLATION", "Texts are ordered by their bytes (collation C)."},
	{"CREATE TEXT SEARCH", noTextSearch},
	{"CREATE TABLESPACE", noTablespaces},
	{"CREATE ACCESS METHOD", "Tables are kept in ranges, replicated by Raft."},
	{"LOAD", "Extensions are built in; CREATE EXTENSION says which there are."},
	{"SECURITY LABEL", "Use GRANT, and row-level security (CREATE POLICY)."},
	{"ALTER DEFAULT PRIVILEGES", "GRANT after each CREATE, or GRANT … ON ALL TABLES IN SCHEMA."},
	{"REASSIGN OWNED", "Change the owner of each object: ALTER … OWNER TO."},
}

const (
	noTriggers    = "Use defaults, generated columns, CHECK constraints and foreign keys with their actions."
	noLogical     = "Every table is replicated to several nodes by itself; rows leave the cluster by COPY or a query."
	noForeign     = "Bring the data in with COPY."
	noTextSearch  = "Use LIKE and regular expressions, or jsonb and arrays with a gin index."
	noTablespaces = "ALTER TABLE … SET (locality = '…') says on which nodes a table's replicas are."
)

// unsupportedStatement names the statement that is refused, by its first words.
func unsupportedStatement(n *pg.Node) error {
	text, err := stmtText(n)
	if err != nil {
		return sqlerr.Unsupported("this statement")
	}
	for _, r := range refusals {
		if strings.HasPrefix(text, r.words) {
			return sqlerr.Unsupported("%s", leadingWords(text)).WithHint("%s", r.hint)
		}
	}
	return sqlerr.Unsupported("%s", leadingWords(text)).WithHint("Cairn reads all of PostgreSQL's grammar; docs/postgres-differences.md lists what it does not run.")
}

// leadingWords are a statement's first words, up to three, that are not names.
func leadingWords(text string) string {
	var name []string
	for _, w := range strings.Fields(text) {
		if len(name) == 3 || w != strings.ToUpper(w) || !unicode.IsLetter(rune(w[0])) || strings.ContainsAny(w, "(\"'") {
			break
		}
		name = append(name, w)
	}
	if last := len(name) - 1; last > 0 && (name[last] == "ON" || name[last] == "FOR") {
		name = name[:last]
	}
	return strings.Join(name, " ")
}

// alterRefusals are the parts of ALTER TABLE that are not there, as SQL writes them, with what to do instead.
var alterRefusals = map[pg.AlterTableType]struct{ words, hint string }{
	pg.AlterTableType_AT_SetTableSpace:             {"SET TABLESPACE", noTablespaces},
	pg.AlterTableType_AT_AddInherit:                {"INHERIT", noInheritance},
	pg.AlterTableType_AT_DropInherit:               {"NO INHERIT", noInheritance},
	pg.AlterTableType_AT_AttachPartition:           {"ATTACH PARTITION", noPartitions},
	pg.AlterTableType_AT_DetachPartition:           {"DETACH PARTITION", noPartitions},
	pg.AlterTableType_AT_AddOf:                     {"OF", noInheritance},
	pg.AlterTableType_AT_DropOf:                    {"NOT OF", noInheritance},
	pg.AlterTableType_AT_EnableTrig:                {"ENABLE TRIGGER", noTriggers},
	pg.AlterTableType_AT_EnableAlwaysTrig:          {"ENABLE ALWAYS TRIGGER", noTriggers},
	pg.AlterTableType_AT_EnableReplicaTrig:         {"ENABLE REPLICA TRIGGER", noTriggers},
	pg.AlterTableType_AT_DisableTrig:               {"DISABLE TRIGGER", noTriggers},
	pg.AlterTableType_AT_DisableTrigAll:            {"DISABLE TRIGGER ALL", "Foreign keys cannot be turned off. Drop them, and add them again NOT VALID or not."},
	pg.AlterTableType_AT_EnableRule:                {"ENABLE RULE", noRules},
	pg.AlterTableType_AT_EnableAlwaysRule:          {"ENABLE ALWAYS RULE", noRules},
	pg.AlterTableType_AT_EnableReplicaRule:         {"ENABLE REPLICA RULE", noRules},
	pg.AlterTableType_AT_DisableRule:               {"DISABLE RULE", noRules},
	pg.AlterTableType_AT_SetAccessMethod:           {"SET ACCESS METHOD", "Tables are kept in ranges, replicated by Raft."},
	pg.AlterTableType_AT_SetOptions:                {"ALTER COLUMN … SET (…)", "ANALYZE finds the statistics of a column."},
	pg.AlterTableType_AT_ResetOptions:              {"ALTER COLUMN … RESET (…)", "ANALYZE finds the statistics of a column."},
	pg.AlterTableType_AT_GenericOptions:            {"OPTIONS", noForeign},
	pg.AlterTableType_AT_AddIndexConstraint:        {"ADD … USING INDEX", "Add the constraint by its columns; the work goes on while the table is used."},
	pg.AlterTableType_AT_AlterColumnGenericOptions: {"ALTER COLUMN … OPTIONS", noForeign},
}

const (
	noInheritance = "Give each table its own columns; a view with UNION ALL reads several."
	noPartitions  = "Tables are cut into ranges by themselves, as they grow."
	noRules       = "There are no rules."
)

// unsupportedAlter names the part of ALTER TABLE that is refused.
func unsupportedAlter(t pg.AlterTableType) error {
	if r, ok := alterRefusals[t]; ok {
		return sqlerr.Unsupported("ALTER TABLE %s", r.words).WithHint("%s", r.hint)
	}
	var words strings.Builder // SetIdentity: SET IDENTITY
	for _, r := range strings.TrimPrefix(t.String(), "AT_") {
		if unicode.IsUpper(r) {
			words.WriteByte(' ')
		}
		words.WriteRune(unicode.ToUpper(r))
	}
	return sqlerr.Unsupported("ALTER TABLE%s", words.String())
}
