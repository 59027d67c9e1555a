package schema

import (
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/schema/usertype"
)

// Kind says what a descriptor describes.
type Kind uint8

// Kinds of descriptors.
const (
	KindDatabase Kind = iota + 1
	KindSchema
	KindTable
	KindSequence
	KindView
	KindType
	KindFunction
)

// String prints the word that error messages use.
func (k Kind) String() string {
	switch k {
	case KindDatabase:
		return "database"
	case KindSchema:
		return "schema"
	case KindTable:
		return "table"
	case KindSequence:
		return "sequence"
	case KindView:
		return "view"
	case KindType:
		return "type"
	case KindFunction:
		return "function"
	}
	return "object"
}

// Header is common to all descriptors. A descriptor in a Snapshot is shared by
// everyone on the node and must not be changed; Clone first.
type Header struct {
	ID      DescID      `wire:"1"`
	Version DescVersion `wire:"2"`
	Name    string      `wire:"3"`
	// DatabaseID and SchemaID are the parents; a schema has no SchemaID, a
	// database neither.
	DatabaseID DescID `wire:"4"`
	SchemaID   DescID `wire:"5"`
	Owner      string `wire:"6"`
	Comment    string `wire:"7"`
	// Change is set while a schema change holds the descriptor: nobody but
	// the change's own transaction may use it (doc.go, "Publication").
	Change *Change `wire:"8"`
	// ACL is who may do what, if ACLSet; else what ACLOf says.
	ACL    []Grant `wire:"12"`
	ACLSet bool    `wire:"13"`
}

// Change marks a descriptor as held by a schema change.
type Change struct {
	ID ChangeID `wire:"1"`
	// Expires is when others may take the mark away: the change's gateway is
	// gone if it did not renew it.
	Expires hlc.Timestamp `wire:"2"`
	// What is for people: ALTER TABLE.
	What string `wire:"3"`
}

// Object is any descriptor. *Database, *Schema, *Table, *Sequence, *View,
// *UserType and *Function implement it.
type Object interface {
	Head() *Header
	Kind() Kind
	// CloneObject returns a deep copy that may be changed.
	CloneObject() Object
}

// Head returns the header itself.
func (h *Header) Head() *Header { return h }

// Database is a set of schemas. Its parent is 0.
type Database struct {
	Header `wire:"1"`
	// Extensions are those that CREATE EXTENSION named.
	Extensions []Extension `wire:"2"`
	// Defaults are what roles grant on what they make (ALTER DEFAULT PRIVILEGES).
	Defaults []DefaultACL `wire:"3"`
	// Replicas and Locality are what its tables ask for that do not ask themselves
	// (Contents.PlacementOf).
	Replicas int    `wire:"4"`
	Locality string `wire:"5"`
	// Settings are what sessions in the database begin with (ALTER DATABASE … SET).
	Settings []Setting `wire:"8"`
}

// Setting is a session parameter and its value, as given.
type Setting struct {
	Name  string `wire:"1"`
	Value string `wire:"2"`
}

// RoleSettings are what a role's sessions begin with, in a database or, with
// Database 0, in all.
type RoleSettings struct {
	Database DescID    `wire:"1"`
	Settings []Setting `wire:"2"`
}

// DefaultACL is what is granted on objects of a kind when a role makes them,
// in a schema or, with SchemaID 0, in all.
type DefaultACL struct {
	OID      DescID  `wire:"1"`
	Role     string  `wire:"2"`
	SchemaID DescID  `wire:"3"`
	Kind     Kind    `wire:"4"`
	ACL      []Grant `wire:"5"`
}

// Extension is an extension of Postgres whose functions are built in.
type Extension struct {
	OID   DescID `wire:"1"`
	Name  string `wire:"2"`
	Owner string `wire:"3"`
}

// Schema is a set of tables, sequences and views within a database.
type Schema struct {
	Header `wire:"1"`
	// TempOf is the session whose temporary relations these are, as
	// node/run/number; "" for a schema that is no session's.
	TempOf string `wire:"2"`
}

