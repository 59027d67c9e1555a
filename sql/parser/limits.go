package parser

// QueryBytesMax bounds a query string: its tree takes some twenty times as much memory.
const QueryBytesMax = 16 << 20
