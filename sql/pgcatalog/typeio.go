package pgcatalog

import (
	_ "embed"
	"fmt"
	"strings"
	"sync"

	"github.com/cairndb/cairn/sql/types"
)

// The functions that read and print values, by type: input, output, receive and send, each with
// PostgreSQL's number. They cannot be called, but drivers tell arrays and enums by them: JDBC compares
// pg_type.typinput with array_in, Npgsql joins typreceive with pg_proc.
//
//go:embed typeio.txt
var typeIOText string

type ioFunc struct {
	name string
	oid  types.OID
}

// ioFuncs are a type's, in the order of ioColumns.
type ioFuncs [4]ioFunc

var ioColumns = [4]string{"typinput", "typoutput", "typreceive", "typsend"}

var (
	arrayIO     = ioFuncs{{"array_in", 750}, {"array_out", 751}, {"array_recv", 2400}, {"array_send", 2401}}
	enumIO      = ioFuncs{{"enum_in", 3504}, {"enum_out", 3505}, {"enum_recv", 3532}, {"enum_send", 3533}}
	compositeIO = ioFuncs{{"record_in", 2290}, {"record_out", 2291}, {"record_recv", 2402}, {"record_send", 2403}}
	// A domain is printed as the type under it.
	domainIO = ioFuncs{{"domain_in", 2597}, {}, {"domain_recv", 2598}, {}}
)

var typeIO = sync.OnceValue(func() map[types.OID]ioFuncs {
	out := map[types.OID]ioFuncs{}
	for line := range strings.Lines(typeIOText) {
		var t types.OID
		var f ioFuncs
		if _, err := fmt.Sscan(line, &t, &f[0].name, &f[0].oid, &f[1].name, &f[1].oid, &f[2].name, &f[2].oid, &f[3].name, &f[3].oid); err != nil {
			panic("pgcatalog: typeio.txt: " + err.Error())
		}
		out[t] = f
	}
	return out
})

func ioOf(t types.T) ioFuncs {
	switch {
	case t.IsDomain():
		f := ioOf(t.Plain())
		f[0], f[2] = domainIO[0], domainIO[2]
		return f
	case t.IsEnum():
		return enumIO
	case t.IsComposite():
		return compositeIO
	}
	if f, ok := typeIO()[t.OID]; ok {
		return f
	}
	return arrayIO
}

func (f ioFuncs) fill(c cells) {
	for i, col := range ioColumns {
		c[col] = f[i].oid
	}
}

// allIO lists every such function once.
func allIO() []ioFunc {
	seen := map[types.OID]bool{0: true}
	var out []ioFunc
	for _, t := range append([]ioFuncs{arrayIO, enumIO, compositeIO, domainIO}, ioOfAll()...) {
		for _, f := range t {
			if !seen[f.oid] {
				seen[f.oid] = true
				out = append(out, f)
			}
		}
	}
	return out
}

func ioOfAll() (out []ioFuncs) {
	for _, t := range types.All() {
		out = append(out, ioOf(t))
	}
	return out
}

// ioByName finds such a function; 0 is none.
func ioByName(name string) types.OID {
	for _, f := range allIO() {
		if f.name == name {
			return f.oid
		}
	}
	return 0
}
