package mysql

import (
	"fmt"
	"strconv"

	my "github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tidb/pkg/parser/types"
)

// columnType is a column's type here.
type columnType struct {
	name string
	kind ColumnKind
	// elems are an ENUM's values.
	elems []string
}

// typeOf translates a type. Unsigned numbers become the next wider type. reference says that the
// column counts rows or refers to one that does: those are bigint.
func (t *translator) typeOf(ft *types.FieldType, reference bool) columnType {
	unsigned := my.HasUnsignedFlag(ft.GetFlag())
	binary := ft.GetCharset() == "binary"
	plain := func(name string) columnType { return columnType{name: name} }
	wider := func(signed, wide string) columnType {
		if unsigned {
			return plain(wide)
		}
		return plain(signed)
	}
	switch ft.GetType() {
	case my.TypeTiny, my.TypeYear:
		return plain("smallint")
	case my.TypeShort:
		return wider("smallint", "integer")
	case my.TypeInt24:
		return plain("integer")
	case my.TypeLong:
		return wider("integer", "bigint")
	case my.TypeLonglong:
		if reference {
			return plain("bigint")
		}
		return wider("bigint", "numeric(20,0)")
	case my.TypeFloat:
		return plain("real")
	case my.TypeDouble:
		return plain("double precision")
	case my.TypeNewDecimal:
		p, s := ft.GetFlen(), ft.GetDecimal()
		if p <= 0 {
			p = 10
		}
		return plain(fmt.Sprintf("numeric(%d,%d)", p, max(s, 0)))
	case my.TypeBit:
		n := max(ft.GetFlen(), 1)
		switch {
		case n < 16:
			return columnType{name: "smallint", kind: BitsColumn}
		case n < 64:
			return columnType{name: "bigint", kind: BitsColumn}
		}
		return columnType{name: "numeric(20,0)", kind: BitsColumn}
	case my.TypeDate, my.TypeNewDate:
		return plain("date")
	case my.TypeDuration:
		return plain("time" + fraction(ft.GetDecimal()))
	case my.TypeDatetime:
		return plain("timestamp" + fraction(ft.GetDecimal()))
	case my.TypeTimestamp:
		return plain("timestamptz" + fraction(ft.GetDecimal()))
	case my.TypeJSON:
		return columnType{name: "jsonb", kind: TextColumn}
	case my.TypeEnum:
		return columnType{name: "text", kind: TextColumn, elems: ft.GetElems()}
	case my.TypeSet:
		t.notice("a SET column becomes text, which holds any list")
		return columnType{name: "text", kind: TextColumn}
	case my.TypeVarchar, my.TypeVarString, my.TypeString:
		if binary {
			return columnType{name: "bytea", kind: BytesColumn}
		}
		n := ft.GetFlen()
		if n < 0 {
			n = 1
		}
		if n == 0 {
			return columnType{name: "text", kind: TextColumn}
		}
		return columnType{name: "varchar(" + strconv.Itoa(n) + ")", kind: TextColumn}
	case my.TypeTinyBlob, my.TypeBlob, my.TypeMediumBlob, my.TypeLongBlob:
		if binary {
			return columnType{name: "bytea", kind: BytesColumn}
		}
		return columnType{name: "text", kind: TextColumn}
	}
	t.unsupported(nil, "the type %s", ft.String())
	return plain("text")
}
