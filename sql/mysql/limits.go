package mysql

const (
	// nestingMax bounds the tokens that may lie between a token and the root of its tree, as scan
	// counts them. TiDB's tree is walked recursively at up to a kilobyte a level.
	nestingMax = 20_000
	// depthMax bounds the translator's own recursion; libpg_query gives up a little later.
	depthMax = 1000
	// textBytesMax bounds the translation of one query string, exprBytesMax that of one expression in
	// it, and workBytesMax what is copied meanwhile: some functions print an argument twice, which
	// doubles it at every level.
	textBytesMax = 64 << 20
	exprBytesMax = 16 << 20
	workBytesMax = 1 << 30
	// nameBytesMax is Postgres's: longer names are cut.
	nameBytesMax = 63
)
