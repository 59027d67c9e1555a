package mysql

import (
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"
)

func (t *translator) ddl(s ast.DDLNode) {
	switch n := s.(type) {
	case *ast.CreateTableStmt:
		t.createTable(n)
	case *ast.AlterTableStmt:
		t.alterTable(n)
	case *ast.DropTableStmt:
		t.dropTable(n)
	case *ast.TruncateTableStmt:
		t.emit("TRUNCATE TABLE %s RESTART IDENTITY", t.table(n.Table))
	case *ast.RenameTableStmt:
		for _, r := range n.TableToTables {
			t.rename(r.OldTable, r.NewTable)
		}
	case *ast.CreateIndexStmt:
		t.createIndex(n)
	case *ast.DropIndexStmt:
		exists := ""
		if n.IfExists {
			exists = "IF EXISTS "
		}
		m := t.maker(n.Table)
		t.emit("DROP INDEX %s%s%s", exists, m.schema, m.indexName(n.IndexName))
	case *ast.CreateViewStmt:
		t.createView(n)
	case *ast.CreateDatabaseStmt:
		exists := ""
		if n.IfNotExists {
			exists = "IF NOT EXISTS "
		}
		t.emit("CREATE SCHEMA %s%s", exists, ident(n.Name.O))
	case *ast.DropDatabaseStmt:
		exists := ""
		if n.IfExists {
			exists = "IF EXISTS "
		}
		t.emit("DROP SCHEMA %s%s CASCADE", exists, ident(n.Name.O))
	case *ast.AlterDatabaseStmt: // only its character set
		t.nothing()
	case *ast.LockTablesStmt, *ast.UnlockTablesStmt:
		t.nothing()
	default:
		t.unsupported(s, "%s", kindOf(s))
	}
}

func (t *translator) dropTable(n *ast.DropTableStmt) {
	kind := "TABLE "
	if n.IsView {
		kind = "VIEW "
	}
	exists := ""
	if n.IfExists {
		exists = "IF EXISTS "
	}
	t.emit("DROP %s%s%s", kind, exists, list(n.Tables, t.table))
}

func (t *translator) rename(from, to *ast.TableName) {
	if to.Schema.L != "" && to.Schema.L != from.Schema.L {
		t.unsupported(to, "renaming a table into another database")
		return
	}
	t.emit("ALTER TABLE %s RENAME TO %s", t.table(from), ident(to.Name.O))
}

func (t *translator) createIndex(n *ast.CreateIndexStmt) {
	m := t.maker(n.Table)
	if n.IfNotExists {
		m.exists = "IF NOT EXISTS "
	}
	switch n.KeyType {
	case ast.IndexKeyTypeNone, ast.IndexKeyTypeUnique:
	case ast.IndexKeyTypeFulltext:
		t.unsupported(n, "a FULLTEXT index")
		return
	default:
		t.unsupported(n, "this kind of index")
		return
	}
	m.index(n.KeyType == ast.IndexKeyTypeUnique, n.IndexName, m.keyParts(n.IndexPartSpecifications, true))
	t.out = append(t.out, m.after...)
}

func (t *translator) createView(n *ast.CreateViewStmt) {
	s := "CREATE "
	if n.OrReplace {
		s += "OR REPLACE "
	}
	s += "VIEW " + t.table(n.ViewName) + t.columnAliases(n.Cols)
	t.emit("%s AS %s", s, t.query_(n.Select, inner))
}

// alterTable prints each change as a statement of its own; they are run together.
func (t *translator) alterTable(n *ast.AlterTableStmt) {
	m := t.maker(n.Table)
	for _, s := range n.Specs {
		t.alterSpec(m, n.Table, s)
	}
	t.out = append(t.out, m.after...)
	if len(t.out) == 0 {
		t.nothing()
	}
}

