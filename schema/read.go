package schema

import (
	"context"

	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/txn"
)

// reading is what one transaction found: contents is nil if nothing has
// changed since the old snapshot.
type reading struct {
	version  CatalogVersion
	contents *Contents
}

// readCatalog reads the catalog in t on behalf of node, which is thereby on
// record as a user of it. What old has is not read again.
func readCatalog(ctx context.Context, t Txn, node kvapi.NodeID, old *Snapshot) (reading, error) {
	vals, err := t.GetMany(ctx, []kvapi.Key{versionKey, nodeKey(node)}, txn.GetOptions{})
	if err != nil {
		return reading{}, err
	}
	if err := registerNode(ctx, t, node, vals[1]); err != nil {
		return reading{}, err
	}
	r := reading{}
	if r.version, err = decodeVersion(vals[0].Data); err != nil {
		return r, err
	}
	if old != nil && old.Version == r.version {
		return r, nil
	}
	r.contents, err = readContents(ctx, t, old)
	return r, err
}

// registerNode puts the node on record, if it is not or if it was suspected
// to be dead. That happens in the transaction that reads the catalog, so that
// a schema change either sees the node or was seen by it (I3).
func registerNode(ctx context.Context, t Txn, node kvapi.NodeID, v txn.Value) error {
	if v.Exists {
		var rec nodeRecord
		if err := decodeRecord(v.Data, &rec); err != nil {
			return err
		}
		if rec.Suspect.IsEmpty() {
			return nil
		}
	}
	return t.Put(ctx, nodeKey(node), encodeRecord(&nodeRecord{}))
}

func readContents(ctx context.Context, t Txn, old *Snapshot) (*Contents, error) {
	c := newContents()
	err := scanAll(ctx, t, keys.DescriptorPrefix, func(kv kvapi.KeyValue) error {
		return c.addDescriptor(kv, old)
	})
	if err != nil {
		return nil, err
	}
	err = scanAll(ctx, t, keys.NamespacePrefix, func(kv kvapi.KeyValue) error {
		k, v, err := decodeName(kv.Key, kv.Value)
		c.names[k] = v
		return err
	})
	if err != nil {
		return nil, err
	}
	return c, scanAll(ctx, t, keys.UserPrefix, func(kv kvapi.KeyValue) error {
		r := new(Role)
		if err := decodeRecord(kv.Value, r); err != nil {
			return err
		}
		c.roles[r.Name] = r
		return nil
	})
}

// addDescriptor decodes a descriptor unless old has the very same one; then
// the entry is shared, and with it the count of its users.
func (c *Contents) addDescriptor(kv kvapi.KeyValue, old *Snapshot) error {
	id, err := decodeID(kv.Key, keys.DescriptorPrefix)
	if err != nil {
		return err
	}
	if old != nil {
		if e := old.objects[DescID(id)]; e != nil && e.raw == string(kv.Value) {
			c.objects[DescID(id)] = e
			return nil
		}
	}
	o, err := decodeObject(kv.Value)
	if err != nil {
		return err
	}
	c.objects[DescID(id)] = &entry{object: o, raw: string(kv.Value), use: newUse()}
	return nil
}
