package bind

const (
	// depthMax bounds the nesting of expressions and queries; each level takes some stack.
	depthMax = 2000
	// ColumnsMax bounds the columns of a result, as Postgres's MaxTupleAttributeNumber does.
	ColumnsMax = 1664
	// ParamsMax is what the protocol's 16-bit count can say.
	ParamsMax = 65535
)
