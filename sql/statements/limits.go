package statements

// Limits of a node's table.
const (
	// Max is how many statements a node tells apart, pg_stat_statements.max there.
	// An entry takes some 500 bytes and its text.
	Max = 5000
	// EvictPercent of the entries go when the table is full; as in PostgreSQL.
	EvictPercent = 5
	// TextBytesMax bounds the text that is kept of a statement: a full table has
	// at most 10 MB of texts.
	TextBytesMax = 2048
	// usageDecay is what is left of an entry's usage each time that others are
	// evicted; as in PostgreSQL.
	usageDecay = 0.99
)