// Table is a table.
type Table struct {
	Header `wire:"1"`
	// Columns are in the order of their creation, hidden ones among them.
	Columns []Column `wire:"2"`
	// Primary is the index that holds the rows: /table/index/key columns →
	// the other columns.
	Primary Index `wire:"3"`
	// Indexes are the secondary indexes, in the order of their creation.
	Indexes []Index `wire:"4"`
	Checks  []Check `wire:"5"`
	// NextColumnID is the number given out next.
	NextColumnID ColumnID `wire:"6"`
	// RowCountEstimate is what ANALYZE last found, -1 if it never ran.
	RowCountEstimate int64 `wire:"7"`
	// Options are the storage parameters, name=value, kept for show.
	Options []string `wire:"8"`
	// ForeignKeys are the references of this table's rows to others.
	ForeignKeys []ForeignKey `wire:"9"`
	// ReferencedBy are the tables, this one perhaps among them, that have a
	// foreign key to this one. Whoever changes or removes rows looks there.
	ReferencedBy []DescID `wire:"10"`
	// GCTTL is how long its old versions stay readable, 0 for as long as the
	// cluster's setting says. It is the storage parameter gc_ttl.
	GCTTL time.Duration `wire:"20"`
	// OnCommit is what happens to a temporary table when a transaction commits.
	OnCommit OnCommit `wire:"21"`
	// Matview makes the table a materialized view: nobody but REFRESH writes it.
	Matview *Matview `wire:"22"`
	// Policies hold if RowSecurity, for the owner only if ForceRowSecurity.
	Policies         []Policy `wire:"25"`
	RowSecurity      bool     `wire:"26"`
	ForceRowSecurity bool     `wire:"27"`
	// Rewriting is set while a job writes the rows anew.
	Rewriting *Rewriting `wire:"28"`
	// 40 was whether the table was made to start a range of its own.
	// Replicas is how many replicas its rows have, 0 for as many as all others;
	// Locality is where those are to be, as nodes say of themselves (region=eu), ""
	// for anywhere. They are the storage parameters replicas and locality.
	Replicas int    `wire:"44"`
	Locality string `wire:"45"`
}

// Rewriting is what a table is to become when a job has written its rows anew,
// while it is in use (Table.Rewritten). Beside Indexes, a column that is to get
// another type has a virtual one that gives it its values (Column.Replaces).
type Rewriting struct {
	Job DescID `wire:"1"`
	// Indexes are those of the table to be that are written, each in the place of
	// the one with its OID, if there is one. They are all in one state. The one
	// with number Primary is to hold the rows.
	Indexes []Index `wire:"2"`
	Primary IndexID `wire:"3"`
	// Unfit is the virtual column that is true for the rows that cannot be rows of
	// the table to be. Those have no entries in Indexes, but one in Refused.
	Unfit   ColumnID `wire:"4"`
	Refused Index    `wire:"5"`
	// NotNull are columns that are to have no NULL, Checks constraints to be
	// fulfilled, which the rows might not do as they are.
	NotNull []ColumnID `wire:"6"`
	Checks  []DescID   `wire:"7"`
	// RowID is the hidden key that the table is to have instead of the one that it
	// declares, 0 for none; the rows are given it first (Column.Filling).
	RowID ColumnID `wire:"8"`
	// Settings are those under which new values are computed, whoever writes a row.
	// They are never changed.
	Settings *Settings `wire:"9"`
}

// Settings are what values may depend on beside a row: those of the session that
// asked for a change.
type Settings struct {
	// Zone is the time zone's name; if it is empty, the zone is OffsetSec seconds
	// east.
	Zone      string `wire:"1"`
	OffsetSec int32  `wire:"2"`
	// DateOrder, ByteaEscape and FloatDigits are as in types.Env.
	DateOrder   uint8 `wire:"3"`
	ByteaEscape bool  `wire:"4"`
	FloatDigits int32 `wire:"5"`
	// NowNanos is the time of the transaction, in ns since 1970.
	NowNanos   int64    `wire:"6"`
	SearchPath []string `wire:"7"`
}

