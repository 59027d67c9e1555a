package types

// OID is Postgres's number of a type (pg_type.oid). Drivers know these numbers by heart.
type OID uint32

// Type numbers of Postgres's pg_type.dat.
const (
	OIDBool         OID = 16
	OIDBytea        OID = 17
	OIDChar         OID = 18
	OIDName         OID = 19
	OIDInt8         OID = 20
	OIDInt2         OID = 21
	OIDInt2Vector   OID = 22
	OIDInt4         OID = 23
	OIDRegProc      OID = 24
	OIDText         OID = 25
	OIDOid          OID = 26
	OIDXid          OID = 28
	OIDOidVector    OID = 30
	OIDJSON         OID = 114
	OIDCidr         OID = 650
	OIDFloat4       OID = 700
	OIDFloat8       OID = 701
	OIDUnknown      OID = 705
	OIDMacaddr8     OID = 774
	OIDMacaddr      OID = 829
	OIDInet         OID = 869
	OIDBPChar       OID = 1042
	OIDVarchar      OID = 1043
	OIDDate         OID = 1082
	OIDTime         OID = 1083
	OIDTimestamp    OID = 1114
	OIDTimestampTZ  OID = 1184
	OIDInterval     OID = 1186
	OIDTimeTZ       OID = 1266
	OIDBit          OID = 1560
	OIDVarbit       OID = 1562
	OIDNumeric      OID = 1700
	OIDRegClass     OID = 2205
	OIDRegType      OID = 2206
	OIDRecord       OID = 2249
	OIDAny          OID = 2276
	OIDAnyArray     OID = 2277
	OIDVoid         OID = 2278
	OIDTrigger      OID = 2279
	OIDAnyElement   OID = 2283
	OIDAnyNonArray  OID = 2776
	OIDUUID         OID = 2950
	OIDAnyEnum      OID = 3500
	OIDJSONB        OID = 3802
	OIDAnyRange     OID = 3831
	OIDInt4Range    OID = 3904
	OIDNumRange     OID = 3906
	OIDTsRange      OID = 3908
	OIDTstzRange    OID = 3910
	OIDDateRange    OID = 3912
	OIDInt8Range    OID = 3926
	OIDJSONPath     OID = 4072
	OIDRegNamespace OID = 4089
)

// info is what pg_type knows of a type.
type info struct {
	oid       OID
	name      string // pg_type.typname
	sqlName   string // what format_type prints
	len       int16  // bytes, -1 varlena, -2 C string
	byVal     bool
	category  Category
	preferred bool
	array     OID // 0: no array type
	kind      Kind
}

