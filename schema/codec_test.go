package schema

import (
	"encoding/hex"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/cairndb/cairn/hlc"
)

// stored are records with every field set, so that the golden file shows when
// a field's number or meaning changes: what a cluster has written must stay
// readable.
func stored() []Object {
	h := Header{ID: 16384, Version: 3, Name: "t", DatabaseID: 100, SchemaID: 101, Owner: "root", Comment: "c",
		Change: &Change{ID: ChangeID{1, 2}, Expires: hlc.Timestamp{WallTime: 5, Logical: 6}, What: "ALTER TABLE"}}
	col := Column{ID: 1, Name: "a", Type: Type{OID: 23, Mod: -1}, NotNull: true, Default: "1", Sequence: 7, Identity: IdentityAlways,
		Hidden: true, Comment: "c", DefaultOID: 9}
	ix := Index{ID: 4, OID: 5, Name: "t_pkey", Unique: true, Columns: []IndexColumn{{ID: 1, Desc: true}}, Stored: []ColumnID{2},
		State: IndexWriteOnly, ConstraintOID: 8, Comment: "c"}
	return []Object{
		&Database{Header: h},
		&Schema{Header: h},
		&Table{Header: h, Columns: []Column{col}, Primary: ix, Indexes: []Index{ix}, Checks: []Check{{OID: 1, Name: "c", Expr: "a > 0",
			Columns: []ColumnID{1}}}, NextColumnID: 2, RowCountEstimate: -1, Options: []string{"fillfactor=90"}},
		&Sequence{Header: h, Type: Type{OID: 20, Mod: -1}, Start: 1, Increment: -1, Min: -5, Max: 5, Cache: 2, Cycle: true,
			OwnerTable: 3, OwnerColumn: 4},
		&View{Header: h, Query: "SELECT 1", Columns: []Column{col}, SearchPath: []string{"public"}, DependsOn: []DescID{16384}},
	}
}

func TestStoredForm(t *testing.T) {
	const file = "testdata/stored.txt"
	var b strings.Builder
	for _, o := range stored() {
		raw := encodeObject(o)
		fmt.Fprintf(&b, "%s %s\n", o.Kind(), hex.EncodeToString(raw))
		back, err := decodeObject(raw)
		if err != nil || !reflect.DeepEqual(back, o) {
			t.Errorf("%s came back as %+v, %v", o.Kind(), back, err)
		}
		if c := o.CloneObject(); !reflect.DeepEqual(c, o) {
			t.Errorf("clone of %s differs", o.Kind())
		}
	}
	role := &Role{OID: 10, Name: "root", Login: true, Superuser: true, CreateDB: true, CreateRole: true, NoInherit: true, ConnLimit: -1,
		Verifier: "v", ValidUntil: "u", MemberOf: []string{"g"}, Comment: "c"}
	fmt.Fprintf(&b, "role %s\n", hex.EncodeToString(encodeRecord(role)))
	if os.Getenv("REWRITE") != "" {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || string(want) != b.String() {
		t.Errorf("the stored form changed: a cluster's catalog would not be readable\n%s", b.String())
	}
}

func FuzzDecodeObject(f *testing.F) {
	for _, o := range stored() {
		f.Add(encodeObject(o))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if o, err := decodeObject(b); err == nil && newObject(o.Kind()) == nil {
			t.Error("an object of no kind")
		}
	})
}