// Matview is the query that a materialized view keeps the rows of.
type Matview struct {
	// Query, SearchPath and DependsOn are as in View.
	Query      string   `wire:"1"`
	SearchPath []string `wire:"2"`
	DependsOn  []DescID `wire:"3"`
	// Populated says that there are rows to be read.
	Populated bool `wire:"4"`
}

// PolicyCommand is what a policy is for, as pg_policy.polcmd.
type PolicyCommand byte

// Commands of policies.
const (
	PolicyAll    PolicyCommand = '*'
	PolicySelect PolicyCommand = 'r'
	PolicyInsert PolicyCommand = 'a'
	PolicyUpdate PolicyCommand = 'w'
	PolicyDelete PolicyCommand = 'd'
)

// Policy says which rows some roles may see or write (row-level security).
type Policy struct {
	OID     DescID        `wire:"1"`
	Name    string        `wire:"2"`
	Command PolicyCommand `wire:"3"`
	// Restrictive policies must all hold, of the others one.
	Restrictive bool `wire:"4"`
	// Roles are who it is for, "" for everyone.
	Roles []string `wire:"5"`
	// Using and Check are SQL expressions, "" for none.
	Using string `wire:"6"`
	Check string `wire:"7"`
	// Columns are the table's that the expressions use; SearchPath is where
	// their names are looked for.
	Columns    []ColumnID `wire:"8"`
	SearchPath []string   `wire:"9"`
	Comment    string     `wire:"10"`
}

// OnCommit says what happens to a temporary table at the end of a transaction.
type OnCommit uint8

// What ON COMMIT asks for.
const (
	OnCommitPreserve OnCommit = iota
	OnCommitDelete
	OnCommitDrop
)

// Type is a SQL type by Postgres's number and modifier; package sql/types
// gives it meaning (tablekv.TypeOf).
type Type struct {
	OID uint32 `wire:"1"`
	Mod int32  `wire:"2"`
	// User is the definition of a type made by a user, or of the elements of an
	// array of such; nil for Postgres's own types.
	User *usertype.Type `wire:"3"`
}

// Identity says how GENERATED … AS IDENTITY was declared.
type Identity uint8

// Identities, see Identity.
const (
	IdentityNone Identity = iota
	IdentityAlways
	IdentityByDefault
)

// Column is a column of a table or view.
type Column struct {
	ID      ColumnID `wire:"1"`
	Name    string   `wire:"2"`
	Type    Type     `wire:"3"`
	NotNull bool     `wire:"4"`
	// Default is the default's SQL expression, "" for none.
	Default string `wire:"5"`
	// Sequence, if not 0, gives the default: nextval of it. Default then
	// only shows it, and may name the sequence by an older name.
	Sequence DescID   `wire:"6"`
	Identity Identity `wire:"7"`
	// Hidden columns (rowid) are left out of * and of the catalogs.
	Hidden  bool   `wire:"8"`
	Comment string `wire:"9"`
	// DefaultOID is the default's row in pg_attrdef, 0 without one.
	DefaultOID DescID `wire:"10"`
	// Generated columns are computed from the others of the row by Default,
	// which is then an expression over the table.
	Generated bool `wire:"11"`
	// Virtual columns are generated and not stored with the row. They are hidden:
	// what indexes on expressions and partial indexes are made of (I10).
	Virtual bool `wire:"12"`
	// Missing is the value of rows that are older than the column, as the value
	// of a row with only this column (tablekv.MissingValue); empty for NULL. All
	// rows hold the column when the primary index is written anew.
	Missing []byte `wire:"15"`
	// ACL is what was granted on the column alone.
	ACL []Grant `wire:"14"`
	// Filling says that the column is new, and a job gives the rows their values:
	// it is hidden, nobody can name it, and every write gives a row its value
	// (doc.go, "Steps").
	Filling bool `wire:"17"`
	// Replaces is set for a virtual column of a Rewriting: the column whose type and
	// values it has in the table to be. Default is computed from the row as it is;
	// or, where a virtual column is replaced, from the row to be.
	Replaces ColumnID `wire:"18"`
}