// typeInfos is the table of all scalar types; array types are derived from it.
var typeInfos = []info{
	{OIDBool, "bool", "boolean", 1, true, CategoryBool, true, 1000, KindBool},
	{OIDBytea, "bytea", "bytea", -1, false, CategoryUser, false, 1001, KindBytes},
	{OIDChar, "char", `"char"`, 1, true, CategoryInternal, false, 1002, KindText},
	{OIDName, "name", "name", 64, false, CategoryString, false, 1003, KindText},
	{OIDInt8, "int8", "bigint", 8, true, CategoryNumeric, false, 1016, KindInt},
	{OIDInt2, "int2", "smallint", 2, true, CategoryNumeric, false, 1005, KindInt},
	{OIDInt4, "int4", "integer", 4, true, CategoryNumeric, false, 1007, KindInt},
	{OIDRegProc, "regproc", "regproc", 4, true, CategoryNumeric, false, 1008, KindInt},
	{OIDText, "text", "text", -1, false, CategoryString, true, 1009, KindText},
	{OIDOid, "oid", "oid", 4, true, CategoryNumeric, true, 1028, KindInt},
	{OIDXid, "xid", "xid", 4, true, CategoryUser, false, 1011, KindInt},
	{OIDJSON, "json", "json", -1, false, CategoryUser, false, 199, KindJSON},
	{OIDFloat4, "float4", "real", 4, true, CategoryNumeric, false, 1021, KindFloat},
	{OIDFloat8, "float8", "double precision", 8, true, CategoryNumeric, true, 1022, KindFloat},
	{OIDUnknown, "unknown", "unknown", -2, false, CategoryUnknown, false, 0, KindText},
	{OIDBPChar, "bpchar", "character", -1, false, CategoryString, false, 1014, KindBPChar},
	{OIDVarchar, "varchar", "character varying", -1, false, CategoryString, false, 1015, KindText},
	{OIDDate, "date", "date", 4, true, CategoryDateTime, false, 1182, KindDate},
	{OIDTime, "time", "time without time zone", 8, true, CategoryDateTime, false, 1183, KindTime},
	{OIDTimestamp, "timestamp", "timestamp without time zone", 8, true, CategoryDateTime, false, 1115, KindTimestamp},
	{OIDTimestampTZ, "timestamptz", "timestamp with time zone", 8, true, CategoryDateTime, true, 1185, KindTimestampTZ},
	{OIDInterval, "interval", "interval", 16, false, CategoryTimespan, true, 1187, KindInterval},
	{OIDNumeric, "numeric", "numeric", -1, false, CategoryNumeric, false, 1231, KindDecimal},
	{OIDRegClass, "regclass", "regclass", 4, true, CategoryNumeric, false, 2210, KindInt},
	{OIDRegType, "regtype", "regtype", 4, true, CategoryNumeric, false, 2211, KindInt},
	{OIDRegNamespace, "regnamespace", "regnamespace", 4, true, CategoryNumeric, false, 4090, KindInt},
	{OIDRecord, "record", "record", -1, false, CategoryPseudo, false, 2287, KindRecord},
	{OIDAny, "any", `"any"`, 4, true, CategoryPseudo, false, 0, KindNull},
	{OIDAnyArray, "anyarray", "anyarray", -1, false, CategoryPseudo, false, 0, KindArray},
	{OIDAnyElement, "anyelement", "anyelement", 4, true, CategoryPseudo, false, 0, KindNull},
	{OIDAnyNonArray, "anynonarray", "anynonarray", 4, true, CategoryPseudo, false, 0, KindNull},
	{OIDAnyEnum, "anyenum", "anyenum", 4, true, CategoryPseudo, false, 0, KindEnum},
	{OIDVoid, "void", "void", 4, true, CategoryPseudo, false, 0, KindText},
	{OIDTrigger, "trigger", "trigger", 4, true, CategoryPseudo, false, 0, KindText},
	{OIDTimeTZ, "timetz", "time with time zone", 12, false, CategoryDateTime, false, 1270, KindPacked},
	{OIDBit, "bit", "bit", -1, false, CategoryBits, false, 1561, KindPacked},
	{OIDVarbit, "varbit", "bit varying", -1, false, CategoryBits, true, 1563, KindPacked},
	{OIDInet, "inet", "inet", -1, false, CategoryNetwork, true, 1041, KindPacked},
	{OIDCidr, "cidr", "cidr", -1, false, CategoryNetwork, false, 651, KindPacked},
	{OIDMacaddr, "macaddr", "macaddr", 6, false, CategoryUser, false, 1040, KindPacked},
	{OIDMacaddr8, "macaddr8", "macaddr8", 8, false, CategoryUser, false, 775, KindPacked},
	{OIDUUID, "uuid", "uuid", 16, false, CategoryUser, false, 2951, KindUUID},
	{OIDJSONPath, "jsonpath", "jsonpath", -1, false, CategoryUser, false, 4073, KindText},
	{OIDJSONB, "jsonb", "jsonb", -1, false, CategoryUser, false, 3807, KindJSONB},
	{OIDAnyRange, "anyrange", "anyrange", -1, false, CategoryPseudo, false, 0, KindRange},
	{OIDInt4Range, "int4range", "int4range", -1, false, CategoryRange, false, 3905, KindRange},
	{OIDNumRange, "numrange", "numrange", -1, false, CategoryRange, false, 3907, KindRange},
	{OIDTsRange, "tsrange", "tsrange", -1, false, CategoryRange, false, 3909, KindRange},
	{OIDTstzRange, "tstzrange", "tstzrange", -1, false, CategoryRange, false, 3911, KindRange},
	{OIDDateRange, "daterange", "daterange", -1, false, CategoryRange, false, 3913, KindRange},
	{OIDInt8Range, "int8range", "int8range", -1, false, CategoryRange, false, 3927, KindRange},
}

