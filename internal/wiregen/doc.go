// Command wiregen writes the codecs of structs with `wire:"n"` field tags, in
// the Protocol Buffers wire format (package wire).
//
//	go run github.com/cairndb/cairn/internal/wiregen DIR...
//
// For every struct type of the package in DIR that has at least one tagged
// field, it writes into DIR/wire_gen.go
//
//	func (x *T) AppendWire(b []byte) []byte
//	func (x *T) UnmarshalWire(b []byte) error
//
// AppendWire leaves out zero fields. UnmarshalWire replaces all of *x, skips
// unknown fields, never panics on bad input, and lets byte slices alias b.
//
// Fields may be booleans, integers (signed ones are zigzag), float64, strings,
// byte slices, byte arrays, tagged structs (also of other packages, embedded,
// or behind a pointer), and slices of all of these but pointers. A nil and an
// empty slice are the same on the wire. Numbers of removed fields are not
// used again.
package main
