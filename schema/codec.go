package schema

import (
	"fmt"
)

// formatVersion starts every stored record of this package. A reader refuses
// versions that it does not know; within one, fields are only ever added.
const formatVersion = 1

// codec is what the generated code gives every tagged struct.
type codec interface {
	AppendWire(b []byte) []byte
	UnmarshalWire(b []byte) error
}

// encodeObject returns the stored form of a descriptor: version, kind, fields.
func encodeObject(o Object) []byte {
	return o.(codec).AppendWire([]byte{formatVersion, byte(o.Kind())})
}

// decodeObject is the inverse of encodeObject. The result does not alias b.
func decodeObject(b []byte) (Object, error) {
	if len(b) < 2 || b[0] != formatVersion {
		return nil, fmt.Errorf("schema: descriptor of an unknown format: %.16q", b)
	}
	o := newObject(Kind(b[1]))
	if o == nil {
		return nil, fmt.Errorf("schema: descriptor of unknown kind %d", b[1])
	}
	if err := o.(codec).UnmarshalWire(b[2:]); err != nil {
		return nil, fmt.Errorf("schema: %s descriptor: %w", o.Kind(), err)
	}
	return o, nil
}

func newObject(k Kind) Object {
	switch k {
	case KindDatabase:
		return new(Database)
	case KindSchema:
		return new(Schema)
	case KindTable:
		return new(Table)
	case KindSequence:
		return new(Sequence)
	case KindView:
		return new(View)
	case KindType:
		return new(UserType)
	case KindFunction:
		return new(Function)
	}
	return nil
}

// encodeRecord and decodeRecord store the other records of this package.
func encodeRecord(c codec) []byte { return c.AppendWire([]byte{formatVersion}) }

func decodeRecord(b []byte, c codec) error {
	if len(b) < 1 || b[0] != formatVersion {
		return fmt.Errorf("schema: record of an unknown format: %.16q", b)
	}
	return c.UnmarshalWire(b[1:])
}
