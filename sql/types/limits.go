package types

const (
	// numericIntDigitsMax and numericScaleMax are the documented limits of Postgres's numeric.
	numericIntDigitsMax = 131072
	numericScaleMax     = 16383
	// jsonDepthMax keeps the recursive JSON reader off the end of the stack.
	jsonDepthMax = 1000
	// arrayElemsMax bounds what a wire message may ask to allocate before its elements are seen.
	arrayElemsMax = 1 << 24
	// BitsMax is the largest n of bit(n), as in Postgres.
	BitsMax = 83886080
	// VarcharMax is the largest n of varchar(n) and char(n), as in Postgres.
	VarcharMax = 10485760
)
