package schema

import (
	"encoding/binary"

	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
)

func idKey(prefix kvapi.Key, id uint32) kvapi.Key {
	return binary.BigEndian.AppendUint32(prefix.Clone(), id)
}

func descriptorKey(id DescID) kvapi.Key { return idKey(keys.DescriptorPrefix, uint32(id)) }

func namespaceKey(parent DescID, name string) kvapi.Key {
	return append(kvapi.Key(idKey(keys.NamespacePrefix, uint32(parent))), name...)
}

func roleKey(name string) kvapi.Key { return append(keys.UserPrefix.Clone(), name...) }

func sequenceKey(id DescID) kvapi.Key { return idKey(keys.SequencePrefix, uint32(id)) }