// IndexState says what statements do with an index. One that is built or taken
// back while its table is in use goes through the states (doc.go, "Steps"). Who
// reads entries, or concludes from Unique that keys are unique, asks for
// IsPublic.
type IndexState uint8

// Index states.
const (
	// IndexPublic: read and maintained.
	IndexPublic IndexState = iota
	// IndexWriteOnly: maintained by every write, never read.
	IndexWriteOnly
	// IndexDeleteOnly: entries are removed with their rows, never added.
	IndexDeleteOnly
)

// Index is a primary or secondary index.
type Index struct {
	ID      IndexID       `wire:"1"`
	OID     DescID        `wire:"2"`
	Name    string        `wire:"3"`
	Unique  bool          `wire:"4"`
	Columns []IndexColumn `wire:"5"`
	// Stored columns are repeated in the value (INCLUDE).
	Stored []ColumnID `wire:"6"`
	State  IndexState `wire:"7"`
	// ConstraintOID is the oid of the PRIMARY KEY or UNIQUE constraint that
	// owns the index, 0 for a plain index.
	ConstraintOID DescID `wire:"8"`
	Comment       string `wire:"9"`
	// Where, if not 0, is the virtual boolean column that is true for the rows
	// of which the index has entries (a partial index).
	Where ColumnID `wire:"10"`
	// Inverted is the operator class of an inverted index (USING gin), "" for
	// others. Its only column is a virtual one, the terms of what is indexed, and
	// a row has an entry for each of them.
	Inverted string `wire:"15"`
	// ConstraintComment is that of the constraint.
	ConstraintComment string `wire:"16"`
}

// IndexColumn is a key column of an index. Ascending puts NULLs last,
// descending first, as Postgres does by default; nothing else is stored.
type IndexColumn struct {
	ID   ColumnID `wire:"1"`
	Desc bool     `wire:"2"`
}

// Check is a CHECK constraint.
type Check struct {
	OID  DescID `wire:"1"`
	Name string `wire:"2"`
	// Expr is the SQL expression, without the outer parentheses.
	Expr    string     `wire:"3"`
	Columns []ColumnID `wire:"4"`
	// NotValid says that rows may be older than the constraint and were not
	// looked at.
	NotValid bool   `wire:"5"`
	Comment  string `wire:"6"`
}

// RefAction is what happens to the referencing rows when the key they refer to
// goes away or changes.
type RefAction uint8

// Referential actions.
const (
	RefNoAction RefAction = iota
	RefRestrict
	RefCascade
	RefSetNull
	RefSetDefault
)

// ForeignKey says that the values of some columns are NULL or the key of a row
// of another table.
type ForeignKey struct {
	OID  DescID `wire:"1"`
	Name string `wire:"2"`
	// Columns refer, one by one, to TargetColumns of table Target, which are
	// the key of its unique index TargetIndex (an Index.OID) in some order.
	Columns       []ColumnID `wire:"3"`
	Target        DescID     `wire:"4"`
	TargetColumns []ColumnID `wire:"5"`
	TargetIndex   DescID     `wire:"6"`
	OnDelete      RefAction  `wire:"7"`
	OnUpdate      RefAction  `wire:"8"`
	// SetColumns, if not empty, are those that ON DELETE SET NULL or SET
	// DEFAULT sets; else all are.
	SetColumns []ColumnID `wire:"9"`
	// MatchFull forbids keys that are NULL in part.
	MatchFull bool `wire:"10"`
	// Deferrable constraints may be checked at the end of the transaction,
	// InitiallyDeferred ones are unless SET CONSTRAINTS says otherwise.
	Deferrable        bool `wire:"11"`
	InitiallyDeferred bool `wire:"12"`
	// NotValid is as in Check.
	NotValid bool   `wire:"13"`
	Comment  string `wire:"14"`
}