func (t *translator) alterSpec(m *tableMaker, table *ast.TableName, s *ast.AlterTableSpec) {
	alter := func(format string, args ...any) {
		t.emit("ALTER TABLE "+strings.ReplaceAll(m.table, "%", "%%")+" "+format, args...)
	}
	exists := ""
	if s.IfExists {
		exists = "IF EXISTS "
	}
	switch s.Tp {
	case ast.AlterTableAddColumns:
		for _, c := range s.NewColumns {
			m.items = nil
			def := m.column(c)
			if s.IfNotExists {
				def = "IF NOT EXISTS " + def
			}
			alter("ADD COLUMN %s", def)
			m.addItems(alter)
		}
		for _, c := range s.NewConstraints {
			m.add(c, alter)
		}
		if s.Position != nil && s.Position.Tp != ast.ColumnPositionNone {
			t.notice("the place of a new column is ignored: it is the last")
		}
	case ast.AlterTableAddConstraint:
		m.add(s.Constraint, alter)
	case ast.AlterTableDropColumn:
		alter("DROP COLUMN %s%s", exists, ident(s.OldColumnName.Name.O))
	case ast.AlterTableDropPrimaryKey:
		alter("DROP CONSTRAINT %s", exact(cutName(m.plain+"_pkey")))
	case ast.AlterTableDropIndex:
		t.emit("DROP INDEX %s%s%s", exists, m.schema, m.indexName(s.Name))
	case ast.AlterTableDropForeignKey:
		alter("DROP CONSTRAINT %s%s", exists, ident(s.Name))
	case ast.AlterTableDropCheck:
		alter("DROP CONSTRAINT %s", ident(s.Constraint.Name))
	case ast.AlterTableModifyColumn:
		for _, c := range s.NewColumns {
			m.modify(c, alter)
		}
	case ast.AlterTableChangeColumn:
		for _, c := range s.NewColumns {
			if s.OldColumnName.Name.L != c.Name.Name.L {
				alter("RENAME COLUMN %s TO %s", ident(s.OldColumnName.Name.O), ident(c.Name.Name.O))
			}
			m.modify(c, alter)
		}
	case ast.AlterTableRenameColumn:
		alter("RENAME COLUMN %s TO %s", ident(s.OldColumnName.Name.O), ident(s.NewColumnName.Name.O))
	case ast.AlterTableRenameTable:
		t.rename(table, s.NewTable)
	case ast.AlterTableAlterColumn:
		t.alterDefault(s, alter)
	case ast.AlterTableRenameIndex:
		t.emit("ALTER INDEX %s%s RENAME TO %s", m.schema, m.indexName(s.FromKey.O), m.indexName(s.ToKey.O))
	case ast.AlterTableOption:
		t.alterOptions(m, s)
	case ast.AlterTableLock, ast.AlterTableAlgorithm, ast.AlterTableForce, ast.AlterTableEnableKeys, ast.AlterTableDisableKeys,
		ast.AlterTableWithValidation, ast.AlterTableWithoutValidation:
	default:
		t.unsupported(nil, "this kind of ALTER TABLE")
	}
}

func (t *translator) alterDefault(s *ast.AlterTableSpec, alter func(string, ...any)) {
	for _, c := range s.NewColumns {
		name := ident(c.Name.Name.O)
		if len(c.Options) == 0 {
			alter("ALTER COLUMN %s DROP DEFAULT", name)
			continue
		}
		alter("ALTER COLUMN %s SET DEFAULT %s", name, t.val(c.Options[0].Expr))
	}
}

func (t *translator) alterOptions(m *tableMaker, s *ast.AlterTableSpec) {
	for _, o := range s.Options {
		if o.Tp == ast.TableOptionAutoIncrement {
			t.unsupported(nil, "ALTER TABLE … AUTO_INCREMENT")
			return
		}
	}
	m.options(s.Options)
}

// add adds a key or a constraint to a table that is there.
func (m *tableMaker) add(c *ast.Constraint, alter func(string, ...any)) {
	switch c.Tp {
	case ast.ConstraintFulltext:
		m.t.unsupported(nil, "a FULLTEXT index")
		return
	}
	m.items = nil
	if c.IfNotExists {
		m.exists = "IF NOT EXISTS "
	}
	m.constraint(c)
	m.exists = ""
	m.addItems(alter)
}

func (m *tableMaker) addItems(alter func(string, ...any)) {
	for _, i := range m.items {
		alter("ADD %s", i)
	}
	m.items = nil
}

// modify gives a column another definition.
func (m *tableMaker) modify(c *ast.ColumnDef, alter func(string, ...any)) {
	t := m.t
	name := ident(c.Name.Name.O)
	notNull, auto, def := false, false, ""
	m.items = nil
	for _, o := range c.Options {
		switch o.Tp {
		case ast.ColumnOptionNotNull:
			notNull = true
		case ast.ColumnOptionAutoIncrement:
			auto = true
		}
	}
	ty := t.typeOf(c.Tp, auto)
	for _, o := range c.Options {
		switch o.Tp {
		case ast.ColumnOptionNotNull, ast.ColumnOptionNull, ast.ColumnOptionAutoIncrement, ast.ColumnOptionCollate:
		case ast.ColumnOptionDefaultValue:
			def = m.defaultValue(o.Expr, ty)
		case ast.ColumnOptionComment, ast.ColumnOptionOnUpdate, ast.ColumnOptionUniqKey:
			m.columnOption(c, o, ty)
		default:
			t.unsupported(nil, "this option of MODIFY COLUMN")
			return
		}
	}
	alter("ALTER COLUMN %s TYPE %s", name, ty.name)
	if auto {
		return // an identity column keeps its other properties
	}
	if notNull {
		alter("ALTER COLUMN %s SET NOT NULL", name)
	} else {
		alter("ALTER COLUMN %s DROP NOT NULL", name)
	}
	if def != "" {
		alter("ALTER COLUMN %s SET%s", name, def)
	} else {
		alter("ALTER COLUMN %s DROP DEFAULT", name)
	}
}