// arrayInfos are int2vector and oidvector: arrays by content, with names of their own.
var vectorInfos = []info{
	{OIDInt2Vector, "int2vector", "int2vector", -1, false, CategoryArray, false, 1006, KindArray},
	{OIDOidVector, "oidvector", "oidvector", -1, false, CategoryArray, false, 1013, KindArray},
}

// Category is pg_type.typcategory, which overload resolution falls back to.
type Category byte

// Categories of Postgres (manual 53.64).
const (
	CategoryArray     Category = 'A'
	CategoryBool      Category = 'B'
	CategoryComposite Category = 'C'
	CategoryDateTime  Category = 'D'
	CategoryEnum      Category = 'E'
	CategoryNetwork   Category = 'I'
	CategoryNumeric   Category = 'N'
	CategoryPseudo    Category = 'P'
	CategoryRange     Category = 'R'
	CategoryString    Category = 'S'
	CategoryTimespan  Category = 'T'
	CategoryUser      Category = 'U'
	CategoryBits      Category = 'V'
	CategoryUnknown   Category = 'X'
	CategoryInternal  Category = 'Z'
)

// catalog indexes the tables above; it is written once, when the package's variables are set.
var catalog = buildCatalog()

type typeCatalog struct {
	byOID  map[OID]*info
	elem   map[OID]OID // array type -> element type
	byName map[string]OID
}

func buildCatalog() *typeCatalog {
	c := &typeCatalog{byOID: map[OID]*info{}, elem: map[OID]OID{}, byName: map[string]OID{}}
	for i := range typeInfos {
		c.addScalar(&typeInfos[i])
	}
	for i := range vectorInfos {
		in := &vectorInfos[i]
		c.byOID[in.oid] = in
		c.byName[in.name] = in.oid
	}
	c.elem[OIDInt2Vector], c.elem[OIDOidVector] = OIDInt2, OIDOid
	for alias, oid := range typeAliases {
		c.byName[alias] = oid
	}
	return c
}

func (c *typeCatalog) addScalar(in *info) {
	c.byOID[in.oid] = in
	c.byName[in.name] = in.oid
	if in.array == 0 {
		return
	}
	arr := &info{oid: in.array, name: "_" + in.name, sqlName: in.sqlName + "[]", len: -1,
		category: CategoryArray, kind: KindArray}
	c.byOID[arr.oid] = arr
	c.byName[arr.name] = arr.oid
	c.elem[arr.oid] = in.oid
}

// typeAliases are the spellings of the SQL standard beside pg_type's own names.
var typeAliases = map[string]OID{
	"boolean": OIDBool, "smallint": OIDInt2, "integer": OIDInt4, "int": OIDInt4, "bigint": OIDInt8,
	"real": OIDFloat4, "double precision": OIDFloat8, "float": OIDFloat8,
	"decimal": OIDNumeric, "dec": OIDNumeric,
	"character varying": OIDVarchar, "character": OIDBPChar, "char": OIDBPChar, "nchar": OIDBPChar,
	`"char"`:                      OIDChar,
	"timestamp without time zone": OIDTimestamp, "timestamp with time zone": OIDTimestampTZ,
	"time without time zone": OIDTime, "time with time zone": OIDTimeTZ, "bit varying": OIDVarbit,
}