// Sequence is a generator of numbers. Its value is at keys.SequencePrefix,
// outside of any transaction of its users.
type Sequence struct {
	Header    `wire:"1"`
	Type      Type  `wire:"2"`
	Start     int64 `wire:"3"`
	Increment int64 `wire:"4"`
	Min       int64 `wire:"5"`
	Max       int64 `wire:"6"`
	Cache     int64 `wire:"7"`
	Cycle     bool  `wire:"8"`
	// OwnerTable and OwnerColumn are what it is dropped with (serial).
	OwnerTable  DescID   `wire:"9"`
	OwnerColumn ColumnID `wire:"10"`
}

// View is a named query, kept as text.
type View struct {
	Header  `wire:"1"`
	Query   string   `wire:"2"`
	Columns []Column `wire:"3"`
	// SearchPath is the path at creation, by which Query is to be resolved.
	SearchPath []string `wire:"4"`
	// DependsOn lists the tables, views and sequences that Query reads.
	DependsOn   []DescID    `wire:"5"`
	CheckOption CheckOption `wire:"6"`
}

// CheckOption says which conditions rows that are written through a view must fulfil.
type CheckOption uint8

// Check options: none, the view's own condition, and those of views below it too.
const (
	NoCheckOption CheckOption = iota
	LocalCheckOption
	CascadedCheckOption
)

// UserType is an enum or a domain. Its name is bound apart from those of
// relations (TypeName). Whoever uses the type has a copy of Def; a change of the
// type changes all of them in the same transaction.
type UserType struct {
	Header `wire:"1"`
	Def    usertype.Type `wire:"2"`
	// Parts are the comments on attributes of a composite type and on constraints of
	// a domain. No user of the type has them.
	Parts []PartComment `wire:"3"`
}

// PartComment is the comment on a part of a type: an attribute, by its number from 1, or
// a constraint, by its Check.OID.
type PartComment struct {
	Part uint32 `wire:"1"`
	Text string `wire:"2"`
}

// PartComment returns the comment on a part, "" for none.
func (t *UserType) PartComment(part uint32) string {
	for _, p := range t.Parts {
		if p.Part == part {
			return p.Text
		}
	}
	return ""
}

// Role is a user or group.
type Role struct {
	OID        DescID `wire:"1"`
	Name       string `wire:"2"`
	Login      bool   `wire:"3"`
	Superuser  bool   `wire:"4"`
	CreateDB   bool   `wire:"5"`
	CreateRole bool   `wire:"6"`
	NoInherit  bool   `wire:"7"`
	// ConnLimit is -1 for none.
	ConnLimit int32 `wire:"8"`
	// Verifier is the SCRAM-SHA-256 verifier in Postgres's form
	// (SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey), "" for no password.
	Verifier   string   `wire:"9"`
	ValidUntil string   `wire:"10"`
	MemberOf   []string `wire:"11"`
	// BypassRLS: no policy of row-level security holds for the role.
	BypassRLS bool           `wire:"13"`
	Comment   string         `wire:"12"`
	Settings  []RoleSettings `wire:"14"`
}

// Kind implements Object.
func (*Database) Kind() Kind { return KindDatabase }

// Kind implements Object.
func (*Schema) Kind() Kind { return KindSchema }

// Kind implements Object.
func (*Table) Kind() Kind { return KindTable }

// Kind implements Object.
func (*Sequence) Kind() Kind { return KindSequence }

// Kind implements Object.
func (*View) Kind() Kind { return KindView }

// Kind implements Object.
func (*UserType) Kind() Kind { return KindType }
