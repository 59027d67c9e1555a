package schema

import (
	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
)

// What every cluster starts with.
const (
	RootUser        = "root"
	DefaultDatabase = "defaultdb"
	PublicSchema    = "public"
)

// rootOID is the role number of the bootstrap superuser, as in Postgres.
const rootOID DescID = 10

// InitialKeyValues is the catalog of a new cluster; bootstrap writes it.
// Database and schema numbers are below FirstUserID and never change.
func InitialKeyValues() []kvapi.KeyValue {
	var out []kvapi.KeyValue
	put := func(k kvapi.Key, v []byte) { out = append(out, kvapi.KeyValue{Key: k, Value: v}) }
	putObject := func(parent DescID, o Object) {
		h := o.Head()
		put(descriptorKey(h.ID), encodeObject(o))
		put(namespaceKey(parent, h.Name), encodeName(nameValue{ID: h.ID}))
	}
	for i, name := range []string{DefaultDatabase, "postgres"} {
		db := &Database{Header: Header{ID: DescID(100 + 10*i), Version: 1, Name: name, Owner: RootUser}}
		putObject(0, db)
		putObject(db.ID, &Schema{Header: Header{ID: db.ID + 1, Version: 1, Name: PublicSchema,
			DatabaseID: db.ID, Owner: RootUser}})
	}
	root := &Role{OID: rootOID, Name: RootUser, Login: true, Superuser: true, CreateDB: true,
		CreateRole: true, ConnLimit: -1}
	put(roleKey(root.Name), encodeRecord(root))
	put(versionKey, encodeVersion(1))
	put(keys.DescIDGeneratorKey, encodeVersion(CatalogVersion(FirstUserID)))
	return out
}
